# SPDX-License-Identifier: GPL-2.0-only
"""A cluster that lives: machines, a control plane, and pods that talk.

Everything happens on the one virtual clock: the API server keeps objects,
controllers and daemons follow them, frames cross the cables.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from emu.cluster import node_objects, outside, points, scenario
from emu.cluster.daemons import Daemons
from emu.cluster.emulation import Emulation, Host
from emu.cluster.underlay import Underlay
from emu.cluster.writing import Writer
from emu.errors import UnknownNameError
from emu.fabric.driver import Fabric
from emu.fabric.userland import Userland
from emu.kube import endpoints
from emu.kube.api.objects import Namespace, Node, Pod
from emu.kube.api.objects.meta import Meta
from emu.kube.api.store import Store
from emu.kube.controller import Key
from emu.kube.dns import addon
from emu.kube.dns.image import CoreDns
from emu.kube.endpoints import apiserver
from emu.kube.ipam.cluster_ips import ClusterIps
from emu.kube.ipam.pod_cidrs import PodCidrs
from emu.kube.ipam.services import ServiceRanges
from emu.kube.kubelet import hosts
from emu.kube.kubelet.kubelet import Settings
from emu.kube.kubelet.kubelets import Kubelets
from emu.kube.kubelet.machine import Machine
from emu.kube.kubelet.resolv_conf import ClusterDns
from emu.kube.providers import PROVIDERS
from emu.kube.proxy.config import Features, ProxyConfig
from emu.kube.proxy.proxy import Fleet
from emu.kube.scheduler import Scheduler
from emu.kube.workloads import Workloads
from emu.observe.recording import Recording
from emu.sim.time import EPOCH, SECOND, START, Duration, Instant, later
from emu.wire.addresses import Prefix

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from emu.apps.tools.finished import Finished
    from emu.cluster.node_objects import PlannedNode
    from emu.cluster.topology import Topology
    from emu.cluster.topology.spec import StepSpec
    from emu.kube.api.objects import Known, Object

_NAMESPACES: Final = ("default", "kube-node-lease", "kube-public", "kube-system")
_SETTLE_LIMIT: Final[Duration] = 120 * SECOND
_DOMAIN: Final = "cluster.local"


class Cluster(Emulation):
    """A cluster.

    Attributes:
        topology: what it was made from.
        store: its API server.
        machines: the nodes, by name.
        kubelets: what runs the pods.
        proxies: what writes the rules of Services; without any in the mode `none`.
        warnings: what was taken in another way than it was said, a line each.
    """

    def __init__(self, topology: Topology, *, seed: int | None = None, epoch: int = EPOCH) -> None:
        """Build it, and let it come to rest.

        Raises:
            DocumentError: an API server would refuse objects; all are told.
        """
        spec = topology.cluster
        fabric = Fabric(seed=spec.seed if seed is None else seed)
        recording = Recording()
        super().__init__(fabric, recording, epoch=epoch)
        self.topology = topology
        self.machines: dict[str, Machine] = {}
        self.warnings: list[str] = []
        self.store = Store(fabric.loop, epoch, fabric.streams.stream("uids"))
        version = (1, int(spec.kubernetes.partition(".")[2]))
        ranges = ServiceRanges(fabric.streams, [ClusterIps(spec.service_cidr)])
        self._pod_cidrs = PodCidrs([spec.pod_cidr])
        self.writer = Writer(self.store, ranges, self.warnings)
        endpoints.start(self.store, fabric.streams, minor=version[1])
        self.workloads = Workloads(self.store, fabric.streams, version)
        self.scheduler = Scheduler(self.store, fabric.streams, version)
        dns = ClusterDns((ranges.dns_address,), _DOMAIN)
        images = {"coredns": CoreDns(self.store, fabric.streams)}
        self.kubelets = Kubelets(fabric, self.store, Settings(dns, spec.kubernetes, images))
        self.proxies = Fleet(self.store)
        provider = PROVIDERS[spec.network.provider](spec.network.options)
        self._daemons = Daemons(fabric, self.store, provider, spec.pod_cidr, self._network_is_ready)
        planned = node_objects.plan(topology)
        self.underlay = Underlay(
            fabric,
            node_objects.segments(planned),
            frozenset(each.address for node in planned for device in node.devices for each in device),
        )
        self._resolver = outside.build(self.underlay, topology.fabric)
        self._start(planned, ranges)
        fabric.record(recording)

    # --- beginning ---

    def _start(self, planned: Sequence[PlannedNode], ranges: ServiceRanges) -> None:
        """Begin as an installer does: control planes, their add-ons, workers, then what the input holds."""
        for name in _NAMESPACES:
            self.store.put(Namespace(Meta(name, labels={"kubernetes.io/metadata.name": name})))
        objects = [each for each in self.topology.objects if not isinstance(each, Node)]
        controls = [each for each in planned if each.is_control_plane]
        self._register(controls)
        addresses = [str(each.devices[0][0].address) for each in controls]
        self._publish_api(ranges, addresses, objects)
        self.writer.apply(addon.objects(objects, self.topology.cluster.kubernetes, ranges.dns_address))
        if controls:
            self.fabric.loop.run_until(START)
        self._register([each for each in planned if not each.is_control_plane])
        self.writer.apply(objects, self.topology.sources_of(objects))
        self.settle_down()

    def _register(self, planned: Sequence[PlannedNode]) -> None:
        """Let nodes join: machines, kubelets, the provider's daemons, kube-proxies."""
        nodes = self._pod_cidrs.register([each.node for each in planned])
        spec = self.topology.cluster
        for each, node in zip(planned, nodes, strict=True):
            machine = self._build(each)
            self.store.put(node)
            self._daemons.start(machine, each.devices[0][0].prefix)
            self.kubelets.start(machine)
            if spec.proxy.mode != "none":
                self.proxies.start(machine.net, self._proxy_config(node))
        self.underlay.route_pods(
            (Prefix.parse(node.spec.pod_cidr), each.devices[0][0].address)
            for each, node in zip(planned, nodes, strict=True)
            if node.spec.pod_cidr
        )

    def _build(self, planned: PlannedNode) -> Machine:
        """Make the machine of a node."""
        name = planned.node.metadata.name
        net = self.fabric.add_namespace(f"node/{name}")
        net.sysctl.set("net.ipv4.ip_forward", 1)
        self.underlay.add_node(net, planned.devices)
        for setting, value in planned.sysctls.items():
            net.sysctl.set(setting, value)
        address = str(planned.devices[0][0].address)
        files = {
            "/etc/hosts": hosts.of_node(name, address),
            "/etc/hostname": f"{name}\n",
            "/etc/resolv.conf": f"nameserver {self._resolver}\n",
        }
        machine = self.machines[name] = Machine(name, net, userland=Userland(name, files))
        self.userlands[net.name] = machine.userland
        if planned.is_control_plane:
            self.fabric.spawn(net, outside.api_server(apiserver.PORT))
        return machine

    def _proxy_config(self, node: Node) -> ProxyConfig:
        spec, proxy = self.topology.cluster, self.topology.cluster.proxy
        return ProxyConfig(
            node.metadata.name,
            node.addresses("InternalIP"),
            cluster_cidr=str(spec.pod_cidr) if proxy.cluster_cidr is None else proxy.cluster_cidr,
            masquerade_all=proxy.masquerade_all,
            masquerade_bit=proxy.masquerade_bit,
            node_port_addresses=proxy.node_port_addresses,
            localhost_node_ports=proxy.localhost_node_ports,
            tcp_be_liberal=proxy.tcp_be_liberal,
            features=Features(proxy.nfacct, proxy.random_fully),
        )

    def _publish_api(self, ranges: ServiceRanges, addresses: list[str], given: Iterable[Object]) -> None:
        """Make the Service `kubernetes` and what stands behind it, unless the input brings them."""
        known = {(type(each), each.metadata.namespace, each.metadata.name) for each in given}
        made: list[Object] = [apiserver.service(ranges.kubernetes_address)]
        if addresses:
            made += [apiserver.endpoint_slice(addresses), apiserver.endpoints(addresses)]
        self.writer.apply(each for each in made if (type(each), "default", each.metadata.name) not in known)

    def _network_is_ready(self, machine: Machine) -> None:
        """Let a node become Ready now that pods can be attached to the network, and try those that wait."""
        node = self.store.find(Node, machine.name)
        if node is None:
            return
        for name, value in self._sysctls(machine.name).items():
            machine.net.sysctl.set(name, value)
        self.store.put(
            node_objects.with_readiness(node, self.store.now, is_ready=machine.network is not None)
        )
        self.kubelets.look_again(machine.name)

    def _sysctls(self, name: str) -> dict[str, str]:
        entries = (each for each in self.topology.cluster.nodes if each.name == name)
        return dict(next((each.sysctls for each in entries), {}))

    # --- time ---

    def settle_down(self, limit: Duration = _SETTLE_LIMIT) -> None:
        """Let time pass until every pod runs, or cannot, and all rules are written; `limit` ns at most.

        Raises:
            StormError: frames go round in circles.
        """
        loop = self.fabric.loop
        loop.replenish()
        end = later(loop.now, limit)
        while True:
            due = loop.next_instant
            if due is None or due > end:
                return
            if due > loop.now and self.is_settled:
                return
            loop.run_until(due)

    @property
    def is_settled(self) -> bool:
        """Whether nothing more is to be expected of the control plane without a cause from outside."""
        if any(proxy.is_waiting for proxy in self.proxies.proxies.values()):
            return False
        return all(_is_at_rest(pod) for pod in self.store.each(Pod))

    def take(self, step: StepSpec) -> Finished:
        """Wait until it is time for a step, take it, and return what it printed; then let things settle.

        Raises:
            StormError: frames go round in circles.
        """
        self.wait_until(Instant(max(self.fabric.loop.now, step.at)))
        finished = scenario.perform(self, step.words)
        self.settle_down()
        return finished

    # --- objects ---

    def kubectl(self, verb: Literal["get", "describe"], words: Sequence[str]) -> Finished:
        """Return what `kubectl get` or `kubectl describe` prints.

        Raises:
            CommandError: the words make no sense to it.
        """
        from emu.kube.tables import command  # noqa: PLC0415 - most runs print no tables

        now = self.epoch + self.fabric.loop.now
        return command.run(verb, words, self.store, now=now, version=self.topology.cluster.kubernetes)

    def apply(self, *objects: Object) -> None:
        """Write objects to the API server, as `kubectl apply` does, and let things settle.

        Raises:
            DocumentError: some are refused; nothing of them is written then.
            StormError: frames go round in circles.
        """
        self.writer.apply(objects)
        self.settle_down()

    def find(self, text: str, namespace: str = points.DEFAULT_NAMESPACE) -> Known:
        """Return the object that `text` names: `POD`, `KIND/[NS/]NAME`.

        Raises:
            EndPointError: it has no such form.
            UnknownNameError: there is none.
        """
        return points.find(self.store, points.parse(text, namespace))

    # --- who is there ---

    def pod(self, name: str) -> Host:
        """Return a pod, by `NAME` (of the namespace default) or `NS/NAME`, to do things in.

        Raises:
            UnknownNameError: there is none, or it does not run.
        """
        return self.host(f"pod/{name}")

    def node(self, name: str) -> Host:
        """Return a node, to do things in.

        Raises:
            UnknownNameError: there is none.
        """
        return self.host(f"node/{name}")

    def external(self, name: str) -> Host:
        """Return a host outside, to do things in.

        Raises:
            UnknownNameError: there is none.
        """
        return self.host(f"ext/{name}")

    def host(self, text: str, *, namespace: str = points.DEFAULT_NAMESPACE, container: str = "") -> Host:
        """Return whom `text` means (see `emu.cluster.points`), to do things in; of several pods the first.

        Args:
            text: an end point that programs run in.
            namespace: of names without one.
            container: of a pod; the first one where it is left out.

        Raises:
            EndPointError: it is no end point.
            UnknownNameError: there is no such, or it does not run.
        """
        point = points.parse(text, namespace)
        if point.kind == "node":
            machine = self.machines.get(point.name)
            if machine is None:
                raise UnknownNameError(f"no node {point.name} (there are {', '.join(self.machines)})")
            return Host(self, machine.net, machine.userland)
        if point.kind == "ext":
            return super().namespace(f"ext/{point.name}")
        if point.kind == "svc":
            raise UnknownNameError(f"{point}: nothing runs in a Service; name one of its pods")
        found = points.pods_of(self.store, point)
        if not found:
            raise UnknownNameError(f"{point} has no pods")
        return self._container(found[0], container)

    def namespace(self, name: str) -> Host:
        """Return whom `name` means, or the network namespace that is called so.

        Raises:
            EndPointError: it is no end point.
            UnknownNameError: there is no such, or it does not run.
        """
        if name in self.fabric.namespaces and name.partition("/")[0] in {"switch", "router"}:
            return super().namespace(name)
        return self.host(name)

    def _container(self, pod: Pod, container: str) -> Host:
        meta = pod.metadata
        kubelet = self.kubelets.by_node.get(pod.spec.node_name)
        run = kubelet.pods.get(Key(meta.namespace, meta.name)) if kubelet is not None else None
        if run is None or run.net is None:
            raise UnknownNameError(
                f"pod {meta.namespace}/{meta.name} has no network: it is {pod.status.phase}"
            )
        mains = [each for each in run.containers if not each.is_init] + [
            each for each in run.containers if each.is_init
        ]
        found = [each for each in mains if each.spec.name == (container or each.spec.name)]
        if not found:
            known = ", ".join(each.spec.name for each in mains)
            raise UnknownNameError(f"pod {meta.name} has no container {container} (there are {known})")
        return Host(self, run.net, found[0].userland or Userland(meta.name))


def _is_at_rest(pod: Pod) -> bool:
    """Return whether a pod is as it will be."""
    if pod.metadata.is_terminating:
        return False
    if pod.is_ready or pod.is_finished:
        return True
    if not pod.spec.node_name:
        return any(each.reason == "Unschedulable" for each in pod.status.conditions)
    waiting = (each.state.waiting for each in pod.status.container_statuses)
    return any(each is not None and each.reason == "CrashLoopBackOff" for each in waiting)
