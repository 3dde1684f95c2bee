# SPDX-License-Identifier: GPL-2.0-only
"""Policies that nobody enforces, or that are about nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from emu.kube.policy.enforcer import absence, enforcer_of
from emu.verify.lint.facts import directions, number, pods
from emu.verify.lint.finding import Complaint, subject_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.kube.api.objects import NetworkPolicy
    from emu.kube.api.objects.network import PolicyPeer, PolicyPort
    from emu.verify.lint.facts import Body, Facts


class Rule(NamedTuple):
    """A rule of either direction that is in force: where it stands, whom it is about, and on which ports."""

    path: str
    peers_path: str
    peers: tuple[PolicyPeer, ...]
    ports: tuple[PolicyPort, ...]
    is_ingress: bool


def rules_of(policy: NetworkPolicy) -> Iterator[Rule]:
    """Yield the rules of the directions that a policy is about."""
    types = directions(policy)
    for index, ingress in enumerate(policy.spec.ingress if "Ingress" in types else ()):
        path = f"$.spec.ingress[{index}]"
        yield Rule(path, f"{path}.from", ingress.from_, ingress.ports, is_ingress=True)
    for index, egress in enumerate(policy.spec.egress if "Egress" in types else ()):
        path = f"$.spec.egress[{index}]"
        yield Rule(path, f"{path}.to", egress.to, egress.ports, is_ingress=False)


def not_enforced(facts: Facts) -> Iterator[Complaint]:
    """Find policies of a cluster in which nobody writes rules for them."""
    network = facts.topology.cluster.network
    if enforcer_of(network.provider, network.policy) is not None:
        return
    for policy in facts.policies:
        yield Complaint(
            subject_of(policy),
            "$.spec",
            f"has no effect: {absence(network.provider, network.policy)}",
            "take a provider that enforces policies, or set network.policy: iptables",
        )


def selects_nothing(facts: Facts) -> Iterator[Complaint]:
    """Find policies that no pod and no template of their namespace meets."""
    for policy in facts.policies:
        if not facts.of_policy(policy):
            yield Complaint(
                subject_of(policy),
                "$.spec.podSelector",
                f"is about no pod: none of namespace {policy.metadata.namespace} has these labels",
                "select labels that pods of the policy's own namespace have",
            )


def peer_selects_nothing(facts: Facts) -> Iterator[Complaint]:
    """Find peers whose labels no pod and no template has."""
    for policy in facts.policies:
        namespace = policy.metadata.namespace
        for rule in rules_of(policy):
            for index, peer in enumerate(rule.peers):
                if peer.ip_block is not None or facts.of_peer(namespace, peer):
                    continue
                where = f"namespace {namespace}" if peer.namespace_selector is None else "those namespaces"
                yield Complaint(
                    subject_of(policy),
                    f"{rule.peers_path}[{index}]",
                    f"means no pod: none of {where} has these labels",
                    "compare the labels with those of the pods that are meant, and their namespace's",
                )


def selects_host_network(facts: Facts) -> Iterator[Complaint]:
    """Find policies that are about pods on the host's network."""
    for policy in facts.policies:
        found = [body for body in facts.of_policy(policy) if body.spec.host_network]
        if found:
            yield Complaint(
                subject_of(policy),
                "$.spec.podSelector",
                f"selects {_names(found)} on the host's network, to which policies do not apply",
                "protect the node itself, or take hostNetwork away",
            )


def peer_on_host_network(facts: Facts) -> Iterator[Complaint]:
    """Find peers that are pods on the host's network: packets have the node's address."""
    for policy in facts.policies:
        for rule in rules_of(policy):
            for index, peer in enumerate(rule.peers):
                if peer.ip_block is not None or peer.pod_selector is None:
                    continue
                is_all = not (peer.pod_selector.match_labels or peer.pod_selector.match_expressions)
                found = [
                    body
                    for body in facts.of_peer(policy.metadata.namespace, peer)
                    if body.spec.host_network and not is_all
                ]
                if found:
                    yield Complaint(
                        subject_of(policy),
                        f"{rule.peers_path}[{index}]",
                        f"means {_names(found)} on the host's network, whose packets have the node's address",
                        "allow the nodes' addresses by an ipBlock",
                    )


def _names(bodies: list[Body]) -> str:
    """Return a pod by name, several by their number."""
    found = [body.pod for body in bodies if body.pod is not None]
    if len(found) == 1:
        return f"pod {found[0].metadata.namespace}/{found[0].metadata.name}"
    return pods(number(bodies)) if found else "pods"


def unknown_port(facts: Facts) -> Iterator[Complaint]:
    """Find ports by a name that no pod has that could be asked."""
    for policy in facts.policies:
        for rule in rules_of(policy):
            for index, port in enumerate(rule.ports):
                asked = asked_by(facts, policy, rule)
                if not isinstance(port.port, str) or not asked:
                    continue
                if any(body.named_port(port.port, port.protocol) is not None for body in asked):
                    continue
                whose = "of the pods that it selects" if rule.is_ingress else "of the pods that may be asked"
                yield Complaint(
                    subject_of(policy),
                    f"{rule.path}.ports[{index}].port",
                    f"none {whose} has a {port.protocol} port called {port.port}: it allows nothing",
                    "name a container's port so, or write its number",
                )


def asked_by(facts: Facts, policy: NetworkPolicy, rule: Rule) -> list[Body]:
    """Return the pods whose ports a rule is about: those selected, or those that they may ask."""
    if rule.is_ingress:
        return facts.of_policy(policy)
    if not rule.peers:
        return facts.bodies
    namespace = policy.metadata.namespace
    peers = [peer for peer in rule.peers if peer.ip_block is None]
    return [body for peer in peers for body in facts.of_peer(namespace, peer)]


def port_of_service(facts: Facts) -> Iterator[Complaint]:
    """Find port numbers that only a Service has: policies see the port of the pod."""
    for policy in facts.policies:
        for rule in rules_of(policy):
            asked = asked_by(facts, policy, rule) if rule.is_ingress or rule.peers else []
            for index, port in enumerate(rule.ports):
                if not isinstance(port.port, int) or port.end_port is not None:
                    continue
                found = _translated(facts, asked, port.port, port.protocol)
                if found:
                    yield Complaint(
                        subject_of(policy),
                        f"{rule.path}.ports[{index}].port",
                        f"port {port.port} is that of {found[0]}, and policies see the pod's: {found[1]}",
                        f"write {found[1]}",
                    )


def _translated(facts: Facts, asked: list[Body], port: int, protocol: str) -> tuple[str, str] | None:
    """Return the Service of which alone a port is, and what it is translated to."""
    if not asked or any(body.has_port(port, protocol) for body in asked):
        return None
    for service in facts.services:
        if service.is_headless or not service.spec.selector:
            continue
        behind = [body for body in facts.of_service(service) if body in asked]
        for each in service.spec.ports:
            if (each.port, each.protocol) != (port, protocol):
                continue
            target = each.target_port or each.port
            numbers = {
                found
                for body in behind
                if (found := target if isinstance(target, int) else body.named_port(target, protocol))
            }
            if numbers and port not in numbers:
                name = f"svc/{service.metadata.namespace}/{service.metadata.name}"
                return name, " or ".join(map(str, sorted(numbers)))
    return None
