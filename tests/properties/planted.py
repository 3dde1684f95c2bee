# SPDX-License-Identifier: GPL-2.0-only
"""Faults, planted into clusters on purpose, and the looking for them.

A fault is put into the machines of a cluster that was built (`spoil`), or into
the code while it is built and talked in (`patch`). The same properties look for
it that hold elsewhere, on generated clusters, and Hypothesis shrinks what it finds.
"""

from __future__ import annotations

from contextlib import nullcontext, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from unittest import mock

import attrs
from hypothesis import HealthCheck, find, settings
from hypothesis import strategies as st

from emu.errors import StormError
from emu.kernel.fib import RoutePattern
from emu.kernel.link import bridge_ports
from emu.testing.cluster_strategies import Traffic, plans, traffics
from emu.testing.clusters import ClusterLab
from emu.testing.invariants import Findings
from emu.testing.promises import pod_cidr
from emu.testing.talk import talk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from emu.cluster.topology import NetworkSpec
    from emu.testing.plans import Plan

    Found: TypeAlias = tuple[Plan, list[Traffic]]

MOST_TRIED: Final = 400  # clusters before a fault counts as not found
MOST_SHRUNK: Final = 3  # clusters that are tried to make one smaller that is small already
MOST_NODES: Final = 3
"""Of a small cluster."""


@attrs.frozen
class Fault:
    """A planted fault.

    Attributes:
        invariant: the one that it breaks, as findings name it.
        spoil: puts it into a cluster.
        patch: what of the code is replaced meanwhile: where, the name, and by what.
        look: what is done to find it.
        services: how many Services a cluster may have.
        network: the provider of each cluster, where the fault is of no other; None for any.
    """

    invariant: str
    spoil: Callable[[ClusterLab], None] = lambda _: None
    patch: tuple[object, str, Any] | None = None
    look: Callable[[Findings, ClusterLab, Sequence[Traffic]], None] = talk
    services: int = 0
    network: NetworkSpec | None = None


class _Enough(KeyboardInterrupt):
    """Enough was tried: Hypothesis would go on for minutes; what a user's ^C ends ends it, too."""


def findings_on(fault: Fault, plan: Plan, questions: Sequence[Traffic]) -> Findings:
    """Return what the properties find on a cluster with `fault` in it."""
    found = Findings()
    with nullcontext() if fault.patch is None else mock.patch.object(*fault.patch):
        lab = ClusterLab(plan)
        fault.spoil(lab)
        try:
            fault.look(found, lab, questions)
        except StormError as error:
            found.expect("storm", str(error), holds=False)
    return found


def discover(fault: Fault) -> Found:
    """Return a small cluster and questions on which the properties find `fault`.

    Raises:
        NoSuchExample: they find it on none.
    """
    best: list[Found] = []
    tried = 0

    def is_found(case: Found) -> bool:
        nonlocal tried
        if best:
            is_small = len(best[-1][0].cluster.nodes) <= MOST_NODES
            if tried >= (MOST_SHRUNK if is_small else MOST_TRIED):
                raise _Enough
            tried += 1
        faults = findings_on(fault, *case).faults
        if any(each.startswith(fault.invariant) for each in faults):
            best.append(case)
            return True
        return False

    drawn = plans(most_services=fault.services)
    if fault.network is not None:
        drawn = drawn.map(partial(_with, network=fault.network))
    if fault.services:
        drawn = drawn.map(_by_iptables)
    cases = st.tuples(drawn, st.lists(traffics(), min_size=1, max_size=3))
    chosen = settings(
        max_examples=MOST_TRIED,
        database=None,
        derandomize=True,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    with suppress(_Enough):
        return find(cases, is_found, settings=chosen)
    return best[-1]  # each that Hypothesis accepts is smaller than the one before


def _with(plan: Plan, network: NetworkSpec) -> Plan:
    return attrs.evolve(plan, cluster=attrs.evolve(plan.cluster, network=network))


def _by_iptables(plan: Plan) -> Plan:
    """Return a plan in whose rules of Services a fault can be planted."""
    proxy = attrs.evolve(plan.cluster.proxy, mode="iptables")
    return attrs.evolve(plan, cluster=attrs.evolve(plan.cluster, proxy=proxy))


# --- what is planted ---


def rules_of(lab: ClusterLab, net: str, table: str = "nat") -> list[str]:
    """Return the rules of a table as `iptables-save` prints them."""
    text = lab.text_of(net, f"iptables-save -t {table}")
    return [line for line in text.splitlines() if line.startswith("-A")]


def delete_rules(lab: ClusterLab, *words: str) -> None:
    """Delete those rules of the table nat that hold all `words`, on all nodes."""
    for machine in lab.machines.values():
        for rule in rules_of(lab, machine.net.name):
            if all(word in rule for word in words):
                lab.text_of(machine.net.name, f"iptables -t nat -D {rule.removeprefix('-A ')}")


def masquerade_everything(lab: ClusterLab) -> None:
    """Take the exceptions for the pod network from the provider's masquerading."""
    delete_rules(lab, "KIND-MASQ-AGENT", "-j RETURN")
    delete_rules(lab, "FLANNEL-POSTRTG", "-j RETURN")


def _others(lab: ClusterLab) -> Iterator[tuple[str, str]]:
    """Yield for each node every other node's name."""
    for name in lab.machines:
        yield from ((name, other) for other in lab.machines if other != name)


def forget_a_route(lab: ClusterLab) -> None:
    """Delete the first node's routes to other nodes' pods: they go round by the router."""
    first = next(iter(lab.machines))
    fib = lab.machines[first].net.fib
    ranges = {pod_cidr(lab, other) for name, other in _others(lab) if name == first}
    for route in list(fib.routes()):
        if route.dst in ranges:
            fib.delete(RoutePattern(route.dst, table=route.table))


def lead_routes_astray(lab: ClusterLab) -> None:
    """Have each node send what is for another node's pods to somebody who is not there."""
    for name, other in _others(lab):
        net, cidr = lab.machines[name].net.name, pod_cidr(lab, other)
        own = lab.machines[name].net.devices["eth0"].addresses[0]
        nobody = own.prefix.address[:3] + bytes((250,))
        lab.text_of(net, f"ip route replace {cidr} via {'.'.join(map(str, nobody))} dev eth0")


def tunnel_to_oneself(lab: ClusterLab) -> None:
    """Have each node's VTEP keep for itself what is for the others: an FDB entry that leads back."""
    for name, other in _others(lab):
        net = lab.machines[name].net
        theirs = lab.machines[other].net.devices
        for device in [each for each in net.devices.values() if each.link.kind == "vxlan"]:
            if device.name not in theirs:
                continue  # no tunnel leads there
            far = theirs[device.name].mac
            lab.text_of(
                net.name, f"bridge fdb replace {far} dev {device.name} dst {lab.internal_ip(name)} self"
            )


def loop_the_switch(lab: ClusterLab) -> None:
    """Plug a cable from the switch into itself, both ends ports of the bridge."""
    net = lab.fabric.namespaces.get("switch/underlay")
    if net is None:
        return  # racks have none
    inside = lab.control_plane.underlay.wiring.plug(net, "eth0", net)
    bridge_ports.attach(net.devices["br0"], inside)
    lab.fabric.loop.budget = 3000  # events: ten times what an exchange takes, and soon spent in a loop


def hide_nodes(lab: ClusterLab) -> None:
    """Have nodes give their packets for pods an address that is none of a node."""
    for machine in lab.machines.values():
        own = machine.net.devices["eth0"].addresses[0].address
        rule = f"-s {own} -p icmp -j SNAT --to-source 192.0.2.99"
        lab.text_of(machine.net.name, f"iptables -t nat -I POSTROUTING 1 {rule}")


def forget_an_endpoint(lab: ClusterLab) -> None:
    """Take one endpoint out of the rules of each Service with several."""
    for machine in lab.machines.values():
        net = machine.net.name
        for rule in rules_of(lab, net):
            if rule.startswith("-A KUBE-SVC") and "--probability" in rule and "default/s" in rule:
                lab.text_of(net, f"iptables -t nat -D {rule.removeprefix('-A ')}")
