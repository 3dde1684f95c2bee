# SPDX-License-Identifier: GPL-2.0-only
"""What addresses and ranges of nodes say against each other, with its lines.

What Kubernetes refuses is a fault. What it takes, and what then goes wrong on the wire, is a warning:
people want to see that go wrong.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.cluster.node_objects import plan
from emu.cluster.topology.places import Places, Subject
from emu.errors import AddressError, DocumentError, Fault
from emu.kube.api.objects import Node, Pod, Service
from emu.kube.ipam.errors import RefusedError
from emu.kube.ipam.pod_cidrs import PodCidrs
from emu.kube.proxy.addresses import network
from emu.kube.proxy.config import PRIMARY
from emu.wire.addresses import IpAddress, Prefix

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from emu.cluster.node_objects import PlannedNode
    from emu.cluster.topology import Topology
    from emu.document import Document

_CLUSTER: Final = Subject("Cluster")
_HOST: Final = 32
_LOOPBACK: Final = Prefix.parse("127.0.0.0/8")
_OWN_RANGES: Final = frozenset(("calico", "weave", "vpc"))
"""Providers whose pods have no addresses of their node's range."""


@attrs.frozen
class Clash:
    """An address that two have.

    Attributes:
        address: the address.
        subject: who says so, as the second.
        path: where in it.
        words: whose it is.
        other: whose it is, too.
    """

    address: IpAddress
    subject: Subject
    path: str
    words: str
    other: str

    def __str__(self) -> str:
        return f"{self.words} has the address {self.address}, and so has {self.other}"


def clashes(topology: Topology) -> Iterator[Clash]:
    """Yield the addresses that two pods, nodes, Services or hosts outside have."""
    owners: dict[IpAddress, tuple[Subject, str]] = {}
    for address, subject, path, words in _claims(topology):
        known = owners.setdefault(address, (subject, words))
        if known != (subject, words):
            yield Clash(address, subject, path, words, known[1])


def check(topology: Topology, documents: Sequence[Document]) -> tuple[list[Fault], list[Fault]]:
    """Return what is refused, and what is to be warned of.

    Args:
        topology: the whole of it.
        documents: what it was read from.
    """
    lonely = list(_lonely_nodes(topology))
    if lonely:
        places = Places(documents)
        return [_fault(places, *each) for each in lonely], []
    try:
        nodes = plan(topology)
    except DocumentError as error:
        return list(error.faults), []
    refused = list(_refused_ranges(topology, nodes))
    doubts = [
        *_shared_addresses(topology),
        *(() if refused else _shared_ranges(topology, nodes)),
        *_unserved(topology, nodes),
    ]
    if not refused and not doubts:
        return [], []
    places = Places(documents)
    return [_fault(places, *each) for each in refused], [_fault(places, *each) for each in doubts]


def _fault(places: Places, subject: Subject, path: str, message: str) -> Fault:
    if not places.has(subject):
        return Fault(f"<{subject.kind.lower()}>", 1, path, message)
    spot = places.find(subject, path)
    return Fault(spot.file, spot.line, path, message)


# --- addresses ---


def _claims(topology: Topology) -> Iterator[tuple[IpAddress, Subject, str, str]]:
    """Yield each address that the input gives to somebody: whose, and where it says so."""
    for index, entry in enumerate(topology.cluster.nodes):
        for device in entry.addresses:
            for each in device:
                yield each.address, _CLUSTER, f"$.spec.nodes[{index}].addresses", f"node {entry.name}"
    entries = {entry.name for entry in topology.cluster.nodes if entry.addresses}
    seen = set()
    for obj in topology.objects:
        texts: tuple[str, ...] = ()
        path = "$"
        if isinstance(obj, Node) and obj.metadata.name not in entries:
            texts, path = tuple(obj.addresses("InternalIP")), "$.status.addresses"
        elif isinstance(obj, Pod) and not obj.spec.host_network and not obj.is_finished:
            texts, path = (obj.status.pod_ip,), "$.status.podIP"
        elif isinstance(obj, Service):
            texts, path = (obj.spec.cluster_ip,), "$.spec.clusterIP"
        for address in filter(None, map(_address, texts)):
            subject = Subject(type(obj).__name__, obj.metadata.namespace, obj.metadata.name)
            if (address, subject) not in seen:
                seen.add((address, subject))
                yield address, subject, path, f"{subject.kind.lower()} {str(subject).partition(' ')[2]}"
    for index, host in enumerate(topology.fabric.external):
        yield host.address, Subject("Fabric"), f"$.spec.external[{index}].ip", f"outside host {host.name}"


def _shared_addresses(topology: Topology) -> Iterator[tuple[Subject, str, str]]:
    """Yield each address that several have, once: at the second of them."""
    found: dict[IpAddress, list[Clash]] = {}
    for each in clashes(topology):
        found.setdefault(each.address, []).append(each)
    for address, several in found.items():
        first, *more = several
        others = ", ".join((first.other, *(each.words for each in more)))
        have = "have" if more else "has"
        yield (
            first.subject,
            first.path,
            f"DUP_IP: {first.words} has the address {address}, and so {have} {others}",
        )


def _address(text: str) -> IpAddress | None:
    """Return an address of IPv4, None for what is none."""
    try:
        found = IpAddress.parse(text)
    except AddressError:
        return None
    return found if found.family == 4 else None


# --- ranges of pods ---


def _place(topology: Topology, name: str) -> tuple[Subject, str]:
    """Return where the range of a node is said."""
    for index, entry in enumerate(topology.cluster.nodes):
        if entry.name == name and entry.pod_cidr is not None:
            return _CLUSTER, f"$.spec.nodes[{index}].podCIDR"
    return Subject("Node", "", name), "$.spec.podCIDR"


def _lonely_nodes(topology: Topology) -> Iterator[tuple[Subject, str, str]]:
    """Yield the nodes in whose subnets the router that is made where nobody names one has no place."""
    if topology.fabric.routers or topology.fabric.vpc or topology.cluster.network.provider == "vpc":
        return
    for index, entry in enumerate(topology.cluster.nodes):
        if entry.addresses and entry.addresses[0][0].length == _HOST:
            address = entry.addresses[0][0].address
            words = f"{address}/{_HOST} has no room for a router: say the subnet's length, like {address}/24"
            yield _CLUSTER, f"$.spec.nodes[{index}].addresses[0]", words


def _refused_ranges(topology: Topology, nodes: Sequence[PlannedNode]) -> Iterator[tuple[Subject, str, str]]:
    """Yield the nodes whose range Kubernetes refuses, or for which none is left."""
    cluster = topology.cluster.pod_cidr
    hint = "" if topology.has_cluster else " (spec.podCIDR of a Cluster document says another)"
    found = []
    for node in _with_ranges(nodes):
        try:
            PodCidrs([cluster]).register([node])
        except RefusedError as error:
            found.append((*_place(topology, node.metadata.name), f"{error.message}{hint}"))
    yield from found
    if not found:
        try:
            PodCidrs([cluster]).register(each.node for each in nodes)
        except RefusedError as error:
            yield (
                _CLUSTER,
                "$.spec.podCIDR",
                f"{cluster} is too small for {len(nodes)} nodes: {error.message}",
            )


def _shared_ranges(topology: Topology, nodes: Sequence[PlannedNode]) -> Iterator[tuple[Subject, str, str]]:
    """Yield the nodes whose range another one has, too: Kubernetes takes that."""
    said = {each.metadata.name for each in _with_ranges(nodes)}
    if not said or topology.cluster.network.provider in _OWN_RANGES:
        return
    given = PodCidrs([topology.cluster.pod_cidr])
    controls = given.register(each.node for each in nodes if each.is_control_plane)
    others = given.register(each.node for each in nodes if not each.is_control_plane)
    ranges = [(Prefix.parse(each.spec.pod_cidr), each.metadata.name) for each in (*controls, *others)]
    before: tuple[Prefix, str] | None = None  # the one that reaches furthest, by address
    for prefix, name in sorted(ranges, key=lambda each: (int(each[0].address), each[0].length, each[1])):
        if before is not None and prefix.address in before[0]:
            one, other = (name, before[1]) if name in said else (before[1], name)
            words = (
                f"CIDR_OVERLAP: the pod range of node {one} overlaps with that of node {other}, {before[0]}"
            )
            yield *_place(topology, one), words
        else:
            before = prefix, name


def _with_ranges(nodes: Sequence[PlannedNode]) -> list[Node]:
    """Return the nodes whose ranges the input says."""
    return [each.node for each in nodes if each.node.spec.pod_cidr or each.node.spec.pod_cidrs]


# --- node ports ---


def _unserved(topology: Topology, nodes: Sequence[PlannedNode]) -> Iterator[tuple[Subject, str, str]]:
    """Yield the networks for node ports in which no node has an address: kube-proxy serves none there.

    A node has addresses of loopback, and with many providers one of its pods' range.
    """
    proxy = topology.cluster.proxy
    if proxy.mode in {"none", "userspace"}:
        return
    own = [each.address for node in nodes for device in node.devices for each in device]
    for index, text in enumerate(proxy.node_port_addresses):
        prefix = network(text, 4)
        if text == PRIMARY or prefix is None:
            continue
        ranges = (topology.cluster.pod_cidr, _LOOPBACK)
        is_maybe = any(each.address in prefix or prefix.address in each for each in ranges)
        if not is_maybe and not any(each in prefix for each in own):
            words = f"no node has an address in {text}: node ports answer nowhere there"
            yield _CLUSTER, f"$.spec.kubeProxy.nodePortAddresses[{index}]", words
