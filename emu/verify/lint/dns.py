# SPDX-License-Identifier: GPL-2.0-only
"""Egress policies that forget DNS: a pod that finds no names reaches nobody by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kube.api.objects import Service
from emu.kube.dns.addon import LABEL, NAMESPACE
from emu.kube.endpoints.pods import port_number
from emu.verify.lint.facts import address_of, directions, number, pods, prefix_of
from emu.verify.lint.finding import Complaint, subject_of
from emu.verify.lint.policies import rules_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.kube.api.objects import NetworkPolicy
    from emu.kube.api.objects.network import PolicyPeer, PolicyPort
    from emu.verify.lint.facts import Body, Facts
    from emu.verify.lint.policies import Rule

_PORT: Final = 53
_WITHOUT: Final = frozenset(("Default", "None"))  # dnsPolicy of pods that ask others


def forgotten(facts: Facts) -> Iterator[Complaint]:
    """Find policies for egress under which pods may not ask the cluster's DNS."""
    if not facts.dns_pods:
        return
    policies = [each for each in facts.policies if "Egress" in directions(each)]
    selected = {id(each): facts.of_policy(each) for each in policies}
    for policy in policies:
        cut = [
            body
            for body in selected[id(policy)]
            if _asks(body)
            and not any(_allows(facts, each) for each in policies if body in selected[id(each)])
        ]
        if cut:
            who = pods(number(cut)) if number(cut) else "its pods"
            yield Complaint(
                subject_of(policy),
                "$.spec.egress" if policy.spec.egress else "$.spec.policyTypes",
                f"cuts {who} off from DNS: no rule allows UDP {_ports(facts)} to the pods of kube-dns",
                f"allow UDP and TCP {_ports(facts)} to pods {_labels()} of namespace {NAMESPACE}",
            )


def _labels() -> str:
    return ",".join(f"{key}={value}" for key, value in LABEL.items())


def _ports(facts: Facts) -> str:
    return " and ".join(map(str, sorted({number for number, _ in _asked(facts)})))


def _asks(body: Body) -> bool:
    """Return whether a pod asks the cluster's DNS, and policies apply to it."""
    return not body.spec.host_network and body.spec.dns_policy not in _WITHOUT


def _asked(facts: Facts) -> list[tuple[int, Body]]:
    """Return the pods of the DNS, and the ports at which they are asked by UDP."""
    found = []
    services = [
        each
        for each in facts.store.list(Service, NAMESPACE)
        if each.spec.selector and any(port.port == _PORT for port in each.spec.ports)
    ]
    for body in facts.dns_pods:
        numbers = {
            port_number(body.pod, port)
            for service in services
            for port in service.spec.ports
            if body.pod is not None and (port.port, port.protocol) == (_PORT, "UDP")
        }
        found += [(number or _PORT, body) for number in numbers or {_PORT}]
    return found


def _allows(facts: Facts, policy: NetworkPolicy) -> bool:
    """Return whether a policy lets its pods ask one pod of the DNS at least."""
    return any(
        _names_port(rule, number, body) and _names_peer(facts, policy, rule, body)
        for rule in rules_of(policy)
        if not rule.is_ingress
        for number, body in _asked(facts)
    )


def _names_port(rule: Rule, number: int, body: Body) -> bool:
    return not rule.ports or any(_is_port(port, number, body) for port in rule.ports)


def _is_port(port: PolicyPort, number: int, body: Body) -> bool:
    if port.protocol != "UDP":
        return False
    if isinstance(port.port, str):
        return body.named_port(port.port, "UDP") == number
    return port.port is None or port.port <= number <= (port.end_port or port.port)


def _names_peer(facts: Facts, policy: NetworkPolicy, rule: Rule, body: Body) -> bool:
    return not rule.peers or any(_is_peer(facts, policy, peer, body) for peer in rule.peers)


def _is_peer(facts: Facts, policy: NetworkPolicy, peer: PolicyPeer, body: Body) -> bool:
    if peer.ip_block is None:
        return body in facts.of_peer(policy.metadata.namespace, peer)
    address = address_of(body.pod.status.pod_ip) if body.pod is not None else None
    block = prefix_of(peer.ip_block.cidr)
    holes = [prefix_of(text) for text in peer.ip_block.except_]
    if address is None or block is None or address not in block:
        return False
    return not any(hole is not None and address in hole for hole in holes)
