# SPDX-License-Identifier: GPL-2.0-only
"""What one kube-proxy is told: its configuration, and how it tells pods from others.

Source: pkg/proxy/apis/config/types.go, pkg/proxy/util/localdetector.go, nodeport_addresses.go.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final

import attrs

from emu.errors import EmuError
from emu.kube.proxy.addresses import address, networks
from emu.kube.proxy.modes import MODES, NOT_YET
from emu.sim.time import SECOND, Duration

if TYPE_CHECKING:
    from emu.kube.api.objects.node import Node
    from emu.wire.addresses import Prefix

_LOOPBACK: Final = "127.0.0.1"
_ADDRESS_BITS: Final = {4: 32, 6: 128}
PRIMARY: Final = "primary"
"""Where networks are asked for: the node's first address alone."""

ZONE_LABEL: Final = "topology.kubernetes.io/zone"


class UnmodelledModeError(EmuError, ValueError):
    """kube-proxy shall run in a mode that is not modelled, or that there is none of."""


class Detect(enum.Enum):
    """How kube-proxy tells that a packet comes from a pod of its node (`detectLocalMode`)."""

    CLUSTER_CIDR = "ClusterCIDR"
    NODE_CIDR = "NodeCIDR"
    BRIDGE_INTERFACE = "BridgeInterface"
    INTERFACE_PREFIX = "InterfaceNamePrefix"
    NONE = "None"


@attrs.frozen
class Features:
    """What the iptables and the kernel of a node can do.

    Attributes:
        nfacct: the counters that rules name could be made.
        random_fully: MASQUERADE draws its source ports.
    """

    nfacct: bool = False
    random_fully: bool = True


@attrs.frozen
class IpvsConfig:
    """What only the mode ipvs asks; a time-out of 0 leaves the kernel's.

    Attributes:
        scheduler: of all virtual services, empty for round robin.
        strict_arp: nodes answer ARP only for addresses of the device that is asked.
        exclude_cidrs: virtual services at these addresses are somebody else's, and stay.
        tcp_timeout: of connections that stand, ns.
        tcp_fin_timeout: of connections after a FIN, ns.
        udp_timeout: of UDP, ns.
        sync_period: see `ProxyConfig`.
        min_sync_period: see `ProxyConfig`.
    """

    scheduler: str = ""
    strict_arp: bool = False
    exclude_cidrs: tuple[str, ...] = ()
    tcp_timeout: Duration = 0
    tcp_fin_timeout: Duration = 0
    udp_timeout: Duration = 0
    sync_period: Duration = 30 * SECOND
    min_sync_period: Duration = SECOND


@attrs.frozen
class ProxyConfig:
    """The configuration of one node's kube-proxy for one family of addresses.

    Attributes:
        node_name: the node it runs on.
        node_ips: addresses of the node, the one of each family that counts first.
        mode: how Services become rules; see `emu.kube.proxy.modes.MODES`.
        family: 4 or 6.
        detect: how pods are told from others; `CLUSTER_CIDR` without one is as good as none.
        cluster_cidr: the range of all pods, empty if it is not known; of two families, with a comma between.
        bridge_interface: the bridge of the node's pods, for `BRIDGE_INTERFACE`.
        interface_prefix: how the devices of pods are called, for `INTERFACE_PREFIX`.
        masquerade_all: all that goes to a ClusterIP is masqueraded.
        masquerade_bit: the bit of the mark that asks for masquerading.
        node_port_addresses: networks whose addresses of the node serve node ports; none for all,
            `primary` for the node's first address.
        localhost_node_ports: node ports answer on 127.0.0.0/8.
        tcp_be_liberal: connection tracking lets segments outside the window pass.
        features: what the node can do.
        min_sync_period: how long after a sync the next one waits, ns.
        sync_period: how often it looks whether somebody took its rules away, ns.
        service_cidrs: the networks that ClusterIPs are in, as ServiceCIDR objects say; of one mode alone.
        ipvs: what only the mode ipvs asks.
        cleans_empty: stale connections of a UDP Service are deleted, too, when it has lost its last endpoint.
    """

    node_name: str
    node_ips: tuple[str, ...] = ()
    mode: str = "iptables"
    family: int = 4
    detect: Detect = Detect.CLUSTER_CIDR
    cluster_cidr: str = ""
    bridge_interface: str = ""
    interface_prefix: str = ""
    masquerade_all: bool = False
    masquerade_bit: int = 14
    node_port_addresses: tuple[str, ...] = ()
    localhost_node_ports: bool = True
    tcp_be_liberal: bool = False
    features: Features = Features()
    min_sync_period: Duration = SECOND
    sync_period: Duration = 30 * SECOND
    service_cidrs: tuple[str, ...] = ()
    ipvs: IpvsConfig = IpvsConfig()
    cleans_empty: bool = False

    def check(self) -> None:
        """Raise what is wrong with it.

        Raises:
            UnmodelledModeError: the mode is not modelled, or unknown.
        """
        if self.mode not in MODES:
            known = "is not modelled" if self.mode in NOT_YET else "is none that kube-proxy has"
            raise UnmodelledModeError(f"kube-proxy mode {self.mode!r} {known}; there is {', '.join(MODES)}")
        if self.family != 4:
            raise UnmodelledModeError("kube-proxy for IPv6 is not modelled")


@attrs.frozen
class Detector:
    """How packets of local pods are told from others: by where they come from; by nothing if all is empty.

    Attributes:
        source: the network that they come from.
        interface: the device that they come in by, with a `+` behind it how its name begins.
    """

    source: str = ""
    interface: str = ""

    @property
    def is_known(self) -> bool:
        """Whether they can be told at all."""
        return bool(self.source or self.interface)

    @property
    def pods(self) -> str:
        """The words of a rule of iptables that hold for packets of local pods; empty if nobody knows."""
        return f"-s {self.source}" if self.source else f"-i {self.interface}" if self.interface else ""

    @property
    def others(self) -> str:
        """The words that hold for all other packets; empty if nobody knows."""
        return f"! {self.pods}" if self.is_known else ""

    @property
    def nft_pods(self) -> str:
        """The words of a rule of nftables that hold for packets of local pods; empty if nobody knows."""
        return self._nft("")

    @property
    def nft_others(self) -> str:
        """The words that hold for all other packets; empty if nobody knows."""
        return self._nft("!= ")

    def _nft(self, negation: str) -> str:
        if self.source:
            return f"ip saddr {negation}{self.source}"
        return f"iif {negation}{self.interface.replace('+', '*')}" if self.interface else ""


@attrs.frozen
class Options:
    """What of a configuration the rules depend on: nodes that have the same share their rules.

    Attributes:
        family: 4 or 6.
        detector: how pods are told from others.
        masquerade_all: see `ProxyConfig`.
        mark: the bit that asks for masquerading, as rules write it.
        localhost_node_ports: node ports answer on loopback addresses.
        tcp_be_liberal: see `ProxyConfig`.
        features: what the node can do.
        service_cidrs: the networks that ClusterIPs are in.
    """

    family: int = 4
    detector: Detector = Detector()
    masquerade_all: bool = False
    mark: str = "0x4000"
    localhost_node_ports: bool = True
    tcp_be_liberal: bool = False
    features: Features = Features()
    service_cidrs: tuple[str, ...] = ()

    @property
    def nft_mark(self) -> str:
        """The bit that asks for masquerading, as rules of nftables write it."""
        return f"{int(self.mark, 16):#08x}"


@attrs.frozen
class Place:
    """Where a proxy runs: what decides which endpoints it may use.

    Attributes:
        node: name of the node.
        zone: its zone, empty if it is in none.
        address: its address of the family, empty if it is not known.
    """

    node: str
    zone: str = ""
    address: str = ""


def options_of(config: ProxyConfig, node: Node | None) -> Options:
    """Return what the rules of a node depend on."""
    return Options(
        config.family,
        _detector(config, node),
        config.masquerade_all,
        f"{1 << config.masquerade_bit:#x}",
        serves_loopback(config),
        config.tcp_be_liberal,
        config.features,
        tuple(map(str, networks(config.service_cidrs, config.family))),
    )


def place_of(config: ProxyConfig, node: Node | None) -> Place:
    """Return where the proxy of `config` runs; `node` is None as long as there is no such object."""
    zone = node.metadata.labels.get(ZONE_LABEL, "") if node is not None else ""
    given = config.node_ips or (node.addresses("InternalIP") if node is not None else ())
    own = next(filter(None, (address(each, config.family) for each in given)), "")
    return Place(config.node_name, zone, own)


def serves_loopback(config: ProxyConfig) -> bool:
    """Return whether node ports answer on loopback addresses: it is asked for, and these serve."""
    if not config.localhost_node_ports or config.family != 4 or config.mode != "iptables":
        return False
    served = node_port_networks(config)
    return not served or any(each.address[0] == 127 or _holds_loopback(each) for each in served)


def node_port_networks(config: ProxyConfig) -> tuple[Prefix, ...]:
    """Return the networks whose addresses serve node ports; none where all addresses do."""
    given = config.node_port_addresses
    if PRIMARY in given:
        own = next(filter(None, (address(each, config.family) for each in config.node_ips)), "")
        given = (f"{own}/{_ADDRESS_BITS[config.family]}",) if own else ()
    found = networks(given, config.family)
    return () if any(each.length == 0 for each in found) else found


def _holds_loopback(prefix: Prefix) -> bool:
    return type(prefix.address).parse(_LOOPBACK) in prefix


def _detector(config: ProxyConfig, node: Node | None) -> Detector:
    match config.detect:
        case Detect.CLUSTER_CIDR:
            return _by_source(config.cluster_cidr.split(","), config.family)
        case Detect.NODE_CIDR:
            spec = node.spec if node is not None else None
            ranges = (*spec.pod_cidrs, spec.pod_cidr) if spec is not None else ()
            return _by_source(ranges, config.family)
        case Detect.BRIDGE_INTERFACE:
            return _by_interface(config.bridge_interface)
        case Detect.INTERFACE_PREFIX:
            return _by_interface(f"{config.interface_prefix}+" if config.interface_prefix else "")
        case Detect.NONE:
            return Detector()


def _by_source(ranges: tuple[str, ...] | list[str], family: int) -> Detector:
    for found in networks(ranges, family):
        return Detector(str(found))
    return Detector()


def _by_interface(name: str) -> Detector:
    return Detector(interface=name)
