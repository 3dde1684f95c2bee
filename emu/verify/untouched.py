# SPDX-License-Identifier: GPL-2.0-only
"""Whether a packet travelled as it was sent: the same addresses, ports and payload at every tap.

Asked of what the taps saw and of the connection tables on the way, never of the
code that translates.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from emu.verify.journeys import Flow, datagrams, flow_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.fabric.driver import Fabric
    from emu.verify.journeys import Journey


class Look(NamedTuple):
    """One look at a packet, or at a connection that it is of.

    Attributes:
        words: what was seen.
        holds: it is as it was sent.
        is_entry: it was a look into a table of connections.
    """

    words: str
    holds: bool
    is_entry: bool = False


def looks(fabric: Fabric, packet: Journey, asked: Flow) -> Iterator[Look]:
    """Yield what every tap saw of `packet`, and what the tables on its way hold of its connection.

    Args:
        fabric: as the packet left it.
        packet: a request or an answer.
        asked: the flow of the request, as it was sent.
    """
    first = packet.first
    wholes = datagrams(packet)
    sent = wholes[first.point]
    for each in packet.views:
        layer = each.inner
        place = f"{packet.name} at {each.step.net}/{each.step.device}"
        same = (layer.header.src, layer.header.dst) == (first.inner.header.src, first.inner.header.dst)
        yield Look(f"{place}: {flow_of(layer)}, sent as {first.flow}", same)
    for point, whole in wholes.items():
        yield Look(f"{packet.name} carries other octets at {point}", whole == sent)
    for name in dict.fromkeys(each.step.net for each in packet.views):
        net = fabric.namespaces.get(name)
        if net is None or net.used_netfilter is None:
            continue
        for entry in net.netfilter.conntrack.entries(fabric.loop.now):
            original = entry.original
            if (original.protocol, original.src, original.dst, original.sport) != asked[:4]:
                continue
            there, back = (
                Flow(one.protocol, one.src, one.dst, one.sport, one.dport) for one in (original, entry.reply)
            )
            words = f"the connections of {name}: {there} is answered as {back}"
            yield Look(words, entry.reply == original.invert(), is_entry=True)
