# SPDX-License-Identifier: GPL-2.0-only
"""Blocks of addresses in policies that packets do not have where policies look at them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu.verify.lint.facts import is_within, prefix_of
from emu.verify.lint.finding import Complaint, subject_of
from emu.verify.lint.policies import rules_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.kube.api.objects import NetworkPolicy, Service
    from emu.verify.lint.facts import Facts
    from emu.verify.lint.policies import Rule
    from emu.wire.addresses import Prefix


def _blocks(facts: Facts) -> Iterator[tuple[NetworkPolicy, Rule, str, Prefix]]:
    """Yield each block with its policy, rule and place."""
    for policy in facts.policies:
        for rule in rules_of(policy):
            for index, peer in enumerate(rule.peers):
                block = None if peer.ip_block is None else prefix_of(peer.ip_block.cidr)
                if block is not None:
                    yield policy, rule, f"{rule.peers_path}[{index}].ipBlock.cidr", block


def of_cluster_ips(facts: Facts) -> Iterator[Complaint]:
    """Find blocks in the Services' range: policies see the pod behind the Service."""
    for policy, _, path, block in _blocks(facts):
        if is_within(block, facts.topology.cluster.service_cidr):
            yield Complaint(
                subject_of(policy),
                path,
                f"{block} is in the Services' range, and no packet has such an address any more "
                "where policies look at it",
                "select the pods behind the Service",
            )


def of_pods(facts: Facts) -> Iterator[Complaint]:
    """Find blocks in the pods' range: pods get other addresses when they are made anew."""
    for policy, _, path, block in _blocks(facts):
        if is_within(block, facts.topology.cluster.pod_cidr):
            yield Complaint(
                subject_of(policy),
                path,
                f"{block} is in the pods' range, where whose an address is changes with every restart",
                "select the pods by their labels",
            )


def behind_nat(facts: Facts) -> Iterator[Complaint]:
    """Find blocks of clients outside that come through node ports: policies see a node's address."""
    spec = facts.topology.cluster
    nodes = [
        found
        for node in facts.nodes
        for text in node.addresses("InternalIP")
        if (found := prefix_of(text)) is not None
    ]
    for policy, rule, path, block in _blocks(facts):
        is_inside = is_within(block, spec.pod_cidr) or is_within(block, spec.service_cidr)
        if not rule.is_ingress or is_inside or any(node.address in block for node in nodes):
            continue
        service = _masquerading(facts, policy)
        if service is not None:
            name = f"svc/{service.metadata.namespace}/{service.metadata.name}"
            yield Complaint(
                subject_of(policy),
                path,
                f"clients of {block} that come by {name} have a node's address when policies look at them",
                f"set externalTrafficPolicy: Local in {name}, or allow the nodes' addresses",
            )


def _masquerading(facts: Facts, policy: NetworkPolicy) -> Service | None:
    """Return a Service by which clients outside reach the policy's pods under another address."""
    selected = facts.of_policy(policy)
    for service in facts.services:
        spec = service.spec
        is_open = spec.type in {"NodePort", "LoadBalancer"} or bool(spec.external_ips)
        if not is_open or spec.external_traffic_policy == "Local" or not spec.selector:
            continue
        if any(body in selected for body in facts.of_service(service)):
            return service
    return None
