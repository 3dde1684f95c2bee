# SPDX-License-Identifier: GPL-2.0-only
"""How many questions a name took: a short name is tried with every suffix of the search list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.errors import HeaderError
from emu.observe.recording import Kind
from emu.verify import fivetuple
from emu.wire import udp
from emu.wire.ipv4 import UDP, Ipv4

if TYPE_CHECKING:
    from emu.observe.recording import Step
    from emu.verify.endpoint import Source, Target

_SEARCH: Final = "with fewer dots than ndots each search suffix is tried first; a dot at its end spares that"
_PORT: Final = 53
_RCODE_AT: Final = 3  # in the header of a message, its lower half
_NXDOMAIN: Final = 3


def queries(source: Source, target: Target) -> str:
    """Return how a DNS name was found, in a line; empty if nobody was asked.

    Args:
        source: who asked for it.
        target: whose name it is.
    """
    if target.lookup is None:
        return ""
    steps = [step for step, _ in target.lookup.told if step.net == source.namespace]
    asked = sum(step.kind is Kind.OUT and _rcode(step, is_answer=False) is not None for step in steps)
    if not asked:
        return ""
    absent = sum(step.kind is Kind.IN and _rcode(step, is_answer=True) == _NXDOMAIN for step in steps)
    number = "1 DNS query" if asked == 1 else f"{asked} DNS queries"
    words = f"{target.point} is {target.address}, after {number} for an A record"
    if not absent:
        return words
    return f"{words}, {absent} of them answered NXDOMAIN: {_SEARCH}"


def _rcode(step: Step, *, is_answer: bool) -> int | None:
    """Return the response code of a DNS message, None if it is none; that of a question is 0."""
    packet = fivetuple.packet_of(step)
    there = fivetuple.read(packet)
    if there is None or there.protocol != UDP or (there.sport if is_answer else there.dport) != _PORT:
        return None
    try:
        message = packet[Ipv4.parse(packet).header_length + udp.HEADER_LENGTH :]
    except HeaderError:
        return None
    return message[_RCODE_AT] & 15 if len(message) > _RCODE_AT else None
