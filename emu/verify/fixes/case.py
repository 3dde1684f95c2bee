# SPDX-License-Identifier: GPL-2.0-only
"""What a proposer looks at: the failure that was found, and the objects around it.

Nothing here decides whether a packet passes: that is asked again, with packets.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Final, NamedTuple

import attrs

from emu.cluster.cluster import Cluster
from emu.errors import UnknownNameError
from emu.kernel import sctp, tcp
from emu.kernel.facts import Resolved
from emu.kernel.sockets import SocketKind
from emu.kube.api.objects import Node, Pod, Service
from emu.verify.story import Way
from emu.wire import ipv4

if TYPE_CHECKING:
    from emu.cluster.emulation import Emulation
    from emu.kernel.namespace import Namespace
    from emu.kernel.sockets import Socket
    from emu.kube.api.objects.service import ServicePort
    from emu.kube.api.store import Store
    from emu.verify.causes.cause import Cause
    from emu.verify.fivetuple import FiveTuple
    from emu.verify.story import Packet
    from emu.verify.verdict import Outcome, Verdict
    from emu.wire.addresses import IpAddress

PROTOCOLS: Final = {ipv4.TCP: "TCP", ipv4.UDP: "UDP", ipv4.SCTP: "SCTP", ipv4.ICMP: "ICMP"}
_KINDS: Final = {"TCP": SocketKind.TCP, "UDP": SocketKind.UDP, "SCTP": SocketKind.SCTP}


class Asked(NamedTuple):
    """A Service that was asked, and by which of its ports."""

    service: Service
    port: ServicePort
    by_node: bool  # by a node's port, not by an address of its own


@attrs.frozen(eq=False)
class Case:
    """A question that failed.

    Attributes:
        network: where; it is only looked at.
        source: who asked, as it was given.
        target: whom, as it was given.
        namespace: of names without one.
        verdict: the answer.
        outcome: the branch that is looked at: the most probable one that failed.
        cause: why that one did.
    """

    network: Emulation
    source: str
    target: str
    namespace: str
    verdict: Verdict
    outcome: Outcome
    cause: Cause

    # --- packets ---

    @property
    def packet(self) -> Packet | None:
        """The packet that ended: of the request or of the answer."""
        story = self.outcome.story.last
        return story.answer if self.cause.way is Way.REPLY and story.answer is not None else story.request

    @property
    def sent(self) -> FiveTuple | None:
        """Between whom the request travelled when it was sent."""
        request = self.outcome.story.request
        return request.tuples[0] if request is not None and request.tuples else None

    @property
    def met(self) -> FiveTuple | None:
        """Between whom the request travelled at last, after all translations and proxies."""
        request = self.outcome.story.last.request
        return request.tuples[-1] if request is not None and request.tuples else None

    @property
    def protocol(self) -> str:
        """What was asked with, in capitals."""
        sent = self.sent
        return self.verdict.target.protocol.value if sent is None else PROTOCOLS.get(sent.protocol, "")

    @property
    def passed(self) -> list[str]:
        """The network namespaces that the packets came through, each once, in their order."""
        hops = self.outcome.story.hops()
        return list(dict.fromkeys(hop.told.step.net for hop in hops))

    @property
    def neighbour(self) -> tuple[str, str, str] | None:
        """Who sent the packet to a neighbour last: namespace, address of the neighbour, device."""
        packet = self.packet
        for one in reversed(packet.line if packet is not None else ()):
            fact = one.step.fact
            if isinstance(fact, Resolved):
                return one.step.net, str(fact.address), fact.device
        return None

    # --- places ---

    @property
    def net(self) -> Namespace | None:
        """The network namespace where it ended, None if there is none such."""
        return self.network.fabric.namespaces.get(self.cause.net)

    def host(self, net: str) -> str:
        """Return how people name the network namespace `net`, to run a program there."""
        if self.cluster is not None:
            pod = self.pod_in(net)
            if pod is not None:
                return f"{pod.metadata.namespace}/{pod.metadata.name}"
        return net

    # --- objects ---

    @cached_property
    def cluster(self) -> Cluster | None:
        """The cluster, None of a low-level network."""
        return self.network if isinstance(self.network, Cluster) else None

    @property
    def store(self) -> Store:
        """Where the objects are.

        Raises:
            UnknownNameError: a low-level network has none.
        """
        if self.cluster is None:
            raise UnknownNameError("a low-level network has no objects of Kubernetes")
        return self.cluster.store

    def pod_in(self, net: str) -> Pod | None:
        """Return the pod whose network namespace is called `net`; of a node none."""
        name, _ = self.network.owners(net)
        namespace, _, own = (name or "").partition("/")
        return self.store.find(Pod, own, namespace) if name else None

    def pod_at(self, address: IpAddress) -> Pod | None:
        """Return the pod with an address of its own, None if it is nobody's, or a node's."""
        text = str(address)
        pods = (each for each in self.store.each(Pod) if each.status.pod_ip == text)
        return next((each for each in pods if not each.spec.host_network and not each.is_finished), None)

    def node_at(self, address: IpAddress) -> Node | None:
        """Return the node with this address."""
        text = str(address)
        nodes = self.store.list(Node)
        return next((each for each in nodes if text in each.addresses("InternalIP")), None)

    @property
    def asked(self) -> Asked | None:
        """The Service that was asked, by an address or a node's port; None if it was none."""
        if self.cluster is None:
            return None
        sent = self.sent
        address = self.verdict.target.address if sent is None else sent.dst
        number = self.verdict.target.port if sent is None else sent.dport
        text, protocol = str(address), self.protocol
        by_node = self.node_at(address) is not None
        for service in self.store.list(Service):
            spec = service.spec
            balanced = (each.ip for each in service.status.load_balancer.ingress)
            own = {*spec.cluster_ips, spec.cluster_ip, *spec.external_ips, *balanced}
            for port in spec.ports:
                if port.protocol != protocol:
                    continue
                if text in own and port.port == number:
                    return Asked(service, port, by_node=False)
                if by_node and port.node_port and port.node_port == number:
                    return Asked(service, port, by_node=True)
        return None

    def listening(self, pod: Pod, protocol: str) -> list[int]:
        """Return the ports on which programs of a pod wait for anybody, in order.

        Of one on its node's network these are the ports that it declares: the
        sockets there are everybody's.
        """
        meta = pod.metadata
        net = self.network.fabric.namespaces.get(f"{meta.namespace}/{meta.name}")
        kind = _KINDS.get(protocol)
        if net is None or kind is None:
            ports = (port for container in pod.spec.containers for port in container.ports)
            return sorted({port.container_port for port in ports if port.protocol == protocol})
        sockets = (each for each in net.sockets.of(kind) if not each.is_connected and each.local_port)
        return sorted({each.local_port for each in sockets if not each.local.is_loopback and _waits(each)})


def _waits(socket: Socket) -> bool:
    return socket.kind is SocketKind.UDP or tcp.is_listening(socket) or sctp.is_listening(socket)
