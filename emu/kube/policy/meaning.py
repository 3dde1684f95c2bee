# SPDX-License-Identifier: GPL-2.0-only
"""What NetworkPolicies mean: whether a connection may be opened, and by which words of which policy.

This is the API reference in Python, and the judge of tests: nothing that decides
about packets asks it, and it shares no code with what writes their rules. It reads
from top to bottom as the reference does:

    a connection is allowed  if its source's egress and its target's ingress allow it
    a direction of a pod     allows all if no policy isolates the pod for it,
                             else what at least one rule of those policies permits
    a rule                   permits what one of its peers and one of its ports match
    a peer                   is pods, of namespaces, by their labels; or a block of addresses
    a port                   is of one protocol: all ports, a number, a range, a name that the target knows

Policies see the destination that a Service was translated to, and the source
that the packet has when it reaches the target's node. Pods as peers are known by
their addresses: a pod hidden behind another address is a stranger.

Source: staging/src/k8s.io/api/networking/v1/types.go.
"""

from __future__ import annotations

import enum
import ipaddress
from itertools import product
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, TypeVar

import attrs

from emu.kube.api.selectors import selects

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from emu.kube.api.objects import Namespace, NetworkPolicy, Pod
    from emu.kube.api.objects.field import Labels
    from emu.kube.api.objects.meta import LabelSelector
    from emu.kube.api.objects.network import IpBlock, PolicyPeer, PolicyPort
    from emu.wire.addresses import IpAddress

HostNetworkPeer: TypeAlias = Literal["node", "pod"]

_T = TypeVar("_T")

_NAME_OF_NAMESPACE: Final = "kubernetes.io/metadata.name"


class Direction(enum.Enum):
    """Of a connection, as the pod sees it to which a policy applies; the value is the policy type."""

    INGRESS = "Ingress"
    EGRESS = "Egress"


class Exemption(enum.Enum):
    """Why no policy is asked."""

    NO_POD = "no pod with a network of its own"
    LOOPBACK = "a pod to itself"
    OWN_NODE = "the pod's own node"


# --- the question ---


@attrs.frozen
class Snapshot:
    """What there is.

    Attributes:
        policies: in any order.
        pods: with their labels, ports, nodes and addresses.
        namespaces: with their labels; one that is missing has its name alone.
        host_network_peer: whether pods on the host's network, as peers, are the
            node that they share the address with, or pods that selectors find.
    """

    policies: tuple[NetworkPolicy, ...] = ()
    pods: tuple[Pod, ...] = ()
    namespaces: tuple[Namespace, ...] = ()
    host_network_peer: HostNetworkPeer = "node"


@attrs.frozen
class Connection:
    """The opening of a connection, behind all translation of its destination.

    Attributes:
        source: the pod that opens it; None for a node, for somebody outside, and
            where the packet shows the address of neither.
        source_address: as the packet has it when it reaches the node of the target.
        target: the pod that is to answer, None if none is.
        target_address: where it goes.
        protocol: TCP, UDP or SCTP.
        port: of the target.
        source_node: the node whose own program opens it, empty for others;
            those of pods on its network are its own.
        by_service: whether its destination was translated on the way.
    """

    source: Pod | None
    source_address: IpAddress
    target: Pod | None
    target_address: IpAddress
    protocol: str
    port: int
    source_node: str = ""
    by_service: bool = False


# --- the answer ---


@attrs.frozen
class Permit:
    """The words of a policy that let a connection pass.

    Attributes:
        policy: as `NS/NAME`.
        direction: of the rule.
        rule: its number.
        peer: the number of the peer that matches, None if the rule names none.
        port: the number of the port that matches, None if the rule names none.
    """

    policy: str
    direction: Direction
    rule: int
    peer: int | None
    port: int | None

    def __str__(self) -> str:
        side, peers = ("ingress", "from") if self.direction is Direction.INGRESS else ("egress", "to")
        peer = "" if self.peer is None else f".{peers}[{self.peer}]"
        return f"NetworkPolicy {self.policy} {side}[{self.rule}]{peer}"


@attrs.frozen
class Side:
    """What one end's policies say.

    Attributes:
        direction: as that end sees it.
        pod: as `NS/NAME`, empty if the end is none.
        isolating: the policies that isolate it for this direction, sorted.
        permits: everything that lets the connection pass.
        exemption: why none of it is asked, None if it is.
    """

    direction: Direction
    pod: str
    isolating: tuple[str, ...] = ()
    permits: tuple[Permit, ...] = ()
    exemption: Exemption | None = None

    @property
    def allows(self) -> bool:
        """Whether the connection may pass this end."""
        return self.exemption is not None or not self.isolating or bool(self.permits)


@attrs.frozen
class Meaning:
    """What policies say of a connection: both ends have to agree."""

    egress: Side
    ingress: Side

    @property
    def allows(self) -> bool:
        """Whether it may be opened."""
        return self.egress.allows and self.ingress.allows


def meaning(snapshot: Snapshot, connection: Connection) -> Meaning:
    """Return what the policies of `snapshot` say of the opening of `connection`.

    Packets of a connection that is open, and what is related to it, are not asked about.
    """
    return Meaning(
        _side(snapshot, connection, Direction.EGRESS, connection.source),
        _side(snapshot, connection, Direction.INGRESS, connection.target),
    )


def _side(snapshot: Snapshot, connection: Connection, direction: Direction, pod: Pod | None) -> Side:
    exemption = _exemption(connection, direction, pod)
    if pod is None or exemption is not None:
        return Side(direction, "" if pod is None else _name(pod), exemption=exemption)
    policies = [each for each in snapshot.policies if isolates(each, pod, direction)]
    permits = [permit for each in policies for permit in _permits(snapshot, each, direction, connection)]
    return Side(direction, _name(pod), tuple(sorted(map(_name, policies))), tuple(permits))


def _exemption(connection: Connection, direction: Direction, pod: Pod | None) -> Exemption | None:
    """Return why the policies of `pod` do not matter.

    Its node may always reach it, so that the kubelet can probe; another node is
    a stranger. What a pod sends to its own address never leaves it; what comes
    back to it by a Service has left it, and is judged: a point that the reference leaves open.
    """
    if pod is None or pod.spec.host_network:
        return Exemption.NO_POD
    if connection.source == connection.target and not connection.by_service:
        return Exemption.LOOPBACK
    if direction is Direction.INGRESS and connection.source_node == pod.spec.node_name != "":
        return Exemption.OWN_NODE
    return None


# --- policies ---


def isolates(policy: NetworkPolicy, pod: Pod, direction: Direction) -> bool:
    """Return whether `policy` selects `pod` and is about `direction`: what no rule permits is refused then.

    Without types a policy is about ingress, and about egress if it has a rule for it.
    """
    spec = policy.spec
    types = spec.policy_types or ("Ingress", *(("Egress",) if spec.egress else ()))
    same_namespace = policy.metadata.namespace == pod.metadata.namespace
    return same_namespace and direction.value in types and selects(spec.pod_selector, pod.metadata.labels)


def _permits(
    snapshot: Snapshot, policy: NetworkPolicy, direction: Direction, connection: Connection
) -> Iterator[Permit]:
    """Yield what in `policy` lets the connection pass; rules add up, and so do peers and ports.

    A rule without peers permits everybody, one without ports everything.
    """
    for number, (peers, ports, address) in enumerate(_rules(policy, direction, connection)):
        for (at, peer), (place, port) in product(_numbered(peers), _numbered(ports)):
            if (
                (peer is None or _peer_matches(snapshot, policy, peer, address))
                and (port is None or _port_matches(snapshot, port, connection))
                and not _is_name_at_block(direction, peer, port)
            ):
                yield Permit(_name(policy), direction, number, at, place)


def _numbered(items: Sequence[_T]) -> Sequence[tuple[int | None, _T | None]]:
    """Return what a rule names, each with its number; None stands for everything where it names nothing."""
    return list(enumerate(items)) or [(None, None)]


def _is_name_at_block(direction: Direction, peer: PolicyPeer | None, port: PolicyPort | None) -> bool:
    """Return whether a rule of egress names a port of addresses: they have no names, whoever is there."""
    block = None if peer is None else peer.ip_block
    return (
        direction is Direction.EGRESS
        and block is not None
        and port is not None
        and isinstance(port.port, str)
    )


def _rules(
    policy: NetworkPolicy, direction: Direction, connection: Connection
) -> list[tuple[tuple[PolicyPeer, ...], tuple[PolicyPort, ...], IpAddress]]:
    """Return for each rule its peers, its ports, and the address that has to be a peer's."""
    if direction is Direction.INGRESS:
        return [(rule.from_, rule.ports, connection.source_address) for rule in policy.spec.ingress]
    return [(rule.to, rule.ports, connection.target_address) for rule in policy.spec.egress]


# --- peers ---


def _peer_matches(snapshot: Snapshot, policy: NetworkPolicy, peer: PolicyPeer, address: IpAddress) -> bool:
    """Return whether `address` is one of a peer's.

    A `namespaceSelector` and a `podSelector` of one peer have to hold both; without
    the first it is the policy's own namespace, without the second all pods.
    """
    if peer.ip_block is not None:
        return block_contains(peer.ip_block, address)
    return any(
        _is_meant(peer.namespace_selector, peer.pod_selector, policy.metadata.namespace, pod, snapshot)
        for pod in _pods_at(snapshot, address)
    )


def _is_meant(
    namespaces: LabelSelector | None, pods: LabelSelector | None, own: str, pod: Pod, snapshot: Snapshot
) -> bool:
    home = pod.metadata.namespace
    in_namespace = home == own if namespaces is None else selects(namespaces, _labels_of(snapshot, home))
    return in_namespace and (pods is None or selects(pods, pod.metadata.labels))


def _labels_of(snapshot: Snapshot, namespace: str) -> Labels:
    """Return the labels of a namespace; the API server gives each its name as one."""
    found = (each.metadata.labels for each in snapshot.namespaces if each.metadata.name == namespace)
    return {**next(found, {}), _NAME_OF_NAMESPACE: namespace}


def _pods_at(snapshot: Snapshot, address: IpAddress) -> list[Pod]:
    """Return the pods whose address this is; one that has ended has none, and leaves nothing to its heir."""
    return [
        pod
        for pod in snapshot.pods
        if not pod.is_finished
        and (not pod.spec.host_network or snapshot.host_network_peer == "pod")
        and str(address) in (pod.status.pod_ip, *(each.ip for each in pod.status.pod_ips))
    ]


def block_contains(block: IpBlock, address: IpAddress) -> bool:
    """Return whether `address` is in a block, and in none of its exceptions."""
    return _contains(block.cidr, address) and not any(_contains(each, address) for each in block.except_)


def _contains(cidr: str, address: IpAddress) -> bool:
    """Return whether `address` is in a prefix, which may be written with bits of a host or leading zeros."""
    head, _, length = cidr.partition("/")
    if ":" not in head:
        head = ".".join(str(int(octet)) for octet in head.split("."))
    network = ipaddress.ip_network(f"{head}/{length}", strict=False)
    return ipaddress.ip_address(bytes(address)) in network


# --- ports ---


def _port_matches(snapshot: Snapshot, port: PolicyPort, connection: Connection) -> bool:
    """Return whether a connection goes to a port of a rule.

    The protocol is TCP where none is said, never any. A name is what the target
    calls a port of its own, in rules for ingress and for egress.
    """
    if port.protocol != connection.protocol:
        return False
    match port.port:
        case None:
            return True
        case int(first):
            last = first if port.end_port is None else port.end_port
            return first <= connection.port <= last
        case str(name):
            targets = _pods_at(snapshot, connection.target_address)
            return any(connection.port in ports_called(name, port.protocol, pod) for pod in targets)


def ports_called(name: str, protocol: str, pod: Pod) -> set[int]:
    """Return the numbers that the containers of `pod`, sidecars too, give a port's name with a protocol."""
    sidecars = [each for each in pod.spec.init_containers if each.restart_policy == "Always"]
    return {
        port.container_port
        for container in (*pod.spec.containers, *sidecars)
        for port in container.ports
        if port.name == name and port.protocol == protocol
    }


def _name(thing: Pod | NetworkPolicy) -> str:
    return f"{thing.metadata.namespace}/{thing.metadata.name}"
