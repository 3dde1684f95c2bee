# SPDX-License-Identifier: GPL-2.0-only
"""Load balancers that people set up otherwise than their servers, or that nobody told where an address is."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

import attrs

from emu.kube.loadbalancers.settings import PROXY, HealthCheck
from emu.verify.fixes.fix import Proposal
from emu.verify.fixes.remedy import Command, Document

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from emu.cluster.topology import Topology
    from emu.kube.loadbalancers.settings import LoadBalancerSpec
    from emu.verify.fixes.case import Case

_MACHINE: Final = "lb/"


def leave_the_address_to_the_balancer(case: Case) -> Iterator[Proposal]:
    """Have the status say that nodes must not take the balancer's address for the Service's own."""
    for spec in _specs(case):
        if spec.kind == "proxy" and spec.mode != PROXY:
            words = f"what load balancer {spec.name} adds is missing on the short way: let nobody take it"
            change = _changed(spec, {"ipMode": spec.mode}, {"ipMode": PROXY}, ip_mode=PROXY)
            yield Proposal(words, (change,))


def send_no_header(case: Case) -> Iterator[Proposal]:
    """Have the balancer not speak the PROXY protocol to servers that do not know it."""
    for spec in _specs(case):
        if spec.proxy_protocol:
            words = f"the servers do not know the PROXY protocol: have load balancer {spec.name} not speak it"
            old = {"proxyProtocol": f"v{spec.proxy_protocol}"}
            yield Proposal(words, (_changed(spec, old, {}, proxy_protocol=0),))


def check_the_nodes(case: Case) -> Iterator[Proposal]:
    """Have the balancer that sent to a node without endpoints ask nodes whether they have any."""
    passed = {net.removeprefix(_MACHINE) for net in case.passed if net.startswith(_MACHINE)}
    for spec in _specs(case):
        if spec.name in passed and spec.health.against != "auto":
            words = f"load balancer {spec.name} does not look whether a node has an endpoint: have it ask"
            old = {"healthCheck": spec.health.against}
            health = attrs.evolve(spec.health, against=HealthCheck().against)
            yield Proposal(words, (_changed(spec, old, {}, health=health),))


def forget_the_neighbour(case: Case) -> Iterator[Proposal]:
    """Have whoever sends to a machine that has lost an address ask anew."""
    found = case.neighbour
    if found is None:
        return
    net, address, device = found
    words = f"{case.host(net)} sends to who had {address} before: let it ask anew"
    yield Proposal(words, (Command(case.host(net), ("ip", "neigh", "del", str(address), "dev", device)),))


def _specs(case: Case) -> tuple[LoadBalancerSpec, ...]:
    return () if case.cluster is None else case.cluster.topology.fabric.load_balancers


def _changed(spec: LoadBalancerSpec, old: dict[str, Any], new: dict[str, Any], **fields: object) -> Document:
    """Return the change of one balancer in the `Fabric` document."""
    name: dict[str, Any] = {"name": spec.name, "kind": spec.kind}
    change: Callable[[Topology], Topology] = partial(_with, name=spec.name, fields=fields)
    return Document(
        {"loadBalancers": [{**name, **old}]}, {"loadBalancers": [{**name, **new}]}, change, kind="Fabric"
    )


def _with(topology: Topology, name: str, fields: dict[str, Any]) -> Topology:
    balancers = tuple(
        attrs.evolve(each, **fields) if each.name == name else each for each in topology.fabric.load_balancers
    )
    return attrs.evolve(topology, fabric=attrs.evolve(topology.fabric, load_balancers=balancers))
