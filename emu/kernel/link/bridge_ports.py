# SPDX-License-Identifier: GPL-2.0-only
"""Making devices ports of a bridge, and what the bridge makes of their changes.

A bridge without an address or MTU of its own takes the least of its ports', and
it has a carrier while some port forwards. Source: net/bridge/br_if.c, br_stp.c,
br_stp_if.c, br_netlink.c.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from emu.kernel.link.bridge import Bridge, Port, PortState
from emu.kernel.link.device import ETHERNET_MTU
from emu.kernel.link.fdb import os_error
from emu.wire.addresses import ZERO_MAC, MacAddress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.kernel.link.device import Device


def start(bridge: Device, *, mac_is_set: bool) -> None:
    """Do what is left to do after the device of a bridge was made.

    Args:
        bridge: a device whose link is a `Bridge`, still without ports.
        mac_is_set: its address was asked for, and stays when ports come.
    """
    link = _link(bridge)
    link.mac_is_set = mac_is_set
    bridge.carrier = False
    link.fdb.add_local(bridge.mac, None)


def attach(bridge: Device, device: Device) -> Port:
    """Make `device` a port of `bridge` and return the port. Source: `br_add_if`.

    Raises:
        OSError: EINVAL for the loopback, ELOOP for a bridge, EBUSY for a
            device that is a port already.
    """
    if device.is_loopback:
        raise os_error(errno.EINVAL)
    if isinstance(device.link, Bridge):
        raise os_error(errno.ELOOP)
    if device.port is not None:
        raise os_error(errno.EBUSY)
    link = _link(bridge)
    port = device.port = Port(device, bridge, link)
    link.ports.insert(0, port)
    link.fdb.add_local(device.mac, port)
    _choose_mac(bridge, link)
    _lower_mtu(bridge, link, device)
    _enable(port)
    _select(bridge, link)
    return port


def detach(device: Device) -> None:
    """Take `device` out of its bridge. Source: `del_nbp`.

    Raises:
        OSError: EINVAL: it is no port.
    """
    port = device.port
    if port is None:
        raise os_error(errno.EINVAL)
    bridge, link = port.bridge, port.link
    link.ports.remove(port)
    device.port = None
    link.fdb.forget(port, _addresses(bridge, link))
    _choose_mac(bridge, link)
    _choose_mtu(bridge, link)
    _select(bridge, link)


def follow(device: Device) -> None:
    """Let a bridge act on a change of `device`, a port or the bridge itself.

    Call it after `up` or `carrier` changed; other devices are passed over. The
    bridge's carrier may change by it.
    """
    if device.port is not None:
        bridge, ports = device.port.bridge, [device.port]
    elif isinstance(device.link, Bridge):
        bridge, ports = device, device.link.ports
    else:
        return
    for port in ports:
        _enable(port)
    _select(bridge, _link(bridge))


def change_mac(device: Device, mac: MacAddress) -> None:
    """Give `device` another MAC address, and tell its bridge if it is in, or is, one.

    Source: `br_fdb_changeaddr`, `br_set_mac_address`.
    """
    old, device.mac = device.mac, mac
    port = device.port
    if port is not None:
        link = port.link
        link.fdb.remove_local(old, port, _addresses(port.bridge, link))
        link.fdb.add_local(mac, port)
        _choose_mac(port.bridge, link)
    elif isinstance(device.link, Bridge):
        device.link.mac_is_set = True
        _enter_mac(device, device.link, old)


def change_mtu(device: Device, mtu: int) -> None:
    """Give `device` another MTU; a bridge then keeps it, whatever its ports have."""
    device.mtu = mtu
    if isinstance(device.link, Bridge):
        device.link.mtu_is_set = True
    follow(device)
    if device.port is not None:
        _choose_mtu(device.port.bridge, device.port.link)


def set_state(port: Port, state: PortState) -> None:
    """Set the state of `port`, as `bridge link set dev PORT state N`.

    Without spanning tree a blocking port forwards again at once.

    Raises:
        OSError: ENETDOWN: the device is down, or has no carrier and `state` is
            not `DISABLED`.

    Source: `br_set_port_state`.
    """
    device = port.device
    if not device.up or (not device.carrier and state is not PortState.DISABLED):
        raise os_error(errno.ENETDOWN)
    port.state = PortState.FORWARDING if state is PortState.BLOCKING else state
    _select(port.bridge, port.link)


def _enable(port: Port) -> None:
    """Disable a port whose device or bridge is not running, enable any other."""
    if port.device.is_running and port.bridge.up:
        if port.state is PortState.DISABLED:
            port.state = PortState.FORWARDING
    elif port.state is not PortState.DISABLED:
        port.state = PortState.DISABLED
        port.link.fdb.flush(port)


def _select(bridge: Device, link: Bridge) -> None:
    """Source: `br_port_state_selection`."""
    bridge.carrier = link.has_carrier


def _choose_mtu(bridge: Device, link: Bridge) -> None:
    """Source: `br_mtu_auto_adjust`."""
    if not link.mtu_is_set:
        bridge.mtu = min((port.device.mtu for port in link.ports), default=ETHERNET_MTU)


def _lower_mtu(bridge: Device, link: Bridge, added: Device) -> None:
    """Do the same for a port that was added: the others need not be asked again."""
    if not link.mtu_is_set and (len(link.ports) == 1 or added.mtu < bridge.mtu):
        bridge.mtu = added.mtu


def _choose_mac(bridge: Device, link: Bridge) -> None:
    """Source: `br_stp_recalculate_bridge_id`."""
    if link.mac_is_set:
        return
    old, bridge.mac = bridge.mac, min((port.device.mac for port in link.ports), default=ZERO_MAC)
    _enter_mac(bridge, link, old)


def _enter_mac(bridge: Device, link: Bridge, old: MacAddress) -> None:
    """Source: `br_fdb_change_mac_address`."""
    if bridge.mac != old:
        link.fdb.remove_local(old, None, ((port.device.mac, port) for port in link.ports))
        if bridge.mac != ZERO_MAC:
            link.fdb.add_local(bridge.mac, None)


def _addresses(bridge: Device, link: Bridge) -> Iterator[tuple[MacAddress, Port | None]]:
    yield from ((port.device.mac, port) for port in link.ports)
    yield bridge.mac, None


def _link(bridge: Device) -> Bridge:
    if not isinstance(bridge.link, Bridge):
        raise os_error(errno.EOPNOTSUPP)
    return bridge.link
