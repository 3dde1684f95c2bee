# SPDX-License-Identifier: GPL-2.0-only
"""Hypothesis strategies for clusters with NetworkPolicies, and for who asks whom there.

`situations` draws a cluster of two or three nodes, some pods whose labels and
names of ports overlap, policies that use every field there is, and probes.
All pods answer on the same few ports by every protocol, so that it is policy
alone that keeps a probe from its answer. What fails shrinks to two pods.
"""

from __future__ import annotations

import ipaddress
from functools import cache
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, TypeVar

import attrs
from hypothesis import assume
from hypothesis import strategies as st

from emu.cluster.topology import ClusterSpec, ExternalSpec, FabricSpec, NetworkSpec, NodeSpec
from emu.kube.api.objects import Namespace, NetworkPolicy, Pod, Service
from emu.kube.api.objects.container import Container, ContainerPort
from emu.kube.api.objects.meta import LabelSelector, Meta, Requirement
from emu.kube.api.objects.network import (
    EgressRule,
    IngressRule,
    IpBlock,
    NetworkPolicySpec,
    PolicyPeer,
    PolicyPort,
)
from emu.kube.api.objects.pod import PodSpec
from emu.kube.api.objects.scheduling import Toleration
from emu.kube.api.objects.service import ServicePort, ServiceSpec
from emu.kube.kubelet.serving import ANNOTATION
from emu.kube.policy.settings import Settings
from emu.testing.plans import IMAGE, Plan
from emu.wire.addresses import IpAddress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hypothesis.vendor.pretty import RepresentationPrinter

Rule = TypeVar("Rule", IngressRule, EgressRule)
ProtocolName: TypeAlias = Literal["TCP", "UDP", "SCTP"]

PORTS: Final = (80, 81, 82, 8080, 1, 65535)
"""Where every pod and the host outside answer."""

PROTOCOLS: Final[tuple[ProtocolName, ...]] = ("TCP", "UDP", "SCTP")
OUTSIDE: Final = ExternalSpec(
    "out",
    IpAddress.parse("198.51.100.7"),
    tuple((protocol, port) for protocol in PROTOCOLS for port in PORTS),
)
NETWORKS: Final = (
    NetworkSpec("kindnet"),
    NetworkSpec("flannel", policy="iptables"),
    NetworkSpec("flannel", {"backend": "host-gw"}, policy="iptables"),
    NetworkSpec("kubenet", policy="iptables"),
    NetworkSpec("calico"),
    NetworkSpec("calico", {"vxlanMode": "CrossSubnet"}),
)
"""The networks on which somebody enforces policies."""

NAMESPACES: Final = ("x", "y", "z")
_KEYS: Final = ("app", "tier")
_VALUES: Final = ("a", "b")
_NAME_LABEL: Final = "kubernetes.io/metadata.name"
_PORT_NAMES: Final = ("web", "dns")
_PLACES: Final = (
    "10.244.0.0",
    "10.244.0.3",
    "10.244.0.4",
    "10.244.1.3",
    "10.244.1.4",
    "10.244.1.5",
    "10.244.2.3",
    "172.18.0.2",
    "172.18.0.3",
    "198.51.100.7",
    "10.96.0.10",
)
"""Addresses of pods, of nodes, of the host outside, of a Service: where blocks begin and end."""

_LENGTHS: Final = (32, 31, 30, 29, 28, 24, 23, 16, 8, 1, 0)


@attrs.frozen
class Probe:
    """Who asks whom.

    Attributes:
        source: an end point: `pod/NS/NAME`, `node/NAME`, `ext/NAME`.
        target: a pod, a Service (`svc/NS/NAME`) or a host outside.
        port: the number at which the target is asked.
        protocol: by what.
    """

    source: str
    target: str
    port: int
    protocol: ProtocolName = "TCP"

    @property
    def question(self) -> str:
        """The target as an end point, with port and protocol."""
        return f"{self.target}:{self.port}/{self.protocol.lower()}"

    def __str__(self) -> str:
        return f"{self.source} -> {self.question}"


@attrs.frozen(repr=False)
class Situation:
    """A cluster with policies, and what is asked there."""

    plan: Plan
    probes: tuple[Probe, ...] = ()

    @property
    def policies(self) -> tuple[NetworkPolicy, ...]:
        """The policies among the objects."""
        return tuple(each for each in self.plan.objects if isinstance(each, NetworkPolicy))

    def __repr__(self) -> str:
        return f"{self.plan!r}\n" + "\n".join(map(str, self.probes))

    def _repr_pretty_(self, printer: RepresentationPrinter, cycle: bool) -> None:  # noqa: FBT001 - as IPython calls
        """Print it in Hypothesis' words for what fails, too."""
        del cycle
        printer.text(repr(self))


# --- who is there ---


@cache
def labels() -> st.SearchStrategy[dict[str, str]]:
    """Labels of few keys and values, so that selectors find some."""
    values = st.sampled_from(_VALUES)
    return st.fixed_dictionaries({}, optional=dict.fromkeys(_KEYS, values))


@cache
def container_ports() -> st.SearchStrategy[tuple[ContainerPort, ...]]:
    """Ports with names; what a name stands for differs from pod to pod."""
    ports = st.builds(
        ContainerPort,
        st.sampled_from(PORTS),
        name=st.sampled_from(_PORT_NAMES),
        protocol=st.sampled_from(PROTOCOLS),
    )
    return st.lists(ports, max_size=2, unique_by=lambda port: port.name).map(tuple)


@st.composite
def policed_pods(draw: st.DrawFn, number: int, nodes: Sequence[str], *, host_network: bool = False) -> Pod:
    """Draw a pod `p<number>` that answers on all `PORTS`, in one of the namespaces; shrinks to no labels."""
    meta = Meta(
        f"p{number}",
        draw(st.sampled_from((*NAMESPACES[:2], *NAMESPACES))),
        labels=draw(labels()),
        annotations={
            f"{ANNOTATION}.c0": ", ".join(f"{each.lower()}/{port}" for each in PROTOCOLS for port in PORTS),
            f"{ANNOTATION}.c1": "none",
        },
    )
    containers = tuple(
        Container(f"c{index}", image=IMAGE, ports=draw(container_ports()) if not host_network else ())
        for index in range(draw(st.integers(1, 2)))
    )
    spec = PodSpec(
        containers,
        node_name=draw(st.sampled_from(tuple(nodes))),
        host_network=host_network,
        tolerations=(Toleration(operator="Exists"),),
    )
    return Pod(meta, spec)


@st.composite
def fronts(draw: st.DrawFn, pods: Sequence[Pod]) -> Service:
    """Draw a Service `s` in front of one of `pods` and those like it; its ports lead to numbers and names."""
    targets: list[int | str] = [*PORTS[:3], *_PORT_NAMES]
    ports = tuple(
        ServicePort(1000 + index, f"f{index}", draw(st.sampled_from(PROTOCOLS)), target)
        for index, target in enumerate(draw(st.lists(st.sampled_from(targets), min_size=1, max_size=3)))
    )
    meta = draw(st.sampled_from(tuple(pods))).metadata
    selector = dict(sorted(meta.labels.items())[:1]) or {"app": "a"}
    return Service(Meta("s", meta.namespace), ServiceSpec(ports=ports, selector=selector))


# --- policies ---


@cache
@st.composite
def selectors(draw: st.DrawFn, *, named: bool = False) -> LabelSelector:
    """Draw a selector; shrinks to the empty one. With `named` it may ask for a namespace by its name."""
    keys = (*_KEYS, _NAME_LABEL) if named else _KEYS
    match = draw(labels()) if draw(st.booleans()) else {}
    if named and draw(st.integers(0, 3)) == 3:
        match[_NAME_LABEL] = draw(st.sampled_from(NAMESPACES))
    return LabelSelector(match, tuple(draw(st.lists(_requirements(keys), max_size=2))))


@cache
@st.composite
def _requirements(draw: st.DrawFn, keys: tuple[str, ...]) -> Requirement:
    key = draw(st.sampled_from(keys))
    operator = draw(st.sampled_from(("In", "NotIn", "Exists", "DoesNotExist")))
    values = NAMESPACES if key == _NAME_LABEL else _VALUES
    found = st.lists(st.sampled_from(values), min_size=1, max_size=2, unique=True)
    return Requirement(key, operator, tuple(draw(found)) if operator in {"In", "NotIn"} else ())


@cache
@st.composite
def blocks(draw: st.DrawFn) -> IpBlock:
    """Draw a block whose edges are near addresses that are there, with odd spellings and exceptions."""
    address, length = draw(st.sampled_from(_PLACES)), draw(st.sampled_from(_LENGTHS))
    around = ipaddress.ip_network(f"{address}/{length}", strict=False)
    inside = [each for each in _PLACES if ipaddress.ip_address(each) in around]
    narrower = [each for each in _LENGTHS if each > length]
    found: list[str] = []
    if narrower:
        pairs = st.tuples(st.sampled_from(inside), st.sampled_from(narrower))
        found = [f"{one}/{bits}" for one, bits in draw(st.lists(pairs, max_size=2))]
    forms = (str(around), f"{address}/{length}", f"{address.replace('.0.', '.00.')}/0{length}")
    return IpBlock(draw(st.sampled_from(forms)), tuple(found))


@cache
@st.composite
def peers(draw: st.DrawFn) -> PolicyPeer:
    """Draw a peer of any sort; shrinks to all pods of the policy's namespace."""
    match draw(st.sampled_from(("pods", "namespaces", "both", "block"))):
        case "pods":
            return PolicyPeer(pod_selector=draw(selectors()))
        case "namespaces":
            return PolicyPeer(namespace_selector=draw(selectors(named=True)))
        case "both":
            return PolicyPeer(draw(selectors()), draw(selectors(named=True)))
        case _:
            return PolicyPeer(ip_block=draw(blocks()))


@cache
@st.composite
def policy_ports(draw: st.DrawFn) -> PolicyPort:
    """Draw a port of a rule: a number, a range that ends next to where pods answer, a name, a protocol."""
    protocol = draw(st.sampled_from(PROTOCOLS))
    match draw(st.sampled_from(("number", "range", "name", "all"))):
        case "number":
            return PolicyPort(protocol, draw(st.sampled_from(PORTS)))
        case "range":
            edges = st.sampled_from((1, 2, 79, 80, 81, 82, 8079, 8080, 65535))
            first, last = sorted((draw(edges), draw(edges)))
            return PolicyPort(protocol, first, last)
        case "name":
            return PolicyPort(protocol, draw(st.sampled_from(_PORT_NAMES)))
        case _:
            return PolicyPort(protocol)


@cache
def _rules(kind: type[Rule]) -> st.SearchStrategy[list[Rule]]:
    ports = st.lists(policy_ports(), max_size=2).map(tuple)
    ends = st.lists(peers(), max_size=2).map(tuple)
    return st.lists(st.builds(kind, ports, ends), max_size=2)


@st.composite
def policies(draw: st.DrawFn, name: str = "np", namespaces: Sequence[str] = NAMESPACES) -> NetworkPolicy:
    """Draw a policy of one of `namespaces`; shrinks to one that closes all pods there for ingress."""
    types = draw(st.sampled_from(((), ("Ingress",), ("Egress",), ("Ingress", "Egress"))))
    spec = NetworkPolicySpec(
        LabelSelector() if draw(st.booleans()) else draw(selectors()),
        types,
        tuple(draw(_rules(IngressRule))),
        tuple(draw(_rules(EgressRule))),
    )
    return NetworkPolicy(Meta(name, draw(st.sampled_from(tuple(namespaces)))), spec)


# --- all of it ---


@st.composite
def policed_plans(
    draw: st.DrawFn, networks: Sequence[NetworkSpec] = NETWORKS, *, settings: Settings | None = None
) -> Plan:
    """Draw clusters with policies: 2 or 3 nodes, 2 to 5 pods, a Service now and then.

    They have one of `networks`, the first of which is the simplest. Without
    `settings` it is drawn what a pod on its node's network is to selectors.
    """
    names = [f"n{number}" for number in range(draw(st.integers(2, 3)))]
    count = draw(st.integers(2, 5))
    pods = [draw(policed_pods(number, names)) for number in range(count)]
    if draw(st.integers(0, 3)) == 3:
        pods.append(draw(policed_pods(count, names, host_network=True)))
    spaces = [Namespace(Meta(name, labels=draw(labels()))) for name in NAMESPACES]
    services: list[Service] = []
    if draw(st.booleans()):
        services.append(draw(fronts(pods)))
    homes = [pod.metadata.namespace for pod in pods]
    found = [draw(policies(f"np{number}", homes)) for number in range(draw(st.integers(1, 3)))]
    if settings is None:
        settings = Settings(host_network_peer=draw(st.sampled_from(("node", "pod"))))
    cluster = ClusterSpec(
        network=draw(st.sampled_from(tuple(networks))),
        policies=settings,
        nodes=tuple(NodeSpec(name, taints=()) for name in names),
    )
    return Plan(cluster, (*spaces, *pods, *services, *found), FabricSpec((OUTSIDE,)))


@st.composite
def probes(draw: st.DrawFn, plan: Plan) -> Probe:
    """Draw who asks whom in a cluster, mostly what policies mention; shrinks to the first pod and itself."""
    pods = [_end_point(each) for each in plan.objects if isinstance(each, Pod)]
    nodes = [f"node/{each.name}" for each in plan.cluster.nodes]
    services = [each for each in plan.objects if isinstance(each, Service)]
    outside = f"ext/{OUTSIDE.name}"
    by_service: bool = bool(services) and draw(st.sampled_from((False, False, True)))
    if by_service:
        service = draw(st.sampled_from(services))
        port = draw(st.sampled_from(service.spec.ports))
        source = draw(st.sampled_from([*pods, *pods, *nodes]))
        return Probe(source, f"svc/{_key(service)}", port.port, _protocol(port.protocol))
    source = draw(st.sampled_from([*pods, *pods, *nodes, outside]))
    targets = pods if source == outside else [*pods, *pods, outside]
    every = [(protocol, port) for protocol in PROTOCOLS for port in PORTS]
    usual = mentioned(plan) or every
    protocol, number = draw(st.sampled_from(usual if draw(st.integers(0, 3)) else every))
    if draw(st.integers(0, 3)) == 3:
        protocol = draw(st.sampled_from(PROTOCOLS))
    return Probe(source, draw(st.sampled_from(targets)), number, protocol)


def mentioned(plan: Plan) -> list[tuple[ProtocolName, int]]:
    """Return the ports of `PORTS` that policies mention: by number, by the end of a range, by name."""
    specs = [each.spec for each in plan.objects if isinstance(each, NetworkPolicy)]
    ports = [port for spec in specs for rule in spec.ingress for port in rule.ports]
    ports += [port for spec in specs for rule in spec.egress for port in rule.ports]
    found: dict[tuple[ProtocolName, int], None] = {}
    for port in ports:
        numbers = {port.port, port.end_port}
        if isinstance(port.port, str):
            numbers = {each.container_port for each in _ports_of_pods(plan) if each.name == port.port}
        found.update({(_protocol(port.protocol), each): None for each in PORTS if each in numbers})
    return list(found)


def _ports_of_pods(plan: Plan) -> list[ContainerPort]:
    pods = [each for each in plan.objects if isinstance(each, Pod)]
    return [port for pod in pods for container in pod.spec.containers for port in container.ports]


def _end_point(pod: Pod) -> str:
    return f"pod/{_key(pod)}"


def _key(thing: Pod | Service) -> str:
    return f"{thing.metadata.namespace}/{thing.metadata.name}"


def _protocol(text: str) -> ProtocolName:
    return next(each for each in PROTOCOLS if each == text)


@st.composite
def situations(
    draw: st.DrawFn,
    networks: Sequence[NetworkSpec] = NETWORKS,
    *,
    settings: Settings | None = None,
    fewest_probes: int = 1,
    most_probes: int = 8,
    mentions: Sequence[str] = (),
) -> Situation:
    """Draw a cluster with policies and what is asked there; see `policed_plans`.

    The `repr` of its objects has all of `mentions`.
    """
    plan = draw(policed_plans(networks, settings=settings))
    text = str(plan.objects) if mentions else ""
    assume(all(each in text for each in mentions))
    asked = draw(st.lists(probes(plan), min_size=fewest_probes, max_size=most_probes))
    return Situation(plan, tuple(dict.fromkeys(asked)))
