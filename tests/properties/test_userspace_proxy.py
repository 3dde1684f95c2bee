# SPDX-License-Identifier: GPL-2.0-only
"""What holds where kube-proxy ends connections itself (mode userspace), and what does not.

Pods and nodes reach each other as with any mode. A Service answers exactly where
a ready pod is behind it, and its client sees nobody else. That the server sees
its client holds for nobody: it sees an address of the node that the proxy is on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from emu.testing.cluster_strategies import Traffic, plans, traffics
from emu.testing.clusters import ClusterLab
from emu.testing.invariants import conversation
from emu.testing.service_invariants import backends, doors
from emu.testing.talk import talk
from emu.verify.endpoint import Protocol
from emu.wire.addresses import IpAddress
from tests.properties.held import holding

if TYPE_CHECKING:
    from emu.testing.clusters import Exchange
    from emu.testing.invariants import Findings
    from emu.testing.plans import Plan
    from emu.testing.service_invariants import Door

_WITHOUT_ADDRESS: Final = frozenset(("calico", "vpc"))
"""Providers whose nodes have no address on the devices of pods: a redirection finds none to lead to."""

FEW = settings(max_examples=max(settings().max_examples // 10, 4))


def proxied(plan: Plan) -> Plan:
    """Return a plan in which nodes proxy in user space."""
    proxy = attrs.evolve(plan.cluster.proxy, mode="userspace", node_port_addresses=())
    return attrs.evolve(plan, cluster=attrs.evolve(plan.cluster, proxy=proxy))


@FEW
@given(plans(most_services=2, most_nodes=3), st.lists(traffics(), min_size=2, max_size=4))
def test_services_answer_and_hide_who_does(plan: Plan, questions: list[Traffic]) -> None:
    """From every kind of asker, by every door, at every size: answered by a ready pod, or not at all."""
    assume(plan.cluster.network.provider not in _WITHOUT_ADDRESS)
    lab = ClusterLab(proxied(plan))
    with holding() as found:
        talk(found, lab, questions)
        asked = [each for each in doors(lab) if each.port.protocol != Protocol.SCTP.value]
        for each in questions if asked else ():
            door = asked[each.target % len(asked)]
            inside = lab.externals if door.entrance == "node port" else lab.pods
            if inside:
                source = inside[each.source % len(inside)]
                size = min(each.size, 900)
                exchange = lab.ask(source, door.address, Protocol(door.port.protocol), door.number, size=size)
                check(found, lab, exchange, door)
        found.checked["built"] += 1


def check(found: Findings, lab: ClusterLab, exchange: Exchange, door: Door) -> None:
    """Check who answered, whom the client saw, and whom the server saw."""
    behind = backends(lab, door)
    what = f"{exchange.source.name} asks {door}"
    found.expect("served", f"{what}: {exchange.outcome}", holds=(exchange.outcome == "ok") == bool(behind))
    nodes = {
        own.address
        for machine in lab.machines.values()
        for device in machine.net.devices.values()
        for own in device.addresses
    }
    for each in conversation(exchange).requests:
        if each.seen:
            taken = IpAddress(each.seen.dst)
            found.expect("taken by a node", f"{what}: {taken}", holds=taken in nodes)
