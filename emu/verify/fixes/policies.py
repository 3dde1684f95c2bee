# SPDX-License-Identifier: GPL-2.0-only
"""NetworkPolicies that keep out who should come in: the rule that is missing, or the one that is misspelt.

What people write wrong most often comes before a rule of its own:

    ipBlock of a ClusterIP, port of the Service    packets are judged as they are after DNAT
    ipBlock of a client outside                    its address was replaced on the way
    podSelector for pods of another namespace      alone it means those of the policy's own
    both selectors in one peer                     they mean AND; as two peers they mean OR
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import attrs

from emu.errors import AddressError
from emu.kube.api.objects import Namespace, NetworkPolicy, Node
from emu.kube.api.objects.meta import LabelSelector, Meta
from emu.kube.api.objects.network import (
    EgressRule,
    IngressRule,
    IpBlock,
    NetworkPolicySpec,
    PolicyPeer,
    PolicyPort,
)
from emu.kube.api.selectors import contains, selects
from emu.verify.fixes.case import PROTOCOLS
from emu.verify.fixes.fix import Proposal
from emu.verify.fixes.labels import NAMESPACE, meaningful
from emu.verify.fixes.remedy import Change, Question
from emu.wire.addresses import Prefix

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from emu.kube.api.objects import Pod
    from emu.verify.fivetuple import FiveTuple
    from emu.verify.fixes.case import Case
    from emu.wire.addresses import IpAddress

Direction = Literal["ingress", "egress"]
Peers = tuple[PolicyPeer, ...]
Ports = tuple[PolicyPort, ...]

_DNS: Final = 53
_BOTH: Final = ("UDP", "TCP")  # what names are asked by
_INGRESS: Final = "Ingress"
_EGRESS: Final = "Egress"


class _Refused(NamedTuple):
    """A packet that a policy did not let pass, from the side of the pod that is isolated."""

    direction: Direction
    pod: Pod  # that is isolated
    address: IpAddress  # of the other one, as the policy sees it
    written: IpAddress  # the same as the client knows it
    there: FiveTuple  # as the policy sees the packet
    sent: FiveTuple  # as it was sent


def allow_ingress(case: Case) -> Iterator[Proposal]:
    """Let somebody come in to the pod that was asked."""
    sent, met = case.sent, case.met
    pod = None if met is None else case.pod_at(met.dst)
    if sent is not None and met is not None and pod is not None:
        yield from _proposals(case, _Refused("ingress", pod, met.src, sent.src, met, sent))


def allow_egress(case: Case) -> Iterator[Proposal]:
    """Let the pod that asks out."""
    sent, met = case.sent, case.met
    pod = None if sent is None else case.pod_at(sent.src)
    if sent is not None and met is not None and pod is not None:
        yield from _proposals(case, _Refused("egress", pod, met.dst, sent.dst, met, sent))


def _proposals(case: Case, refused: _Refused) -> Iterator[Proposal]:
    policies = _isolating(case, refused)
    for write in (_after_translation, _own_address, _other_namespace, _either_selector):
        for policy in policies:
            proposal = write(case, refused, policy)
            if proposal is not None:
                yield proposal
                break
    for policy in policies[:1]:
        yield _new_rule(case, refused, policy)


def _isolating(case: Case, refused: _Refused) -> list[NetworkPolicy]:
    """Return the policies that isolate the pod: the one that is blamed first, then those with rules."""
    meta = refused.pod.metadata
    wanted = _INGRESS if refused.direction == "ingress" else _EGRESS
    found = [
        policy
        for policy in case.store.list(NetworkPolicy, meta.namespace)
        if wanted in _types(policy) and selects(policy.spec.pod_selector, meta.labels)
    ]
    return sorted(
        found, key=lambda each: (_name(each) != case.cause.object, not _rules(each, refused.direction))
    )


def _types(policy: NetworkPolicy) -> tuple[str, ...]:
    spec = policy.spec
    return spec.policy_types or ((_INGRESS, _EGRESS) if spec.egress else (_INGRESS,))


# --- a rule of its own ---


def _new_rule(case: Case, refused: _Refused, policy: NetworkPolicy) -> Proposal:
    """Add a rule for this flow; beside a policy that is there to deny everything, a policy for it."""
    peer = _peer(case, refused)
    ports = _ports(refused)
    whom = _whom(case, refused)
    port = f" on {ports[0].protocol} {ports[0].port}" if ports else ""
    pod = f"{refused.pod.metadata.namespace}/{refused.pod.metadata.name}"
    who, reached = (pod, whom) if refused.direction == "egress" else (whom, pod)
    what = f"no {refused.direction} rule lets {who} reach {reached}{port}"
    if refused.direction == "ingress" and refused.address != refused.written:
        what += f" (whose address has taken the place of {refused.written})"
    labels = meaningful(refused.pod.metadata.labels)
    is_dns = refused.there.dport == _DNS
    if not _rules(policy, refused.direction) and not _is_narrow(policy) and labels and not is_dns:
        made = _allowing(refused, labels, peer, ports)
        if case.store.find(NetworkPolicy, made.metadata.name, made.metadata.namespace) is None:
            return Proposal(
                f"{what}, and {_name(policy)} denies the rest: add a policy", (Change(None, made),)
            )
    change = _with_rules(
        policy, refused.direction, (*_rules(policy, refused.direction), (((peer,) if peer else ()), ports))
    )
    return Proposal(f"{what}: add one to {_name(policy)}", (Change(policy, change),))


def _is_narrow(policy: NetworkPolicy) -> bool:
    selector = policy.spec.pod_selector
    return bool(selector.match_labels or selector.match_expressions)


def _allowing(
    refused: _Refused, labels: dict[str, str], peer: PolicyPeer | None, ports: Ports
) -> NetworkPolicy:
    """Return a policy that allows this flow and nothing else."""
    is_ingress = refused.direction == "ingress"
    meta = refused.pod.metadata
    name = labels.get("app.kubernetes.io/name") or labels.get("app") or meta.name
    empty = NetworkPolicySpec(
        pod_selector=LabelSelector(match_labels=labels), policy_types=(_INGRESS if is_ingress else _EGRESS,)
    )
    made = NetworkPolicy(Meta(f"allow-{name}-{refused.direction}", meta.namespace), empty)
    return _with_rules(made, refused.direction, ((((peer,) if peer else ()), ports),))


def _peer(case: Case, refused: _Refused) -> PolicyPeer | None:
    """Return who the other one is: a pod by its labels, anybody else by the address."""
    pod = case.pod_at(refused.address)
    if pod is None:
        return PolicyPeer(ip_block=IpBlock(f"{refused.address}/32"))
    labels = meaningful(pod.metadata.labels)
    asked = case.asked if refused.direction == "egress" else None
    selector = None if asked is None else asked.service.spec.selector
    if selector and contains(pod.metadata.labels, selector):
        labels = dict(selector)  # all who stand behind the Service
    namespace = pod.metadata.namespace
    is_elsewhere = namespace != refused.pod.metadata.namespace
    there = LabelSelector(match_labels={NAMESPACE: namespace}) if is_elsewhere else None
    if there is not None and not labels:
        return PolicyPeer(namespace_selector=there)
    return PolicyPeer(pod_selector=LabelSelector(match_labels=labels), namespace_selector=there)


def _whom(case: Case, refused: _Refused) -> str:
    pod = case.pod_at(refused.address)
    if pod is not None:
        return f"{pod.metadata.namespace}/{pod.metadata.name}"
    node = case.node_at(refused.address)
    return str(refused.address) if node is None else f"node/{node.metadata.name} ({refused.address})"


def _ports(refused: _Refused) -> Ports:
    """Return the port that counts, the pod's; none for protocols without ports; both for names."""
    there = refused.there
    if not there.has_ports:
        return ()
    if there.dport == _DNS:
        return tuple(PolicyPort(protocol, _DNS) for protocol in _BOTH)
    return (PolicyPort(PROTOCOLS[there.protocol], there.dport),)


# --- what was meant ---


def _after_translation(case: Case, refused: _Refused, policy: NetworkPolicy) -> Proposal | None:
    """Write address and port as they are behind a Service."""
    there, sent = refused.there, refused.sent
    if (there.dst, there.dport) == (sent.dst, sent.dport):
        return None
    wrong: list[str] = []

    def peers(found: Peers) -> Peers:
        if refused.direction != "egress":
            return found
        told = [each for each in found if _is_block_of(each, sent.dst) and not _is_block_of(each, there.dst)]
        peer = _peer(case, refused)
        if not told or peer is None:
            return found
        wrong.append(str(sent.dst))
        return tuple(peer if each is told[0] else each for each in found)

    def ports(found: Ports) -> Ports:
        told = [each for each in found if each.port == sent.dport != there.dport]
        if not told or any(each.port == there.dport for each in found):
            return found
        wrong.append(f"port {sent.dport}")
        return tuple(attrs.evolve(each, port=there.dport) if each in told else each for each in found)

    change = _first_changed(policy, refused.direction, peers, ports)
    if change is None:
        return None
    words = (
        f"{_name(policy)} names {' and '.join(wrong)}, but policies see packets after DNAT, to "
        f"{_whom(case, refused) if refused.direction == 'egress' else 'the pod'}:{there.dport}: name that"
    )
    return Proposal(words, (Change(policy, change),))


def _own_address(case: Case, refused: _Refused, policy: NetworkPolicy) -> Proposal | None:
    """Have a client outside keep its address, if the policy names it and a node has replaced it."""
    asked = case.asked
    if refused.direction != "ingress" or asked is None or refused.address == refused.written:
        return None
    named = [
        peer
        for peers, _ in _rules(policy, "ingress")
        for peer in peers
        if _is_block_of(peer, refused.written)
    ]
    spec = asked.service.spec
    if not named or spec.external_traffic_policy == "Local" or spec.type == "ClusterIP":
        return None
    name = f"svc/{asked.service.metadata.namespace}/{asked.service.metadata.name}"
    words = (
        f"{_name(policy)} names the client, {refused.written}, but a node has put its own address, "
        f"{refused.address}, in its place: have {name} keep it"
    )
    change = attrs.evolve(asked.service, spec=attrs.evolve(spec, external_traffic_policy="Local"))
    node = refused.pod.spec.node_name
    if not asked.by_node or case.node_at(refused.sent.dst) == case.store.find(Node, node):
        return Proposal(words, (Change(asked.service, change),))
    target = f"node/{node}:{asked.port.node_port}/{asked.port.protocol.lower()}"
    words += f", and ask node/{node}, which has the pod"
    return Proposal(words, (Change(asked.service, change), Question(case.source, target, case.namespace)))


def _other_namespace(case: Case, refused: _Refused, policy: NetworkPolicy) -> Proposal | None:
    """Say which namespace is meant where labels alone fit pods of another one."""
    pod = case.pod_at(refused.address)
    if pod is None or pod.metadata.namespace == policy.metadata.namespace:
        return None
    namespace = pod.metadata.namespace
    labels = pod.metadata.labels

    def peers(found: Peers) -> Peers:
        for each in found:
            selector = each.pod_selector
            is_alone = each.namespace_selector is None and selector is not None
            if is_alone and selector != LabelSelector() and selects(selector, labels):
                there = LabelSelector(match_labels={NAMESPACE: namespace})
                return (*found, PolicyPeer(pod_selector=selector, namespace_selector=there))
        return found

    change = _first_changed(policy, refused.direction, peers)
    if change is None:
        return None
    words = (
        f"a podSelector alone means pods of {policy.metadata.namespace}, and {pod.metadata.name} "
        f"is in {namespace}: say so in {_name(policy)}"
    )
    return Proposal(words, (Change(policy, change),))


def _either_selector(case: Case, refused: _Refused, policy: NetworkPolicy) -> Proposal | None:
    """Spell two selectors as two peers, if the other one meets but one of them."""
    pod = case.pod_at(refused.address)
    space = None if pod is None else case.store.find(Namespace, pod.metadata.namespace)
    if pod is None or space is None:
        return None
    own = pod.metadata.namespace == policy.metadata.namespace
    labels, space_labels = pod.metadata.labels, space.metadata.labels

    def peers(found: Peers) -> Peers:
        for each in found:
            if each.pod_selector is None or each.namespace_selector is None:
                continue
            by_pod = selects(each.pod_selector, labels) and own
            by_space = selects(each.namespace_selector, space_labels)
            if by_pod != by_space:
                two = (attrs.evolve(each, pod_selector=None), attrs.evolve(each, namespace_selector=None))
                return tuple(part for one in found for part in (two if one is each else (one,)))
        return found

    change = _first_changed(policy, refused.direction, peers)
    if change is None:
        return None
    words = (
        f"both selectors in one peer of {_name(policy)} have to hold, and {pod.metadata.name} meets one: "
        "if either is enough, make them two peers"
    )
    return Proposal(words, (Change(policy, change),))


def _is_block_of(peer: PolicyPeer, address: IpAddress) -> bool:
    """Return whether a peer names addresses, and `address` is one of them."""
    if peer.ip_block is None:
        return False
    try:
        return address in Prefix.parse(peer.ip_block.cidr)
    except AddressError:
        return False


# --- rules, whatever their direction ---


def _rules(policy: NetworkPolicy, direction: Direction) -> tuple[tuple[Peers, Ports], ...]:
    if direction == "ingress":
        return tuple((rule.from_, rule.ports) for rule in policy.spec.ingress)
    return tuple((rule.to, rule.ports) for rule in policy.spec.egress)


def _with_rules(
    policy: NetworkPolicy, direction: Direction, rules: tuple[tuple[Peers, Ports], ...]
) -> NetworkPolicy:
    spec = policy.spec
    if direction == "ingress":
        spec = attrs.evolve(
            spec, ingress=tuple(IngressRule(ports=ports, from_=peers) for peers, ports in rules)
        )
    else:
        spec = attrs.evolve(spec, egress=tuple(EgressRule(ports=ports, to=peers) for peers, ports in rules))
    return attrs.evolve(policy, spec=spec)


def _same_ports(ports: Ports) -> Ports:
    return ports


def _first_changed(
    policy: NetworkPolicy,
    direction: Direction,
    peers: Callable[[Peers], Peers],
    ports: Callable[[Ports], Ports] = _same_ports,
) -> NetworkPolicy | None:
    """Return the policy with the first of its rules changed that one of the functions changes."""
    rules = _rules(policy, direction)
    for number, (old_peers, old_ports) in enumerate(rules):
        rule = peers(old_peers), ports(old_ports)
        if rule != (old_peers, old_ports):
            return _with_rules(policy, direction, (*rules[:number], rule, *rules[number + 1 :]))
    return None


def _name(policy: NetworkPolicy) -> str:
    return f"NetworkPolicy {policy.metadata.namespace}/{policy.metadata.name}"
