# SPDX-License-Identifier: GPL-2.0-only
"""Changing a running namespace: what `ip link set` and `ip addr` do, and a cable that is cut.

Everything that hangs on a device follows from here: its routes, its neighbours,
its place in a bridge, the carrier of the device at the other end.

Source: net/core/dev.c `__dev_open`, `__dev_close`, net/ipv4/fib_frontend.c
`fib_netdev_event`, net/ipv4/devinet.c; rtnetlink(7).
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Final

from emu.kernel import arp, inetdev
from emu.kernel.effects import Carrier
from emu.kernel.link import bridge_ports
from emu.kernel.link.bridge import Bridge
from emu.kernel.link.device import MIN_MTU
from emu.kernel.link.veth import Veth
from emu.kernel.link.vxlan import Vxlan, default_mtu

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.kernel.link.device import Device
    from emu.kernel.namespace import Namespace
    from emu.wire.addresses import Interface, IpAddress, MacAddress, Prefix

MAX_MTU: Final = 65535


def set_up(net: Namespace, device: Device) -> None:
    """Bring `device` up: its routes appear, the other end gets a carrier."""
    if device.up:
        return
    device.up = device.activated = True
    inetdev.device_up(net.fib, device)
    if isinstance(device.link, Veth):
        net.emit(Carrier(device.name, up=True))
    _follow_bridge(net, device)
    arp.announce(net, device)


def set_down(net: Namespace, device: Device) -> None:
    """Take `device` down: routes, neighbours, masqueraded connections go, and the other end's carrier."""
    if not device.up:
        return
    device.up = False
    inetdev.device_down(net.fib, device)
    net.netfilter.conntrack.forget_masqueraded(device.name, net.now)
    arp.act(net, net.neighbours.forget_device(device.name, keep_permanent=False))
    if isinstance(device.link, Vxlan):
        device.link.fdb.flush()
    if isinstance(device.link, Veth):
        net.emit(Carrier(device.name, up=False))
    _follow_bridge(net, device)


def remove(net: Namespace, device: Device) -> None:
    """Delete `device`, with its addresses, routes, neighbours and settings (`ip link del`).

    Whoever owns the cables unplugs it.

    Source: net/core/dev.c `unregister_netdevice_many_notify`.
    """
    set_down(net, device)
    if device.port is not None:
        set_master(net, device, None)
    if isinstance(device.link, Bridge):
        for port in tuple(device.link.ports):
            bridge_ports.detach(port.device)
    inetdev.device_removed(net.fib, device)
    arp.act(net, net.neighbours.forget_device(device.name, keep_permanent=False))
    net.sysctl.device_removed(device.name)
    del net.devices[device.name]


def set_carrier(net: Namespace, device: Device, *, carrier: bool) -> None:
    """Tell `device` that its cable works, or no longer does."""
    if device.carrier == carrier:
        return
    device.carrier = carrier
    _carrier_changed(net, device)
    _follow_bridge(net, device)


def _carrier_changed(net: Namespace, device: Device) -> None:
    net.fib.carrier_changed(device.name)
    if not device.carrier:
        arp.carrier_lost(net, device)


def _follow_bridge(net: Namespace, device: Device) -> None:
    """Let the bridge that `device` is in, or is, follow its change; it may gain or lose its carrier."""
    bridge = device.port.bridge if device.port is not None else device
    had = bridge.carrier
    bridge_ports.follow(device)
    if bridge.carrier != had:
        _carrier_changed(net, bridge)


def set_mtu(net: Namespace, device: Device, mtu: int) -> None:
    """Set the MTU of `device`.

    Raises:
        OSError: EINVAL, out of range.
    """
    if not MIN_MTU <= mtu <= MAX_MTU:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    if isinstance(device.link, Vxlan) and device.link.device:
        lower = net.devices.get(device.link.device)
        if lower is not None and mtu > default_mtu(lower):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    old = device.mtu
    bridge_ports.change_mtu(device, mtu)
    net.exceptions.device_mtu_changed(device.name, old, mtu)


def set_mac(net: Namespace, device: Device, mac: MacAddress) -> None:
    """Set the MAC address of `device`; what it knew of its neighbours goes.

    Raises:
        OSError: EADDRNOTAVAIL, a group address or zero.
    """
    if mac.is_group or not any(mac):
        raise OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))
    bridge_ports.change_mac(device, mac)
    arp.act(net, net.neighbours.forget_device(device.name, keep_permanent=False))
    arp.announce(net, device)


def set_master(net: Namespace, device: Device, bridge: Device | None) -> None:
    """Make `device` a port of `bridge`, or of none.

    Raises:
        OSError: EINVAL, ELOOP, EBUSY, EOPNOTSUPP: it cannot be one.
    """
    before = device.port.bridge if device.port is not None else None
    if before is bridge:
        return
    changed = [(end, end.carrier) for end in (before, bridge) if end is not None]
    if before is not None:
        bridge_ports.detach(device)
    if bridge is not None:
        bridge_ports.attach(bridge, device)
    for end, had in changed:
        if end.carrier != had:
            _carrier_changed(net, end)


# --- addresses ---


def add_address(
    net: Namespace,
    device: Device,
    interface: Interface,
    *,
    peer: Prefix | None = None,
    broadcast: IpAddress | None = None,
    scope: str | None = None,
) -> None:
    """Give `device` an address; see `inetdev.add_address`.

    Raises:
        RouteError: EEXIST, EINVAL.
    """
    inetdev.add_address(net.fib, device, interface, peer=peer, broadcast=broadcast, scope=scope)
    net.sysctl.address_added(device.name)


def add_addresses(net: Namespace, device: Device, interfaces: Sequence[Interface]) -> None:
    """Give `device` many addresses of their own (/32), as `add_address` would one after the other.

    Raises:
        RouteError: EEXIST, it has one of them.
    """
    inetdev.add_hosts(net.fib, device, interfaces)
    if interfaces:
        net.sysctl.address_added(device.name)


def delete_address(
    net: Namespace, device: Device, wanted: Interface | IpAddress, *, peer: Prefix | None = None
) -> None:
    """Take an address from `device`, and what was masqueraded with it; with the last its neighbours go, too.

    Raises:
        RouteError: EADDRNOTAVAIL, it has none such.

    Source: net/ipv4/fib_frontend.c `fib_disable_ip`.
    """
    promote = net.sysctl.conf_or(device.name, "promote_secondaries")
    before = [each.address for each in device.addresses]
    inetdev.delete_address(net.fib, device, wanted, promote=promote, peer=peer)
    left = {each.address for each in device.addresses}
    for address in before:
        if address not in left:
            net.netfilter.conntrack.forget_masqueraded(device.name, net.now, address)
    if not device.addresses:
        arp.act(net, net.neighbours.forget_device(device.name, keep_permanent=False))
