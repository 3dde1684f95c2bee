# SPDX-License-Identifier: GPL-2.0-only
"""Runs of rules that ask the same fields for equality, found by one look-up.

A chain of 10,000 services tests destination, protocol and port again and again.
Such a run becomes a dictionary from these fields to the numbers of the rules
that name these values, in their order. It only narrows down: whoever asks still
tests each candidate as a whole. Where the look-up could hide something that a
walk rule by rule would have met (a header that is cut short and ends in a
`hotdrop`), it gives every rule of the run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.kernel.netfilter.matches.comment import Comment
from emu.kernel.netfilter.matches.ip import Destination, InInterface, OutInterface, Protocol, Source
from emu.kernel.netfilter.matches.tcp import Tcp
from emu.kernel.netfilter.matches.udp import Udp
from emu.kernel.netfilter.packet import PORT_PROTOCOLS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from emu.kernel.netfilter.packet import Packet
    from emu.kernel.netfilter.ruleset import Match, Rule

SHORTEST: Final = 8
"""Runs below this length are walked: a look-up costs as much."""

_HOST: Final = b"\xff" * 4
_TRANSPORT_HEADERS: Final = {6: 20, 17: 8, 132: 12, 33: 12, 136: 8}

Field = str
Value = bytes | int | str


def equalities(rule: Rule) -> dict[Field, Value]:
    """Return the fields that a packet must have for `rule` to look any further.

    Only what stands before the first match that may remember something counts:
    that one has to be asked for every packet that gets there.
    """
    found: dict[Field, Value] = {}
    for match in rule.matches:
        asked = _asked(match)
        if asked is None:
            break
        found.update(asked)
        if isinstance(match, Tcp) and match.option is not None:
            break  # it may drop a packet for its options, before anything else is asked
    return found


def _asked(match: Match) -> Mapping[Field, Value] | None:
    """Return the equalities of one match; None for one that is not known to be without memory."""
    match match:
        case Source(address, mask, False) if mask == _HOST:
            return {"src": bytes(address)}
        case Destination(address, mask, False) if mask == _HOST:
            return {"dst": bytes(address)}
        case Protocol(number, False):
            return {"protocol": number}
        case InInterface(name, False) if not name.endswith("+"):
            return {"iif": name}
        case OutInterface(name, False) if not name.endswith("+"):
            return {"oif": name}
        case Tcp() | Udp():
            return _ports(match)
        case Source() | Destination() | Protocol() | InInterface() | OutInterface() | Comment():
            return {}
        case _:
            return None


def _ports(match: Tcp | Udp) -> dict[Field, Value]:
    found: dict[Field, Value] = {}
    for field, ports in (("sport", match.source), ("dport", match.destination)):
        if ports is not None and not ports.inverted and ports.low == ports.high:
            found[field] = ports.low
    return found


@attrs.frozen
class Run:
    """Consecutive rules of a chain that ask the same fields.

    Attributes:
        start: number of the first rule.
        end: number of the rule behind the last one.
        fields: what is asked, sorted.
        numbers: the rules by the values of the fields.
    """

    start: int
    end: int
    fields: tuple[Field, ...]
    numbers: Mapping[tuple[Value, ...], Sequence[int]]

    def candidates(self, packet: Packet) -> Sequence[int]:
        """Return the numbers of the rules that may hold for `packet`, in order."""
        header = packet.skb.header
        key: list[Value] = []
        for field in self.fields:
            match field:
                case "src":
                    key.append(header.src)
                case "dst":
                    key.append(header.dst)
                case "protocol":
                    key.append(header.protocol)
                case "iif":
                    key.append(packet.iif)
                case "oif":
                    key.append(packet.oif)
                case _:
                    if header.protocol not in PORT_PROTOCOLS:
                        return ()
                    ports = packet.ports
                    if ports is None or _is_cut(packet):
                        return range(self.start, self.end)
                    key.append(ports[field == "dport"])
        return self.numbers.get(tuple(key), ())


def _is_cut(packet: Packet) -> bool:
    """Return whether the transport header is not all there, where some match may drop for it."""
    header = packet.skb.header
    return len(packet.skb.packet) - header.header_length < _TRANSPORT_HEADERS.get(header.protocol, 0)


def runs(rules: Sequence[Rule]) -> list[Run]:
    """Return the runs in `rules` that are worth a look-up, in order."""
    found = []
    asked = [equalities(rule) for rule in rules]
    start = 0
    for end in range(1, len(rules) + 1):
        if end < len(rules) and asked[end].keys() == asked[start].keys():
            continue
        if asked[start] and end - start >= SHORTEST:
            found.append(_run(asked, start, end))
        start = end
    return found


def _run(asked: Sequence[Mapping[Field, Value]], start: int, end: int) -> Run:
    fields = tuple(sorted(asked[start]))
    numbers: dict[tuple[Value, ...], list[int]] = {}
    for number in range(start, end):
        numbers.setdefault(tuple([asked[number][field] for field in fields]), []).append(number)
    return Run(start, end, fields, {key: tuple(found) for key, found in numbers.items()})
