# SPDX-License-Identifier: GPL-2.0-only
"""Reads `spec.traffic` of a `Scenario` document."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from emu.cluster.expectation import split_flow
from emu.cluster.points import parse_point
from emu.cluster.timeline.traffic import EVERY, KINDS, LEAST_EVERY, NAME, TIMEOUT, TrafficSpec
from emu.cluster.topology.fabric import quantities
from emu.document.fields import Fields, boolean, elements, integer, measured, one_of, text
from emu.errors import AddressError, EndPointError, Fault, did_you_mean
from emu.kernel.netfilter.conntrack.race import EVEN, Race
from emu.sim.time import MILLISECOND, SECOND, Duration
from emu.wire.addresses import IpAddress

if TYPE_CHECKING:
    from collections.abc import Iterable

    from emu.cluster.timeline.expectation import TrafficExpectation
    from emu.cluster.timeline.traffic import TrafficKind
    from emu.document.fields import Place

_TIME: Final = re.compile(r"(?:(\d{1,40})h)?(?:(\d{1,40})m)?(?:(\d{1,40}(?:\.\d{1,3})?)s)?(?:(\d{1,40})ms)?")
_RATE: Final = re.compile(r"(\d{1,40}(?:\.\d{1,3})?)/(s|m)")
_PATH: Final = re.compile(r"/[!-~]*")
_KERNEL: Final = re.compile(r"(\d{1,2})\.(\d{1,3})(?:\.\d{1,3})?")
_CURRENT: Final = 6, 18
_RESOLVING: Final = 5, 7
"""Since when Linux lets a loser of UDP live beside the winner."""

RACE: Final = "conntrack-insert"
_A_TIME: Final = "a time with its unit, like 9s, 1m30s or 250ms"
_HOUR: Final = 3600 * SECOND
_LONGEST: Final = 365 * 24 * _HOUR
_MOST_CONNECTIONS: Final = 1000
_HIGHEST_PORT: Final = 65535
_LITERAL: Final = re.compile(r"[0-9.]+")
_IN_UDP: Final = "/udp"


def instant(place: Place) -> Duration:
    """Read a time like `9s`, `1m30s`, `2h` or `250ms`, a year at the most."""
    value = measured(place, _A_TIME)
    if value == "0":
        return 0
    found = _TIME.fullmatch(value) if value else None
    if found is None:
        if isinstance(place.value, str):
            place.wrong(_A_TIME)
        return 0
    hours, minutes, seconds, milliseconds = (part or "0" for part in found.groups())
    whole = (int(hours) * 60 + int(minutes)) * 60 * SECOND
    total = whole + round(float(seconds) * SECOND) + int(milliseconds) * MILLISECOND
    if total > _LONGEST:
        place.fault(f"{value} is more than a year, which is the most ({_LONGEST // _HOUR}h)")
        return _LONGEST
    return total


def read_traffic(place: Place, file: str) -> TrafficSpec:
    """Return one client."""
    fields = Fields(place)
    name = fields.must("name", _name)
    source = fields.must("from", _source)
    target = fields.must("to", _target)
    kind = fields.get("kind", one_of(*KINDS), _kind_of(target))
    every = fields.get("every", instant, EVERY)
    if fields.has("rate"):
        if fields.has("every"):
            place.fault("has either every or rate")
        every = fields.get("rate", _rate, EVERY)
    if every < LEAST_EVERY:
        place.fault("asks more often than once a millisecond")
        every = EVERY
    at = fields.get("at", instant, 0)
    until = fields.get("until", instant, None)
    if until is not None and until <= at:
        place.fault("ends before it begins: until lies behind at")
    keeps = fields.get("keepAlive", boolean, False)
    if keeps and kind not in {"http", "tcp"}:
        place.fault(f"keepAlive is for http and tcp: {kind} has no connections")
    connections = fields.get("connections", integer(1, _MOST_CONNECTIONS), 1)
    if connections > 1 and not keeps:
        place.fault("connections are kept ones: it needs keepAlive")
    leaves_open = fields.get("leaveOpen", boolean, False)
    if leaves_open and not keeps:
        place.fault("leaveOpen is for kept connections: it needs keepAlive")
    port = fields.get("sourcePort", integer(1, _HIGHEST_PORT), 0)
    if port and kind in {"ping", "dns"}:
        place.fault(f"sourcePort is for http, tcp and udp, not for {kind}")
    if port and connections > 1:
        place.fault(
            f"{connections} connections to one place cannot share a sourcePort: it has one or the other"
        )
    waits = fields.get("waitForAnswer", boolean, True)
    if not waits and kind != "udp":
        place.fault(f"waitForAnswer is for udp: {kind} always waits for one")
    path = fields.get("path", _path, "/")
    if fields.has("path") and kind != "http":
        place.fault(f"path is for http, not for {kind}")
    return fields.done(
        TrafficSpec(
            name,
            source,
            target,
            kind,
            at,
            until,
            every,
            fields.get("timeout", instant, TIMEOUT) or TIMEOUT,
            keeps,
            port,
            waits,
            path,
            connections,
            leaves_open,
            file=file,
            line=place.line,
        )
    )


def read_races(place: Place) -> Race | None:
    """Return the race that a list asks for by name; None for none.

    `conntrack-insert`, or a mapping with its `name`, how often a packet is
    overtaken (`share`), and the release of Linux whose rules hold for the loser.
    """
    found = elements(place, _race)
    if len(found) > 1:
        place.fault(f"there is one race: {RACE}")
    return found[0] if found else None


def _race(place: Place) -> Race:
    if isinstance(place.value, str):
        one_of(RACE)(place)
        return Race()
    fields = Fields(place)
    fields.must("name", one_of(RACE))
    share = fields.get("share", quantities.share, EVEN)
    kernel = fields.get("kernel", _release, _CURRENT)
    return fields.done(Race(share, kernel < _RESOLVING))


def _release(place: Place) -> tuple[int, int]:
    found = _KERNEL.fullmatch(text(place))
    if found is None:
        if isinstance(place.value, str):
            place.wrong('a release of Linux in quotes, like "5.4"')
        return _CURRENT
    return int(found[1]), int(found[2])


def check_names(place: Place, given: Iterable[TrafficSpec]) -> None:
    """Report names that two clients have."""
    seen: set[str] = set()
    for each in given:
        if each.name and each.name in seen:
            place.fault(f"two clients are called {each.name}")
        seen.add(each.name)


def unknown_clients(lines: Iterable[TrafficExpectation], given: Iterable[TrafficSpec]) -> list[Fault]:
    """Return what is wrong with lines that name a client that there is not."""
    names = [each.name for each in given]
    named = ", ".join(filter(None, names))
    known = named or ("some without a name" if names else "no traffic at all")
    return [
        Fault(
            each.file,
            each.line,
            each.path,
            f"no traffic is called {each.name} (there is {known}){did_you_mean(each.name, names)}",
        )
        for each in lines
        if each.name not in names
    ]


def _name(place: Place) -> str:
    value = text(place)
    if isinstance(place.value, str) and not NAME.fullmatch(value):
        place.wrong("a name of lower-case letters, digits and -")
    return value


def _source(place: Place) -> str:
    value = text(place)
    if isinstance(place.value, str):
        try:
            point = parse_point(value)
        except EndPointError as error:
            place.fault(str(error))
            return value
        if point.kind == "svc":
            place.fault(f"{value!r}: nothing runs in a Service; name one of its pods")
    return value


def _target(place: Place) -> str:
    value = text(place)
    if isinstance(place.value, str):
        point, _ = split_flow(value)
        try:
            if _LITERAL.fullmatch(point):
                IpAddress.parse(point)
            else:
                parse_point(point)
        except (AddressError, EndPointError) as error:
            place.fault(str(error))
    return value


def _path(place: Place) -> str:
    """Read the path of a request, as RFC 9112 section 3.2 has it in a request line: without blanks."""
    value = text(place)
    if isinstance(place.value, str) and not _PATH.fullmatch(value):
        place.wrong("a path that begins with / and has no blanks, control or non-ASCII characters")
        return "/"
    return value or "/"


def _kind_of(target: str) -> TrafficKind:
    return "udp" if target.lower().endswith(_IN_UDP) else "http"


def _rate(place: Place) -> Duration:
    """Read how often, like `10/s` or `30/m`."""
    value = text(place)
    found = _RATE.fullmatch(value) if value else None
    if found is None or not float(found[1]):
        if isinstance(place.value, str):
            place.wrong("so many in a second or a minute, like 10/s or 30/m")
        return EVERY
    every = round((SECOND if found[2] == "s" else 60 * SECOND) / float(found[1]))
    if every < LEAST_EVERY:
        place.fault(f"{value} is more than {SECOND // LEAST_EVERY}/s, which is the most")
        return EVERY
    return every
