# SPDX-License-Identifier: GPL-2.0-only
"""What calico writes to a node: the work of BIRD, Felix and the init container.

Nodes claim blocks of addresses from the pool, and each node's blocks are routes on all
others: `via` the node itself where they have a segment in common and no tunnel is
wanted, through `tunl0` or `vxlan.calico` where one is, by the node's router where there
is none and the nodes are on different segments. The addresses of an own block that
nobody has are swallowed by a route that leads nowhere.

    10.244.84.128/26 via 192.168.1.12 dev tunl0 proto bird onlink
    blackhole 10.244.5.0/26 proto bird
    10.244.5.1 dev cali0761ccbeace scope link

Known differences: routes are there at once, as if BGP sessions stood (TCP 179 is not
spoken); IPAM's objects are not in the API; typha, WireGuard, IPv6, eBPF, the mode of
nftables, several pools and calico's own policies are not modelled; MAC addresses of
pods follow from names.

Source: projectcalico/calico v3.31: felix/dataplane/linux, confd/etc, node/pkg/allocateip,
manifests/calico.yaml.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Final, Self

import attrs

from emu.kernel.link.ipip import FALLBACK
from emu.kernel.link.ipip import HEADROOM as IPIP_HEADROOM
from emu.kernel.link.vxlan import HEADROOM as VXLAN_HEADROOM
from emu.kernel.route import Nexthop, Route, RouteType
from emu.kube.cni.calico_ipam import KUBECONFIG, Kubeconfig
from emu.kube.cni.netconf import NetConfList
from emu.kube.ipam.blocks import Blocks
from emu.kube.ipam.errors import AllocationError
from emu.kube.providers.calico import rules
from emu.kube.providers.calico.options import ALWAYS, NEVER, Options
from emu.kube.providers.written import IpipDevice, PermanentFdb, PermanentNeighbour, VxlanDevice, Written
from emu.wire.addresses import Interface, IpAddress, MacAddress, Prefix
from emu.wire.vxlan import Vni

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from emu.kube.cni.fields import Json
    from emu.kube.providers.provider import NodeNetwork
    from emu.kube.providers.written import Way

CONFIG: Final = "/etc/cni/net.d/10-calico.conflist"
VXLAN_DEVICE: Final = "vxlan.calico"
BIRD: Final = 12
FELIX: Final = 80
"""Who enters routes, as numbers of `ip route ... proto`."""

_ADDRESS: Final = "projectcalico.org/IPv4Address"
_IPIP_ADDRESS: Final = "projectcalico.org/IPv4IPIPTunnelAddr"
_VXLAN_ADDRESS: Final = "projectcalico.org/IPv4VXLANTunnelAddr"


@attrs.define(eq=False)
class Calico:
    """calico with its settings, and the datastore behind all its parts.

    Attributes:
        options: see there.
    """

    options: Options = attrs.field(factory=Options)
    _blocks: Blocks | None = attrs.field(default=None, init=False)
    _listeners: list[Callable[[], None]] = attrs.field(factory=list, init=False)

    @classmethod
    def of(cls, values: Mapping[str, Json]) -> Self:
        """Return it with settings of these names.

        Raises:
            OptionsError: they are wrong.
        """
        return cls(Options.of(values))

    def watch(self, listener: Callable[[], None]) -> None:
        """Have `listener` called when `configure` may say something else, though no Node has changed."""
        self._listeners.append(listener)

    def blocks(self, pod_network: Prefix) -> Blocks:
        """Return who has what of the pool, which is `pod_network` unless the settings name one."""
        if self._blocks is None:
            options = self.options
            self._blocks = Blocks(options.pool or pod_network, options.block_size, options.strict_affinity)
            self._blocks.watch(self._tell)
        return self._blocks

    def forget(self, name: str) -> None:
        """Give back what a node had that is no more."""
        if self._blocks is not None:
            self._blocks.forget(name)

    def _tell(self) -> None:
        for listener in self._listeners:
            listener()

    # --- a node ---

    def configure(self, node: NodeNetwork, nodes: Sequence[NodeNetwork]) -> Written:
        """Return what calico's parts write to a node."""
        blocks = self.blocks(node.cluster_cidr)
        tunnel = self._tunnel
        present = [each for each in nodes if each.name != node.name]
        ends = {each.name: self._tunnel_address(blocks, each.name) for each in (node, *present)}
        peers = rules.Peers(
            blocks.pool,
            tuple(sorted({self._address(each) for each in (node, *present)})),
            tuple(sorted(self._address(each) for each in present)),
            tunnel,
        )
        values = self._config(node)
        own = ends[node.name]
        return Written(
            config=NetConfList.of(values, CONFIG),
            files={
                CONFIG: json.dumps(values, indent=2) + "\n",
                KUBECONFIG: Kubeconfig(blocks),
            },
            annotations=self._annotations(node, own),
            sysctls={"net.ipv4.ip_forward": 1},
            ipips=self._ipips(node, own),
            vxlans=self._vxlans(node, own),
            tables=rules.tables(self.options, peers),
            ways=(*self._own(blocks, node), *self._ways(blocks, node, present, ends)),
            announced=self._prefixes(blocks, node.name),
        )

    @property
    def _tunnel(self) -> str:
        """The name of the tunnel's device, empty without one."""
        if self.options.ipip_mode != NEVER:
            return FALLBACK
        return VXLAN_DEVICE if self.options.vxlan_mode != NEVER else ""

    @property
    def _speaker(self) -> int:
        """Who enters the routes to blocks."""
        return FELIX if self.options.vxlan_mode != NEVER else BIRD

    def _address(self, node: NodeNetwork) -> IpAddress:
        return node.internal_ip

    def _tunnel_address(self, blocks: Blocks, name: str) -> IpAddress | None:
        """Return the address of a node's tunnel, which it takes from a block when it is first asked for."""
        if not self._tunnel:
            return None
        kind = "ipip" if self._tunnel == FALLBACK else "vxlan"
        handle = f"{kind}-tunnel-addr-{name}"
        try:
            return blocks.held(name, handle) or blocks.assign(name, handle)
        except AllocationError:
            return None  # the pool has no address left: the node is without a tunnel

    def _mtu(self, node: NodeNetwork) -> int:
        return node.mtu - {FALLBACK: IPIP_HEADROOM, VXLAN_DEVICE: VXLAN_HEADROOM}.get(self._tunnel, 0)

    def _config(self, node: NodeNetwork) -> dict[str, Json]:
        return {
            "name": "k8s-pod-network",
            "cniVersion": "1.0.0",
            "plugins": [
                {
                    "type": "calico",
                    "log_level": "info",
                    "log_file_path": "/var/log/calico/cni/cni.log",
                    "datastore_type": "kubernetes",
                    "nodename": node.name,
                    "mtu": self.options.mtu or self._mtu(node),
                    "ipam": {"type": "calico-ipam"},
                    "policy": {"type": "k8s"},
                    "kubernetes": {"kubeconfig": KUBECONFIG},
                },
                {"type": "portmap", "snat": True, "capabilities": {"portMappings": True}},
            ],
        }

    def _annotations(self, node: NodeNetwork, tunnel: IpAddress | None) -> dict[str, str]:
        length = 32 if node.segment is None else node.segment.length
        found = {_ADDRESS: f"{self._address(node)}/{length}"}
        if tunnel is not None:
            found[_IPIP_ADDRESS if self._tunnel == FALLBACK else _VXLAN_ADDRESS] = str(tunnel)
        return found

    # --- devices ---

    def _ipips(self, node: NodeNetwork, own: IpAddress | None) -> tuple[IpipDevice, ...]:
        if own is None or self._tunnel != FALLBACK:
            return ()
        return (IpipDevice(FALLBACK, self._mtu(node), Interface(own, 32)),)

    def _vxlans(self, node: NodeNetwork, own: IpAddress | None) -> tuple[VxlanDevice, ...]:
        if own is None or self._tunnel != VXLAN_DEVICE:
            return ()
        return (
            VxlanDevice(
                VXLAN_DEVICE,
                Vni(self.options.vni),
                self._address(node),
                node.device,
                self.options.vxlan_port,
                vtep_mac(node.name),
                self._mtu(node),
                Interface(own, 32),
            ),
        )

    # --- routes ---

    def _prefixes(self, blocks: Blocks, name: str) -> tuple[Prefix, ...]:
        """Return what leads to a node: its blocks, and addresses that it has of others' blocks."""
        return (*blocks.of(name), *(Prefix(each, 32) for each in blocks.borrowed(name)))

    def _own(self, blocks: Blocks, node: NodeNetwork) -> Iterator[Route]:
        for block in blocks.of(node.name):
            yield Route(block, RouteType.BLACKHOLE, protocol=self._speaker)

    def _ways(
        self,
        blocks: Blocks,
        node: NodeNetwork,
        present: Sequence[NodeNetwork],
        ends: Mapping[str, IpAddress | None],
    ) -> Iterator[Way]:
        for other in sorted(present, key=lambda each: each.name):
            address, end = self._address(other), ends[other.name]
            if self._tunnel == VXLAN_DEVICE and end is not None:
                mac = vtep_mac(other.name)
                yield PermanentNeighbour(VXLAN_DEVICE, end, mac)
                yield PermanentFdb(VXLAN_DEVICE, mac, address)
            hop = self._hop(node, other, address, end)
            for prefix in self._prefixes(blocks, other.name):
                yield Route(prefix, nexthops=(hop,), protocol=self._speaker)

    def _hop(
        self, node: NodeNetwork, other: NodeNetwork, address: IpAddress, end: IpAddress | None
    ) -> Nexthop:
        is_near = node.segment is not None and node.segment == other.segment
        mode = self.options.ipip_mode if self._tunnel == FALLBACK else self.options.vxlan_mode
        if self._tunnel and (mode == ALWAYS or not is_near):
            gateway = address if self._tunnel == FALLBACK else end
            return Nexthop(self._tunnel, gateway, onlink=True)
        if is_near:
            return Nexthop(node.device, address, onlink=self._tunnel == VXLAN_DEVICE)
        return Nexthop(node.device, node.gateway or address)


def vtep_mac(name: str) -> MacAddress:
    """Return the MAC address of a node's VXLAN device."""
    return MacAddress(b"\x66" + hashlib.sha1(name.encode(), usedforsecurity=False).digest()[:5])
