# SPDX-License-Identifier: GPL-2.0-only
"""kubenet: the network that kubelet itself had, until it lost dockershim.

A bridge `cbr0` on each node, one masquerade rule, and no word about other nodes'
pods: the cloud's route table knows which node has which pod CIDR. On a flat lab
network, where nodes are on one segment and there is no such table, static routes
on the nodes stand in for it, and they are written here.

    pod --veth-- cbr0 (node-1) --plain IP--> node-2 cbr0 --veth-- pod

Known differences: host ports (`KUBE-HOSTPORTS`) are not written, and hairpin mode
`promiscuous-bridge`, kubelet's default with its `ebtables` rules, is not modelled:
`hairpin-veth` is the default here. The configuration exists only in memory.

Source: kubernetes, pkg/kubelet/dockershim/network/kubenet/kubenet_linux.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Self

import attrs

from emu.errors import AddressError
from emu.kube.cni.netconf import NetConfList
from emu.kube.providers.provider import OptionsError, mtu_of, options, others, plain_way
from emu.kube.providers.written import RuleGroup, Written
from emu.wire.addresses import IpAddress, Prefix

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from emu.kube.cni.fields import Json
    from emu.kube.cni.rules import Words
    from emu.kube.providers.provider import NodeNetwork

BRIDGE: Final = "cbr0"
_HAIRPIN_MODES: Final = ("hairpin-veth", "none")
_COMMENT: Final = "kubenet: SNAT for outbound traffic from cluster"
_PRIVATE: Final = Prefix.parse("10.0.0.0/8")
_EVERYWHERE: Final = Prefix.parse("0.0.0.0/0")


@attrs.frozen
class Kubenet:
    """kubenet with kubelet's options.

    Attributes:
        non_masquerade_cidr: what pods reach with their own address; 0.0.0.0/0
            for everything, and then there is no rule.
        hairpin_mode: `hairpin-veth` or `none`.
        mtu: of bridge and pods; 0 for that of the node's device.
    """

    non_masquerade_cidr: Prefix = _PRIVATE
    hairpin_mode: str = "hairpin-veth"
    mtu: int = 0

    @classmethod
    def of(cls, values: Mapping[str, Json]) -> Self:
        """Return it with the options `nonMasqueradeCIDR`, `hairpinMode`, `mtu`.

        Raises:
            OptionsError: they are wrong.
        """
        fields = options(values, ("nonMasqueradeCIDR", "hairpinMode", "mtu"))
        mode = fields.text("hairpinMode", "hairpin-veth")
        if mode not in _HAIRPIN_MODES:
            why = "is not modelled" if mode == "promiscuous-bridge" else "is no hairpin mode"
            fields.wrong("hairpinMode", f"{mode!r} {why}; there are {', '.join(_HAIRPIN_MODES)}")
        cidr = _PRIVATE
        try:
            cidr = Prefix.parse(fields.text("nonMasqueradeCIDR", str(_PRIVATE)))
        except AddressError as error:
            fields.wrong("nonMasqueradeCIDR", str(error))
        found = cls(cidr, mode, mtu_of(fields))
        if fields.faults:
            raise OptionsError("kubenet", fields.faults)
        return found

    def configure(self, node: NodeNetwork, nodes: Sequence[NodeNetwork]) -> Written:
        """Return what kubelet writes; no configuration while the node has no pod CIDR."""
        cidr = node.pod_cidr
        return Written(
            config=None if cidr is None else NetConfList.of(self._config(node, cidr)),
            sysctls={"net.bridge.bridge-nf-call-iptables": 1},
            rules=() if self.non_masquerade_cidr == _EVERYWHERE else (self._rules(),),
            ways=tuple(plain_way(other_cidr, other.internal_ip) for other, other_cidr in others(node, nodes)),
        )

    def _config(self, node: NodeNetwork, cidr: Prefix) -> dict[str, Json]:
        gateway = str(IpAddress.from_int(int(cidr.address) + 1, cidr.address.bits))
        return {
            "cniVersion": "0.1.0",
            "name": "kubenet",
            "type": "bridge",
            "bridge": BRIDGE,
            "mtu": self.mtu or node.mtu,
            "addIf": "eth0",
            "isGateway": True,
            "ipMasq": False,
            "hairpinMode": self.hairpin_mode == "hairpin-veth",
            "ipam": {
                "type": "host-local",
                "ranges": [[{"subnet": str(cidr), "gateway": gateway}]],
                "routes": [{"dst": "0.0.0.0/0"}],
            },
        }

    def _rules(self) -> RuleGroup:
        rule: Words = (
            *("-m", "comment", "--comment", _COMMENT, "-m", "addrtype", "!", "--dst-type", "LOCAL"),
            *("!", "-d", str(self.non_masquerade_cidr), "-j", "MASQUERADE"),
        )
        return RuleGroup("nat", (), (("POSTROUTING", rule),))
