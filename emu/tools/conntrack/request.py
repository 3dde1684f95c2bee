# SPDX-License-Identifier: GPL-2.0-only
"""What a `conntrack` command line asks for.

Source: conntrack-tools 1.4.7, src/conntrack.c.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import attrs

from emu.errors import AddressError, CommandError
from emu.kernel.netfilter.conntrack import sctp_table, tcp_table
from emu.kernel.netfilter.conntrack.entry import Status
from emu.kernel.netfilter.conntrack.table import EventKind
from emu.tools.conntrack.filter import Filter, Masked
from emu.tools.conntrack.options import COMMANDS, PROGRAM, Words, refusal, take_apart
from emu.tools.conntrack.text import Form
from emu.wire.addresses import IpAddress

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_ALL: Final = (
    "src",
    "dst",
    "reply-src",
    "reply-dst",
    "protonum",
    "timeout",
    "status",
    "zero",
    "event-mask",
    "tuple-src",
    "tuple-dst",
    "mask-src",
    "mask-dst",
    "nat-range",
    "mark",
    "id",
    "family",
    "src-nat",
    "dst-nat",
    "output",
    "secmark",
    "buffer-size",
    "any-nat",
    "zone",
    "label",
    "label-add",
    "label-del",
    "orig-zone",
    "reply-zone",
)
_NEVER_LISTED: Final = frozenset(("tuple-src", "tuple-dst", "buffer-size"))
_NOT_CHANGING: Final = frozenset(("event-mask", "secmark", "any-nat", "zero")) | _NEVER_LISTED
_NOTHING: Final = frozenset(_ALL) - {"nat-range", "label", "label-add", "label-del"}
_REFUSED: Final[Mapping[str, frozenset[str]]] = {
    "L": frozenset(("timeout", "event-mask", "id")) | _NEVER_LISTED,
    "D": _NOT_CHANGING,
    "E": frozenset(("timeout", "status", "zero", "tuple-src", "tuple-dst", "id")),
    "U": frozenset(("zone", "orig-zone", "reply-zone")) | _NOT_CHANGING,
    "F": _NOTHING - {"family"},
    "C": _NOTHING,
    "S": _NOTHING,
}
"""What each command refuses."""
_UNMODELLED: Final = (
    "tuple-src",
    "tuple-dst",
    "nat-range",
    "secmark",
    "label",
    "label-add",
    "label-del",
    "orig-vtag",
    "reply-vtag",
)
_TABLES: Final = ("conntrack", "expect", "dying", "unconfirmed")
_STATUS: Final[Mapping[str, Masked]] = {
    "ASSURED": Masked(Status.ASSURED, Status.ASSURED),
    "SEEN_REPLY": Masked(Status.SEEN_REPLY, Status.SEEN_REPLY),
    "UNREPLIED": Masked(0, Status.SEEN_REPLY),
    "UNSET": Masked(0, 0),
    "FIXED_TIMEOUT": Masked(Status.FIXED_TIMEOUT, Status.FIXED_TIMEOUT),
    "EXPECTED": Masked(Status.EXPECTED, Status.EXPECTED),
}
_NO_STATUS: Final = Masked(1, 0)
"""`UNSET` alone: no connection has it."""
_FILTERING: Final = frozenset(
    (
        "protonum",
        "src",
        "dst",
        "reply-src",
        "reply-dst",
        "mark",
        "status",
        "id",
        "zone",
        "orig-zone",
        "reply-zone",
    )
)
_EVENTS: Final[Mapping[str, frozenset[EventKind]]] = {
    "ALL": frozenset(EventKind),
    "NEW": frozenset((EventKind.NEW,)),
    "UPDATES": frozenset((EventKind.UPDATE,)),
    "DESTROY": frozenset((EventKind.DESTROY,)),
}
_OUTPUTS: Final = ("xml", "extended", "timestamp", "id", "ktimestamp", "labels", "userspace", "save")
_FAMILIES: Final = {"ipv4": False, "ipv6": True}
_NUMBERS: Final[Mapping[str, str]] = {
    "sport": "sport",
    "dport": "dport",
    "reply-port-src": "reply-sport",
    "reply-port-dst": "reply-dport",
    "icmp-type": "type",
    "icmp-code": "code",
    "icmp-id": "id",
    "srckey": "srckey",
    "dstkey": "dstkey",
    "reply-key-src": "reply-srckey",
    "reply-key-dst": "reply-dstkey",
}
_NUMBER: Final = re.compile(r"\s*(0[xX][0-9a-fA-F]+|\d+)")


@attrs.frozen
class Request:
    """What is asked for.

    Attributes:
        command: its letter: one of `L`, `D`, `E`, `G`, `U`, `F`, `C`, `S`, `V`, `h`.
        table: `conntrack`, or one of which nothing is ever in: `expect`, `dying`, `unconfirmed`.
        filter: which connections are meant.
        form: how they are shown.
        zero: their counters begin anew.
        events: which events are meant.
        mark: the mark that `-U` sets.
        status: the bits of the status that `-U` sets.
        timeout: the time in seconds that `-U` sets.
        has_family: whether addresses or `-f` tell the family, without which `-U` changes nothing.
    """

    command: str
    table: str = "conntrack"
    filter: Filter = attrs.field(factory=Filter)
    form: Form = attrs.field(factory=Form)
    zero: bool = False
    events: frozenset[EventKind] = frozenset(EventKind)
    mark: Masked | None = None
    status: int = 0
    timeout: int | None = None
    has_family: bool = False


def parse(argv: Sequence[str]) -> Request:
    """Return what `argv` asks for.

    Raises:
        CommandError: it makes no sense, or something is not modelled.
    """
    words = take_apart(argv)
    values, command = words.values, words.command or "h"
    if command in {"I", "A", "R"}:
        raise CommandError(f"conntrack -{command} (--{COMMANDS[command]}) is not modelled", 2)
    for name in _ALL:
        if name in values and name in _REFUSED.get(command, frozenset()):
            raise refusal(f"Illegal option `--{name}' with this command")
    for name in _UNMODELLED:
        if name in values:
            raise CommandError(f"conntrack --{name} is not modelled", 2)
    table = words.table or "conntrack"
    if table not in _TABLES:
        raise refusal(f"unknown type `{table}'")
    chosen = _filter(words)
    if command == "G":
        _check_one(words)
    if "zero" in values and not _FILTERING.isdisjoint(values):
        raise refusal("Can't use -z with filtering parameters")
    status = _status(values["status"]) if "status" in values else None
    if status == _NO_STATUS and command == "L":
        raise CommandError(f"{PROGRAM}: Operation failed: invalid parameters", 1)
    mark = _masked(values["mark"]) if "mark" in values else None
    if command == "U":
        chosen = attrs.evolve(chosen, mark=None, status=None)
    return Request(
        command,
        table,
        chosen,
        _form(values.get("output", "")),
        zero="zero" in values,
        events=_events(values.get("event-mask", "ALL")),
        mark=mark,
        status=status.value if status and status.mask else 0,
        timeout=_number(values["timeout"]) if "timeout" in values else None,
        has_family=bool(chosen.addresses) or "family" in values,
    )


def _filter(words: Words) -> Filter:
    values = words.values
    zone = _number(values["zone"]) if "zone" in values else None
    return Filter(
        addresses=_addresses(values),
        protocol=words.protocol,
        numbers={meant: _number(values[name]) for name, meant in _NUMBERS.items() if name in values},
        state=_state(words.protocol, values.get("state", "")),
        status=_status(values["status"]) if "status" in values else None,
        mark=_masked(values["mark"]) if "mark" in values else None,
        zones=(
            _number(values["orig-zone"]) if "orig-zone" in values else zone,
            _number(values["reply-zone"]) if "reply-zone" in values else zone,
        ),
        number=_number(values["id"]) if "id" in values else None,
        source_nat=_nat(values, "src-nat"),
        destination_nat=_nat(values, "dst-nat"),
        either_nat=_nat(values, "any-nat"),
        ipv6=_ipv6(values),
    )


def _check_one(words: Words) -> None:
    """Refuse what does not name one connection."""
    values, protocol = words.values, words.protocol
    if protocol is None:
        raise refusal("You need to supply the `--protonum' option for this command")
    if "src" not in values or "dst" not in values:
        raise refusal("you have to specify `--src' and `--dst'")
    if protocol in {6, 17, 33, 132, 136} and not {"sport", "dport"} <= values.keys():
        raise refusal("you have to specify `--sport' and `--dport'")
    for name in ("icmp-type", "icmp-code", "icmp-id"):
        if protocol == 1 and name not in values:
            raise refusal(f"You need to supply the `--{name}' option for this command")


# --- values ---


def _addresses(values: Mapping[str, str]) -> dict[str, Masked]:
    found = {}
    for name in ("src", "dst", "reply-src", "reply-dst"):
        if name not in values:
            continue
        text, slash, length = values[name].partition("/")
        if ":" in text:
            continue
        mask = 0xFFFFFFFF
        if slash:
            if not length.isdigit() or int(length) > 32:
                raise refusal("Invalid netmask")
            mask = 0xFFFFFFFF << (32 - int(length)) & 0xFFFFFFFF
        found[name] = Masked(_address(text) & mask, mask)
    for name in ("src", "dst"):
        if f"mask-{name}" in values:
            if name not in values:
                raise refusal(f"Can't use --mask-{name} without --{name}")
            mask = _address(values[f"mask-{name}"])
            found[name] = Masked(found[name].value & mask, mask)
    return found


def _ipv6(values: Mapping[str, str]) -> bool:
    named = {":" in values[name] for name in ("src", "dst", "reply-src", "reply-dst") if name in values}
    if "family" in values:
        if values["family"] not in _FAMILIES:
            raise refusal(f"`{values['family']}' unsupported protocol")
        named.add(_FAMILIES[values["family"]])
    if len(named) > 1:
        raise refusal("mismatched address family")
    return named == {True}


def _address(text: str) -> int:
    try:
        return int.from_bytes(IpAddress.parse(text), "big")
    except AddressError:
        raise refusal(f"Invalid IP address `{text}'") from None


def _nat(values: Mapping[str, str], name: str) -> bytes | None:
    if name not in values:
        return None
    text = values[name].partition(":")[0]
    return _address(text).to_bytes(4, "big") if text else b""


def _number(text: str) -> int:
    """Return the number that `text` begins with; like the tool, 0 if there is none."""
    match = _NUMBER.match(text)
    return int(match[1], 0) if match and not match[1].startswith("00") else int(match[1]) if match else 0


def _masked(text: str) -> Masked:
    value, slash, mask = text.partition("/")
    return Masked(_number(value), _number(mask) if slash else 0xFFFFFFFF)


def _status(text: str) -> Masked:
    value = mask = 0
    for word in _listed(text, _STATUS):
        value |= _STATUS[word].value
        mask |= _STATUS[word].mask
    return Masked(value, mask) if mask else _NO_STATUS


def _events(text: str) -> frozenset[EventKind]:
    return frozenset().union(*(_EVENTS[word] for word in _listed(text, _EVENTS)))


def _form(text: str) -> Form:
    chosen = set(_listed(text, _OUTPUTS)) if text else set()
    for word in ("xml", "save"):
        if word in chosen:
            raise CommandError(f"conntrack -o {word} is not modelled", 2)
    return Form(extended="extended" in chosen, identified="id" in chosen, timestamped="timestamp" in chosen)


def _listed(text: str, known: Iterable[str]) -> list[str]:
    """Return the words of a list, as they are in `known`."""
    by_name = {name.lower(): name for name in known}
    for word in text.split(","):
        if word.lower() not in by_name:
            raise refusal(f"Bad parameter `{word}'")
    return [by_name[word.lower()] for word in text.split(",")]


def _state(protocol: int | None, word: str) -> str:
    if not word:
        return ""
    kind, states = ("SCTP", sctp_table.State) if protocol == 132 else ("TCP", tcp_table.State)
    if word not in states.__members__:
        raise refusal(f"unknown {kind} state `{word}'")
    return word
