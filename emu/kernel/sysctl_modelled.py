# SPDX-License-Identifier: GPL-2.0-only
"""Which settings below `/proc/sys/net` the stack obeys.

Whoever makes the stack obey another one adds it here; a test compares the list
with the names that stand in the code.
"""

from __future__ import annotations

from typing import Final


def _names(groups: dict[str, str]) -> frozenset[str]:
    return frozenset(f"{group}.{name}" for group, words in groups.items() for name in words.split())


MODELLED: Final = _names(
    {
        "net.bridge": "bridge-nf-call-arptables bridge-nf-call-iptables",
        "net.core": "somaxconn",
        "net.ipv4": """
        fwmark_reflect icmp_echo_ignore_all icmp_echo_ignore_broadcasts icmp_errors_use_inbound_ifaddr
        icmp_msgs_burst icmp_msgs_per_sec icmp_ratelimit icmp_ratemask ip_default_ttl ip_forward
        ip_local_port_range ip_nonlocal_bind ip_unprivileged_port_start ipfrag_time tcp_abort_on_overflow
        tcp_app_win tcp_comp_sack_delay_ns tcp_comp_sack_nr tcp_congestion_control tcp_dsack
        tcp_early_retrans tcp_fin_timeout tcp_frto tcp_invalid_ratelimit tcp_keepalive_intvl
        tcp_keepalive_probes tcp_keepalive_time tcp_max_reordering tcp_min_snd_mss tcp_moderate_rcvbuf
        tcp_no_metrics_save tcp_orphan_retries tcp_pingpong_thresh tcp_reordering tcp_retrans_collapse
        tcp_retries2 tcp_rfc1337 tcp_rmem tcp_rto_max_ms tcp_rto_min_us tcp_sack tcp_slow_start_after_idle
        tcp_syn_linear_timeouts tcp_syn_retries tcp_synack_retries tcp_timestamps tcp_tso_win_divisor
        tcp_window_scaling tcp_wmem
        """,
        "net.ipv4.conf.*": """
        accept_local accept_redirects accept_source_route arp_accept arp_announce arp_evict_nocarrier
        arp_filter arp_ignore arp_notify bc_forwarding drop_gratuitous_arp forwarding
        ignore_routes_with_linkdown medium_id promote_secondaries proxy_arp proxy_arp_pvlan
        route_localnet rp_filter send_redirects shared_media src_valid_mark
        """,
        "net.ipv4.neigh.*": """
        app_solicit base_reachable_time_ms delay_first_probe_time gc_stale_time locktime mcast_resolicit
        mcast_solicit proxy_delay proxy_qlen retrans_time_ms ucast_solicit unres_qlen_bytes
        """,
        "net.ipv4.route": "min_pmtu mtu_expires",
        "net.ipv4.vs": """
        conn_reuse_mode conntrack expire_nodest_conn expire_quiescent_template nat_icmp_send sloppy_sctp
        sloppy_tcp snat_reroute
        """,
        "net.ipv6.conf.*": "disable_ipv6",
        "net.netfilter": """
        nf_conntrack_acct nf_conntrack_checksum nf_conntrack_generic_timeout nf_conntrack_gre_timeout
        nf_conntrack_gre_timeout_stream nf_conntrack_icmp_timeout nf_conntrack_max
        nf_conntrack_sctp_timeout_closed nf_conntrack_sctp_timeout_cookie_echoed
        nf_conntrack_sctp_timeout_cookie_wait nf_conntrack_sctp_timeout_established
        nf_conntrack_sctp_timeout_heartbeat_sent nf_conntrack_sctp_timeout_shutdown_ack_sent
        nf_conntrack_sctp_timeout_shutdown_recd nf_conntrack_sctp_timeout_shutdown_sent
        nf_conntrack_tcp_be_liberal nf_conntrack_tcp_ignore_invalid_rst nf_conntrack_tcp_loose
        nf_conntrack_tcp_max_retrans nf_conntrack_tcp_timeout_close
        nf_conntrack_tcp_timeout_close_wait nf_conntrack_tcp_timeout_established
        nf_conntrack_tcp_timeout_fin_wait nf_conntrack_tcp_timeout_last_ack
        nf_conntrack_tcp_timeout_max_retrans nf_conntrack_tcp_timeout_syn_recv
        nf_conntrack_tcp_timeout_syn_sent nf_conntrack_tcp_timeout_time_wait
        nf_conntrack_tcp_timeout_unacknowledged nf_conntrack_udp_timeout
        nf_conntrack_udp_timeout_stream
        """,
    }
)
"""Names that the stack obeys, `*` for a device. Of the others nothing but the value is known."""

INVISIBLE: Final = _names(
    {
        "net.core": "netdev_max_backlog rmem_default rmem_max wmem_default wmem_max",
        "net.ipv4": "tcp_mem udp_mem",
        "net.ipv4.conf.*": "log_martians",
        "net.ipv4.neigh.default": "gc_interval gc_thresh1 gc_thresh2 gc_thresh3",
        "net.netfilter": "nf_conntrack_buckets",
    }
)
"""Names that matter to a machine's memory and log, never to a packet's fate here."""
