# SPDX-License-Identifier: GPL-2.0-only
"""Whom the server sees, where a node has put its own address in the place of the client's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.verify.causes import nft

if TYPE_CHECKING:
    from emu.verify.telling.places import Places
    from emu.verify.verdict import Outcome, Verdict

_EXTERNAL: Final = "KUBE-EXT-"
_MARKING: Final = "-j KUBE-MARK-MASQ"


def lost_address(verdict: Verdict, places: Places) -> str:
    """Return that the address of a client outside is lost, and whose doing that is; empty if it is kept."""
    for outcome in verdict.outcomes:
        request, arrival = outcome.story.request, outcome.arrival
        if request is None or arrival is None or not outcome.masquerade:
            continue
        was, seen = request.tuples[0].src, arrival.source
        whose = _service(outcome, places)
        if whose and was != seen:
            server = arrival.pod or arrival.net
            sight = f"{server} sees {seen} of {places.owner(seen)}, not {was}"
            earlier = next((each.src for each in request.tuples[:-1] if each.src != was), None)
            if earlier is not None:  # the Service's node has not met the client's, either
                return f"{sight}: it was that of {places.owner(earlier)} before it came to the Service's node"
            return f"{sight}: {whose} is Cluster, Local would keep the client's address"
    return ""


def _service(outcome: Outcome, places: Places) -> str:
    """Return the Service that has sources from outside masqueraded, and the field; empty if none has."""
    request = outcome.story.request
    for one in request.line if request is not None else ():
        step = one.step
        if step.chain is None:
            continue
        by_iptables = step.chain[1].startswith(_EXTERNAL) and _MARKING in step.rule
        if by_iptables or (nft.leads_outsiders(step.chain[1]) and nft.marks(step.rule)):
            origin = places.origin(step)
            return "" if origin is None else f"{origin.object} {origin.field}".rstrip()
    return ""
