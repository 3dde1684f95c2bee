# SPDX-License-Identifier: GPL-2.0-only
"""What `ip -d link` adds: the limits of a device, its type's settings, and those of a bridge's port.

What emu does not have stands there as Linux starts with it (a bridge made with
`stp_state 0 forward_delay 0 mcast_snooping 0`), its timers as expired. The ports
of a bridge are numbered as if none had ever left it.

Source: iproute2 6.1, ip/iplink_bridge.c, ip/iplink_bridge_slave.c, ip/iplink_vxlan.c,
ip/link_iptnl.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, assert_never

from emu.kernel.link.bridge import Bridge
from emu.kernel.link.device import MIN_MTU
from emu.kernel.link.ipip import FALLBACK, HEADROOM, Ipip
from emu.kernel.link.veth import Veth
from emu.kernel.link.vxlan import Df, Vxlan
from emu.tools.ip.record import Literal, Record
from emu.tools.ip.values import SECOND

if TYPE_CHECKING:
    from emu.kernel.link.bridge import Port
    from emu.kernel.link.device import Device

_EXPIRED: Final = "   0.00"
PRIORITY: Final = 32  # of a port, in spanning tree
_VETH_COST: Final = 2  # of 10 Gbit/s, which it claims to have
_OTHER_COST: Final = 100  # of what claims nothing


def port_cost(device: Device) -> int:
    """Return the path cost that spanning tree gives `device`. Source: net/bridge/br_if.c `port_cost`."""
    return _VETH_COST if isinstance(device.link, Veth) else _OTHER_COST


def put_details(record: Record, device: Device, *, is_link: bool) -> None:
    """Add what `-d` shows of `device`; `is_link`: for `ip link`, not `ip addr`."""
    is_port = device.port is not None
    record.put("promiscuity", int(is_port), f" promiscuity {int(is_port)} ")
    record.put("allmulti", int(is_port), f" allmulti {int(is_port)} ")
    least, most = _limits(device)
    record.put("min_mtu", least, f"minmtu {least} ")
    record.put("max_mtu", most, f"maxmtu {most} ")
    info = Record()
    if device.link.kind:
        info.put("info_kind", device.link.kind, f"\n    {device.link.kind} ")
        _put_kind(info, device)
    if device.port is not None:
        port = Record()
        _put_port(port, device.port)
        info.put("info_slave_kind", "bridge", "\n    bridge_slave ")
        info.put("info_slave_data", port.fields, port.text)
    if info.fields:
        record.put("linkinfo", info.fields, info.text)
    if is_link:
        record.put("inet6_addr_gen_mode", "eui64", "addrgenmode eui64 ")
    _put_limits(record, device)


def _limits(device: Device) -> tuple[int, int]:
    """Return the least and the greatest MTU, zeros for a device that has none."""
    if device.is_loopback or device.name == FALLBACK:
        return 0, 0
    return MIN_MTU, 65535 - (HEADROOM if isinstance(device.link, Ipip) else 0)


def _put_limits(record: Record, device: Device) -> None:
    queues = 2 if isinstance(device.link, Veth) else 1
    is_empty = isinstance(device.link, Bridge) and not device.link.ports
    record.put_number("num_tx_queues", queues, "numtxqueues")
    record.put_number("num_rx_queues", queues, "numrxqueues")
    record.put_number("gso_max_size", 65536)
    record.put_number("gso_max_segs", 65535)
    record.put_number("tso_max_size", 65536 if is_empty else 524280)
    record.put_number("tso_max_segs", 65535)
    record.put_number("gro_max_size", 65536)


def _put_kind(info: Record, device: Device) -> None:
    data = Record()
    if isinstance(device.link, Bridge) and device.link.kind == Bridge.kind:
        _put_bridge(data, device, device.link)
    elif isinstance(device.link, Vxlan):
        _put_vxlan(data, device.link)
    elif isinstance(device.link, Ipip):
        _put_ipip(data, device)
    if data.fields:
        info.put("info_data", data.fields, data.text)


def _bridge_id(device: Device) -> str:
    """Return a bridge's identifier, in which small octets are not filled up with a zero."""
    return "8000." + ":".join(f"{octet:x}" for octet in device.mac)


def _put_timer(record: Record, name: str) -> None:
    record.put(name, Literal("0.00"), f"{name} {_EXPIRED} ")


_NUMBERS_BEHIND: Final = (
    ("mcast_router", 1, ""),
    ("mcast_query_use_ifaddr", 0, ""),
    ("mcast_querier", 0, ""),
    ("mcast_hash_elasticity", 16, ""),
    ("mcast_hash_max", 4096, ""),
    ("mcast_last_member_cnt", 2, "mcast_last_member_count"),
    ("mcast_startup_query_cnt", 2, "mcast_startup_query_count"),
    ("mcast_last_member_intvl", 100, "mcast_last_member_interval"),
    ("mcast_membership_intvl", 26000, "mcast_membership_interval"),
    ("mcast_querier_intvl", 25500, "mcast_querier_interval"),
    ("mcast_query_intvl", 12500, "mcast_query_interval"),
    ("mcast_query_response_intvl", 1000, "mcast_query_response_interval"),
    ("mcast_startup_query_intvl", 3124, "mcast_startup_query_interval"),
    ("mcast_stats_enabled", 0, ""),
    ("mcast_igmp_version", 2, ""),
    ("mcast_mld_version", 1, ""),
    ("nf_call_iptables", 0, ""),
    ("nf_call_ip6tables", 0, ""),
    ("nf_call_arptables", 0, ""),
)
"""Key of JSON, value, and word of the text where it is another."""


def _put_bridge(record: Record, device: Device, link: Bridge) -> None:
    identifier = _bridge_id(device)
    record.put_number("forward_delay", 0)
    record.put_number("hello_time", 200)
    record.put_number("max_age", 2000)
    record.put_number("ageing_time", link.fdb.ageing_time * 100 // SECOND)
    record.put_number("stp_state", 0)
    record.put_number("priority", 32768)
    record.put_number("vlan_filtering", 0)
    record.put("bridge_id", identifier, f"bridge_id {identifier} ")
    record.put("root_id", identifier, f"designated_root {identifier} ")
    for name in ("root_port", "root_path_cost", "topology_change", "topology_change_detected"):
        record.put_number(name, 0)
    for name in ("hello_timer", "tcn_timer", "topology_change_timer", "gc_timer"):
        _put_timer(record, name)
    mask = f"{link.group_fwd_mask:#x}" if link.group_fwd_mask else "0"
    record.put("group_fwd_mask", mask, f"group_fwd_mask {mask} ")
    record.put("group_addr", "01:80:c2:00:00:00", "group_address 01:80:c2:00:00:00 ")
    record.put_number("mcast_snooping", 0)
    record.put_number("no_linklocal_learn", 0)
    record.put_number("mcast_vlan_snooping", 0)
    for key, value, word in _NUMBERS_BEHIND:
        record.put_number(key, value, word or None)


def _put_port(record: Record, port: Port) -> None:
    state = port.state.name.lower()
    number = len(port.link.ports) - port.link.ports.index(port)
    record.put("state", state, f"state {state} ")
    record.put_number("priority", PRIORITY)
    record.put_number("cost", port_cost(port.device))
    record.put_switch("hairpin", value=port.hairpin)
    for name in ("guard", "root_block", "fastleave"):
        record.put_switch(name, value=False)
    record.put_switch("learning", value=port.learning)
    record.put_switch("flood", value=port.flood)
    record.put("id", f"{0x8000 | number:#x}", f"port_id {0x8000 | number:#x} ")
    record.put("no", f"{number:#x}", f"port_no {number:#x} ")
    record.put_number("designated_port", 0x8000 | number)
    record.put_number("designated_cost", 0)
    for key, word in (("bridge_id", "designated_bridge"), ("root_id", "designated_root")):
        record.put(key, _bridge_id(port.bridge), f"{word} {_bridge_id(port.bridge)} ")
    for name in ("hold_timer", "message_age_timer", "forward_delay_timer"):
        _put_timer(record, name)
    record.put_number("topology_change_ack", 0)
    record.put_number("config_pending", 0)
    record.put_switch("proxy_arp", value=False)
    record.put_switch("proxy_arp_wifi", value=False)
    record.put_number("multicast_router", 1, "mcast_router")
    record.show("mcast_fast_leave off ")
    record.put_switch("mcast_flood", value=port.mcast_flood)
    record.put_switch("bcast_flood", value=port.bcast_flood)
    record.put_switch("mcast_to_unicast", value=False)
    record.put_switch("neigh_suppress", value=False)
    record.put("group_fwd_mask", "0", "group_fwd_mask 0 ")
    record.put("group_fwd_mask_str", "0x0", "group_fwd_mask_str 0x0 ")
    record.put_switch("vlan_tunnel", value=False)
    record.put_switch("isolated", value=port.isolated)
    record.put_switch("locked", value=False)


def _put_vxlan(record: Record, link: Vxlan) -> None:
    record.put_number("id", link.vni)
    if not link.local.is_unspecified:
        record.put("local", str(link.local), f"local {link.local} ")
    if link.device:
        record.put("link", link.device, f"dev {link.device} ")
    low, high = link.source_ports or (0, 0)
    record.put("port_range", {"low": low, "high": high}, f"srcport {low} {high} ")
    record.put_number("port", link.dstport, "dstport")
    record.put("learning", link.learning, "" if link.learning else "nolearning ")
    _put_tos(record, link)
    _put_ttl(record, link)
    _put_df(record, link.df)
    record.put_number("ageing", link.fdb.ageing_time // SECOND)
    record.put("udp_csum", link.udpcsum, "udpcsum " if link.udpcsum else "noudpcsum ")
    record.put("udp_zero_csum6_tx", False, "noudp6zerocsumtx ")
    record.put("udp_zero_csum6_rx", False, "noudp6zerocsumrx ")


def _put_ipip(record: Record, device: Device) -> None:
    """Source: iproute2, ip/link_iptnl.c `iptunnel_print_opt`."""
    link = device.link
    assert isinstance(link, Ipip)
    proto = "any" if device.name == FALLBACK else "ipip"
    record.put("proto", proto, f"{proto} ")
    for end in ("remote", "local"):
        address = getattr(link, end)
        text = "any" if address.is_unspecified else str(address)
        record.put(end, text, f"{end} {text} ")
    if link.device:
        record.put("link", link.device, f"dev {link.device} ")
    if link.ttl:
        record.put_number("ttl", link.ttl)
    else:
        record.show("ttl inherit ")
    if link.tos_inherit or link.tos:
        number = 1 if link.tos_inherit else link.tos
        record.put("tos", f"{number:#x}", "tos inherit " if link.tos_inherit else f"tos {number:#x} ")
    record.put("pmtudisc", link.pmtudisc, "pmtudisc " if link.pmtudisc else "nopmtudisc ")


def _put_tos(record: Record, link: Vxlan) -> None:
    if link.tos_inherit:
        record.put("tos", "inherit", "tos inherit ")
    elif link.tos:
        record.put("tos", f"{link.tos:#x}", f"tos {link.tos:#x} ")


def _put_ttl(record: Record, link: Vxlan) -> None:
    if link.ttl_inherit:
        record.put("ttl", "inherit", "ttl inherit ")
    else:
        record.put("ttl", link.ttl, f"ttl {link.ttl or 'auto'} ")


def _put_df(record: Record, df: Df) -> None:
    match df:
        case Df.UNSET:
            record.keep("df", "unset")
        case Df.SET | Df.INHERIT:
            record.put("df", df.value, f"df {df.value} ")
        case _:
            assert_never(df)
