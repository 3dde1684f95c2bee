# SPDX-License-Identifier: GPL-2.0-only
"""flannel: an overlay of VXLAN, or plain routes on a common segment (`host-gw`).

    pod --veth-- cni0 --route--> flannel.1 ==VXLAN over UDP 8472==> flannel.1 --> cni0 --veth-- pod

For each other node the daemon writes, in this order, a neighbour (the remote's
network address), an FDB entry (where the frame goes) and a route. With
`directRouting` nodes of the own segment get a plain route instead.

The init container of the real one installs the configuration before the daemon
runs, so a node is ready before `subnet.env` is there, and pods fail until then.

Known differences: the MAC address of `flannel.1` follows from the node's name
unless an annotation has one; `EnableNFTables` is not modelled.

Source: flannel-io/flannel pkg/backend/{vxlan,hostgw}, pkg/trafficmngr/iptables, pkg/subnet.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Self

import attrs

from emu.errors import AddressError
from emu.kernel.link.vxlan import HEADROOM, LINUX_PORT
from emu.kernel.route import Nexthop, Route, Scope
from emu.kube.cni.flannel import SUBNET_FILE
from emu.kube.cni.links import mac_of
from emu.kube.cni.netconf import NetConfList
from emu.kube.providers.provider import MOST_SHARED, OptionsError, mtu_of, options, others, plain_way
from emu.kube.providers.written import (
    Ensure,
    PermanentFdb,
    PermanentNeighbour,
    RuleGroup,
    VxlanDevice,
    Written,
)
from emu.wire.addresses import Interface, IpAddress, MacAddress
from emu.wire.vxlan import Vni

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from emu.kube.cni.fields import Json
    from emu.kube.cni.rules import Words
    from emu.kube.providers.provider import NodeNetwork
    from emu.kube.providers.written import Way
    from emu.wire.addresses import Prefix

CONFIG: Final = "/etc/cni/net.d/10-flannel.conflist"
ANNOTATION: Final = "flannel.alpha.coreos.com/"
_BACKEND_DATA: Final = f"{ANNOTATION}backend-data"
BACKENDS: Final = ("vxlan", "host-gw")
_MASQ: Final[Words] = ("-m", "comment", "--comment", "flanneld masq")
_FORWARD: Final[Words] = ("-m", "comment", "--comment", "flanneld forward")
_MARK: Final = "0x4000/0x4000"  # kube-proxy's: it masquerades itself what has it


@attrs.frozen
class Flannel:
    """flannel with its `net-conf.json` and the daemon's flags.

    Attributes:
        backend: `vxlan` or `host-gw`.
        direct_routing: vxlan only between nodes that have no segment in common.
        vni: VXLAN's network.
        port: VXLAN's UDP port.
        mtu: of the underlay as far as flannel is told; 0 for the device's own.
        ip_masq: the daemon masquerades (`--ip-masq`).
        random_fully: its rules have `--random-fully`.
        hairpin: pods reach themselves by a Service.
    """

    backend: str = "vxlan"
    direct_routing: bool = False
    vni: int = 1
    port: int = LINUX_PORT
    mtu: int = 0
    ip_masq: bool = True
    random_fully: bool = True
    hairpin: bool = True

    @classmethod
    def of(cls, values: Mapping[str, Json]) -> Self:
        """Return it with options of these names, in camel case.

        Raises:
            OptionsError: they are wrong.
        """
        known = ("backend", "directRouting", "vni", "port", "mtu", "ipMasq", "randomFully", "hairpin")
        fields = options(values, known)
        found = cls(
            fields.text("backend", "vxlan"),
            fields.flag("directRouting"),
            fields.number("vni", 1),
            fields.number("port", LINUX_PORT),
            mtu_of(fields),
            fields.flag("ipMasq", default=True),
            fields.flag("randomFully", default=True),
            fields.flag("hairpin", default=True),
        )
        if found.backend not in BACKENDS:
            fields.wrong("backend", f"{found.backend!r} is not modelled; there are {', '.join(BACKENDS)}")
        if found.direct_routing and found.backend != "vxlan":
            fields.wrong("directRouting", "is an option of the backend vxlan")
        if not 0 < found.vni < 1 << 24:
            fields.wrong("vni", "must be from 1 to 16777215")
        if not 0 < found.port <= 0xFFFF:
            fields.wrong("port", "must be from 1 to 65535")
        if fields.faults:
            raise OptionsError("flannel", fields.faults)
        return found

    @property
    def device(self) -> str:
        """The name of the tunnel device."""
        return f"flannel.{self.vni}"

    def configure(self, node: NodeNetwork, nodes: Sequence[NodeNetwork]) -> Written:
        """Return what the daemon writes; without a pod CIDR it only has its configuration installed."""
        conf = self._config()
        config, files = NetConfList.of(conf, CONFIG), {CONFIG: json.dumps(conf, indent=2) + "\n"}
        cidr = node.pod_cidr
        if cidr is None:
            return Written(config=config, files=files)
        ways: list[Way] = []
        for other, other_cidr in others(node, nodes):
            ways += self._ways(node, other, other_cidr)
        return Written(
            config=config,
            files={**files, SUBNET_FILE: self._subnet_env(node, cidr)},
            annotations=self._annotations(node),
            vxlans=(self._vxlan(node, cidr),) if self.backend == "vxlan" else (),
            rules=self._rules(node, cidr),
            ways=tuple(ways),
        )

    # --- configuration ---

    def _config(self) -> dict[str, Json]:
        return {
            "name": "cbr0",
            "cniVersion": "0.3.1",
            "plugins": [
                {
                    "type": "flannel",
                    "delegate": {"hairpinMode": self.hairpin, "isDefaultGateway": True},
                },
                {"type": "portmap", "capabilities": {"portMappings": True}},
            ],
        }

    def _mtu(self, node: NodeNetwork) -> int:
        return (self.mtu or node.mtu) - (HEADROOM if self.backend == "vxlan" else 0)

    def _subnet_env(self, node: NodeNetwork, cidr: Prefix) -> str:
        first = IpAddress.from_int(int(cidr.address) + 1)
        return (
            f"FLANNEL_NETWORK={node.cluster_cidr}\n"
            f"FLANNEL_SUBNET={first}/{cidr.length}\n"
            f"FLANNEL_MTU={self._mtu(node)}\n"
            f"FLANNEL_IPMASQ={'true' if self.ip_masq else 'false'}\n"
        )

    def _annotations(self, node: NodeNetwork) -> dict[str, str]:
        data = "null"
        if self.backend == "vxlan":
            values = {"VNI": self.vni, "VtepMAC": str(self._vtep_mac(node))}
            data = json.dumps(values, separators=(",", ":"))
        return {
            _BACKEND_DATA: data,
            f"{ANNOTATION}backend-type": self.backend,
            f"{ANNOTATION}public-ip": str(node.internal_ip),
            f"{ANNOTATION}kube-subnet-manager": "true",
        }

    def _vtep_mac(self, node: NodeNetwork) -> MacAddress:
        """Return the address in a node's annotation, or the one that follows from its name."""
        return _vtep_mac(node.annotations.get(_BACKEND_DATA, "null"), node.name, self.device)

    # --- devices and ways ---

    def _vxlan(self, node: NodeNetwork, cidr: Prefix) -> VxlanDevice:
        return VxlanDevice(
            self.device,
            Vni(self.vni),
            node.internal_ip,
            node.device,
            self.port,
            self._vtep_mac(node),
            self._mtu(node),
            Interface(cidr.address, 32),
        )

    def _ways(self, node: NodeNetwork, other: NodeNetwork, cidr: Prefix) -> tuple[Way, ...]:
        if self.backend == "host-gw":
            return (plain_way(cidr, other.internal_ip, node.device),)
        if self.direct_routing and (node.segment is None or other.internal_ip in node.segment):
            return (plain_way(cidr, other.internal_ip),)
        return _tunnel(self.device, cidr, other.internal_ip, self._vtep_mac(other))

    # --- rules ---

    def _rules(self, node: NodeNetwork, cidr: Prefix) -> tuple[RuleGroup, ...]:
        network = str(node.cluster_cidr)
        forward = (
            ("FORWARD", (*_FORWARD, "-j", "FLANNEL-FWD")),
            ("FLANNEL-FWD", ("-s", network, *_FORWARD, "-j", "ACCEPT")),
            ("FLANNEL-FWD", ("-d", network, *_FORWARD, "-j", "ACCEPT")),
        )
        groups = [RuleGroup("filter", ("FLANNEL-FWD",), forward, Ensure.ANEW)]
        if self.ip_masq:
            masq = self._masq_rules(network, str(cidr))
            groups.insert(0, RuleGroup("nat", ("FLANNEL-POSTRTG",), masq, Ensure.ANEW))
        return tuple(groups)

    def _masq_rules(self, network: str, pods: str) -> tuple[tuple[str, Words], ...]:
        masquerade: Words = ("-j", "MASQUERADE", *(("--random-fully",) if self.random_fully else ()))
        rules: tuple[Words, ...] = (
            ("-m", "mark", "--mark", _MARK, *_MASQ, "-j", "RETURN"),
            ("-s", pods, "-d", network, *_MASQ, "-j", "RETURN"),
            ("-s", network, "-d", pods, *_MASQ, "-j", "RETURN"),
            ("!", "-s", network, "-d", pods, *_MASQ, "-j", "RETURN"),
            ("-s", network, "!", "-d", "224.0.0.0/4", *_MASQ, *masquerade),
            ("!", "-s", network, "-d", network, *_MASQ, *masquerade),
        )
        chain = "FLANNEL-POSTRTG"
        return (("POSTROUTING", (*_MASQ, "-j", chain)), *((chain, rule) for rule in rules))


@lru_cache(maxsize=MOST_SHARED)
def _vtep_mac(data: str, name: str, device: str) -> MacAddress:
    try:
        values: Json = json.loads(data)
        mac = values.get("VtepMAC") if isinstance(values, dict) else None
        if isinstance(mac, str):
            return MacAddress.parse(mac)
    except (json.JSONDecodeError, AddressError):
        pass  # as the daemon: what cannot be read is written anew
    return mac_of(f"node/{name}", device)


@lru_cache(maxsize=MOST_SHARED)
def _tunnel(device: str, cidr: Prefix, remote: IpAddress, mac: MacAddress) -> tuple[Way, ...]:
    """Return the way through the tunnel to a node's pods: the same for all the other nodes."""
    hop = Nexthop(device, cidr.address, onlink=True)
    return (
        PermanentNeighbour(device, cidr.address, mac),
        PermanentFdb(device, mac, remote),
        Route(cidr, nexthops=(hop,), scope=Scope.GLOBAL),
    )
