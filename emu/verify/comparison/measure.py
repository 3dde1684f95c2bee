# SPDX-License-Identifier: GPL-2.0-only
"""One cluster, a few packets, and what taps saw of them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import attrs

from emu.cluster.cluster import Cluster
from emu.cluster.policies import enforcer
from emu.cluster.source import read_source
from emu.errors import EmuError
from emu.kernel import routing
from emu.kube.api.objects import Service
from emu.verify.asker import Asker
from emu.verify.journeys import journeys
from emu.wire import ipv4, tcp
from emu.wire.addresses import IpAddress

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from emu.cluster.emulation import Host
    from emu.observe.recording import Step
    from emu.verify.journeys import Journey, Layer, View

CLIENT: Final = "client"
NEAR: Final = "cart-0"
FAR: Final = "cart-1"
SERVICE: Final = "cart"
HERE: Final = "worker-1"
THERE: Final = "worker-2"
OUTSIDE: Final = "laptop"

_PORT: Final = 8080
_UPLINK: Final = "eth0"
_OF_PODS: Final = re.compile(r"(veth|cali|eni|gke)[0-9a-f]+")
"""Devices that each pod has one of: they are told by the beginning that all have in common."""


@attrs.frozen
class Wire:
    """A packet between two nodes.

    Attributes:
        outer: each header around it, from outside, in words; none for a plain packet.
        added: octets that they are, MAC addresses inside among them.
    """

    outer: tuple[str, ...] = ()
    added: int = 0


@attrs.frozen
class Row:
    """What a provider does.

    Attributes:
        name: of its file.
        next_hop: of the client, for the pod on the other node.
        wire: what the packet looks like between the nodes.
        ttl: at the pod on the other node; it was 64.
        near_ttl: at the pod on the same node.
        mtu: of the client's device.
        mss: of its SYN.
        leads: the device by which the client's node sends it on.
        between: the machines between the two nodes.
        sources: who is seen, by the words of the question.
        enforces: who enforces NetworkPolicies, empty for nobody.
    """

    name: str
    next_hop: str
    wire: Wire
    ttl: int
    near_ttl: int
    mtu: int
    mss: int
    leads: str
    between: tuple[str, ...]
    sources: dict[str, str]
    enforces: str


QUESTIONS: Final = (
    "pod to pod",
    "node to a pod of its own",
    "node to a pod of another",
    "pod to another node",
    "pod to outside",
    "outside to a node port, endpoint there",
    "outside to a node port, endpoint elsewhere",
)
"""Who asks whom, of `Row.sources`."""


def measure(name: str, files: Sequence[Path]) -> Row:
    """Run the cluster of some files, and return what its provider does.

    Raises:
        DocumentError: the files have faults.
    """
    source = read_source([str(each) for each in files])
    cluster = source.start()
    assert isinstance(cluster, Cluster), "the files have a Cluster"
    return _Look(cluster).row(name)


class _Heard:
    """All steps while something is done."""

    def __init__(self) -> None:
        self.steps: list[Step] = []

    def hear(self, step: Step) -> None:
        self.steps.append(step)


class _Look:
    """Looks at one cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self._owners = {
            each.address: (net.name, device.name)
            for net in cluster.fabric.namespaces.values()
            for device in net.devices.values()
            for each in device.addresses
            if device.name != "lo"
        }

    def row(self, name: str) -> Row:
        """Return what the provider does."""
        cluster = self.cluster
        client = cluster.pod(CLIENT).net
        far, near = self._address(FAR), self._address(NEAR)
        journey, syn = self._connection(far)
        wire, leads = self._between(journey)
        found = enforcer(cluster.topology.cluster.network)
        route = cluster.fabric.call(client, lambda net: routing.route_output(net, far))
        return Row(
            name,
            str(route.gateway) if route.gateway is not None else "the pod itself",
            wire,
            journey.ends[0].header.ttl,
            self._connection(near)[0].ends[0].header.ttl,
            client.device(_UPLINK).mtu,
            _segment(syn),
            leads,
            _machines(journey),
            dict(zip(QUESTIONS, self._sources(), strict=True)),
            "" if found is None else found.name,
        )

    # --- one connection ---

    def _address(self, pod: str) -> IpAddress:
        return self.cluster.pod(pod).net.device(_UPLINK).addresses[0].address

    def _connection(self, target: IpAddress) -> tuple[Journey, Layer]:
        """Connect the client with a pod; return its first segment's journey, and that as it set out."""
        heard = _Heard()
        with self.cluster.listening(heard):
            self.cluster.pod(CLIENT).run(f"curl -s http://{target}:{_PORT}")
        for journey in journeys(heard.steps):
            layer = journey.first.inner
            if (layer.header.protocol, layer.header.dst) == (ipv4.TCP, target) and journey.ends:
                return journey, layer
        raise EmuError(f"no segment of the client's arrives at {target}")

    def _between(self, journey: Journey) -> tuple[Wire, str]:
        """Return how the packet leaves the client's node, and by which device it was sent on first."""
        here = f"node/{HERE}"
        views = [each for each in journey.way if each.step.net == here and each.step.kind.value == "out"]
        return _wire(views[-1]), _kind(views[0].step.device)

    # --- who is seen ---

    def _sources(self) -> list[str]:
        cluster = self.cluster
        pod, node = cluster.pod(CLIENT), cluster.node(HERE)
        other = self.cluster.machines[THERE].net.device(_UPLINK).addresses[0].address
        outside = cluster.external(OUTSIDE).net.device(_UPLINK).addresses[0].address
        near, far = self._address(NEAR), self._address(FAR)
        asked = ((pod, far), (node, near), (node, far), (pod, other), (pod, outside))
        return [*(self._seen(host, target) for host, target in asked), *self._node_port()]

    def _seen(self, host: Host, target: IpAddress) -> str:
        """Return whom `target` sees when somebody pings it."""
        heard = _Heard()
        with self.cluster.listening(heard):
            host.run(f"ping -c 1 -n {target}")
        for journey in journeys(heard.steps):
            if journey.first.inner.header.dst == target and journey.seen is not None:
                return self._word(IpAddress(journey.seen.src))
        raise EmuError(f"no ping arrives at {target}")

    def _node_port(self) -> list[str]:
        """Return whom the pod on the node that is asked sees, and whom the one elsewhere."""
        service = self.cluster.store.get(Service, SERVICE, "default")
        entry = self.cluster.machines[HERE].net.device(_UPLINK).addresses[0].address
        port = service.spec.ports[0].node_port
        verdict = Asker(self.cluster).judge(f"ext/{OUTSIDE}", f"{entry}:{port}")
        seen = {
            each.arrival.net: self._word(each.arrival.source)
            for each in verdict.outcomes
            if each.arrival is not None
        }
        return [seen.get(f"default/{pod}", "nobody gets in") for pod in (NEAR, FAR)]

    def _word(self, address: IpAddress) -> str:
        """Return whose an address is."""
        owner, device = self._owners.get(address, ("", ""))
        if not owner:
            return f"{address}"
        kind = owner.partition("/")[0]
        if kind == "ext":
            return "client"
        if kind != "node":
            return "pod"
        return "node" if device == _UPLINK else f"node's {_kind(device)}"


def _wire(view: View) -> Wire:
    """Return what is around the packet in a frame."""
    words = []
    for layer in view.layers[:-1]:
        header = layer.header
        df = ", DF" if header.df else ""
        if header.protocol == ipv4.UDP:
            port = int.from_bytes(layer.body[2:4], "big")
            vni = int.from_bytes(layer.body[12:15], "big")
            words.append(f"VXLAN, UDP {port}, VNI {vni}{df}, TTL {header.ttl}")
        else:
            words.append(f"IPIP{df}, TTL {header.ttl}")
    length = len(view.step.octets) - 14
    return Wire(tuple(words), length - view.inner.header.total_length)


def _machines(journey: Journey) -> tuple[str, ...]:
    """Return the machines that a packet passes between the two nodes, in order."""
    names = [each.step.net for each in journey.way]
    here, there = names.index(f"node/{HERE}"), names.index(f"node/{THERE}")
    last = max(at for at in range(there) if names[at] == names[here])
    return tuple(dict.fromkeys(names[last + 1 : there]))


def _kind(device: str) -> str:
    """Return what a device is called; where each pod has one, the beginning of their names."""
    found = _OF_PODS.fullmatch(device)
    return device if found is None else f"{found[1]}..."


def _segment(syn: Layer) -> int:
    """Return the MSS option of a SYN, 0 if it has none."""
    return tcp.TcpOptions.parse(syn.body[tcp.MIN_HEADER : tcp.Tcp.parse(syn.body).header_length]).mss or 0
