# SPDX-License-Identifier: GPL-2.0-only
"""The machines and the control plane of a cluster, and how they are set up.

Everything follows the store: controllers make pods of workloads, the scheduler
binds them, kubelets run them, daemons and kube-proxies write what packets follow.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from emu.cluster import interfaces, node_objects, outside, policies, proxying
from emu.cluster.balancers import Balancers
from emu.cluster.daemons import Daemons
from emu.cluster.ingresses import Ingresses
from emu.cluster.outages import Outages, boot, forget_everything, made_devices
from emu.cluster.ranges import overlaps
from emu.cluster.underlay.lay import lay
from emu.cluster.vpc.nodes import vpc_of
from emu.cluster.writing import Writer
from emu.errors import UnknownNameError, did_you_mean
from emu.fabric.userland import Userland
from emu.kernel import rtnetlink
from emu.kube import endpoints, nodes
from emu.kube.api import front
from emu.kube.api.objects import Namespace, Node, Pod
from emu.kube.api.objects.meta import Meta
from emu.kube.api.store import Store
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
from emu.kube.proxy.proxy import Fleet
from emu.kube.scheduler import Scheduler
from emu.kube.workloads import Workloads
from emu.sim.time import START
from emu.wire.addresses import Prefix

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from emu.cluster.node_objects import PlannedNode
    from emu.cluster.topology import Topology
    from emu.fabric.driver import Fabric
    from emu.kube.api.objects import Object

_NAMESPACES: Final = ("default", "kube-node-lease", "kube-public", "kube-system")
_DOMAIN: Final = "cluster.local"


class ControlPlane:
    """What a cluster is run by.

    Attributes:
        fabric: where its machines are.
        topology: what it is made from.
        store: the API server.
        writer: who writes to it for users.
        machines: the nodes, by name.
        kubelets: what runs the pods.
        proxies: what writes the rules of Services; without any in the mode `none`.
        policies: what writes the rules of NetworkPolicies; None where nobody enforces them.
        underlay: what the nodes hang on.
        ingresses: who serves Ingresses.
        balancers: what stands in front of Services.
        outages: which nodes have failed.
        userlands: what programs on hosts outside see, by network namespace.
        warnings: what was taken in another way than it was said, a line each.
    """

    def __init__(self, fabric: Fabric, topology: Topology, epoch: int) -> None:
        spec = topology.cluster
        version = (1, int(spec.kubernetes.partition(".")[2]))
        self.fabric = fabric
        self.topology = topology
        self.machines: dict[str, Machine] = {}
        self.warnings = proxying.doubts(spec)
        self.store = Store(fabric.loop, epoch, fabric.streams.stream("uids"))
        self._ranges = ServiceRanges(fabric.streams, [ClusterIps(spec.service_cidr)])
        self._pod_cidrs = PodCidrs([spec.pod_cidr])
        self.writer = Writer(self.store, self._ranges, self.warnings)
        endpoints.start(self.store, fabric.streams, minor=version[1])
        self.nodes = nodes.start(self.store, minor=version[1])
        self.workloads = Workloads(self.store, fabric.streams, version)
        self.scheduler = Scheduler(self.store, fabric.streams, version)
        dns = ClusterDns((self._ranges.dns_address,), _DOMAIN)
        self._core_dns = CoreDns(self.store, fabric.streams)
        self.ingresses = Ingresses(self.store, fabric.streams, topology, self._warn)
        images = {"coredns": self._core_dns, **self.ingresses.images}
        self.policies = policies.start(self.store, spec, self._warn)
        attached = {"attached": self.policies.attached} if self.policies is not None else {}
        settings = Settings(dns, spec.kubernetes, images, self._warn, **attached)
        self.kubelets = Kubelets(fabric, self.store, settings)
        self.proxies = Fleet(self.store, fabric=fabric)
        provider = PROVIDERS[spec.network.provider](spec.network.options)
        self._daemons = Daemons(fabric, self.store, provider, spec.pod_cidr, self.network_is_ready)
        self._daemons.iface = spec.network.iface
        self._planned = node_objects.plan(topology)
        self.warnings += [f"CIDR_OVERLAP: {each}" for each in overlaps(topology, self._planned)]
        if not topology.has_cluster:
            names = ", ".join(each.node.metadata.name for each in self._planned)
            self.warnings.append(f"no Cluster document: nodes {names}; {spec.network.provider}; iptables")
        self.underlay = lay(fabric, topology.fabric, self._planned, vpc_of(topology))
        self._daemons.underlay = self.underlay
        self.warnings += self.underlay.warnings
        self.underlay.warnings = self.warnings
        published = self.ingresses.address_of
        self._resolver, self.userlands = outside.build(self.underlay, topology.fabric, epoch, published)
        self.balancers = Balancers(
            fabric,
            self.underlay,
            self.store,
            topology.fabric.load_balancers,
            self._planned[0].devices[0][0].prefix,
            (*node_objects.segments(self._planned), spec.pod_cidr),
            self._warn,
        )
        self.proxies.listeners.append(lambda _node, _words: self.balancers.controller.stir())
        self.proxies.listeners.append(lambda node, _words: self._daemons.look_after(node))
        self.outages = Outages(self)

    def start(self) -> None:
        """Begin as an installer does: control planes, their add-ons, workers, then what the input holds.

        Raises:
            DocumentError: an API server would refuse objects; all are told.
        """
        for name in _NAMESPACES:
            self.store.put(Namespace(Meta(name, labels={"kubernetes.io/metadata.name": name})))
        objects = [each for each in self.topology.objects if not isinstance(each, Node)]
        controls = [each for each in self._planned if each.is_control_plane]
        self._register(controls)
        addresses = [str(each.internal.address) for each in controls]
        self._publish_api(addresses, objects)
        dns = addon.objects(objects, self.topology.cluster.kubernetes, self._ranges.dns_address)
        self.writer.apply(dns)
        if controls:
            self.fabric.loop.run_until(START)
        self._register([each for each in self._planned if not each.is_control_plane])
        self.fabric.loop.run_until(START)  # users come to a cluster whose nodes are Ready
        self.scheduler.notes.clear()  # what is said is about the input
        self.writer.apply(objects, self.topology.sources_of(objects))
        self.fabric.loop.run_until(self.fabric.loop.now)
        self.ingresses.install(self.writer, objects)
        self.fabric.loop.run_until(self.fabric.loop.now)
        self.warnings += [*self._core_dns.warnings, *self.scheduler.notes, *self._lost_pods()]

    @property
    def is_waiting(self) -> bool:
        """Whether somebody still has to act on what has changed."""
        return self.scheduler.is_waiting or self.ingresses.is_waiting or not self.balancers.is_settled

    def _lost_pods(self) -> list[str]:
        """Tell of pods that name a node that there is not: no kubelet ever looks at them."""
        return [
            f"pod {each.metadata.namespace}/{each.metadata.name} is bound to node {each.spec.node_name}, "
            f"which does not exist{did_you_mean(each.spec.node_name, self.machines)}"
            for each in self.topology.objects
            if isinstance(each, Pod) and each.spec.node_name and each.spec.node_name not in self.machines
        ]

    def _register(self, planned: Sequence[PlannedNode]) -> None:
        """Let nodes join: machines, kubelets, the provider's daemons, kube-proxies."""
        given = self._pod_cidrs.register([each.node for each in planned])
        for each, node in zip(planned, given, strict=True):
            machine = self._build(each)
            self.store.put(node)
            self._daemons.start(machine, each.internal.prefix)
            self.kubelets.start(machine)
            self.nodes.begin(machine.name)
            self.start_proxy(machine)
            self._start_policy_agent(machine)
            self.balancers.start(machine)
            machine.keep_sysctls()
        for each, node in zip(planned, given, strict=True):
            if node.spec.pod_cidr:
                self.underlay.announce(each.internal.address, [Prefix.parse(node.spec.pod_cidr)])

    def start_proxy(self, machine: Machine) -> None:
        """Start the kube-proxy of a node, unless the cluster has none."""
        if self.topology.cluster.proxy.mode != "none":
            config = proxying.config_of(self.topology.cluster, self.store.get(Node, machine.name))
            self.proxies.start(machine.net, config)

    def _start_policy_agent(self, machine: Machine) -> None:
        """Start the policy agent of a node, if NetworkPolicies are enforced."""
        if self.policies is not None:
            self.policies.start(machine)

    def _warn(self, words: str) -> None:
        """Note what is not modelled, once for each sort of thing."""
        if words not in self.warnings:
            self.warnings.append(words)

    # --- nodes that come and go ---

    def lose_state(self, machine: Machine) -> None:
        """Take from a node all that is gone with its power but the pods, which its kubelet has."""
        fabric, net = self.fabric, machine.net
        fabric.call(net, forget_everything)
        for device in made_devices(net):
            fabric.call(net, partial(rtnetlink.remove, device=device))
            fabric.disconnect(net, device.name)
        self._daemons.forget(machine.name)
        if self.policies is not None:
            self.policies.forget(machine.name)

    def come_back(self, machine: Machine) -> None:
        """Start everything on a node that has failed."""
        self.fabric.call(machine.net, partial(boot, routes=machine.boot_routes))
        self.nodes.begin(machine.name)
        self._daemons.look_again()
        self.network_is_ready(machine)
        self.start_proxy(machine)
        self._start_policy_agent(machine)
        self.balancers.start(machine)

    def machine(self, name: str) -> Machine:
        """Return the machine of a node.

        Raises:
            UnknownNameError: there is no such node.
        """
        found = self.machines.get(name)
        if found is None:
            raise UnknownNameError(f"no node {name} (there are {', '.join(self.machines)})")
        return found

    def _build(self, planned: PlannedNode) -> Machine:
        """Make the machine of a node."""
        name = planned.node.metadata.name
        net = self.fabric.add_namespace(f"node/{name}")
        net.sysctl.set("net.ipv4.ip_forward", 1)
        self.underlay.attach(net, planned.devices, name=name)
        interfaces.configure(self.fabric, net, planned, self._warn)
        address = str(planned.internal.address)
        files = {
            "/etc/hosts": hosts.of_node(name, address),
            "/etc/hostname": f"{name}\n",
            "/etc/resolv.conf": f"nameserver {self._resolver}\n",
        }
        machine = self.machines[name] = Machine(
            name, net, userland=Userland(name, files, epoch=self.store.epoch), sysctls=planned.sysctls
        )
        machine.boot_routes = tuple(net.fib.routes())
        if planned.is_control_plane:
            names = (name, address, self._ranges.kubernetes_address)
            self.fabric.spawn(net, front.serve(apiserver.PORT, names, self.topology.cluster.kubernetes))
        return machine

    def _publish_api(self, addresses: list[str], given: Iterable[Object]) -> None:
        """Make the Service `kubernetes` and what stands behind it, unless the input brings them."""
        known = {(type(each), each.metadata.namespace, each.metadata.name) for each in given}
        made: list[Object] = [apiserver.service(self._ranges.kubernetes_address)]
        if addresses:
            made += [apiserver.endpoint_slice(addresses), apiserver.endpoints(addresses)]
        self.writer.apply(each for each in made if (type(each), "default", each.metadata.name) not in known)

    def network_is_ready(self, machine: Machine) -> None:
        """Let a node become Ready now that pods can be attached to the network, and try those that wait."""
        node = self.store.find(Node, machine.name)
        if node is None:
            return
        machine.keep_sysctls()
        self.store.put(
            node_objects.with_readiness(node, self.store.now, is_ready=machine.network is not None)
        )
        self.kubelets.look_again(machine.name)
