# SPDX-License-Identifier: GPL-2.0-only
"""From a network document to namespaces that run.

Things are made in the order that the format lays down: namespaces and their
settings, cables, bridges, addresses, tunnels, settings of devices,
neighbours, routes, rules. What the kernel refuses on the way becomes a fault with the
line that asked for it.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from emu.cluster.network import rules
from emu.errors import DocumentError, EmuError, Fault, RulesError
from emu.fabric.driver import Fabric
from emu.kernel import inetdev, rtnetlink
from emu.kernel.fib import Nexthop, Route, RouteType, Scope
from emu.kernel.link import bridge_ports, ipip
from emu.kernel.link.bridge import Bridge
from emu.kernel.link.fdb import Fdb, FdbState, FdbWrite
from emu.kernel.link.veth import Veth
from emu.kernel.link.vxlan import Vxlan, default_mtu
from emu.kernel.link.vxlan_fdb import Remote
from emu.kernel.nud import Nud
from emu.sim.time import SECOND, START, Instant
from emu.wire.addresses import ANY_IP4
from emu.wire.vxlan import Vni

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from emu.cluster.network.model import (
        BridgeSpec,
        EndSpec,
        IpipSpec,
        LinkSpec,
        NeighbourSpec,
        NetworkDocument,
        RouteSpec,
        RulesFile,
        Sysctl,
        VxlanSpec,
    )
    from emu.kernel.link.device import Device
    from emu.kernel.namespace import Namespace
    from emu.wire.addresses import Interface

BASE_SYSCTLS: Final[Mapping[str, int]] = {
    "net.ipv6.conf.all.disable_ipv6": 1,
    "net.ipv6.conf.default.disable_ipv6": 1,
    "net.ipv4.ip_forward": 0,
    "net.ipv4.conf.all.rp_filter": 0,
    "net.ipv4.conf.default.rp_filter": 0,
    "net.ipv4.conf.all.send_redirects": 0,
    "net.ipv4.conf.default.send_redirects": 0,
    "net.ipv4.conf.all.accept_redirects": 0,
    "net.ipv4.conf.default.accept_redirects": 0,
    "net.ipv4.tcp_timestamps": 0,
    "net.ipv4.tcp_no_metrics_save": 1,
    "net.bridge.bridge-nf-call-iptables": 1,
    "net.bridge.bridge-nf-call-arptables": 0,
    "net.bridge.bridge-nf-call-ip6tables": 0,
}
"""What the format gives every namespace before its own settings."""

BASE_NEIGHBOUR: Final[Mapping[str, int]] = {"delay_first_probe_time": 60}
"""What it gives every device: entries that were only learned are not probed within a short scenario."""

_BUILT: Final = Instant(-10 * SECOND)  # what the set-up starts (ARP's lock time) is long over at 0


def build(document: NetworkDocument, *, seed: int = 0) -> Fabric:
    """Return a fabric with everything that `document` describes, at the start of time.

    Raises:
        DocumentError: the kernel refuses part of it; all refusals are told.
    """
    builder = _Builder(document, Fabric(seed=seed, start=_BUILT))
    builder.build()
    builder.fabric.loop.run_until(START)
    if builder.faults:
        raise DocumentError(builder.faults)
    return builder.fabric


class _Builder:
    def __init__(self, document: NetworkDocument, fabric: Fabric) -> None:
        self.document = document
        self.fabric = fabric
        self.faults: list[Fault] = []

    def build(self) -> None:
        document = self.document
        for spec in document.namespaces:
            net = self.fabric.add_namespace(spec.name)
            for name, value in BASE_SYSCTLS.items():
                net.sysctl.set(name, value)
            self._sysctls(net, spec.sysctls, spec.line, f"$.namespaces.{spec.name}.sysctls")
            self.fabric.call(net, partial(rtnetlink.set_up, device=net.loopback))
        for link in document.links:
            self._link(link)
        for bridge in document.bridges:
            self._bridge(bridge)
        ends = [end for link in document.links for end in link.ends]
        self._configure("links", ends)
        self._configure("bridges", document.bridges)
        self._raise(ends)
        self._raise(document.bridges)
        for vxlan in document.vxlans:
            self._vxlan(vxlan)
        self._configure("vxlans", document.vxlans)
        self._raise(document.vxlans)
        for tunnel in document.ipips:
            self._ipip(tunnel)
        self._configure("ipips", document.ipips)
        self._raise(document.ipips)
        for spec in document.namespaces:
            net = self.fabric.namespace(spec.name)
            self._sysctls(net, spec.if_sysctls, spec.line, f"$.namespaces.{spec.name}.if_sysctls")
        for index, neighbour in enumerate(document.neighbours):
            self._try(
                neighbour.ns, partial(_add_neighbour, spec=neighbour), neighbour.line, f"$.neigh[{index}]"
            )
        for index, route in enumerate(document.routes):
            self._try(route.ns, partial(_add_route, spec=route), route.line, f"$.routes[{index}]")
        kinds = {"ipset": document.ipset, "iptables": document.iptables, "nft": document.nft}
        for kind, files in kinds.items():
            for ns, file in files.items():
                self._rules(ns, kind, file)

    def _rules(self, ns: str, kind: str, file: RulesFile) -> None:
        """Load a file of rules; its faults have its own lines."""
        self.fabric.namespace(ns).netfilter.is_legacy = self.document.iptables_backend == "legacy"
        try:
            self.fabric.call(self.fabric.namespace(ns), partial(rules.load, kind=kind, text=file.text))
        except RulesError as error:
            place = f"$.{kind}.{ns}"
            self.faults += [
                Fault(file.path, complaint.line, place, str(complaint)) for complaint in error.complaints
            ]

    def _try(self, ns: str, change: Callable[[Namespace], object], line: int, path: str) -> None:
        """Make one change; a refusal becomes a fault at `line`."""
        try:
            self.fabric.call(self.fabric.namespace(ns), change)
        except (EmuError, OSError) as error:
            message = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            self.faults.append(Fault(self.document.file, line, path, message))

    def _sysctls(self, net: Namespace, settings: Iterable[Sysctl], line: int, path: str) -> None:
        for setting in settings:
            self._try(net.name, lambda it, s=setting: it.sysctl.set(s.name, s.value), line, path)  # type: ignore[misc]

    def _link(self, spec: LinkSpec) -> None:
        a, b = (
            self.fabric.namespace(end.ns).add_device(end.iface, Veth(), end.mac, mtu=end.mtu)
            for end in spec.ends
        )
        a.peer_index, b.peer_index = b.index, a.index
        a.carrier = b.carrier = False  # until the other end is up
        (net_a, net_b) = (self.fabric.namespace(end.ns) for end in spec.ends)
        self.fabric.connect((net_a, a.name), (net_b, b.name))

    def _bridge(self, spec: BridgeSpec) -> None:
        net = self.fabric.namespace(spec.ns)
        link = Bridge(fdb=Fdb(ageing_time=spec.ageing))
        device = net.add_device(spec.iface, link, spec.mac, mtu=1500)
        bridge_ports.start(device, mac_is_set=True)
        for entry in spec.ports:
            port = bridge_ports.attach(device, net.device(entry.iface))
            port.hairpin, port.learning = entry.hairpin, entry.learning
            port.flood, port.isolated = entry.flood, entry.isolated

    def _vxlan(self, spec: VxlanSpec) -> None:
        net = self.fabric.namespace(spec.ns)
        link = Vxlan(
            vni=Vni(spec.vni),
            local=spec.local,
            device=spec.dev,
            dstport=spec.dstport,
            learning=spec.learning,
            udpcsum=spec.udpcsum,
            ttl=spec.ttl,
        )
        net.add_device(spec.iface, link, spec.mac, mtu=default_mtu(net.device(spec.dev)))
        for entry in spec.fdb:
            remote = Remote(entry.dst)
            link.fdb.write(entry.mac, remote, FdbState.PERMANENT, self.fabric.loop.now, FdbWrite.APPEND)

    def _ipip(self, spec: IpipSpec) -> None:
        link = ipip.Ipip(
            spec.local or ANY_IP4,
            spec.remote or ANY_IP4,
            spec.dev or "",
            ttl=spec.ttl,
            tos=spec.tos & ~1,
            tos_inherit=bool(spec.tos & 1),
            pmtudisc=spec.pmtudisc,
        )
        ipip.add(self.fabric.namespace(spec.ns), spec.iface, link)

    def _configure(self, key: str, specs: Iterable[EndSpec | BridgeSpec | VxlanSpec | IpipSpec]) -> None:
        """Give devices their MTU, addresses and neighbour settings."""
        for spec in specs:
            net = self.fabric.namespace(spec.ns)
            device = net.device(spec.iface)
            path = f"$.{key}[{spec.iface}]"
            if spec.mtu is not None:
                self._try(spec.ns, partial(rtnetlink.set_mtu, device=device, mtu=spec.mtu), spec.line, path)
            for name, value in BASE_NEIGHBOUR.items():
                net.sysctl.set(f"net/ipv4/neigh/{device.name}/{name}", value)
            for address in spec.addresses:
                add = partial(_add_address, device=device, address=address)
                self._try(spec.ns, add, spec.line, f"{path}.addr")

    def _raise(self, specs: Iterable[EndSpec | BridgeSpec | VxlanSpec | IpipSpec]) -> None:
        for spec in specs:
            if spec.up:
                net = self.fabric.namespace(spec.ns)
                self.fabric.call(net, partial(rtnetlink.set_up, device=net.device(spec.iface)))


def _add_address(net: Namespace, device: Device, address: Interface) -> None:
    inetdev.add_address(net.fib, device, address)
    net.sysctl.address_added(device.name)


def _add_neighbour(net: Namespace, spec: NeighbourSpec) -> None:
    net.neighbours.replace(net.device(spec.dev).name, spec.ip, spec.mac, Nud[spec.state.upper()], net.now)


def _add_route(net: Namespace, spec: RouteSpec) -> None:
    kind = RouteType(spec.type)
    hops: tuple[Nexthop, ...] = ()
    if spec.via is not None or spec.dev is not None:
        hops = (Nexthop(spec.dev or "", spec.via, onlink=spec.onlink),)
    route = Route(
        spec.dst,
        kind,
        hops,
        table=spec.table,
        scope=Scope[spec.scope.upper()],
        prefsrc=spec.src,
        metric=spec.metric,
        mtu=spec.mtu or 0,
    )
    net.fib.add(route)
