# SPDX-License-Identifier: GPL-2.0-only
"""The text of `conntrack -L` or of `/proc/net/nf_conntrack`, read back into values.

What a line does not tell (windows, counters that were not kept) is unknown: a
TCP connection that is read in is believed, as one that `conntrack -I` enters.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import attrs

from emu.errors import AddressError, Complaint, RulesError
from emu.kernel.netfilter.conntrack.entry import Connection, Status
from emu.kernel.netfilter.conntrack.sctp import SctpState
from emu.kernel.netfilter.conntrack.sctp_table import State as SctpStates
from emu.kernel.netfilter.conntrack.tcp_table import State as TcpStates
from emu.kernel.netfilter.conntrack.tcp_window import TcpState
from emu.kernel.netfilter.conntrack.tuples import Tuple
from emu.sim.time import SECOND
from emu.tools.conntrack import names
from emu.wire.addresses import IpAddress

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from emu.sim.time import Instant

_TCP: Final = 6
_SCTP: Final = 132
_STATES: Final[Mapping[int, type[TcpStates | SctpStates]]] = {_TCP: TcpStates, _SCTP: SctpStates}
_LINE: Final = re.compile(
    r"""(?:(?P<family>ipv[46])\s+\d+\s+)?
        (?P<name>[a-z][a-z0-9-]*)\s+(?P<protocol>\d+)
        (?:\s+(?P<left>\d+))?
        (?:\s+(?P<state>[A-Z][A-Z0-9_]*))?
        (?:\s+timeout=\d+,\s+stream_timeout=\d+)?
        \s+(?P<rest>src=.*)""",
    re.VERBOSE,
)
_TUPLE_KEYS: Final = ("src", "dst", "sport", "dport", "type", "code", "id", "srckey", "dstkey")
_FLAGS: Final = ("UNREPLIED", "ASSURED", "OFFLOAD", "HW_OFFLOAD", "USERSPACE", "EXPECTED")


@attrs.frozen
class Entry:
    """A line.

    Attributes:
        original: the tuple of the first packet.
        reply: that of an answer.
        left: seconds until it is forgotten, None if the line does not tell.
        state: of TCP or SCTP, else empty.
        flags: what stands in brackets.
        mark: the connection mark.
        zones: the zone of each direction.
        packets: counted in each direction, 0 if they were not.
        octets: likewise.
        number: its `id`, None if the line does not tell.
    """

    original: Tuple
    reply: Tuple
    left: int | None = None
    state: str = ""
    flags: frozenset[str] = frozenset()
    mark: int = 0
    zones: tuple[int, int] = (0, 0)
    packets: tuple[int, int] = (0, 0)
    octets: tuple[int, int] = (0, 0)
    number: int | None = None

    def connection(self, number: int, now: Instant) -> Connection:
        """Return it as a connection in the table, with that number, its time counted from `now`."""
        made = Connection(number, self.original, self.reply, zones=self.zones)
        made.status = Status.CONFIRMED | self._translated()
        if names.UNREPLIED not in self.flags:
            made.status |= Status.SEEN_REPLY
        if names.ASSURED in self.flags:
            made.status |= Status.ASSURED
        made.mark = self.mark
        made.packets, made.octets = list(self.packets), list(self.octets)
        made.refresh(now, (self.left or 0) * SECOND)
        if made.protocol == _TCP:
            made.tracker = tcp = TcpState(TcpStates[self.state or "ESTABLISHED"])
            for side in tcp.sides:
                side.liberal = side.sack_permitted = True
        elif made.protocol == _SCTP:
            made.tracker = sctp = SctpState()
            sctp.state = SctpStates[self.state or "ESTABLISHED"]
        return made

    def _translated(self) -> int:
        expected = self.original.invert()
        done = Status.SRC_NAT_DONE | Status.DST_NAT_DONE
        if (expected.dst, expected.dport) != (self.reply.dst, self.reply.dport):
            done |= Status.SRC_NAT
        if (expected.src, expected.sport) != (self.reply.src, self.reply.sport):
            done |= Status.DST_NAT
        return done


class _WrongError(Exception):
    """A line cannot be read; `str()` says why."""


def parse(text: str) -> list[Entry]:
    """Return the entries of IPv4 in `text`; those of IPv6 and the tool's own remarks are passed over.

    Raises:
        RulesError: lines that cannot be read, all of them.
    """
    entries: list[Entry] = []
    complaints: list[Complaint] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("conntrack v"):
            continue
        try:
            entry = _entry(line.strip())
        except _WrongError as error:
            complaints.append(Complaint(number, str(error)))
        else:
            if entry is not None:
                entries.append(entry)
    if complaints:
        raise RulesError(complaints)
    return entries


def _entry(line: str) -> Entry | None:
    """Return the entry in `line`, None if it is of IPv6."""
    match = _LINE.fullmatch(line)
    if match is None:
        raise _WrongError("no line of a connection: protocol, its number, seconds, src=, dst=, ...")
    if match["family"] == "ipv6" or ":" in match["rest"].split()[0]:
        return None
    protocol, state = int(match["protocol"]), match["state"] or ""
    if protocol > 255:
        raise _WrongError(f"{protocol} is no protocol")
    known = _STATES.get(protocol)
    if state and (known is None or state not in known.__members__):
        raise _WrongError(f"{match['name']} has no state {state}")
    words = match["rest"].split()
    parts = _parts(words)
    values = dict(word.split("=", 1) for word in words if "=" in word)
    left = match["left"]
    zone = _number(values.get("zone", "0"), 0xFFFF)
    return Entry(
        _tuple(parts[0], protocol),
        _tuple(parts[1], protocol),
        None if left is None else _number(left, 1 << 32),
        state,
        frozenset(_flags(words)),
        _number(values.get("mark", "0")),
        (_number(values.get("zone-orig", str(zone))), _number(values.get("zone-reply", str(zone)))),
        _both(parts, "packets"),
        _both(parts, "bytes"),
        _number(values["id"], 1 << 32) if "id" in parts[2] else None,
    )


def _parts(words: list[str]) -> tuple[dict[str, str], dict[str, str], dict[str, str]]:
    """Return the values of both directions, and those behind them."""
    directions: list[dict[str, str]] = []
    rest: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals:
            continue
        if key == "src":
            directions.append({})
        inside = directions[-1]
        is_inside = key in {*_TUPLE_KEYS, "packets", "bytes"} and key not in inside
        if is_inside and not (key == "id" and "type" not in inside):
            inside[key] = value
        else:
            rest[key] = value
    if len(directions) != 2:
        raise _WrongError("a connection has two directions, each with src= and dst=")
    return directions[0], directions[1], rest


def _tuple(values: Mapping[str, str], protocol: int) -> Tuple:
    try:
        src, dst = IpAddress.parse(values["src"]), IpAddress.parse(values["dst"])
    except KeyError as error:
        raise _WrongError(f"{error.args[0]}= is missing") from None
    except AddressError as error:
        raise _WrongError(str(error)) from None
    if protocol == names.ICMP:
        kind, code = (_number(_given(values, key), 0xFF) for key in ("type", "code"))
        return Tuple(
            bytes(src), bytes(dst), protocol, _number(_given(values, "id"), 0xFFFF), kind << 8 | code
        )
    keys = ("sport", "dport") if protocol in names.WITH_PORTS else ("srckey", "dstkey")
    if protocol in names.WITH_PORTS or protocol == names.GRE:
        first, second = (_number(_given(values, key), 0xFFFF) for key in keys)
        return Tuple(bytes(src), bytes(dst), protocol, first, second)
    return Tuple(bytes(src), bytes(dst), protocol)


def _given(values: Mapping[str, str], key: str) -> str:
    if key not in values:
        raise _WrongError(f"{key}= is missing")
    return values[key]


def _number(text: str, highest: int = 0xFFFFFFFF) -> int:
    try:
        number = int(text, 0)
    except ValueError:
        number = -1
    if not 0 <= number <= highest:
        raise _WrongError(f"{text} is no number up to {highest}")
    return number


def _both(parts: tuple[dict[str, str], dict[str, str], dict[str, str]], key: str) -> tuple[int, int]:
    highest = (1 << 64) - 1
    return _number(parts[0].get(key, "0"), highest), _number(parts[1].get(key, "0"), highest)


def _flags(words: list[str]) -> Iterator[str]:
    for word in words:
        if word.startswith("[") and word.endswith("]"):
            if word[1:-1] not in _FLAGS:
                raise _WrongError(f"{word} is not known")
            yield word[1:-1]
