# SPDX-License-Identifier: GPL-2.0-only
"""All checks, by their codes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.verify.lint import dns, ingresses, ip_blocks, peers, policies, ranges, services
from emu.verify.lint.facts import Facts
from emu.verify.lint.finding import Check, Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.cluster.cluster import Cluster
    from emu.cluster.topology.places import Places
    from emu.verify.lint.finding import Complaint

_ERROR, _WARNING, _NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE

CHECKS: Final = (
    Check("ranges-overlap", _ERROR, "two ranges have addresses in common", ranges.overlaps),
    Check("duplicate-address", _ERROR, "two have the same address", ranges.duplicates),
    Check("object-repeated", _WARNING, "an object stands in the input twice", ranges.repeated),
    Check("service-selects-nothing", _ERROR, "no pod has the Service's labels", services.selects_nothing),
    Check("target-port-unknown", _ERROR, "no pod has a port of the target's name", services.named_target),
    Check("target-port-undeclared", _NOTE, "no container declares the target", services.undeclared_target),
    Check("headless-port-differs", _WARNING, "a headless Service translates no port", services.headless_port),
    Check(
        "local-without-endpoint",
        _WARNING,
        "a traffic policy is Local, and nodes have no endpoint",
        services.local_without_endpoint,
    ),
    Check("policy-not-enforced", _ERROR, "nobody enforces policies", policies.not_enforced),
    Check("policy-selects-nothing", _WARNING, "a policy is about no pod", policies.selects_nothing),
    Check("policy-peer-selects-nothing", _WARNING, "a peer means no pod", policies.peer_selects_nothing),
    Check("policy-peers-or", _WARNING, "two peers where one may have been meant", peers.or_and),
    Check(
        "policy-on-host-network",
        _WARNING,
        "a policy is about pods on the host's network",
        policies.selects_host_network,
    ),
    Check(
        "policy-peer-on-host-network",
        _WARNING,
        "a peer is pods on the host's network",
        policies.peer_on_host_network,
    ),
    Check("policy-port-unknown", _WARNING, "no pod has a port of this name", policies.unknown_port),
    Check("policy-port-of-service", _WARNING, "the port is a Service's", policies.port_of_service),
    Check("egress-forgets-dns", _WARNING, "pods may not ask the DNS", dns.forgotten),
    Check("ip-block-of-cluster-ips", _ERROR, "a block of ClusterIPs never matches", ip_blocks.of_cluster_ips),
    Check("ip-block-of-pods", _WARNING, "a block of pods' addresses", ip_blocks.of_pods),
    Check(
        "ip-block-behind-nat", _WARNING, "a block of clients whose address is hidden", ip_blocks.behind_nat
    ),
    Check("ingress-class-unknown", _ERROR, "no controller serves the Ingress", ingresses.without_controller),
    Check("ingress-leads-nowhere", _ERROR, "a backend is not there", ingresses.leads_nowhere),
    Check(
        "ingress-default-certificate",
        _WARNING,
        "a host has no certificate of its own",
        ingresses.default_certificate,
    ),
    Check("ingress-pattern", _ERROR, "a path is no regular expression", ingresses.refused_pattern),
    Check("ingress-other-host", _WARNING, "a host outside is asked for another name", ingresses.other_host),
)
"""Every check, in the order of the families."""


def lint(cluster: Cluster, places: Places) -> list[Finding]:
    """Return what is questionable about the input of a cluster, sorted by place.

    Args:
        cluster: as the input made it; it is only looked at.
        places: where the input has what.
    """
    facts = Facts(cluster, places)
    found = [_placed(check, each, places) for check in CHECKS for each in _of_input(check, facts)]
    return sorted(found, key=lambda each: (each.file, each.line, each.code, each.message))


def _of_input(check: Check, facts: Facts) -> Iterator[Complaint]:
    """Yield complaints about what somebody wrote: what emu adds is not theirs to mend."""
    ours = {"Cluster", "Fabric"}
    for each in check.find(facts):
        if facts.places.has(each.subject) or each.subject.kind in ours:
            yield each


def _placed(check: Check, complaint: Complaint, places: Places) -> Finding:
    if places.has(complaint.subject):
        file, line, path = places.find(complaint.subject, complaint.path)
    else:
        file, line, path = "<cluster>", 1, complaint.path  # a default that nobody wrote
    return Finding(
        file,
        line,
        path,
        check.severity,
        check.code,
        str(complaint.subject),
        complaint.message,
        complaint.remedy,
    )
