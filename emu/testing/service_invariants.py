# SPDX-License-Identifier: GPL-2.0-only
"""What holds of every Service on every cluster.

A client only ever sees the address that it asked, whoever answers; every ready
pod is chosen with exactly one n-th, and one that is not ready never. Who stands
behind a Service is worked out here from the pods and their labels alone.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import attrs

from emu.cluster.proxying import cluster_cidr_of
from emu.kube.api.objects import Service
from emu.observe.recording import Kind
from emu.testing.expectations import sight
from emu.testing.invariants import check_arrival, check_payload, check_ttl, conversation
from emu.testing.promises import in_cidr, pod_cidr
from emu.verify.firstpacket import Question, judge_at
from emu.verify.journeys import view
from emu.verify.nodewalk import POD_DEVICE, Word
from emu.wire import ipv4
from emu.wire.addresses import IpAddress, Prefix

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.kube.api.objects.service import ServicePort
    from emu.observe.recording import Step
    from emu.testing.clusters import ClusterLab, Exchange, Party, Role
    from emu.testing.invariants import Conversation, Findings
    from emu.verify.journeys import Flow

Entrance: TypeAlias = Literal["cluster IP", "node port", "load balancer"]

_WITH_PORTS: Final = frozenset((ipv4.TCP, ipv4.UDP, ipv4.SCTP))
_STRANGER: Final = IpAddress.parse("198.51.100.99")


@attrs.frozen
class Door:
    """One address and port by which a Service can be asked.

    Attributes:
        service: of whom.
        port: which of its ports.
        entrance: the kind of address.
        address: the address.
        node: the node whose node port it is; empty for others.
    """

    service: Service
    port: ServicePort
    entrance: Entrance
    address: IpAddress
    node: str = ""

    @property
    def number(self) -> int:
        """The port that is asked."""
        return self.port.node_port if self.entrance == "node port" else self.port.port

    def __str__(self) -> str:
        name, protocol = self.service.metadata.name, self.port.protocol
        return f"{name} by {self.entrance} {self.address}:{self.number}/{protocol}"


def doors(lab: ClusterLab) -> Iterator[Door]:
    """Yield all doors of the Services in the namespace `default`, but for the API's own."""
    for service in lab.store.list(Service, "default"):
        if service.metadata.name == "kubernetes" or service.is_headless:
            continue
        for port in service.spec.ports:
            yield Door(service, port, "cluster IP", IpAddress.parse(service.spec.cluster_ip))
            if port.node_port:
                for node in lab.machines:
                    yield Door(service, port, "node port", lab.internal_ip(node), node)
            for ingress in service.status.load_balancer.ingress:
                yield Door(service, port, "load balancer", IpAddress.parse(ingress.ip))


def backends(lab: ClusterLab, door: Door) -> dict[str, Party]:
    """Return the pods that stand behind a door, by `IP:PORT`, wherever they are."""
    spec = door.service.spec
    selector = spec.selector or {}
    target = door.port.target_port or door.port.port
    return {
        f"{pod.address}:{target}": pod
        for pod in lab.pods
        if selector.items() <= dict(pod.labels).items() and (pod.is_ready or spec.publish_not_ready_addresses)
    }


def usable(lab: ClusterLab, door: Door, node: str, role: Role) -> dict[str, Party]:
    """Return those that a packet may go to that meets the rules of `node`.

    `Local` keeps to the node; but what pods and nodes of the cluster send to an
    address for those outside is not from outside, as far as kube-proxy can tell.
    IPVS does not ask where a packet is from: a node that has nobody takes them all.
    """
    spec = door.service.spec
    if is_stranded(lab, door, node):
        return backends(lab, door)
    policy = spec.internal_traffic_policy
    if door.entrance != "cluster IP" and _is_balanced(lab):
        policy = spec.external_traffic_policy
    elif door.entrance != "cluster IP":
        is_known = role == "node" or (role == "pod" and cluster_cidr_of(lab.topology.cluster) != "")
        policy = "Cluster" if is_known else spec.external_traffic_policy
    found = backends(lab, door)
    if policy != "Local":
        return found
    return {text: pod for text, pod in found.items() if pod.node == node}


def _is_balanced(lab: ClusterLab) -> bool:
    """Return whether IPVS does what rules do otherwise."""
    return lab.topology.cluster.proxy.mode == "ipvs"


def is_stranded(lab: ClusterLab, door: Door, node: str) -> bool:
    """Return whether `node` sends on, in mode ipvs, what is for its own pods alone, for it has none.

    It masquerades nothing then, and what answers knows the client: unless the
    answer comes by this node again, the client hears from a stranger.
    """
    spec = door.service.spec
    is_inside = door.entrance == "cluster IP"
    policy = spec.internal_traffic_policy if is_inside else spec.external_traffic_policy
    if not _is_balanced(lab) or policy != "Local" or (is_inside and spec.type == "ClusterIP"):
        return False
    return not any(pod.node == node for pod in backends(lab, door).values())


# --- exact shares ---


def check_shares(found: Findings, lab: ClusterLab) -> None:
    """Check on every branch of chance that each door leads to each who may be chosen with the same share."""
    for door in doors(lab):
        for node in [door.node] if door.node else lab.machines:
            is_outside = door.entrance != "cluster IP"
            _check_share(found, lab, door, node, is_outside=is_outside)


def _a_pod(lab: ClusterLab, node: str) -> tuple[IpAddress, str]:
    """Return a pod's address and the device it comes by: calico looks whether the two belong together."""
    if lab.provider == "calico":
        for route in lab.machines[node].net.fib.routes():
            if route.dst.is_host and route.nexthops[0].device.startswith("cali"):
                return route.dst.address, route.nexthops[0].device
    return in_cidr(pod_cidr(lab, node), 50), POD_DEVICE


def _check_share(found: Findings, lab: ClusterLab, door: Door, node: str, *, is_outside: bool) -> None:
    source, device = (_STRANGER, "eth0") if is_outside else _a_pod(lab, node)
    question = Question(source, door.address, door.number, door.port.protocol, device)
    judged = judge_at(lab.machines[node].net, question)
    what = f"{door} on {node}"
    if door.entrance == "node port" and not _serves_node_ports(lab, door.address):
        found.expect("shares", f"{what}: {judged.word}", holds=judged.word is Word.UNCHANGED)
        return
    expected = usable(lab, door, node, "ext" if is_outside else "pod")
    shares = {text: Fraction(1, len(expected)) for text in expected}
    found.expect("shares", f"{what}: {judged.endpoints}, not {shares}", holds=judged.endpoints == shares)
    if not expected:
        refused = Word.DROP if backends(lab, door) and not _is_balanced(lab) else Word.REJECT
        found.expect("refusals", f"{what}: {judged.word}, not {refused}", holds=judged.word is refused)


def _serves_node_ports(lab: ClusterLab, address: IpAddress) -> bool:
    ranges = lab.topology.cluster.proxy.node_port_addresses
    return not ranges or any(address in Prefix.parse(each) for each in ranges)


# --- real packets ---


def check_service(found: Findings, lab: ClusterLab, exchange: Exchange, door: Door) -> None:
    """Check an exchange with a Service: who answered, what the client saw, and that nothing went astray."""
    source = exchange.source
    node = door.node or source.node
    expected = usable(lab, door, node, source.role)
    what = f"{source.name} asks {door}"
    talk = conversation(exchange)
    if not expected:
        found.expect("refused", f"{what}: {exchange.outcome}", holds=exchange.outcome != "ok")
        return
    if is_stranded(lab, door, node) and source.node != node:
        return  # nothing is promised
    found.expect("served", f"{what}: {exchange.outcome}", holds=exchange.outcome == "ok")
    if source.role == "node":
        return  # its own device sees the packets when they are translated already
    chosen = {_end(each.seen) for each in talk.requests if each.seen}
    found.expect("one backend", f"{what}: {sorted(chosen)}", holds=len(chosen) == 1)
    fault = f"{what}: {sorted(chosen)} of {sorted(expected)}"
    found.expect("a ready backend", fault, holds=chosen <= set(expected))
    for end in chosen & set(expected):
        check_arrival(found, talk.requests, expected[end].net)
    check_arrival(found, talk.replies, source.net)
    _check_disguise(found, lab, talk, door)
    _check_source(found, lab, talk, door, expected)
    for each in talk.packets:
        check_payload(found, each)
        check_ttl(found, lab, each)
    _check_machines(found, talk)


def _end(flow: Flow) -> str:
    return f"{IpAddress(flow.dst)}:{flow.dport}"


def _check_disguise(found: Findings, lab: ClusterLab, talk: Conversation, door: Door) -> None:
    """Check that every frame of the connection at the client's devices is between it and the door.

    What a bridge floods because it has forgotten where a backend is comes to the
    client, too; it is for another machine, and does not count.
    """
    exchange = talk.exchange
    own, asked = bytes(exchange.source.address), (bytes(door.address), door.number)
    ports = {each.first.flow.sport for each in talk.requests}
    for step in exchange.steps:
        if step.net != exchange.source.net or step.kind not in {Kind.IN, Kind.OUT}:
            continue
        seen = view(step)
        if seen is None or seen.inner.header.protocol not in _WITH_PORTS or _is_flooded(lab, step):
            continue
        flow = seen.flow
        for end, other in (
            ((flow.src, flow.sport), (flow.dst, flow.dport)),
            ((flow.dst, flow.dport), (flow.src, flow.sport)),
        ):
            if end[0] == own and end[1] in ports:
                fault = f"{exchange.source.name} sees {IpAddress(other[0])}:{other[1]} instead of {door}"
                found.expect("only the Service", fault, holds=other == asked)


def _is_flooded(lab: ClusterLab, step: Step) -> bool:
    device = lab.fabric.namespace(step.net).device(step.device)
    return step.kind is Kind.IN and step.framed and step.octets[: len(device.mac)] != device.mac


def _check_source(
    found: Findings, lab: ClusterLab, talk: Conversation, door: Door, expected: dict[str, Party]
) -> None:
    """Check what the backend sees of the client: the client, unless there is a reason for a node."""
    source = talk.exchange.source
    for each in talk.requests:
        backend = expected.get(_end(each.seen)) if each.seen else None
        if backend is None or each.seen is None:
            continue
        seen = each.seen.src
        own = _sources(lab, source, backend, door)
        fault = f"{each.name} to {door}: {backend.name} sees {IpAddress(seen)}"
        found.expect("source behind a Service", fault, holds=seen in own)


def _sources(lab: ClusterLab, source: Party, backend: Party, door: Door) -> set[bytes]:
    """Return the addresses that a client may have for a backend."""
    if backend.role == "node" and backend.node == (door.node or source.node):
        return {bytes(source.address)}  # the node itself takes it in, and INPUT translates no source
    is_plain = not lab.topology.cluster.proxy.masquerade_all
    if door.entrance != "cluster IP":
        is_plain = door.service.spec.external_traffic_policy == "Local"
    if is_plain and backend.address != source.address:
        return {bytes(sight(lab, source, backend).address)}
    return _addresses_of_nodes(lab)


def _addresses_of_nodes(lab: ClusterLab) -> set[bytes]:
    return {
        bytes(own.address)
        for machine in lab.machines.values()
        for device in machine.net.devices.values()
        for own in device.addresses
    }


def _check_machines(found: Findings, talk: Conversation) -> None:
    """Check that the answers come back through the machines that the question went through."""
    ways = {tuple(dict.fromkeys(view.step.net for view in each.way)) for each in talk.requests if each.way}
    for each in talk.replies:
        if each.way:
            back = tuple(dict.fromkeys(view.step.net for view in reversed(each.way)))
            found.expect("machines retraced", f"{each.name}: {back}, asked by {ways}", holds=ways == {back})
