# SPDX-License-Identifier: GPL-2.0-only
"""The names below `/proc/sys/net`, their defaults, and what may be written.

Read off a new network namespace of Linux 6.18 (with `br_netfilter` and
`nf_conntrack`), every limit found by writing. Notation of the tables, one word
a name:

    NAME=DEFAULT            an integer of 32 bits, or text if the default is none
    NAME=DEFAULT:LOW..HIGH  an integer between two limits
    NAME=DEFAULT:KIND       one of `KINDS`, or the words allowed, joined by `|`
    NAME=A,B,C              several integers; fewer may be written
    NAME=A+B:ro             read only; `+` stands for a blank

The kernel's own view of time is not hidden: names that end in `_ms` are
milliseconds, `ticks` are hundredths of a second, timeouts are seconds.
"""

from __future__ import annotations

import re
from typing import Final

import attrs

Value = int | str | tuple[int, ...]
"""What a name holds: mostly a number, sometimes a text or a row of numbers."""

KINDS: Final = {
    "": (-(2**31), 2**31 - 1),
    "bit": (0, 1),
    "u8": (0, 255),
    "u31": (0, 2**31 - 1),
    "pos": (1, 2**31 - 1),
    "u32": (0, 2**32 - 1),
    "u63": (0, 2**63 - 1),
    "s": (-8589934, 8589934),  # seconds that fit an `int` of 250 Hz jiffies
    "ms": (0, 2**31 - 1),
    "ticks": (-(2**31), 2**63 - 1),
    "flag": (-(2**31), 2**31 - 1),  # anything but 0 reads back as 1
    "ro": (0, -1),
    "wo": (-(2**31), 2**31 - 1),
}


_NUMBER: Final = re.compile(
    r"(?P<minus>-)?(?:0[xX](?P<hexadecimal>[0-9a-fA-F]+)|(?P<octal>0[0-7]+)|(?P<decimal>0|[1-9][0-9]*))"
)


@attrs.frozen
class Entry:
    """What is known of a name: its default, and what may be written to it.

    `low` above `high` means that nothing may. `words` is empty where any text may.
    """

    default: Value
    low: int
    high: int
    is_flag: bool = False
    words: tuple[str, ...] = ()

    def take(self, value: Value, before: Value) -> Value:
        """Return what the name holds after `value` was written to it, `before` until now.

        Text is read as the kernel reads it: numbers are decimal, octal or
        hexadecimal, blanks separate, what follows the last number needed is
        passed over, and a row of numbers keeps those that are not written.

        Raises:
            ValueError: the kernel would refuse it (EINVAL).
            LookupError: a word that is not among those allowed (ENOENT).
        """
        if isinstance(self.default, str):
            if self.low > self.high:
                raise ValueError("read only")
            text = str(value).strip()
            if self.words and text not in self.words:
                raise LookupError(text)
            return text
        wanted = 1 if isinstance(self.default, int) else len(self.default)
        numbers = _integers(value)[:wanted]
        if not numbers or not all(self.low <= number <= self.high for number in numbers):
            raise ValueError("out of range")
        if isinstance(before, tuple):
            return (*numbers, *before[len(numbers) :])
        return int(numbers[0] != 0) if self.is_flag else numbers[0]


def _integers(value: Value) -> tuple[int, ...]:
    if isinstance(value, str):
        return tuple(map(_integer, value.split()))
    return value if isinstance(value, tuple) else (int(value),)


def _integer(word: str) -> int:
    match = _NUMBER.fullmatch(word)
    if match is None:
        raise ValueError(word)
    sign = -1 if match["minus"] else 1
    if match["hexadecimal"]:
        return sign * int(match["hexadecimal"], 16)
    return sign * int(match["octal"] or match["decimal"], 8 if match["octal"] else 10)


def _entry(default: str, kind: str) -> Entry:
    if "|" in kind:
        return Entry(default, 0, 0, words=tuple(kind.split("|")))
    low, high = KINDS[kind] if kind in KINDS else map(int, kind.split(".."))
    numbers = default.removeprefix("-").replace(",", "")
    if not numbers.isdecimal() or default.startswith("0000"):
        return Entry(default.replace("+", " "), low, high)
    if "," in default:
        return Entry(tuple(map(int, default.split(","))), low, high)
    return Entry(int(default), low, high, is_flag=kind == "flag")


def _entries(table: str) -> dict[str, Entry]:
    entries = {}
    for word in table.split():
        name, _, rest = word.partition("=")
        default, _, kind = rest.partition(":")
        entries[name] = _entry(default, kind)
    return entries


CONF: Final = _entries(
    """
    accept_local=0 accept_redirects=1 accept_source_route=1 arp_accept=0 arp_announce=0
    arp_evict_nocarrier=1 arp_filter=0 arp_ignore=0 arp_notify=0 bc_forwarding=0 bootp_relay=0
    disable_policy=0 disable_xfrm=0 drop_gratuitous_arp=0 drop_unicast_in_l2_multicast=0
    force_igmp_version=0 forwarding=0 igmpv2_unsolicited_report_interval=10000
    igmpv3_unsolicited_report_interval=1000 ignore_routes_with_linkdown=0 log_martians=0 mc_forwarding=0:ro
    medium_id=0 promote_secondaries=0 proxy_arp=0 proxy_arp_pvlan=0 route_localnet=0 rp_filter=0
    secure_redirects=1 send_redirects=1 shared_media=1 src_valid_mark=0 tag=0
    """
)
"""`net.ipv4.conf.DEVICE.*`, as a new device has them (but see `LOOPBACK`)."""

NEIGH: Final = _entries(
    """
    anycast_delay=100:ticks app_solicit=0:u31 base_reachable_time_ms=30000:ms delay_first_probe_time=5:s
    gc_stale_time=60:s interval_probe_time_ms=5000:pos locktime=100:ticks mcast_resolicit=0:u31
    mcast_solicit=3:u31 proxy_delay=80:ticks proxy_qlen=64:u31 retrans_time_ms=1000:ms ucast_solicit=3:u31
    unres_qlen_bytes=212992:u31
    """
)
"""`net.ipv4.neigh.DEVICE.*`."""

CONF6: Final = _entries(
    """
    accept_dad=1 accept_ra=1 accept_ra_defrtr=1 accept_ra_from_local=0 accept_ra_min_hop_limit=1
    accept_ra_min_lft=0 accept_ra_mtu=1 accept_ra_pinfo=1 accept_ra_rt_info_max_plen=0
    accept_ra_rt_info_min_plen=0 accept_ra_rtr_pref=1 accept_redirects=1 accept_source_route=0
    accept_untracked_na=0:0..2 addr_gen_mode=0:0..3 autoconf=1 dad_transmits=1 disable_ipv6=0
    disable_policy=0 drop_unicast_in_l2_multicast=0 drop_unsolicited_na=0 enhanced_dad=1
    force_forwarding=0:bit force_mld_version=0 force_tllao=0 forwarding=0 hop_limit=64:1..255
    ignore_routes_with_linkdown=0 ioam6_enabled=0:bit ioam6_id=65535:0..65535 ioam6_id_wide=4294967295:u32
    keep_addr_on_down=0 max_addresses=16 max_desync_factor=600 mc_forwarding=0:ro
    mldv1_unsolicited_report_interval=10000:ms mldv2_unsolicited_report_interval=1000:ms
    mtu=1280:1280..2147483647 ndisc_evict_nocarrier=1:bit ndisc_notify=0 ndisc_tclass=0:u8 optimistic_dad=0
    proxy_ndp=0 ra_defrtr_metric=1024:1..4294967295 ra_honor_pio_life=0:bit ra_honor_pio_pflag=0:bit
    regen_max_retry=3 regen_min_advance=2 router_probe_interval=60:s router_solicitation_delay=1:s
    router_solicitation_interval=4:s router_solicitation_max_interval=3600:s
    router_solicitations=-1:-1..2147483647 rpl_seg_enabled=0:bit seg6_enabled=0 seg6_require_hmac=0
    suppress_frag_ndisc=1 temp_prefered_lft=86400 temp_valid_lft=604800 use_oif_addrs_only=0
    use_optimistic=0 use_tempaddr=0
    """
)
"""`net.ipv6.conf.DEVICE.*`."""

NEIGH6: Final = NEIGH | _entries("locktime=0:ticks")
"""`net.ipv6.neigh.DEVICE.*`."""


@attrs.frozen
class View:
    """A name of `neigh` that shows another, `held`, in units of `unit` of it."""

    held: str
    unit: int
    entry: Entry


VIEWS: Final = {
    "base_reachable_time": View("base_reachable_time_ms", 1000, _entry("30", "s")),
    "retrans_time": View("retrans_time_ms", 10, _entry("100", "ticks")),
    "unres_qlen": View("unres_qlen_bytes", 2090, _entry("101", "0..1027504")),
}
VIEWS6: Final = VIEWS | {"retrans_time": View("retrans_time_ms", 4, _entry("250", ""))}
"""The same for IPv6, where a retransmission time is in jiffies of a 250 Hz kernel."""

UNLISTED: Final = frozenset(("base_reachable_time", "retrans_time"))
"""Deprecated names, which `sysctl -a` does not list."""

ALL: Final = {"accept_source_route": 0}
"""Where `net.ipv4.conf.all` starts otherwise than a device."""

LOOPBACK: Final = {"disable_policy": 1, "disable_xfrm": 1}
"""Where `net.ipv4.conf.lo` does."""

ALL6: Final = {"accept_dad": 0}
LOOPBACK6: Final = {"accept_dad": -1, "use_tempaddr": -1, "mtu": 65536}
"""The same for `net.ipv6.conf`."""

_FLAT: Final = {
    "net.bridge": """
    bridge-nf-call-arptables=1:flag bridge-nf-call-ip6tables=1:flag bridge-nf-call-iptables=1:flag
    bridge-nf-filter-pppoe-tagged=0:flag bridge-nf-filter-vlan-tagged=0:flag
    bridge-nf-pass-vlan-input-dev=0:flag
    """,
    "net.core": """
    optmem_max=131072:u31 rmem_default=212992 rmem_max=4194304 rps_default_mask=0:u32 somaxconn=4096:u31
    tstamp_allow_data=1:bit txrehash=1:bit wmem_default=212992 wmem_max=4194304 xfrm_acq_expires=30
    xfrm_aevent_etime=10:u32 xfrm_aevent_rseqth=2:u32 xfrm_larval_drop=1
    """,
    "net.ipv4": """
    fib_multipath_hash_fields=7:1..4095 fib_multipath_hash_policy=0:0..3 fib_multipath_hash_seed=0:u32
    fib_multipath_use_neigh=0:bit fib_notify_on_flag_change=0:0..2 fwmark_reflect=0:u8
    icmp_echo_enable_probe=0:bit icmp_echo_ignore_all=0:bit icmp_echo_ignore_broadcasts=1:bit
    icmp_errors_use_inbound_ifaddr=0:bit icmp_ignore_bogus_error_responses=1:bit icmp_msgs_burst=50:u31
    icmp_msgs_per_sec=1000:u31 icmp_ratelimit=1000:ms icmp_ratemask=6168 igmp_link_local_mcast_reports=1:u8
    igmp_max_memberships=20 igmp_max_msf=10 igmp_qrv=2:pos ip_autobind_reuse=0:bit ip_default_ttl=64:1..255
    ip_dynaddr=0:u8 ip_early_demux=1:u8 ip_forward=0 ip_forward_update_priority=1:bit
    ip_forward_use_pmtu=0:u8 ip_local_port_range=32768,60999 ip_local_reserved_ports= ip_no_pmtu_disc=0:u8
    ip_nonlocal_bind=0:u8 ip_unprivileged_port_start=1024:0..65535 ipfrag_high_thresh=4194304:u63
    ipfrag_low_thresh=3145728:u63 ipfrag_max_dist=64:u31 ipfrag_time=30:s nexthop_compat_mode=1:bit
    ping_group_range=1,0 raw_l3mdev_accept=1:bit tcp_abort_on_overflow=0:u8 tcp_adv_win_scale=1:-31..31
    tcp_allowed_congestion_control=reno+cubic:ro tcp_app_win=31:0..31 tcp_autocorking=1:bit
    tcp_available_congestion_control=reno+cubic:ro tcp_backlog_ack_defer=1:bit tcp_base_mss=1024
    tcp_challenge_ack_limit=2147483647 tcp_child_ehash_entries=0:0..16777216
    tcp_comp_sack_delay_ns=1000000:u63 tcp_comp_sack_nr=44:u8 tcp_comp_sack_slack_ns=100000:u63
    tcp_congestion_control=cubic:cubic|reno|bbr tcp_dsack=1:u8 tcp_early_demux=1:u8 tcp_early_retrans=3:0..4
    tcp_ecn=2:0..2 tcp_ecn_fallback=1:bit tcp_ecn_option=2:0..2 tcp_ecn_option_beacon=3:0..3
    tcp_ehash_entries=-262144:ro tcp_fack=0:u8 tcp_fastopen=1 tcp_fastopen_blackhole_timeout_sec=0:u31
    tcp_fastopen_key=00000000-00000000-00000000-00000000 tcp_fin_timeout=60:s tcp_frto=2:u8
    tcp_fwmark_accept=0:u8 tcp_invalid_ratelimit=500:ms tcp_keepalive_intvl=75:s tcp_keepalive_probes=9:u8
    tcp_keepalive_time=7200:s tcp_l3mdev_accept=0:bit tcp_limit_output_bytes=4194304
    tcp_max_reordering=300:pos tcp_max_syn_backlog=2048 tcp_max_tw_buckets=131072 tcp_migrate_req=0:bit
    tcp_min_rtt_wlen=300:0..86400 tcp_min_snd_mss=48:48..65535 tcp_min_tso_segs=2:1..255
    tcp_moderate_rcvbuf=1:u8 tcp_mtu_probe_floor=48:48..65535 tcp_mtu_probing=0:u8 tcp_no_metrics_save=0:u8
    tcp_no_ssthresh_metrics_save=1:bit tcp_notsent_lowat=4294967295:u32 tcp_orphan_retries=0:u8
    tcp_pacing_ca_ratio=120:0..1000 tcp_pacing_ss_ratio=200:0..1000 tcp_pingpong_thresh=1:1..255
    tcp_plb_cong_thresh=128:0..256 tcp_plb_enabled=0:bit tcp_plb_idle_rehash_rounds=3:0..31
    tcp_plb_rehash_rounds=12:0..31 tcp_plb_suspend_rto_sec=60:u8 tcp_probe_interval=600:0..17179869
    tcp_probe_threshold=8 tcp_recovery=1:u8 tcp_reflect_tos=0:bit tcp_reordering=3:1..300
    tcp_retrans_collapse=1:u8 tcp_retries1=3:u8 tcp_retries2=15:u8 tcp_rfc1337=0:u8
    tcp_rmem=4096,131072,33554432:pos tcp_rto_max_ms=120000:1000..120000 tcp_rto_min_us=200000:pos
    tcp_sack=1:u8 tcp_shrink_window=0:bit tcp_slow_start_after_idle=1:u8 tcp_stdurg=0:u8
    tcp_syn_linear_timeouts=4:0..127 tcp_syn_retries=6:1..127 tcp_synack_retries=5:u8 tcp_syncookies=1:u8
    tcp_thin_linear_timeouts=0:u8 tcp_timestamps=1:u8 tcp_tso_rtt_log=9:u8 tcp_tso_win_divisor=3:u8
    tcp_tw_reuse=2:0..2 tcp_tw_reuse_delay=1000:1..60000 tcp_window_scaling=1:u8
    tcp_wmem=4096,16384,4194304:pos tcp_workaround_signed_windows=0:u8 udp_child_hash_entries=0:0..65536
    udp_early_demux=1:u8 udp_hash_entries=-16384:ro udp_l3mdev_accept=0:bit udp_rmem_min=4096:pos
    udp_wmem_min=4096:pos xfrm4_gc_thresh=32768
    """,
    "net.ipv4.route": """
    flush=:wo min_adv_mss=256 min_pmtu=552:68..2147483647 mtu_expires=600:s
    """,
    "net.ipv6": """
    anycast_src_echo_reply=0:u8 auto_flowlabels=1:0..3 bindv6only=0:u8 fib_multipath_hash_fields=7:1..4095
    fib_multipath_hash_policy=0:0..3 fib_notify_on_flag_change=0:0..2 flowlabel_consistency=1:u8
    flowlabel_reflect=0:0..7 flowlabel_state_ranges=0:u8 fwmark_reflect=0:u8 idgen_delay=1:s idgen_retries=3
    ioam6_id=16777215:0..16777215 ioam6_id_wide=72057594037927935:0..72057594037927935
    ip6frag_high_thresh=4194304:u63 ip6frag_low_thresh=3145728:u63 ip6frag_time=60:s ip_nonlocal_bind=0:u8
    max_dst_opts_length=2147483647 max_dst_opts_number=8 max_hbh_length=2147483647 max_hbh_opts_number=8
    seg6_flowlabel=0 xfrm6_gc_thresh=32768
    """,
    "net.ipv6.icmp": """
    echo_ignore_all=0:u8 echo_ignore_anycast=0:u8 echo_ignore_multicast=0:u8 error_anycast_as_unicast=0:bit
    ratelimit=100:ms ratemask=0-1,3-127
    """,
    "net.ipv6.route": """
    flush=:wo gc_elasticity=9 gc_interval=30:s gc_min_interval=0:s gc_min_interval_ms=500:ms gc_thresh=1024
    gc_timeout=60:s max_size=2147483647 min_adv_mss=1220 mtu_expires=600:s skip_notify_on_dev_down=0:bit
    """,
    "net.mptcp": """
    add_addr_timeout=120:s allow_join_initial_addr_port=1:bit available_path_managers=kernel+userspace:ro
    available_schedulers=default:ro blackhole_timeout=3600:u31 checksum_enabled=0:bit close_timeout=60:s
    enabled=1:bit path_manager=kernel:kernel|userspace pm_type=0:bit scheduler=default stale_loss_cnt=4:u32
    syn_retrans_before_tcp_fallback=2:u8
    """,
    "net.netfilter": """
    nf_conntrack_acct=0:bit nf_conntrack_buckets=262144:u31 nf_conntrack_checksum=1:bit
    nf_conntrack_count=0:ro nf_conntrack_events=2:0..2 nf_conntrack_expect_max=4096:u31
    nf_conntrack_frag6_high_thresh=4194304:u63 nf_conntrack_frag6_low_thresh=3145728:u63
    nf_conntrack_frag6_timeout=60:s nf_conntrack_generic_timeout=600:s nf_conntrack_gre_timeout=30:s
    nf_conntrack_gre_timeout_stream=180:s nf_conntrack_icmp_timeout=30:s nf_conntrack_icmpv6_timeout=30:s
    nf_conntrack_log_invalid=0:u8 nf_conntrack_max=262144:u31 nf_conntrack_sctp_timeout_closed=10:s
    nf_conntrack_sctp_timeout_cookie_echoed=3:s nf_conntrack_sctp_timeout_cookie_wait=3:s
    nf_conntrack_sctp_timeout_established=210:s nf_conntrack_sctp_timeout_heartbeat_sent=30:s
    nf_conntrack_sctp_timeout_shutdown_ack_sent=3:s nf_conntrack_sctp_timeout_shutdown_recd=3:s
    nf_conntrack_sctp_timeout_shutdown_sent=3:s nf_conntrack_tcp_be_liberal=0:bit
    nf_conntrack_tcp_ignore_invalid_rst=0:bit nf_conntrack_tcp_loose=1:bit nf_conntrack_tcp_max_retrans=3:u8
    nf_conntrack_tcp_timeout_close=10:s nf_conntrack_tcp_timeout_close_wait=60:s
    nf_conntrack_tcp_timeout_established=432000:s nf_conntrack_tcp_timeout_fin_wait=120:s
    nf_conntrack_tcp_timeout_last_ack=30:s nf_conntrack_tcp_timeout_max_retrans=300:s
    nf_conntrack_tcp_timeout_syn_recv=60:s nf_conntrack_tcp_timeout_syn_sent=120:s
    nf_conntrack_tcp_timeout_time_wait=120:s nf_conntrack_tcp_timeout_unacknowledged=300:s
    nf_conntrack_timestamp=0:bit nf_conntrack_udp_timeout=30:s nf_conntrack_udp_timeout_stream=120:s
    nf_hooks_lwtunnel=0:bit
    """,
    "net.ipv4.vs": """
    am_droprate=10 amemthresh=1024 backup_only=0 cache_bypass=0 conn_reuse_mode=1 conntrack=0 drop_entry=0
    drop_packet=0 est_cpulist=0-1 est_nice=0 expire_nodest_conn=0 expire_quiescent_template=0
    ignore_tunneled=0 nat_icmp_send=0 pmtu_disc=1 run_estimation=1 schedule_icmp=0 secure_tcp=0
    sloppy_sctp=0 sloppy_tcp=0 snat_reroute=1 sync_persist_mode=0 sync_ports=1 sync_qlen_max=125952
    sync_refresh_period=0 sync_retries=0:0..3 sync_sock_size=0 sync_threshold=3,50 sync_version=1:bit
    """,
    "net.netfilter.nf_log": """
    0=NONE 1=NONE 10=nf_log_ipv6 2=nf_log_ipv4 3=nf_log_arp 4=NONE 5=nf_log_netdev 6=NONE 7=nf_log_bridge
    8=NONE 9=NONE
    """,
    "net.unix": """
    max_dgram_qlen=10
    """,
}

_FLAT_INITIAL: Final = {
    "net.core": """
    bpf_jit_enable=1 bpf_jit_harden=0:0..2 busy_poll=0:u31 busy_read=0:u31 default_qdisc=pfifo_fast
    dev_weight=64 dev_weight_rx_bias=1 dev_weight_tx_bias=1 devconf_inherit_init_net=0:0..3
    flow_limit_table_len=4096:pos gro_normal_batch=8:pos high_order_alloc_disable=0:bit
    max_skb_frags=17:1..17 message_burst=10 message_cost=5:s netdev_budget=300 netdev_budget_usecs=8000:u31
    netdev_max_backlog=1000 netdev_tstamp_prequeue=1 rps_sock_flow_entries=0:u31 skb_defer_max=64:u31
    warnings=0
    """,
    "net.ipv4": """
    fib_sync_mem=524288:u31 inet_peer_maxttl=600:s inet_peer_minttl=120:s inet_peer_threshold=65664
    ipfrag_secret_interval=0:s tcp_low_latency=0 tcp_max_orphans=131072 tcp_mem=287898,383867,575796
    udp_mem=575799,767734,1151598
    """,
    "net.ipv4.route": """
    error_burst=1250 error_cost=250 gc_elasticity=8 gc_interval=60:s gc_min_interval=0:s
    gc_min_interval_ms=500:ms gc_thresh=-1 gc_timeout=300:s max_size=2147483647 redirect_load=5
    redirect_number=9 redirect_silence=5120
    """,
    "net.ipv4.neigh.default": "gc_interval=30:s gc_thresh1=128:u31 gc_thresh2=512:u31 gc_thresh3=1024:u31",
    "net.ipv6.neigh.default": "gc_interval=30:s gc_thresh1=128:u31 gc_thresh2=512:u31 gc_thresh3=1024:u31",
    "net.netfilter": "nf_log_all_netns=0:bit",
    "net": "nf_conntrack_max=262144:u31",
}


def _flat(tables: dict[str, str]) -> dict[str, Entry]:
    return {
        f"{group}.{name}": entry for group, table in tables.items() for name, entry in _entries(table).items()
    }


FLAT: Final = _flat(_FLAT)
"""All other names, with dots and from `net.` on; each namespace has them."""

INITIAL: Final = _flat(_FLAT_INITIAL)
"""Those that only a machine's initial namespace has, beside `neigh.default`."""

READ_ONLY_BELOW: Final = frozenset(
    (
        "net.netfilter.nf_conntrack_max",
        "net.netfilter.nf_conntrack_buckets",
        "net.netfilter.nf_conntrack_expect_max",
    )
)
"""Names that only the initial namespace may write."""
