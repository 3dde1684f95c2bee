# SPDX-License-Identifier: GPL-2.0-only
"""What the mode ipvs calls its device, chains and sets. Source: pkg/proxy/ipvs/ipset.go, proxier.go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

DEVICE: Final = "kube-ipvs0"
"""The dummy device that has the addresses of Services."""

DEFAULT_SCHEDULER: Final = "rr"

LOOP_BACK: Final = "KUBE-LOOP-BACK"
CLUSTER_IP: Final = "KUBE-CLUSTER-IP"
EXTERNAL_IP: Final = "KUBE-EXTERNAL-IP"
EXTERNAL_IP_LOCAL: Final = "KUBE-EXTERNAL-IP-LOCAL"
LOAD_BALANCER: Final = "KUBE-LOAD-BALANCER"
LOAD_BALANCER_FW: Final = "KUBE-LOAD-BALANCER-FW"
LOAD_BALANCER_LOCAL: Final = "KUBE-LOAD-BALANCER-LOCAL"
SOURCE_IP: Final = "KUBE-LOAD-BALANCER-SOURCE-IP"
SOURCE_CIDR: Final = "KUBE-LOAD-BALANCER-SOURCE-CIDR"
HEALTH_CHECKS: Final = "KUBE-HEALTH-CHECK-NODE-PORT"
IPVS_IPS: Final = "KUBE-IPVS-IPS"

NODE_PORTS: Final[Mapping[str, str]] = {
    "tcp": "KUBE-NODE-PORT-TCP",
    "udp": "KUBE-NODE-PORT-UDP",
    "sctp": "KUBE-NODE-PORT-SCTP-HASH",
}
"""The sets of node ports by protocol; SCTP's has addresses, too."""

LOCAL_NODE_PORTS: Final[Mapping[str, str]] = {
    "tcp": "KUBE-NODE-PORT-LOCAL-TCP",
    "udp": "KUBE-NODE-PORT-LOCAL-UDP",
    "sctp": "KUBE-NODE-PORT-LOCAL-SCTP-HASH",
}
"""Those of Services whose external traffic stays on the node."""


class SetInfo(NamedTuple):
    """The type of a set, and what rules say about it."""

    type: str
    comment: str


SETS: Final[Mapping[str, SetInfo]] = {
    LOOP_BACK: SetInfo(
        "hash:ip,port,ip", "Kubernetes endpoints dst ip:port, source ip for solving hairpin purpose"
    ),
    CLUSTER_IP: SetInfo("hash:ip,port", "Kubernetes service cluster ip + port for masquerade purpose"),
    EXTERNAL_IP: SetInfo(
        "hash:ip,port", "Kubernetes service external ip + port for masquerade and filter purpose"
    ),
    EXTERNAL_IP_LOCAL: SetInfo(
        "hash:ip,port", "Kubernetes service external ip + port with externalTrafficPolicy=local"
    ),
    LOAD_BALANCER: SetInfo("hash:ip,port", "Kubernetes service lb portal"),
    LOAD_BALANCER_FW: SetInfo(
        "hash:ip,port", "Kubernetes service load balancer ip + port for load balancer with sourceRange"
    ),
    LOAD_BALANCER_LOCAL: SetInfo(
        "hash:ip,port", "Kubernetes service load balancer ip + port with externalTrafficPolicy=local"
    ),
    SOURCE_IP: SetInfo(
        "hash:ip,port,ip", "Kubernetes service load balancer ip + port + source IP for packet filter purpose"
    ),
    SOURCE_CIDR: SetInfo(
        "hash:ip,port,net",
        "Kubernetes service load balancer ip + port + source cidr for packet filter purpose",
    ),
    NODE_PORTS["tcp"]: SetInfo("bitmap:port", "Kubernetes nodeport TCP port for masquerade purpose"),
    LOCAL_NODE_PORTS["tcp"]: SetInfo(
        "bitmap:port", "Kubernetes nodeport TCP port with externalTrafficPolicy=local"
    ),
    NODE_PORTS["udp"]: SetInfo("bitmap:port", "Kubernetes nodeport UDP port for masquerade purpose"),
    LOCAL_NODE_PORTS["udp"]: SetInfo(
        "bitmap:port", "Kubernetes nodeport UDP port with externalTrafficPolicy=local"
    ),
    NODE_PORTS["sctp"]: SetInfo(
        "hash:ip,port", "Kubernetes nodeport SCTP port for masquerade purpose with type 'hash ip:port'"
    ),
    LOCAL_NODE_PORTS["sctp"]: SetInfo(
        "hash:ip,port",
        "Kubernetes nodeport SCTP port with externalTrafficPolicy=local with type 'hash ip:port'",
    ),
    HEALTH_CHECKS: SetInfo("bitmap:port", "Kubernetes health check node port"),
    IPVS_IPS: SetInfo("hash:ip", "Addresses on the ipvs interface"),
}
"""The sets, in the order in which they are made; all are there even if they are empty."""

CHAINS: Final[Mapping[str, tuple[str, ...]]] = {
    "nat": ("KUBE-SERVICES", "KUBE-POSTROUTING", "KUBE-NODE-PORT", "KUBE-LOAD-BALANCER", "KUBE-MARK-MASQ"),
    "filter": (
        "KUBE-FORWARD",
        "KUBE-NODE-PORT",
        "KUBE-PROXY-FIREWALL",
        "KUBE-SOURCE-RANGES-FIREWALL",
        "KUBE-IPVS-FILTER",
        "KUBE-IPVS-OUT-FILTER",
    ),
}
"""The chains, by table."""


def _commented(comment: str, chain: str) -> str:
    return f'-m comment --comment "{comment}" -j {chain}'


JUMPS: Final = (
    ("nat", "OUTPUT", _commented("kubernetes service portals", "KUBE-SERVICES")),
    ("nat", "PREROUTING", _commented("kubernetes service portals", "KUBE-SERVICES")),
    ("nat", "POSTROUTING", _commented("kubernetes postrouting rules", "KUBE-POSTROUTING")),
    ("filter", "FORWARD", _commented("kubernetes forwarding rules", "KUBE-FORWARD")),
    ("filter", "INPUT", _commented("kubernetes health check rules", "KUBE-NODE-PORT")),
    ("filter", "INPUT", _commented("kube-proxy firewall rules", "KUBE-PROXY-FIREWALL")),
    ("filter", "FORWARD", _commented("kube-proxy firewall rules", "KUBE-PROXY-FIREWALL")),
    ("filter", "INPUT", _commented("kubernetes ipvs access filter", "KUBE-IPVS-FILTER")),
    ("filter", "OUTPUT", _commented("kubernetes ipvs access filter", "KUBE-IPVS-OUT-FILTER")),
)
"""Table, built-in chain and rule; each is put before all others there if it is missing, in this order."""

SYSCTLS: Final[Mapping[str, int]] = {
    "net.ipv4.vs.conntrack": 1,
    "net.ipv4.vs.expire_nodest_conn": 1,
    "net.ipv4.vs.expire_quiescent_template": 1,
    "net.ipv4.ip_forward": 1,
}
"""What a proxy sets when it starts; `conn_reuse_mode` only on kernels before 5.9."""

STRICT_ARP: Final[Mapping[str, int]] = {
    "net.ipv4.conf.all.arp_ignore": 1,
    "net.ipv4.conf.all.arp_announce": 2,
}
