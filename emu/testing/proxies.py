# SPDX-License-Identifier: GPL-2.0-only
"""Services, their endpoints, and nodes with kube-proxy, each in a line.

cluster = Proxies(Fabric())
cluster.put(service("shop/web", "10.96.0.7"), slice_of("shop/web", [endpoint("10.244.1.5")]))
net = cluster.start(ProxyConfig("worker1"))
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from emu.kernel.link.veth import Veth
from emu.kernel.rtnetlink import add_address, set_up
from emu.kube.api.objects.meta import Meta
from emu.kube.api.objects.node import Node
from emu.kube.api.objects.service import (
    SERVICE_NAME,
    Endpoint,
    EndpointConditions,
    EndpointHints,
    EndpointPort,
    EndpointSlice,
    ForZone,
    LoadBalancerIngress,
    LoadBalancerStatus,
    Service,
    ServicePort,
    ServiceSpec,
    ServiceStatus,
)
from emu.kube.api.store import Store
from emu.kube.proxy.config import ZONE_LABEL
from emu.kube.proxy.iptables_mode import IptablesPlane
from emu.kube.proxy.proxy import Fleet
from emu.sim.time import later
from emu.wire.addresses import Interface, MacAddress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.fabric.driver import Fabric
    from emu.kernel.namespace import Namespace
    from emu.kube.proxy.config import ProxyConfig
    from emu.kube.proxy.iptables import Ruleset
    from emu.sim.time import Duration


def _meta(name: str, suffix: str = "", **labels: str) -> Meta:
    namespace, _, own = name.partition("/")
    return Meta(own + suffix, namespace, labels=labels)


def service(
    name: str,
    cluster_ip: str,
    ports: Sequence[tuple[str, int]] = (("", 80),),
    *,
    protocol: str = "TCP",
    node_port: int = 0,
    ingress: Sequence[str] = (),
    **spec: Any,  # noqa: ANN401 - any field of a ServiceSpec
) -> Service:
    """Return the Service `NAMESPACE/NAME`.

    Args:
        name: its namespace and name.
        cluster_ip: its address.
        ports: name and number of each port.
        protocol: of all ports.
        node_port: of the first port; those behind it have the next ones.
        ingress: the addresses of its load balancer.
        spec: other fields of `ServiceSpec`.
    """
    listed = tuple(
        ServicePort(number, each, protocol, node_port=node_port + at if node_port else 0)
        for at, (each, number) in enumerate(ports)
    )
    status = LoadBalancerStatus(tuple(LoadBalancerIngress(ip) for ip in ingress))
    return Service(
        _meta(name), ServiceSpec(cluster_ip=cluster_ip, ports=listed, **spec), ServiceStatus(status)
    )


def endpoint(
    ip: str,
    node: str | None = None,
    *,
    ready: bool | None = None,
    serving: bool | None = None,
    terminating: bool | None = None,
    zones: Sequence[str] = (),
    nodes: Sequence[str] = (),
) -> Endpoint:
    """Return an endpoint; conditions that are not given are missing."""
    hints = EndpointHints(tuple(map(ForZone, zones)), tuple(map(ForZone, nodes)))
    return Endpoint(
        (ip,),
        EndpointConditions(ready, serving, terminating),
        node_name=node,
        hints=hints if zones or nodes else None,
    )


def slice_of(
    name: str,
    endpoints: Sequence[Endpoint],
    ports: Sequence[tuple[str, int]] = (("", 8080),),
    *,
    protocol: str = "TCP",
    suffix: str = "-1",
) -> EndpointSlice:
    """Return a slice of the Service `NAMESPACE/NAME`; `suffix` tells it from others."""
    _, _, own = name.partition("/")
    metadata = _meta(name, suffix, **{SERVICE_NAME: own})
    listed = tuple(EndpointPort(each, number, protocol) for each, number in ports)
    return EndpointSlice(metadata, endpoints=tuple(endpoints), ports=listed)


def node(name: str, zone: str = "") -> Node:
    """Return the object of a node."""
    return Node(Meta(name, labels={ZONE_LABEL: zone} if zone else {}))


class Proxies:
    """A store, and nodes with kube-proxy that watch it.

    Attributes:
        fabric: where the nodes are.
        store: the objects.
        fleet: the proxies.
    """

    def __init__(self, fabric: Fabric) -> None:
        self.fabric = fabric
        self.store = Store(fabric.loop, 0, random.Random(0))
        self.fleet = Fleet(self.store, fabric=fabric)

    def put(self, *objects: Service | EndpointSlice | Node) -> None:
        """Add these objects, or put them in the place of others of their names."""
        for each in objects:
            self.store.put(each)

    def node(self, name: str, *addresses: str) -> Namespace:
        """Make the namespace of a node, its `eth0` with these addresses."""
        net = self.fabric.add_namespace(f"node/{name}")
        eth0 = net.add_device("eth0", Veth(), MacAddress.parse("02:00:00:00:00:01"), mtu=1500)
        for address in addresses:
            add_address(net, eth0, Interface.parse(f"{address}/24"))
        for device in (net.loopback, eth0):
            set_up(net, device)
        net.take_effects()
        return net

    def start(self, config: ProxyConfig) -> Namespace:
        """Make a node with kube-proxy, let it write its rules, and return the node's namespace."""
        net = self.node(config.node_name, *config.node_ips)
        self.fleet.start(net, config)
        self.wait(0)
        return net

    def ruleset(self, name: str) -> Ruleset:
        """Return the rules that a node in mode iptables should have now."""
        plane = self.fleet.proxies[name].plane
        assert isinstance(plane, IptablesPlane)
        return plane.ruleset

    def wait(self, duration: Duration) -> None:
        """Let time pass."""
        self.fabric.loop.run_until(later(self.fabric.loop.now, duration))
