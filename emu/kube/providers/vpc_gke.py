# SPDX-License-Identifier: GPL-2.0-only
"""VPC-native as GKE has it: alias ranges.

A pod hangs on the node by `ptp`, with an address of the node's pod CIDR, and all
that is not on the node goes to the VPC's router, which knows each range's node.
Nodes have no routes to each other's pods.

    pod --veth-- node-1 --plain IP--> VPC --> node-2 --veth-- pod      TTL 64 -> 62

`ip-masq-agent` masquerades what leaves the private ranges. Source: GoogleCloudPlatform/netd,
kubernetes-sigs/ip-masq-agent.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from emu.kube.cni.netconf import NetConfList
from emu.kube.providers.written import RuleGroup, Written
from emu.wire.addresses import Prefix

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.kube.cni.fields import Json
    from emu.kube.cni.rules import Words
    from emu.kube.providers.provider import NodeNetwork

CONFIG: Final = "/etc/cni/net.d/10-containerd-net.conflist"
CHAIN: Final = "IP-MASQ-AGENT"
LINK_LOCAL: Final = "169.254.0.0/16"
PRIVATE: Final = tuple(map(Prefix.parse, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")))
_JUMP: Final = (
    "ip-masq-agent: ensure nat POSTROUTING directs all non-LOCAL destination traffic to our custom "
    "IP-MASQ-AGENT chain"
)
_KEPT: Final = "ip-masq-agent: cluster-local traffic should not be subject to MASQUERADE"
_REST: Final = (
    "ip-masq-agent: outbound traffic should be subject to MASQUERADE (this match must come after "
    "cluster-local CIDR matches)"
)


def written(node: NodeNetwork, *, mtu: int, kept: Sequence[Prefix]) -> Written:
    """Return what stands on a node; no configuration while it has no pod CIDR.

    Args:
        node: the node.
        mtu: of pods; 0 for that of the node's device.
        kept: ranges that see pods' own addresses.
    """
    rules = RuleGroup("nat", (CHAIN,), _rules(kept))
    sysctls = {"net.ipv4.ip_forward": 1}
    if node.pod_cidr is None:
        return Written(sysctls=sysctls, rules=(rules,))
    values = _config(node.pod_cidr, mtu or node.mtu)
    return Written(
        config=NetConfList.of(values, CONFIG),
        files={CONFIG: json.dumps(values, indent=2) + "\n"},
        sysctls=sysctls,
        rules=(rules,),
    )


def _config(cidr: Prefix, mtu: int) -> dict[str, Json]:
    return {
        "cniVersion": "0.3.1",
        "name": "k8s-pod-network",
        "plugins": [
            {
                "type": "ptp",
                "mtu": mtu,
                "ipam": {
                    "type": "host-local",
                    "ranges": [[{"subnet": str(cidr)}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": True}},
        ],
    }


def _rules(kept: Sequence[Prefix]) -> tuple[tuple[str, Words], ...]:
    stay = [
        (CHAIN, ("-d", str(each), "-m", "comment", "--comment", _KEPT, "-j", "RETURN"))
        for each in (LINK_LOCAL, *kept)
    ]
    rest: Words = ("-m", "comment", "--comment", _REST, "-j", "MASQUERADE")
    jump: Words = (
        *("-m", "comment", "--comment", _JUMP),
        *("-m", "addrtype", "!", "--dst-type", "LOCAL", "-j", CHAIN),
    )
    return (*stay, (CHAIN, rest), ("POSTROUTING", jump))
