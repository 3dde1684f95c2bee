# SPDX-License-Identifier: GPL-2.0-only
"""kindnet: what kind gives its clusters.

Each pod has a cable of its own to the node, which routes; nodes route to each
other over their common segment, and what leaves the pod network is masqueraded.

    pod --veth-- node-1 --plain IP--> node-2 --veth-- pod        TTL 64 -> 62

The settings of the kind node image are written along. Its NetworkPolicy engine is
`emu.kube.policy`, at hooks of its own. Source: kubernetes-sigs/kind images/kindnetd, images/base.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, Self

import attrs

from emu.kube.cni.netconf import NetConfList
from emu.kube.providers.provider import OptionsError, mtu_of, options, others, plain_way
from emu.kube.providers.written import RuleGroup, Written

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from emu.kube.cni.fields import Json
    from emu.kube.cni.rules import Words
    from emu.kube.providers.provider import NodeNetwork
    from emu.wire.addresses import Prefix

CONFIG: Final = "/etc/cni/net.d/10-kindnet.conflist"
CHAIN: Final = "KIND-MASQ-AGENT"

SYSCTLS: Final[Mapping[str, int]] = {
    "net.ipv4.conf.all.route_localnet": 1,
    "net.ipv4.conf.all.arp_ignore": 0,
    "net.ipv4.conf.default.rp_filter": 1,
    "net.ipv4.conf.all.rp_filter": 1,
    "net.ipv4.ip_forward": 1,
}
"""What a kind node sets."""

_JUMP: Final = (
    "kind-masq-agent: ensure nat POSTROUTING directs all non-LOCAL destination traffic to our custom "
    "KIND-MASQ-AGENT chain"
)
_LOCAL: Final = "kind-masq-agent: local traffic is not subject to MASQUERADE"
_OUTBOUND: Final = "kind-masq-agent: outbound traffic is subject to MASQUERADE (must be last in chain)"


@attrs.frozen
class Kindnet:
    """kindnet. `mtu` of pods: 0 for that of the node's device."""

    mtu: int = 0

    @classmethod
    def of(cls, values: Mapping[str, Json]) -> Self:
        """Return it with the option `mtu`.

        Raises:
            OptionsError: it is wrong.
        """
        fields = options(values, ("mtu",))
        found = cls(mtu_of(fields))
        if fields.faults:
            raise OptionsError("kindnet", fields.faults)
        return found

    def configure(self, node: NodeNetwork, nodes: Sequence[NodeNetwork]) -> Written:
        """Return what the daemon and the node image write; no configuration while there is no pod CIDR."""
        cidr = node.pod_cidr
        rules = RuleGroup("nat", (CHAIN,), _rules(node))
        ways = tuple(plain_way(other_cidr, other.internal_ip) for other, other_cidr in others(node, nodes))
        if cidr is None:
            return Written(sysctls=SYSCTLS, rules=(rules,), ways=ways)
        values = self._config(node, cidr)
        return Written(
            config=NetConfList.of(values, CONFIG),
            files={CONFIG: json.dumps(values, indent=2) + "\n"},
            sysctls=SYSCTLS,
            rules=(rules,),
            ways=ways,
        )

    def _config(self, node: NodeNetwork, cidr: Prefix) -> dict[str, Json]:
        return {
            "cniVersion": "0.3.1",
            "name": "kindnet",
            "plugins": [
                {
                    "type": "ptp",
                    "ipMasq": False,
                    "ipam": {
                        "type": "host-local",
                        "dataDir": "/run/cni-ipam-state",
                        "routes": [{"dst": "0.0.0.0/0"}],
                        "ranges": [[{"subnet": str(cidr)}]],
                    },
                    "mtu": self.mtu or node.mtu,
                },
                {"type": "portmap", "capabilities": {"portMappings": True}},
            ],
        }


def _rules(node: NodeNetwork) -> tuple[tuple[str, Words], ...]:
    local: Words = (
        *("-d", str(node.cluster_cidr), "-m", "comment", "--comment", _LOCAL),
        *("-j", "RETURN"),
    )
    outbound: Words = ("-m", "comment", "--comment", _OUTBOUND, "-j", "MASQUERADE")
    jump: Words = (
        *("-m", "addrtype", "!", "--dst-type", "LOCAL"),
        *("-m", "comment", "--comment", _JUMP, "-j", CHAIN),
    )
    return (CHAIN, local), (CHAIN, outbound), ("POSTROUTING", jump)
