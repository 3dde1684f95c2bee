# SPDX-License-Identifier: GPL-2.0-only
"""The text of a rule, and which object wrote it: kube-proxy's, providers', NetworkPolicy's.

Whoever writes rules for an object says so in a comment. Rules of kube-proxy that
have none are in a chain named by a hash; the rule that leads there has a comment.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from emu.kernel.facts import DecidedAt
from emu.kube.api.objects import Service
from emu.kube.proxy.names import PER_SERVICE, port_hash
from emu.observe.rule_text import text_of
from emu.tools.iptables.text import rule_text
from emu.verify.causes import nft
from emu.verify.causes.origin import Origin, sandboxes, store_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.cluster.emulation import Emulation
    from emu.kernel.facts import Fact
    from emu.kernel.namespace import Namespace
    from emu.kube.api.objects.service import ServicePort
    from emu.kube.api.store import Store

_COMMENT: Final = re.compile(r'(?:--| )comment (?:"((?:[^"\\]|\\.)*)"|([^-\s]\S*))')
_TARGET: Final = re.compile(r" -[jg] (\S+)")
_PORT_NAME: Final = re.compile(r"(?<![\w./-])([a-z0-9][a-z0-9.-]*)/([a-z0-9][a-z0-9-]*)(?::([a-z0-9-]+))?")
_POLICY_RULE: Final = re.compile(r"NetworkPolicy (\S+/\S+)(?: (\S+))?")
_POD: Final = re.compile(r"Pod (\S+/[^\s:]+)")
_ISOLATED: Final = re.compile(r"Pod (\S+)/(\S+): isolated for (ingress|egress)")
_CONTAINER: Final = re.compile(r'name: "[^"]*" id: "(\w+)"')
_FIELDS: Final = (
    ("has no endpoints", "spec.selector"),
    ("has no local endpoints", "spec.externalTrafficPolicy"),
    ("traffic not accepted by", "spec.loadBalancerSourceRanges"),
    ("will be dropped by KUBE-PROXY-FIREWALL", "spec.loadBalancerSourceRanges"),
    ("external destinations", "spec.externalTrafficPolicy"),
    ("cluster IP", "spec.clusterIP"),
    ("external IP", "spec.externalIPs"),
    ("loadbalancer IP", "status.loadBalancer.ingress"),
    ("health check node port", "spec.healthCheckNodePort"),
)
_PROGRAMS: Final = (
    ("KUBE-", "kube-proxy"),
    ("FLANNEL-", "provider flannel"),
    ("KIND-", "provider kindnet"),
    ("CNI-HOSTPORT-", "plugin portmap"),
    ("NETPOL-", "policy agent"),
)
_BY_COMMENT: Final = (
    ("kubernetes ", "kube-proxy"),
    ("flanneld ", "provider flannel"),
    ("kind-masq-agent", "provider kindnet"),
    ("kubenet:", "provider kubenet"),
    ("AWS", "provider vpc"),
    ("ip-masq-agent:", "provider vpc"),
    ("VPC ", "Fabric"),
)


def comment_of(rule: str) -> str:
    """Return the comment in the text of a rule of iptables or nftables, empty if it has none."""
    found = _COMMENT.search(rule)
    if found is None:
        return ""
    return re.sub(r"\\(.)", r"\1", found[1]) if found[1] is not None else found[2]


def target_of(rule: str) -> str:
    """Return the target or chain that a rule of iptables leads to, empty if it has none."""
    found = _TARGET.search(rule)
    return found[1] if found is not None else ""


def isolated_pod(rule: str) -> tuple[str, str, str] | None:
    """Return namespace and name of the pod that a refusing rule isolates, and for which direction."""
    found = _ISOLATED.match(comment_of(rule))
    return None if found is None else (found[1], found[2], found[3])


def text_at(net: Namespace, decided: Fact | None) -> tuple[str, str]:
    """Return chain and text of the rule of `net` that decided; both empty if none did, or it is gone."""
    if not isinstance(decided, DecidedAt) or net.used_netfilter is None:
        return "", ""
    number = decided.rule
    family, _, name = decided.table.rpartition(" ")
    if family:
        live = net.used_netfilter.nft.tables.get((family, name))
        walked = None if live is None else live.chains.get(decided.chain)
        if walked is None or not 0 < number <= len(walked.rules):
            return "", ""
        return decided.chain, text_of((decided.table, decided.chain), walked.rules[number - 1].value)
    table = net.used_netfilter.tables.get(decided.table)
    chain = None if table is None else table.table.by_name.get(decided.chain)
    if chain is None or not 0 < number <= len(chain.rules):
        return "", ""
    return chain.name, rule_text(chain.name, chain.rules[number - 1])


def origin_of_rule(
    network: Emulation, net: Namespace, chain: str, rule: str, table: str = ""
) -> Origin | None:
    """Return whose rule this is, None if it is nobody's.

    Args:
        network: the cluster or network.
        net: where the rule is.
        chain: the chain that it is in.
        rule: its text.
        table: the table, a table of nftables with its family; empty if nobody knows.
    """
    if nft.port_of_chain(chain) is not None:
        return _of_service(net, store_of(network), chain, rule)
    if table == nft.PROXY_TABLE:
        return Origin("kube-proxy")
    comment = comment_of(rule)
    policy = _POLICY_RULE.match(comment)
    if policy is not None:
        return Origin(f"NetworkPolicy {policy[1]}", f"spec.{policy[2]}" if policy[2] else "spec")
    pod = _POD.match(comment)
    if pod is not None:
        return Origin(f"Pod {pod[1]}")
    for beginning, program in _BY_COMMENT:
        if comment.startswith(beginning):
            return Origin(program)
    if chain.startswith("KUBE-"):
        return _of_service(net, store_of(network), chain, rule) or Origin("kube-proxy")
    comments = _leading_to(net, chain) if chain.startswith("CNI-DN-") and not comment else (comment,)
    container = next(filter(None, map(_CONTAINER.search, comments)), None)
    if container is not None:
        return _of_container(network, container[1])
    for beginning, program in _PROGRAMS:
        if chain.startswith(beginning) or target_of(rule).startswith(beginning):
            return Origin(program)
    return None


def _of_container(network: Emulation, container: str) -> Origin | None:
    """Return the pod whose sandbox has an id that begins so."""
    for pod, sandbox in sandboxes(network):
        if sandbox.startswith(container):
            return Origin(f"Pod {pod}", "spec.containers[].ports[].hostPort")
    return None


def _of_service(net: Namespace, store: Store | None, chain: str, rule: str) -> Origin | None:
    """Return the Service that a rule of kube-proxy is for; None if it is for all of them."""
    named = port_of_rule(net, store, chain, rule)
    if named is None:
        return None
    namespace, name, port = named
    return Origin(
        f"Service {namespace}/{name}", _field(store, named, chain, rule) if port is not None else ""
    )


def port_of_rule(net: Namespace, store: Store | None, chain: str, rule: str) -> tuple[str, str, str] | None:
    """Return namespace, Service and name of the port (empty if it has none) that a rule is for."""
    named = nft.port_of_chain(chain)
    if named is not None:
        return named
    found = _PORT_NAME.search(comment_of(rule))
    if found is not None:
        return found[1], found[2], found[3] or ""
    if not chain.startswith(PER_SERVICE):
        return None
    return _by_jump(net, chain) or (None if store is None else _by_hash(store, chain))


def _by_jump(net: Namespace, chain: str) -> tuple[str, str, str] | None:
    """Return the service port whose rule in the same table leads to `chain` by a comment."""
    found = (_PORT_NAME.search(comment) for comment in _leading_to(net, chain))
    return next(((each[1], each[2], each[3] or "") for each in found if each is not None), None)


def _leading_to(net: Namespace, chain: str) -> Iterator[str]:
    """Yield the comments of the rules of NAT that lead to `chain`."""
    table = None if net.used_netfilter is None else net.used_netfilter.tables.get("nat")
    for other in () if table is None else table.table.chains:
        for rule in other.rules:
            if getattr(rule.target, "chain", "") == chain:
                yield comment_of(rule_text(other.name, rule))


def _by_hash(store: Store, chain: str) -> tuple[str, str, str] | None:
    """Return the service port whose chain `chain` is, by the hash in its name."""
    for service, port in ports(store):
        meta = service.metadata
        name = f"{meta.namespace}/{meta.name}" + (f":{port.name}" if port.name else "")
        if chain.endswith(port_hash(name, port.protocol.lower())):
            return meta.namespace, meta.name, port.name
    return None


def ports(store: Store) -> Iterator[tuple[Service, ServicePort]]:
    """Yield every port of every Service."""
    for service in store.each(Service):
        for port in service.spec.ports:
            yield service, port


def port_index(store: Store | None, named: tuple[str, str, str]) -> int:
    """Return which port of its Service this is, from 0."""
    namespace, name, port = named
    service = None if store is None else store.find(Service, name, namespace)
    names = [] if service is None else [each.name for each in service.spec.ports]
    return names.index(port) if port in names else 0


def _field(store: Store | None, named: tuple[str, str, str], chain: str, rule: str) -> str:
    """Return the field of a Service that a rule of kube-proxy follows from."""
    comment = comment_of(rule)
    index = port_index(store, named)
    if nft.port_of_chain(chain) is not None:
        return nft.field_of(chain, rule, index)
    if chain.startswith("KUBE-SEP-"):
        masquerades = target_of(rule) == "KUBE-MARK-MASQ"
        return "spec.selector" if masquerades else f"spec.ports[{index}].targetPort"
    if " -m recent " in rule:
        return "spec.sessionAffinity"
    for words, field in _FIELDS:
        if comment.endswith(words) or f" {words} " in comment:
            return _policy_field(chain, field)
    if chain.startswith("KUBE-PORTALS-"):
        return "spec.clusterIP"
    if chain == "KUBE-NODEPORTS" or chain.startswith("KUBE-NODEPORT-"):
        return f"spec.ports[{index}].nodePort"
    return "spec.selector" if " -> " in comment else ""


def _policy_field(chain: str, field: str) -> str:
    """Return the traffic policy that a rule without local endpoints is about."""
    is_internal = field == "spec.externalTrafficPolicy" and chain == "KUBE-SERVICES"
    return "spec.internalTrafficPolicy" if is_internal else field
