# SPDX-License-Identifier: GPL-2.0-only
"""Policies as rules of iptables and ipsets.

    FORWARD (or POSTROUTING)          INPUT
       |                                |
    NETPOL-FORWARD                  NETPOL-INPUT          what belongs to a connection that stands: back
       |-- -s POD --> NETPOL-OUT-... <--|                 the pod's egress, if it is isolated for that
       '-- -d POD --> NETPOL-IN-...                       the pod's ingress, if it is isolated for that
                          |
                          |-- what a policy allows: back   "NetworkPolicy NS/NAME ingress[0].from[1]"
                          '-- DROP                         "Pod NS/NAME: isolated for ingress"

A packet is judged with its destination translated and its source as it came, by
the node of the pod that sends and by that of the pod that is to get it. Packets
that a node itself sends to its pods come by no chain, or go back at once: a node
may always reach its own pods. What is allowed goes back to the built-in chain,
where others may still have something against it.

The rules of a policy stand in the chain of each pod that it selects: a user's chain
can say "back" only one level up, and marks, which others use to get round that, would stay
on the packet and on the tunnel around it.

Source: https://kubernetes.io/docs/reference/kubernetes-api/policy-resources/network-policy-v1/.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from emu.errors import AddressError
from emu.kube.policy import names
from emu.kube.policy.selection import Selection
from emu.kube.policy.wanted import Hook, Wanted, WantedChain, WantedSet
from emu.wire.addresses import Prefix

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from emu.kube.api.objects import NetworkPolicy
    from emu.kube.api.objects.network import IpBlock, PolicyPeer, PolicyPort
    from emu.kube.policy.enforcer import Enforcer
    from emu.kube.policy.settings import Settings
    from emu.kube.policy.snapshot import PodView, Snapshot

INGRESS: Final = "ingress"
EGRESS: Final = "egress"
_ESTABLISHED: Final = "-m conntrack --ctstate RELATED,ESTABLISHED -j RETURN"
_RELATED: Final = "-m conntrack --ctstate RELATED -j RETURN"
_REPLIES: Final = "-m conntrack --ctstate ESTABLISHED --ctdir REPLY -j RETURN"
_OWN: Final = (
    '-m addrtype --src-type LOCAL -m comment --comment "a node may always reach its own pods" -j RETURN'
)
_ANY: Final = ""
_LEADING_ZEROS: Final = re.compile(r"(?<![0-9a-fA-F:])0+(?=[0-9])")


class _Side(NamedTuple):
    """Which end of a packet a direction's peers are at: option of an address, direction of a set."""

    peers: str
    address: str
    set: str
    subject: str


_SIDES: Final = {INGRESS: _Side("from", "-s", "src", "-d"), EGRESS: _Side("to", "-d", "dst", "-s")}


class PolicyRules(NamedTuple):
    """What a policy allows in one direction.

    Attributes:
        lines: the rules, as they stand behind `-A CHAIN`.
        sets: what they ask.
    """

    lines: tuple[str, ...]
    sets: tuple[WantedSet, ...]


class _Isolated(NamedTuple):
    """A pod and the policies that isolate it, by direction."""

    pod: PodView
    by: dict[str, list[PolicyRules]]


class Decision:
    """What policies come to in a whole cluster, for each node to take its part.

    Args:
        snapshot: the objects.
        settings: how what is left open is settled.
    """

    def __init__(self, snapshot: Snapshot, settings: Settings) -> None:
        self._settings = settings
        self._selection = Selection(snapshot, settings)
        self._nodes: dict[str, dict[tuple[str, str], _Isolated]] = {}
        for policy in snapshot.policies:
            self._enter(policy)

    def _enter(self, policy: NetworkPolicy) -> None:
        namespace = policy.metadata.namespace
        found = [(kind, self._rules(policy, kind)) for kind in directions(policy)]
        for pod in self._selection.subjects(namespace, policy.spec.pod_selector):
            pods = self._nodes.setdefault(pod.node, {})
            isolated = pods.setdefault(pod.key, _Isolated(pod, {}))
            for kind, rules in found:
                isolated.by.setdefault(kind, []).append(rules)

    # --- a policy ---

    def _rules(self, policy: NetworkPolicy, direction: str) -> PolicyRules:
        meta, side = policy.metadata, _SIDES[direction]
        lines: list[str] = []
        sets: dict[str, WantedSet] = {}
        for number, (ports, peers) in enumerate(_parts(policy, direction)):
            path = f"{direction}[{number}]"
            for place, peer in enumerate(peers) if peers else ((None, None),):
                where = path if place is None else f"{path}.{side.peers}[{place}]"
                comment = names.of_rule(meta.namespace, meta.name, where)
                accept = f'-m comment --comment "{comment}" -j RETURN'
                conditions = self._conditions(direction, meta.namespace, peer, ports, sets)
                lines += [f"{condition}{accept}" for condition in conditions]
        return PolicyRules(tuple(lines), tuple(sets.values()))

    def _conditions(
        self,
        direction: str,
        namespace: str,
        peer: PolicyPeer | None,
        ports: Sequence[PolicyPort],
        sets: dict[str, WantedSet],
    ) -> Iterator[str]:
        """Yield the conditions of the rules that a peer (None for anybody) and some ports come to."""
        who = self._peer(direction, namespace, peer, sets)
        if who is None:
            return
        if not ports:
            yield who
        for port in ports:
            what = _port(port)
            if isinstance(port.port, str):
                if direction == EGRESS and peer is not None and peer.ip_block is not None:
                    continue  # addresses have no ports with names
                wanted = self._selection.named_ports(port.port, port.protocol)
                sets[wanted.name] = wanted
                what += f"-m set --match-set {wanted.name} dst,dst "
            yield what + who

    def _peer(
        self, direction: str, namespace: str, peer: PolicyPeer | None, sets: dict[str, WantedSet]
    ) -> str | None:
        """Return the condition that a packet is of a peer; None if no packet of IPv4 is."""
        side = _SIDES[direction]
        if peer is None:
            return _ANY
        if peer.ip_block is not None:
            return _block(peer.ip_block, side, sets)
        wanted = self._selection.peers(namespace, peer)
        sets[wanted.name] = wanted
        return f"-m set --match-set {wanted.name} {side.set} "

    # --- a node ---

    def of_node(self, node: str, enforcer: Enforcer) -> Wanted:
        """Return what a node is to have."""
        isolated = self._nodes.get(node)
        if not isolated:
            return Wanted(enforcer.table)
        own: list[WantedChain] = []
        jumps: dict[str, list[str]] = {EGRESS: [], INGRESS: []}
        sets: dict[str, WantedSet] = {}
        for pod, by in sorted(isolated.values(), key=lambda each: each.pod.key):
            for direction, policies in by.items():
                chain = names.pod_chain(direction, pod.namespace, pod.name)
                lines = [line for policy in policies for line in policy.lines]
                own.append(WantedChain(chain, (*lines, _refusal(pod, direction))))
                jumps[direction].append(_jump(pod, direction, chain))
                for policy in policies:
                    sets.update((each.name, each) for each in policy.sets)
        dispatch = [WantedChain(names.ROUTED, self._dispatch(jumps, sees_own=enforcer.sees_own))]
        hooks = [Hook(enforcer.routed, _hook(names.ROUTED))]
        if jumps[EGRESS]:
            dispatch.append(WantedChain(names.TO_NODE, (*self._passing(), *jumps[EGRESS])))
            hooks.append(Hook("INPUT", _hook(names.TO_NODE)))
        return Wanted(
            enforcer.table,
            tuple(sets[name] for name in sorted(sets)),
            (*dispatch, *own),
            tuple(hooks),
        )

    def _dispatch(self, jumps: dict[str, list[str]], *, sees_own: bool) -> tuple[str, ...]:
        return (*self._passing(), *((_OWN,) if sees_own else ()), *jumps[EGRESS], *jumps[INGRESS])

    def _passing(self) -> tuple[str, ...]:
        """Return the rules for packets that nobody judges."""
        if self._settings.established_connections == "recheck":
            return _RELATED, _REPLIES
        return (_ESTABLISHED,)


def decide(snapshot: Snapshot, node: str, enforcer: Enforcer, settings: Settings) -> Wanted:
    """Return what `node` is to have when things are as in `snapshot`."""
    return Decision(snapshot, settings).of_node(node, enforcer)


def directions(policy: NetworkPolicy) -> tuple[str, ...]:
    """Return the directions in which a policy isolates: `ingress`, `egress` or both.

    A policy that does not say so is about ingress, and about egress if it has a rule for that.
    """
    spec = policy.spec
    if spec.policy_types:
        found = {each.lower() for each in spec.policy_types}
        return tuple(each for each in (INGRESS, EGRESS) if each in found)
    return (INGRESS, EGRESS) if spec.egress else (INGRESS,)


def _parts(
    policy: NetworkPolicy, direction: str
) -> list[tuple[tuple[PolicyPort, ...], tuple[PolicyPeer, ...]]]:
    """Return ports and peers of each rule."""
    if direction == INGRESS:
        return [(rule.ports, rule.from_) for rule in policy.spec.ingress]
    return [(rule.ports, rule.to) for rule in policy.spec.egress]


def _port(port: PolicyPort) -> str:
    """Return the condition that a packet is for a port that has a number, or of its protocol at all."""
    protocol = port.protocol.lower()
    if not isinstance(port.port, int):
        return f"-p {protocol} "
    last = port.port if port.end_port is None else port.end_port
    numbers = str(port.port) if last == port.port else f"{port.port}:{last}"
    return f"-p {protocol} -m {protocol} --dport {numbers} "


def _block(block: IpBlock, side: _Side, sets: dict[str, WantedSet]) -> str | None:
    """Return the condition that an address is in a block; None for a block of IPv6."""
    around = _prefix(block.cidr)
    if around is None:
        return None
    exceptions = [each for each in map(_prefix, block.except_) if each is not None]
    if not exceptions:
        return f"{side.address} {around} " if around.length else _ANY
    elements = {str(each): "" for each in _as_networks(around)}
    elements |= {str(each): " nomatch" for each in exceptions}
    texts = frozenset(f"{network}{flag}" for network, flag in elements.items())
    wanted = WantedSet(names.block_set(";".join(sorted(texts))), "hash:net", texts)
    sets[wanted.name] = wanted
    return f"-m set --match-set {wanted.name} {side.set} "


def _prefix(text: str) -> Prefix | None:
    """Return a prefix of IPv4, its host bits and leading zeros cleared; None for one of IPv6."""
    try:
        found = Prefix.parse(_LEADING_ZEROS.sub("", text), strict=False)
    except AddressError:
        return None
    return found if found.address.family == 4 else None


def _as_networks(prefix: Prefix) -> list[Prefix]:
    """Return a prefix as sets of networks take it: all addresses are two halves."""
    return [prefix] if prefix.length else [Prefix.parse("0.0.0.0/1"), Prefix.parse("128.0.0.0/1")]


def _jump(pod: PodView, direction: str, chain: str) -> str:
    comment = names.of_pod(pod.namespace, pod.name)
    return f'{_SIDES[direction].subject} {pod.address}/32 -m comment --comment "{comment}" -j {chain}'


def _hook(chain: str) -> str:
    return f'-m comment --comment "network policies" -j {chain}'


def _refusal(pod: PodView, direction: str) -> str:
    comment = names.of_refusal(pod.namespace, pod.name, direction)
    return f'-m comment --comment "{comment}" -j DROP'
