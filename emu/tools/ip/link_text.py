# SPDX-License-Identifier: GPL-2.0-only
"""What `ip link` prints of a device.

Known differences from Linux: `link-netnsid` and `link-netns` are left out, as a
namespace does not know those of others. Frames that were lost for an error are
not counted, so those columns of `-s` are 0; groups neither.

Source: iproute2 6.1, ip/ipaddress.c `print_linkinfo`, `print_stats64`;
net/core/rtnetlink.c `rtnl_fill_ifinfo`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kernel.link.ipip import Ipip
from emu.kernel.link.veth import Veth
from emu.kernel.link.vxlan import Vxlan
from emu.tools.ip.link_details import put_details

if TYPE_CHECKING:
    from collections.abc import Mapping

    from emu.kernel.link.device import Counters, Device
    from emu.tools.ip.options import Options
    from emu.tools.ip.record import Json, Record

_QUEUE_LENGTH: Final = 1000  # frames; of all kinds of device that there are
_TITLES: Final = ("errors", "dropped", "missed", "mcast"), ("errors", "dropped", "carrier", "collsns")
_LEAST_WIDTHS: Final = (10, 7, 6, 7, 7, 7)


def flags(device: Device) -> list[str]:
    """Return the flags that are shown of `device`, in their order."""
    wanted = (
        (device.up and not device.carrier, "NO-CARRIER"),
        (device.is_loopback, "LOOPBACK"),
        (isinstance(device.link, Ipip) and not device.link.remote.is_unspecified, "POINTOPOINT"),
        (not device.is_loopback and device.has_link_header, "BROADCAST"),
        (not device.is_loopback and device.has_link_header, "MULTICAST"),
        (not device.arp, "NOARP"),
        (device.up, "UP"),
        (device.is_running, "LOWER_UP"),
    )
    return [name for is_set, name in wanted if is_set]


def put_flags(record: Record, device: Device) -> None:
    """Add the flags of `device`."""
    words = flags(device)
    record.put("flags", words, f"<{','.join(words)}> ")


def operstate(device: Device, devices: Mapping[str, Device]) -> str:
    """Return the operational state of `device`, one of `devices`.

    A veth that lost its carrier and whose other end's index is that of a device
    here without carrier is said to be down for that one's sake: Linux looks it
    up in the wrong namespace, too. One that never had a carrier says either,
    depending on when Linux looked last.

    Source: net/core/link_watch.c `default_operstate`.
    """
    if not device.up:
        return "DOWN"
    if device.is_loopback or isinstance(device.link, Vxlan | Ipip):
        return "UNKNOWN"  # nobody ever tells them of a carrier
    if device.carrier:
        return "UP"
    peer = next((other for other in devices.values() if other.index == device.peer_index), device)
    return "DOWN" if peer is device or peer.carrier else "LOWERLAYERDOWN"


def put_link(
    record: Record, device: Device, devices: Mapping[str, Device], options: Options, *, is_link: bool
) -> None:
    """Add what stands in front of the addresses.

    Args:
        record: where to.
        device: the device.
        devices: all of the namespace.
        options: how it is to look.
        is_link: for `ip link`, not `ip addr`.
    """
    record.put("ifindex", device.index, f"{device.index}: ")
    _put_name(record, device, ": ")
    put_flags(record, device)
    record.put_number("mtu", device.mtu)
    qdisc = "noqueue" if device.activated else "noop"
    record.put("qdisc", qdisc, f"qdisc {qdisc} ")
    if device.port is not None:
        bridge = device.port.bridge.name
        record.put("master", bridge, f"master {bridge} ")
    state = operstate(device, devices)
    record.put("operstate", state, f"state {state} ")
    if is_link:
        record.put("linkmode", "DEFAULT", "mode DEFAULT ")
    record.put("group", "default", "group default ")
    record.put("txqlen", _QUEUE_LENGTH, f"qlen {_QUEUE_LENGTH}")
    if is_link or not options.family or options.details:
        _put_address(record, device)
    if options.details:
        put_details(record, device, is_link=is_link)
    record.show("\n")


def _put_name(record: Record, device: Device, end: str) -> None:
    record.put("ifname", device.name, f"{device.name}{_below(record, device)}{end}")


def _below(record: Record, device: Device) -> str:
    """Return what stands behind a device's name: what it hangs on."""
    match device.link:
        case Veth():
            record.keep("link_index", device.peer_index)
            return f"@if{device.peer_index}"
        case Ipip(device=lower):
            record.keep("link", lower or None)
            return f"@{lower or 'NONE'}"
        case _:
            return ""


def _put_address(record: Record, device: Device) -> None:
    if isinstance(device.link, Ipip):
        _put_ends(record, device.link)
        return
    kind = "loopback" if device.is_loopback else "ether"
    broadcast = "00:00:00:00:00:00" if device.is_loopback else "ff:ff:ff:ff:ff:ff"
    record.put("link_type", kind, f"\n    link/{kind} ")
    record.put("address", str(device.mac), f"{device.mac} ")
    record.put("broadcast", broadcast, f"brd {broadcast}")


def _put_ends(record: Record, link: Ipip) -> None:
    """Add the ends of a tunnel, which are its link addresses."""
    is_pair = not link.remote.is_unspecified
    record.put("link_type", "ipip", "\n    link/ipip ")
    record.put("address", str(link.local), f"{link.local} ")
    if is_pair:
        record.keep("link_pointtopoint", True)
    record.put("broadcast", str(link.remote), f"{'peer' if is_pair else 'brd'} {link.remote}")


def put_brief(record: Record, device: Device, devices: Mapping[str, Device], *, is_link: bool) -> None:
    """Add the columns of `-br` in front of the addresses."""
    record.put("ifname", device.name, f"{device.name + _below(record, device):<16} ")
    state = operstate(device, devices)
    record.put("operstate", state, f"{state:<14} ")
    if is_link:
        address = str(device.link.local if isinstance(device.link, Ipip) else device.mac)
        record.put("address", address, f"{address} ")
        put_flags(record, device)
        record.show("\n")


def put_counters(record: Record, counters: Counters) -> None:
    """Add the counters of `-s`."""
    received = (counters.rx_bytes, counters.rx_packets, 0, counters.rx_dropped, 0, 0)
    sent = (counters.tx_bytes, counters.tx_packets, 0, counters.tx_dropped, 0, 0)
    record.keep(
        "stats64",
        {
            "rx": _named(received, "over_errors", "multicast"),
            "tx": _named(sent, "carrier_errors", "collisions"),
        },
    )
    widths = [
        max(least, len(str(first)), len(str(second)))
        for least, first, second in zip(_LEAST_WIDTHS, received, sent, strict=True)
    ]
    for letter, titles, values in zip("RT", _TITLES, (received, sent), strict=True):
        heads = ("bytes", "packets", *titles)
        first, *rest = (f"{head:>{width}}" for head, width in zip(heads, widths, strict=True))
        record.show(f"    {letter}X: {first[4:]} {' '.join(rest)}{' ' * 11}\n")
        cells = "".join(f"{value:>{width}} " for value, width in zip(values, widths, strict=True))
        record.show(f"    {cells}\n")


def _named(values: tuple[int, ...], fifth: str, sixth: str) -> Json:
    return dict(zip(("bytes", "packets", "errors", "dropped", fifth, sixth), values, strict=True))
