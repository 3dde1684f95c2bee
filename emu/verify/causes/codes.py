# SPDX-License-Identifier: GPL-2.0-only
"""Reason codes: the words for why a question failed, stable for people and machines.

Most are the kernel's own drop reasons, which users of `pwru` know. Where the
kernel has one word for several mistakes that people make, or none at all because
nothing was dropped, the code is ours. Each has a page (`emu explain CODE`, `emu/reasons`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kernel.drops import DropReason

if TYPE_CHECKING:
    from collections.abc import Mapping

IP_FORWARD_OFF: Final = "IP_FORWARD_OFF"
TTL_EXPIRED: Final = "TTL_EXPIRED"
NO_ANSWER: Final = "NO_ANSWER"
FRAME_STORM: Final = "FRAME_STORM"
SEND_REFUSED: Final = "SEND_REFUSED"
FORWARD_POLICY_DROP: Final = "FORWARD_POLICY_DROP"
REPLY_NOT_UNNATED: Final = "REPLY_NOT_UNNATED"
CT_TABLE_FULL: Final = "CT_TABLE_FULL"
CT_INSERT_FAILED: Final = "CT_INSERT_FAILED"
CT_NAT_PORTS_EXHAUSTED: Final = "CT_NAT_PORTS_EXHAUSTED"
ARP_MULTI_REPLY: Final = "ARP_MULTI_REPLY"
IPVS_STALE_CONNECTION: Final = "IPVS_STALE_CONNECTION"
CT_INVALID: Final = "CT_INVALID"
CT_STALE_DNAT: Final = "CT_STALE_DNAT"
NETPOL_INGRESS: Final = "NETPOL_INGRESS"
NETPOL_EGRESS: Final = "NETPOL_EGRESS"
NETPOL_NOT_ENFORCED: Final = "NETPOL_NOT_ENFORCED"
SVC_NO_ENDPOINTS: Final = "SVC_NO_ENDPOINTS"
SVC_NO_LOCAL_ENDPOINT: Final = "SVC_NO_LOCAL_ENDPOINT"
SVC_NO_SUCH_PORT: Final = "SVC_NO_SUCH_PORT"
SVC_NO_SUCH_ADDRESS: Final = "SVC_NO_SUCH_ADDRESS"
SVC_NODEPORT_ADDRESS: Final = "SVC_NODEPORT_ADDRESS"
LB_SOURCE_RANGE: Final = "LB_SOURCE_RANGE"
LB_PENDING: Final = "LB_PENDING"
LB_UNHEALTHY: Final = "LB_UNHEALTHY"
LB_BYPASSED: Final = "LB_BYPASSED"
LB_PROXY_HEADER: Final = "LB_PROXY_HEADER"
BRIDGE_HAIRPIN_OFF: Final = "BRIDGE_HAIRPIN_OFF"
PMTU_BLACKHOLE: Final = "PMTU_BLACKHOLE"
UNDERLAY_FILTER: Final = "UNDERLAY_FILTER"
TUNNEL_TO_ITSELF: Final = "TUNNEL_TO_ITSELF"
SRC_DST_CHECK: Final = "SRC_DST_CHECK"
SG_DENY: Final = "SG_DENY"
NACL_DENY: Final = "NACL_DENY"
VPC_NO_ROUTE: Final = "VPC_NO_ROUTE"
VPC_NO_PUBLIC_ADDRESS: Final = "VPC_NO_PUBLIC_ADDRESS"
DUP_IP: Final = "DUP_IP"
HOST_DOWN: Final = "HOST_DOWN"
CIDR_OVERLAP: Final = "CIDR_OVERLAP"
DNS_NXDOMAIN: Final = "DNS_NXDOMAIN"
DNS_TIMEOUT: Final = "DNS_TIMEOUT"
TLS_DEFAULT_CERT: Final = "TLS_DEFAULT_CERT"
TLS_NAME_MISMATCH: Final = "TLS_NAME_MISMATCH"
TLS_UNTRUSTED: Final = "TLS_UNTRUSTED"
HTTP_NO_ROUTE: Final = "HTTP_NO_ROUTE"

OURS: Final[Mapping[str, str]] = {
    IP_FORWARD_OFF: "the destination is not ours and this host does not forward",
    TTL_EXPIRED: "the TTL is spent",
    NO_ANSWER: "it arrived, and nothing was sent back",
    FRAME_STORM: "frames go round in circles",
    SEND_REFUSED: "the system call that was to send it failed",
    FORWARD_POLICY_DROP: "no rule accepts it, and the policy of FORWARD is DROP",
    REPLY_NOT_UNNATED: "the answer comes from where the request was translated to",
    CT_TABLE_FULL: "the table of connections is full",
    CT_INSERT_FAILED: "another connection has the same addresses and ports",
    CT_NAT_PORTS_EXHAUSTED: "NAT finds no port that is free",
    CT_INVALID: "connection tracking calls it INVALID",
    ARP_MULTI_REPLY: "several nodes answer ARP for its address, and it came to one that ought not to",
    IPVS_STALE_CONNECTION: "an old connection of IPVS sends it to an address that nobody has any more",
    CT_STALE_DNAT: "an old connection translates it to an address that no pod has any more",
    NETPOL_INGRESS: "a NetworkPolicy lets no such packet in",
    NETPOL_EGRESS: "a NetworkPolicy lets no such packet out",
    NETPOL_NOT_ENFORCED: "there are NetworkPolicies, and nobody enforces them",
    SVC_NO_ENDPOINTS: "the Service has no endpoints",
    SVC_NO_LOCAL_ENDPOINT: "the Service has no endpoint on this node, and its policy is Local",
    SVC_NO_SUCH_PORT: "the Service has no such port",
    SVC_NO_SUCH_ADDRESS: "no Service has this address of their range",
    SVC_NODEPORT_ADDRESS: "node ports are not served at this address of the node",
    LB_PENDING: "no load balancer has given the Service an address",
    LB_UNHEALTHY: "no node passes the load balancer's health check",
    LB_BYPASSED: "kube-proxy leads past the load balancer, whose header the server waits for",
    LB_PROXY_HEADER: "the server does not know the header that the load balancer begins with",
    LB_SOURCE_RANGE: "the source is in none of the Service's loadBalancerSourceRanges",
    BRIDGE_HAIRPIN_OFF: "the frame must leave by the port it came in by, and hairpin mode is off",
    PMTU_BLACKHOLE: "it is too large for the way, and nobody told its sender",
    UNDERLAY_FILTER: "a filter between the nodes drops it",
    TUNNEL_TO_ITSELF: "the tunnel's other end is the node itself",
    SRC_DST_CHECK: "its source or destination is not an address of the interface",
    SG_DENY: "no rule of a security group lets it pass",
    NACL_DENY: "a network ACL denies it",
    VPC_NO_ROUTE: "no route table of the VPC has a way for it",
    VPC_NO_PUBLIC_ADDRESS: "a private address neither reaches the internet nor is reached from there",
    DUP_IP: "two hosts have one address",
    HOST_DOWN: "the host that it is for, or that is to pass it on, is cut off or has no power",
    CIDR_OVERLAP: "a route for another range captures it",
    DNS_NXDOMAIN: "there is no such name",
    DNS_TIMEOUT: "no name server says whose address is wanted",
    TLS_DEFAULT_CERT: "the proxy has no certificate for the name, and shows its own",
    TLS_NAME_MISMATCH: "the certificate is for other names than the one that was asked for",
    TLS_UNTRUSTED: "nobody whom the client trusts vouches for the certificate",
    HTTP_NO_ROUTE: "the proxy has no rule for the host and path",
}
"""The codes that no kernel has, and what they say."""

CODES: Final[Mapping[str, str]] = {**{reason.name: reason.value for reason in DropReason}, **OURS}
"""Every code, and what it says in a few words."""

EXPLAINED: Final = frozenset(
    (
        NETPOL_INGRESS,
        NETPOL_EGRESS,
        NETPOL_NOT_ENFORCED,
        SVC_NO_ENDPOINTS,
        SVC_NO_LOCAL_ENDPOINT,
        SVC_NO_SUCH_PORT,
        SVC_NO_SUCH_ADDRESS,
        SVC_NODEPORT_ADDRESS,
        LB_SOURCE_RANGE,
        LB_PENDING,
        LB_UNHEALTHY,
        LB_BYPASSED,
        LB_PROXY_HEADER,
        "NO_SOCKET",
        BRIDGE_HAIRPIN_OFF,
        REPLY_NOT_UNNATED,
        CT_INVALID,
        CT_INSERT_FAILED,
        CT_STALE_DNAT,
        ARP_MULTI_REPLY,
        IPVS_STALE_CONNECTION,
        CT_TABLE_FULL,
        CT_NAT_PORTS_EXHAUSTED,
        PMTU_BLACKHOLE,
        "PKT_TOO_BIG",
        UNDERLAY_FILTER,
        TUNNEL_TO_ITSELF,
        SRC_DST_CHECK,
        SG_DENY,
        NACL_DENY,
        VPC_NO_ROUTE,
        VPC_NO_PUBLIC_ADDRESS,
        "IP_RPFILTER",
        "IP_OUTNOROUTES",
        "NEIGH_FAILED",
        FORWARD_POLICY_DROP,
        IP_FORWARD_OFF,
        DUP_IP,
        HOST_DOWN,
        CIDR_OVERLAP,
        DNS_NXDOMAIN,
        DNS_TIMEOUT,
        TLS_DEFAULT_CERT,
        TLS_NAME_MISMATCH,
        TLS_UNTRUSTED,
        HTTP_NO_ROUTE,
        TTL_EXPIRED,
    )
)
"""What people meet in clusters: these pages also tell the remedy, and show an answer."""
