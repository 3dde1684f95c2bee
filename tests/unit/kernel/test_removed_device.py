# SPDX-License-Identifier: GPL-2.0-only
"""A device that is deleted takes everything with it that hung on it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from emu.apps import commands
from emu.errors import SysctlError
from emu.fabric.driver import Fabric
from emu.kernel import rtnetlink
from emu.kernel.drops import DropReason
from emu.kernel.fib import Nexthop, Route
from emu.kernel.link import bridge_ports
from emu.kernel.link.bridge import Bridge
from emu.kernel.link.veth import Veth
from emu.kernel.nud import Nud
from emu.wire.addresses import Interface, IpAddress, MacAddress, Prefix

if TYPE_CHECKING:
    from emu.kernel.namespace import Namespace

MACS = tuple(MacAddress(bytes((2, 0, 0, 0, 0, number))) for number in range(4))


def pair(fabric: Fabric) -> tuple[Namespace, Namespace]:
    """Return two namespaces with a veth pair `v0`, up at both ends, and addresses."""
    nets = fabric.add_namespace("a"), fabric.add_namespace("b")
    for number, net in enumerate(nets):
        net.add_device("v0", Veth(), MACS[number], mtu=1500).carrier = False
    fabric.connect((nets[0], "v0"), (nets[1], "v0"))
    for number, net in enumerate(nets, 1):
        rtnetlink.add_address(net, net.device("v0"), Interface.parse(f"10.0.0.{number}/24"))
        fabric.call(net, partial(rtnetlink.set_up, device=net.device("v0")))
    return nets


def test_addresses_routes_neighbours_and_settings_go() -> None:
    """Permanent neighbours and routes by gateways too."""
    fabric = Fabric()
    net, _ = pair(fabric)
    net.neighbours.replace("v0", IpAddress.parse("10.0.0.9"), MACS[3], Nud.PERMANENT, net.now)
    via = Nexthop("v0", IpAddress.parse("10.0.0.9"))
    net.fib.add(Route(Prefix.parse("10.9.0.0/16"), nexthops=(via,)))
    fabric.call(net, partial(rtnetlink.remove, device=net.device("v0")))
    assert list(net.devices) == ["lo"]
    assert list(net.fib.routes()) == []
    assert len(net.neighbours) == 0
    with pytest.raises(SysctlError):
        net.sysctl.get("net.ipv4.conf.v0.rp_filter")


def test_the_name_may_be_used_again() -> None:
    """With a new index, and with the settings of a new device."""
    fabric = Fabric()
    net, _ = pair(fabric)
    index = net.device("v0").index
    net.sysctl.set("net.ipv4.conf.v0.rp_filter", 2)
    fabric.call(net, partial(rtnetlink.remove, device=net.device("v0")))
    device = net.add_device("v0", Veth(), MACS[0], mtu=1500)
    assert device.index > index
    assert net.sysctl.get("net.ipv4.conf.v0.rp_filter") == 0


def test_a_port_leaves_its_bridge_and_a_bridge_its_ports() -> None:
    """The bridge loses its carrier with the last port; ports are devices like others afterwards."""
    fabric = Fabric()
    net, _ = pair(fabric)
    bridge = net.add_device("br0", Bridge(), MACS[2], mtu=1500)
    bridge_ports.start(bridge, mac_is_set=True)
    fabric.call(net, partial(rtnetlink.set_up, device=bridge))
    port = net.device("v0")
    rtnetlink.set_master(net, port, bridge)
    assert bridge.carrier
    fabric.call(net, partial(rtnetlink.remove, device=bridge))
    assert port.port is None
    assert "br0" not in net.devices


def test_the_last_port_takes_the_carrier_along() -> None:
    """As `ip link del` of a pod's veth does."""
    fabric = Fabric()
    net, _ = pair(fabric)
    bridge = net.add_device("br0", Bridge(), MACS[2], mtu=1500)
    bridge_ports.start(bridge, mac_is_set=True)
    fabric.call(net, partial(rtnetlink.set_up, device=bridge))
    rtnetlink.set_master(net, net.device("v0"), bridge)
    fabric.call(net, partial(rtnetlink.remove, device=net.device("v0")))
    assert (bridge.carrier, commands.execute(net, ["bridge", "link"])) == (False, "")


def test_a_frame_for_a_device_that_went_meanwhile_is_lost() -> None:
    """It was under way when the device was deleted."""
    fabric = Fabric()
    a, b = pair(fabric)
    fabric.send_frame(a, "v0", b"\xff" * 6 + bytes(MACS[0]) + b"\x08\x00" + bytes(46))
    fabric.call(b, partial(rtnetlink.remove, device=b.device("v0")))
    fabric.loop.run_until_idle()
    assert b.drops[DropReason.CABLE_UNPLUGGED] == 1


def test_what_is_unplugged_has_no_far_end() -> None:
    """Neither end; once more is no mistake."""
    fabric = Fabric()
    a, b = pair(fabric)
    assert fabric.far_end(a, "v0") == (b, "v0")
    for _ in range(2):
        fabric.disconnect(b, "v0")
    assert (fabric.far_end(a, "v0"), fabric.far_end(b, "v0")) == (None, None)


def test_a_device_sees_its_settings_when_they_change() -> None:
    """Tables are shared between devices that hold the same, and each write is one device's own."""
    fabric = Fabric()
    a, b = pair(fabric)
    assert a.device("v0").conf is b.device("v0").conf
    a.sysctl.set("net.ipv4.conf.v0.forwarding", 1)
    assert (a.device("v0").conf["forwarding"], b.device("v0").conf["forwarding"]) == (1, 0)
    a.sysctl.set("net.ipv4.ip_forward", 1)
    a.sysctl.set("net.ipv4.ip_forward", 0)
    assert a.device("v0").conf["forwarding"] == 0
    a.sysctl.set("net.ipv4.ip_forward", 1)
    assert b.sysctl.get("net.ipv4.ip_forward") == 0
