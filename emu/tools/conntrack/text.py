# SPDX-License-Identifier: GPL-2.0-only
"""Connections, events and statistics as lines of text.

Known differences: the `id` of a connection is a small number, not a hash; who
deleted one (`[USERSPACE] portid=...`) is not told; there is one CPU.

Source: libnetfilter_conntrack 1.0.9, src/conntrack/snprintf_default.c; conntrack-tools 1.4.7.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.kernel.netfilter.conntrack.entry import Direction
from emu.kernel.netfilter.conntrack.table import EventKind
from emu.sim.time import MICROSECOND, SECOND
from emu.tools.conntrack import names
from emu.wire.addresses import IpAddress

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from emu.kernel.netfilter.conntrack.entry import Connection
    from emu.kernel.netfilter.conntrack.table import Event
    from emu.sim.time import Instant

_FAMILY: Final = "ipv4     2"
_HEXADECIMAL: Final = frozenset(("srckey", "dstkey"))
_STATISTICS: Final = (
    "found",
    "invalid",
    "insert",
    "insert_failed",
    "drop",
    "early_drop",
    "error",
    "search_restart",
    "clash_resolve",
    "chaintoolong",
)


@attrs.frozen
class Form:
    """How a line looks.

    Attributes:
        extended: begin with the family.
        identified: end with the connection's number.
        timestamped: begin an event with the time of day.
        counted: with packets and octets (`nf_conntrack_acct`).
        uses: how many refer to it: 2 for one that was looked up alone.
    """

    extended: bool = False
    identified: bool = False
    timestamped: bool = False
    counted: bool = False
    uses: int = 1


def listing(connections: Iterable[Connection], now: Instant, form: Form) -> str:
    """Return a line for each of the `connections`, as `conntrack -L` does."""
    return "".join(f"{line(connection, now, form)}\n" for connection in connections)


def line(connection: Connection, now: Instant, form: Form) -> str:
    """Return the line of `connection`, without its end."""
    left = max(connection.expires - now, 0) // SECOND
    words = [*_words(connection, form, f"{left}"), f"mark={connection.mark}"]
    zone, reply_zone = connection.zones
    if zone and zone == reply_zone:
        words.append(f"zone={zone}")
    words.append(f"use={form.uses}")
    return " ".join([*words, *_number(connection, form)])


def event(happened: Event, form: Form, *, epoch: int) -> str:
    """Return the line of an event, as `conntrack -E` does, without its end.

    Args:
        happened: the event.
        form: how it is to look; counters stand only with the end of a connection.
        epoch: the time of day at the start of the run, ns since 1970.
    """
    connection, is_over = happened.connection, happened.kind is EventKind.DESTROY
    left = max(connection.expires - happened.time, 0) // SECOND
    counted = form.counted and is_over
    shown = "" if is_over and not left else f"{left}"
    words = [f"[{happened.kind.value}]".rjust(9)]
    words += _words(connection, attrs.evolve(form, counted=counted), shown)
    if connection.mark:
        words.append(f"mark={connection.mark}")
    zone, reply_zone = connection.zones
    if zone and zone == reply_zone:
        words.append(f"zone={zone}")
    text = " ".join([*words, *_number(connection, form)])
    if not form.timestamped:
        return text
    seconds, rest = divmod(epoch + happened.time, SECOND)
    return f"[{seconds}.{rest // MICROSECOND:06}]\t{text}"


def statistics(stats: Mapping[str, int]) -> str:
    """Return what `conntrack -S` prints."""
    return "cpu=0   \t" + "".join(f"{name}={stats.get(name, 0)} " for name in _STATISTICS) + "\n"


def _words(connection: Connection, form: Form, left: str) -> Iterator[str]:
    if form.extended:
        yield _FAMILY
    yield f"{names.protocol(connection.protocol):8} {connection.protocol}"
    if left:
        yield left
    state = names.state(connection)
    if state:
        yield state
    flags = names.flags(connection)
    for direction in Direction:
        yield from _direction(connection, direction, form)
        if direction is Direction.ORIGINAL and names.UNREPLIED in flags:
            yield f"[{names.UNREPLIED}]"
    if names.ASSURED in flags:
        yield f"[{names.ASSURED}]"


def _direction(connection: Connection, direction: Direction, form: Form) -> Iterator[str]:
    tuple_ = connection.tuples[direction]
    yield f"src={IpAddress(tuple_.src)}"
    yield f"dst={IpAddress(tuple_.dst)}"
    for name, value in names.identification(tuple_):
        yield f"{name}={value:#x}" if name in _HEXADECIMAL else f"{name}={value}"
    zone = connection.zones[direction]
    if zone and zone != connection.zones[1 - direction]:
        yield f"zone-{'orig' if direction is Direction.ORIGINAL else 'reply'}={zone}"
    if form.counted:
        yield f"packets={connection.packets[direction]}"
        yield f"bytes={connection.octets[direction]}"


def _number(connection: Connection, form: Form) -> list[str]:
    return [f"id={connection.number}"] if form.identified else []
