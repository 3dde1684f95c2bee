# SPDX-License-Identifier: GPL-2.0-only
"""Which reason code suggests what."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final, TypeAlias

from emu.verify.fixes import (
    balancers,
    bridges,
    conntrack,
    dns_names,
    enforcement,
    forwarding,
    headless,
    ipvs,
    mtu,
    node_ports,
    offload,
    policies,
    races,
    ranges,
    readiness,
    routes,
    rules,
    services,
    underlay,
    vpc,
)
from emu.verify.fixes.case import Case
from emu.verify.fixes.fix import Proposal

Proposer: TypeAlias = Callable[[Case], Iterator[Proposal]]
"""Looks at a failure and at objects, and yields what might help, the likeliest first."""

_SERVICE: Final[tuple[Proposer, ...]] = (
    services.start_pods,
    services.name_a_port_that_is_there,
    readiness.probe_a_port_that_listens,
    services.select_pods_that_are_there,
)

PROPOSERS: Final[Mapping[str, tuple[Proposer, ...]]] = {
    "ARP_MULTI_REPLY": (ipvs.answer_for_the_device_alone,),
    "BRIDGE_HAIRPIN_OFF": (bridges.give_back_on_the_port,),
    "CT_INSERT_FAILED": (races.ask_in_turn, races.draw_the_ports),
    "CT_INVALID": (rules.delete_the_rule, conntrack.be_liberal),
    "CT_STALE_DNAT": (conntrack.forget_the_old_entry, services.start_pods),
    "CT_TABLE_FULL": (conntrack.enlarge_the_table,),
    "DNS_NXDOMAIN": (
        dns_names.ask_the_cluster,
        dns_names.ask_the_name_that_there_is,
        *_SERVICE,
        headless.publish_who_is_not_ready,
        dns_names.ask_an_outside_name,
        dns_names.end_with_a_dot,
    ),
    "FORWARD_POLICY_DROP": (forwarding.accept_by_policy,),
    "IPVS_STALE_CONNECTION": (ipvs.pick_anew,),
    "IP_FORWARD_OFF": (forwarding.forward_packets,),
    "IP_INNOROUTES": (routes.add_a_route,),
    "IP_OUTNOROUTES": (routes.add_a_route,),
    "IP_RPFILTER": (forwarding.check_paths_loosely, routes.add_a_route),
    "DUP_IP": (balancers.forget_the_neighbour,),
    "LB_BYPASSED": (balancers.leave_the_address_to_the_balancer,),
    "LB_PROXY_HEADER": (balancers.send_no_header,),
    "LB_UNHEALTHY": _SERVICE,
    "LB_SOURCE_RANGE": (services.let_the_source_in,),
    "NETFILTER_DROP": (rules.delete_the_rule,),
    "NETPOL_EGRESS": (policies.allow_egress,),
    "NETPOL_INGRESS": (policies.allow_ingress,),
    "NETPOL_NOT_ENFORCED": (enforcement.enforce_policies,),
    "NO_SOCKET": (
        services.aim_at_a_port_that_listens,
        services.ask_a_port_that_listens,
        services.speak_its_protocol,
    ),
    "PKT_TOO_BIG": (mtu.send_smaller_packets,),
    "PMTU_BLACKHOLE": (mtu.send_smaller_packets,),
    "REPLY_NOT_UNNATED": (forwarding.translate_on_bridges, conntrack.be_liberal),
    "NACL_DENY": (vpc.admit_by_an_acl,),
    "SG_DENY": (vpc.admit_by_a_group,),
    "SRC_DST_CHECK": (vpc.switch_the_check_off,),
    "VPC_NO_PUBLIC_ADDRESS": (vpc.take_a_public_address,),
    "VPC_NO_ROUTE": (vpc.add_a_route,),
    "SVC_NO_ENDPOINTS": _SERVICE,
    "SVC_NO_LOCAL_ENDPOINT": (
        balancers.check_the_nodes,
        services.take_endpoints_of_other_nodes,
    ),
    "SVC_NODEPORT_ADDRESS": (node_ports.serve_them_there, node_ports.ask_where_they_are_served),
    "TCP_CSUM": (offload.reckon_in_software,),
    "TUNNEL_TO_ITSELF": (underlay.go_by_another_device,),
    "TTL_EXPIRED": (forwarding.send_with_a_usual_ttl,),
    "UDP_CSUM": (offload.reckon_in_software,),
    "UNDERLAY_FILTER": (rules.delete_the_rule, underlay.take_another_way),
}
"""By code; a code that is not here has no known remedy."""

ALWAYS: Final[tuple[Proposer, ...]] = (ranges.take_another_range, services.ask_a_port_that_it_has)
"""Those that see for themselves whether they apply: what becomes of such packets depends on the network."""
