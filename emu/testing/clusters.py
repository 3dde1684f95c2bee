# SPDX-License-Identifier: GPL-2.0-only
"""Clusters small enough for a test, made in a line, that remember all that happened.

lab = ClusterLab(Plan(objects=(pod("a"), pod("b"))))
a, b = lab.pods
assert lab.ask(a, b.address, Protocol.UDP, 8080).outcome == "ok"

A `Party` is somebody who can talk: a pod, a node, a host outside. A pod on the
host's network talks as its node does.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import attrs

from emu.apps import association, datagram, stream
from emu.apps.http import handlers, server
from emu.apps.outcome import word
from emu.apps.ping import ping
from emu.cluster import node_objects
from emu.cluster.cluster import Cluster
from emu.cluster.emulation import Host
from emu.errors import AddressError
from emu.fabric.userland import Userland
from emu.kube.api.objects import Node, Pod
from emu.kube.controller import Key
from emu.kube.kubelet import serving
from emu.observe.capture import Capture, describe
from emu.observe.recording import Kind
from emu.sim.time import MILLISECOND, SECOND, later
from emu.testing.plans import IMAGE
from emu.verify.endpoint import Protocol
from emu.wire.addresses import IpAddress

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from emu.cluster.topology import NodeSpec
    from emu.fabric.process import Process
    from emu.fabric.program import Program
    from emu.kernel.link.device import Link
    from emu.kernel.namespace import Namespace
    from emu.kube.kubelet.pod import PodRun
    from emu.observe.recording import Step
    from emu.sim.time import Duration
    from emu.testing.plans import Plan

Role: TypeAlias = Literal["pod", "node", "ext"]

_SETTLE_LIMIT: Final = 10 * SECOND
_BUDGET: Final = 100_000  # events of one exchange; it takes hundreds
_PATIENCE: Final = 4 * SECOND  # longer than a neighbour that does not answer is asked
_AFTERMATH: Final = 50 * MILLISECOND
_ANSWERED: Final = frozenset(("ok", "reply"))


@attrs.frozen
class Party:
    """Somebody who can talk.

    Attributes:
        name: `NS/POD`, or the namespace of a node or host.
        role: what it is on the network; a pod on the host's network is a node.
        net: name of its network namespace.
        address: where others find it.
        node: name of the node where it is; empty outside.
        ports: where it answers whatever is asked, with protocols in capitals.
        labels: of a pod.
        is_ready: of a pod.
    """

    name: str
    role: Role
    net: str
    address: IpAddress
    node: str = ""
    ports: tuple[tuple[str, int], ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    is_ready: bool = True


@attrs.frozen(eq=False)
class Exchange:
    """One question, and all that happened meanwhile.

    Attributes:
        source: who asked.
        address: whom, as far as the asker knows.
        protocol: by what.
        port: the destination port, 0 for ICMP.
        size: octets of the question.
        outcome: `ok`, `timeout`, or an errno's name.
        steps: every step of every packet until a while after the answer.
    """

    source: Party
    address: IpAddress
    protocol: Protocol
    port: int
    size: int
    outcome: str
    steps: Sequence[Step]


class ClusterLab(Cluster):
    """A cluster with a memory.

    Attributes:
        plan: what it was built from.
        steps: everything that happened since it was built, in order.
        beyond: for each step out of a device, what the device is, and the point
            at the other end of its cable.
    """

    def __init__(self, plan: Plan, *, seed: int = 0) -> None:
        """Build `plan` and let it come to rest."""
        super().__init__(plan.topology, seed=seed)
        self.plan = plan
        self.steps: list[Step] = []
        self.beyond: dict[int, tuple[Link, str | None]] = {}
        self.recording.add(self)
        self.fabric.loop.budget = _BUDGET

    def hear(self, step: Step) -> None:
        """Remember `step`."""
        self.steps.append(step)
        if step.kind is Kind.OUT:
            net = self.fabric.namespace(step.net)
            far = self.fabric.far_end(net, step.device)
            point = None if far is None else f"{far[0].name}/{far[1]}"
            self.beyond[step.number] = net.devices[step.device].link, point

    def settle_down(self, limit: Duration = _SETTLE_LIMIT) -> None:
        """Let time pass until things are settled; less than usual where they never are, for unready pods."""
        super().settle_down(limit)

    # --- who is there ---

    @property
    def provider(self) -> str:
        """The network provider's name."""
        return self.topology.cluster.network.provider

    @property
    def pods(self) -> list[Party]:
        """Those pods that run, sorted by name, hostNetwork pods too."""
        found = (self._pod(pod) for pod in self.store.list(Pod))
        return [each for each in found if each is not None]

    @property
    def gated(self) -> list[Party]:
        """Those pods that `turn` can make unready."""
        names = {
            f"{each.metadata.namespace}/{each.metadata.name}"
            for each in self.store.each(Pod)
            if any(container.name == "health" for container in each.spec.containers)
        }
        return [each for each in self.pods if each.name in names]

    @property
    def nodes(self) -> list[Party]:
        """The nodes, in the order in which they joined."""
        return [
            Party(f"node/{name}", "node", machine.net.name, self.internal_ip(name), name)
            for name, machine in self.machines.items()
        ]

    @property
    def externals(self) -> list[Party]:
        """The hosts outside that answer or ask, but for the resolver."""
        known = {each.name: each.serves for each in self.topology.fabric.external}
        found = []
        for name, net in self.fabric.namespaces.items():
            own = name.removeprefix("ext/")
            if name.startswith("ext/") and own != "resolver":
                address = net.devices["eth0"].addresses[0].address
                found.append(Party(name, "ext", name, address, ports=known.get(own, ())))
        return found

    @property
    def parties(self) -> list[Party]:
        """All of them."""
        return [*self.pods, *self.nodes, *self.externals]

    def _pod(self, pod: Pod) -> Party | None:
        run = self.run_of(pod.metadata.namespace, pod.metadata.name)
        if run is None or run.net is None or run.is_ending:
            return None
        meta = pod.metadata
        ports = [
            (listener.protocol, listener.port)
            for container in pod.spec.containers
            if container.image == IMAGE and container.name != "health"
            for listener in serving.listeners(pod, container)
        ]
        try:
            address = IpAddress.parse(pod.status.pod_ip)
        except AddressError:
            return None
        return Party(
            f"{meta.namespace}/{meta.name}",
            "node" if pod.spec.host_network else "pod",
            run.net.name,
            address,
            pod.spec.node_name,
            tuple(ports),
            tuple(sorted(meta.labels.items())),
            pod.is_ready,
        )

    def run_of(self, namespace: str, name: str) -> PodRun | None:
        """Return what runs as the pod `name`, None if nothing does."""
        pod = self.store.find(Pod, name, namespace)
        kubelet = self.kubelets.by_node.get(pod.spec.node_name) if pod is not None else None
        return kubelet.pods.get(Key(namespace, name)) if kubelet is not None else None

    def internal_ip(self, node: str) -> IpAddress:
        """Return the InternalIP of a node."""
        return IpAddress.parse(self.store.get(Node, node).addresses("InternalIP")[0])

    def net_of(self, party: Party) -> Namespace:
        """Return the namespace of `party`."""
        return self.fabric.namespace(party.net)

    def text_of(self, net: str, command: str) -> str:
        """Return what `command` prints in the namespace `net`."""
        host = Host(self, self.fabric.namespace(net))
        return host.run(command)

    # --- talking ---

    def ask(
        self, source: Party, address: IpAddress, protocol: Protocol, port: int = 0, *, size: int = 32
    ) -> Exchange:
        """Have `source` ask `address` with `size` octets, and return what happened."""
        first = len(self.steps)
        self.fabric.loop.replenish()
        process = self.fabric.spawn(self.net_of(source), _question(address, protocol, port, size))
        self.finish(process)
        if not process.done:
            process.kill()
        outcome = _outcome(process)
        self.wait_until(later(self.fabric.loop.now, _AFTERMATH))
        steps = self.steps[first:]
        return Exchange(source, address, protocol, port, size, outcome, steps)

    # --- changing ---

    def join(self, spec: NodeSpec) -> None:
        """Have a node join, and let things settle."""
        cluster = attrs.evolve(self.topology.cluster, nodes=(*self.topology.cluster.nodes, spec))
        topology = attrs.evolve(self.topology, cluster=cluster)
        (planned,) = [each for each in node_objects.plan(topology) if each.node.metadata.name == spec.name]
        self.topology = topology
        self.control_plane._register([planned])  # noqa: SLF001 - as when it began
        self.settle_down()

    def leave(self, name: str) -> None:
        """Take a node away as an administrator does: drain it, delete its Node, cut the power."""
        for each in list(self.store.each(Pod)):
            if each.spec.node_name == name:
                self.writer.delete(each, force=True)
        self.settle_down()
        self.control_plane.outages.fail(name)
        self.kubelets.stop(name)
        self.control_plane._daemons.stop(name)  # noqa: SLF001 - nobody else has a node leave for good
        self.writer.delete(self.store.get(Node, name))
        del self.machines[name]
        cluster = self.topology.cluster
        left = tuple(each for each in cluster.nodes if each.name != name)
        self.topology = attrs.evolve(self.topology, cluster=attrs.evolve(cluster, nodes=left))
        self.settle_down()

    def turn(self, party: Party, *, ready: bool) -> None:
        """Have a pod that has a probe fail it from now on, or pass it again, and let things settle."""
        namespace, _, name = party.name.partition("/")
        run = self.run_of(namespace, name)
        pod = self.store.get(Pod, name, namespace)
        assert run is not None
        assert run.net is not None
        (health,) = [each for each in run.containers if each.spec.name == "health"]
        for process in health.processes:
            process.kill()
        health.processes.clear()
        if ready:
            (listener,) = serving.listeners(pod, health.spec)
            serve = server.serve(listener.port, handlers.hostname(Userland(name)))
            health.processes.append(self.fabric.spawn(run.net, serve))
        self.wait_until(later(self.fabric.loop.now, 3 * SECOND))  # longer than a probe's period

    # --- again ---

    def work_again(self) -> None:
        """Have everybody who writes to the nodes do all of it again, and the input applied once more."""
        self.writer.apply(self.plan.objects)
        self.control_plane._daemons.reconcile(Key("", ""))  # noqa: SLF001 - they come round by themselves
        for name in self.machines:
            self.kubelets.look_again(name)
        for proxy in self.proxies.proxies.values():
            proxy.request_full_sync()
        self.settle_down()


def _question(address: IpAddress, protocol: Protocol, port: int, size: int) -> Program[str]:
    """Ask once and return the outcome in a word."""
    payload = bytes(number * 7 & 0xFF for number in range(max(size, 1)))
    match protocol:
        case Protocol.TCP:
            head = f"POST / HTTP/1.0\r\nHost: {address}\r\nContent-Length: {len(payload)}\r\n\r\n"
            found = yield from stream.request(address, port, head.encode() + payload, timeout=_PATIENCE)
            return found.outcome
        case Protocol.UDP:
            return (yield from datagram.request(address, port, payload, timeout=_PATIENCE))[0]
        case Protocol.SCTP:
            return (yield from association.request(address, port, payload, timeout=_PATIENCE)).outcome
        case Protocol.ICMP:
            return (yield from ping(address, size=size, timeout=_PATIENCE))[0].outcome


def _outcome(process: Process[str]) -> str:
    """Return how a question ended, in a word; whatever is an answer is `ok`."""
    if not process.done:
        return "unfinished"
    found = word(process.error) if process.error is not None else process.result
    return "ok" if found in _ANSWERED else found


def recorded(lab: ClusterLab, talk: Callable[[], None]) -> bytes:
    """Return the pcapng file of all that is seen anywhere while `talk` is called."""
    capture = Capture(lab.points("*/*"), epoch=lab.epoch)
    with lab.listening(capture):
        talk()
    octets = io.BytesIO()
    capture.write_pcapng(octets, describe(lab.fabric, capture.points), lab.names())
    return octets.getvalue()
