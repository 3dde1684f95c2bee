# SPDX-License-Identifier: GPL-2.0-only
"""Looks for translations of addresses and ports, while packets of a question are on their way.

Source, destination and ports have to be the same at both ends and at every tap
between, and no table of connections on the way may hold another answer's flow
than the request's, turned round.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.observe.recording import Kind
from emu.verify.endpoint import Protocol
from emu.verify.journeys import journeys
from emu.verify.untouched import looks
from emu.wire import icmp, ipv4

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from emu.cluster.emulation import Emulation
    from emu.verify.endpoint import Source, Target
    from emu.verify.exchange import Exchange
    from emu.verify.journeys import Flow, Journey, View

_NUMBERS: Final = {
    Protocol.TCP: ipv4.TCP,
    Protocol.UDP: ipv4.UDP,
    Protocol.SCTP: ipv4.SCTP,
    Protocol.ICMP: ipv4.ICMP,
}


class NatWitness:
    """Watches exchanges.

    Attributes:
        seen: how many packets were looked at.
        translations: what was found, a line each, of all exchanges.
    """

    def __init__(self) -> None:
        self.seen = 0
        self.translations: dict[str, None] = {}

    def __call__(self, network: Emulation, exchange: Exchange, source: Source, target: Target) -> None:
        """Look at an exchange's packets, and at the tables as they left them."""
        everything = journeys([told.step for told in exchange.told])
        requests = [each for each in everything if _is_request(each.first, source, target)]
        asked = {each.first.flow: None for each in requests}
        for packet, flow in (
            *((each, each.first.flow) for each in requests),
            *_answers(everything, asked, source),
        ):
            self.seen += 1
            for look in looks(network.fabric, packet, flow):
                if not look.holds:
                    self.translations[look.words] = None


def _is_request(seen: View, source: Source, target: Target) -> bool:
    """Return whether it is a packet of the question, as it was sent."""
    flow = seen.flow
    if seen.step.net != source.namespace or seen.step.kind is not Kind.OUT:
        return False
    if (flow.protocol, flow.dst) != (_NUMBERS[target.protocol], bytes(target.address)):
        return False
    if flow.protocol == ipv4.ICMP:
        return seen.inner.body[:1] == bytes((icmp.ECHO,))
    return flow.dport == target.port


def _answers(
    everything: Sequence[Journey], asked: dict[Flow, None], source: Source
) -> Iterator[tuple[Journey, Flow]]:
    """Yield what came to the asker as an answer, each with the flow of the request."""
    for each in everything:
        if each.first.flow in asked:
            continue
        for seen in each.views:
            at_end = seen.flow.turned()
            if seen.step.net == source.namespace and seen.step.kind is Kind.IN and at_end in asked:
                yield each, at_end
                break
