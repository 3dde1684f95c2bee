# SPDX-License-Identifier: GPL-2.0-only
"""Devices that join, leave and change, as found on Linux 6.18."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest

from emu.kernel.link import bridge_ports
from emu.kernel.link.bridge import Bridge, PortState
from emu.kernel.link.fdb import FdbState, FdbWrite
from emu.kernel.link.veth import Veth
from emu.sim.time import START
from emu.wire.addresses import ZERO_MAC, MacAddress

if TYPE_CHECKING:
    from emu.kernel.link.bridge import Port
    from emu.kernel.link.device import Device
    from emu.kernel.namespace import Namespace

STATION = MacAddress.parse("0a:00:00:00:00:77")


def mac(number: int) -> MacAddress:
    """Return the address that ends in `number`."""
    return MacAddress(b"\x02\0\0\0" + number.to_bytes(2, "big"))


def table(bridge: Bridge) -> dict[str, str]:
    """Return the FDB: the end of each address, and the port or `self` behind which it is."""
    entries = bridge.fdb.entries(START)
    return {entry.mac.hex()[-3:]: entry.port.name if entry.port else "self" for entry in entries}


@pytest.fixture
def plain(net: Namespace) -> Device:
    """Return a bridge without address or MTU of its own, up and without ports."""
    bridge = net.add_device("br1", Bridge(), mac(0x200), mtu=1500)
    bridge_ports.start(bridge, mac_is_set=False)
    bridge.up = True
    return bridge


def veth(net: Namespace, name: str, number: int) -> Device:
    """Return a veth device that is up."""
    device = net.add_device(name, Veth(), mac(number), mtu=1500)
    device.up = True
    return device


def test_a_new_bridge_knows_its_own_address_and_has_no_carrier(plain: Device) -> None:
    """It is listed before there is any port."""
    assert isinstance(plain.link, Bridge)
    assert table(plain.link) == {"200": "self"}
    assert not plain.carrier


def test_ports_own_addresses_are_permanent_entries(bridge: Bridge) -> None:
    """With the bridge's own, as `bridge fdb show` lists them."""
    assert table(bridge) == {"100": "self", "101": "v1", "102": "v2", "103": "v3"}
    assert {entry.state for entry in bridge.fdb.entries(START)} == {FdbState.PERMANENT}


def test_new_ports_stand_in_front(bridge: Bridge) -> None:
    """Linux adds to the head of its list."""
    assert [port.name for port in bridge.ports] == ["v3", "v2", "v1"]


def test_a_bridge_without_address_takes_the_least_of_its_ports(net: Namespace, plain: Device) -> None:
    """That entry then belongs to the port; without ports it has the zero address."""
    assert isinstance(plain.link, Bridge)
    second, first = veth(net, "b", 2), veth(net, "a", 1)
    bridge_ports.attach(plain, second)
    assert plain.mac == second.mac
    bridge_ports.attach(plain, first)
    assert plain.mac == first.mac
    assert table(plain.link) == {"002": "b", "001": "a"}
    bridge_ports.change_mac(first, mac(0xFF))
    assert plain.mac == second.mac
    bridge_ports.detach(second)
    bridge_ports.detach(first)
    assert plain.mac == ZERO_MAC
    assert table(plain.link) == {}


def test_a_bridge_with_an_address_keeps_it(net: Namespace, plain: Device) -> None:
    """Set at any time, it is no longer taken from the ports."""
    assert isinstance(plain.link, Bridge)
    bridge_ports.change_mac(plain, mac(0x300))
    bridge_ports.attach(plain, veth(net, "a", 1))
    assert plain.mac == mac(0x300)
    assert table(plain.link) == {"300": "self", "001": "a"}


def test_a_bridge_that_takes_its_port_s_address_has_no_entry_of_its_own(br0: Device, bridge: Bridge) -> None:
    """The port's comes first; when the port leaves, the bridge inherits it."""
    bridge_ports.change_mac(br0, mac(0x102))
    assert table(bridge) == {"101": "v1", "102": "v2", "103": "v3"}
    bridge_ports.detach(bridge.ports[1].device)
    assert table(bridge) == {"101": "v1", "102": "self", "103": "v3"}


def test_the_mtu_is_the_least_of_the_ports_until_it_is_set(br0: Device, ports: dict[str, Port]) -> None:
    """A port may then have a smaller one than the bridge."""
    bridge_ports.change_mtu(ports["v3"].device, 1400)
    assert br0.mtu == 1400
    bridge_ports.detach(ports["v3"].device)
    assert br0.mtu == 1500
    bridge_ports.change_mtu(br0, 1600)
    bridge_ports.change_mtu(ports["v2"].device, 1300)
    assert br0.mtu == 1600


def test_the_carrier_is_there_while_a_port_forwards(br0: Device, ports: dict[str, Port]) -> None:
    """The last port that goes down takes it away, the first that comes back brings it."""
    for port in ports.values():
        assert br0.carrier
        port.device.carrier = False
        bridge_ports.follow(port.device)
    assert not br0.carrier
    ports["v2"].device.carrier = True
    bridge_ports.follow(ports["v2"].device)
    assert br0.carrier


def test_a_port_that_goes_down_is_forgotten_but_for_what_is_fixed(
    bridge: Bridge, ports: dict[str, Port]
) -> None:
    """Learned entries go; permanent and static ones stay. It forwards again when it is up."""
    port = ports["v1"]
    bridge.fdb.learn(STATION, port, START)
    bridge.fdb.write(mac(0x55), port, FdbState.STATIC, START, FdbWrite.ADD)
    port.device.up = False
    bridge_ports.follow(port.device)
    assert port.state is PortState.DISABLED
    assert table(bridge) == {"100": "self", "101": "v1", "102": "v2", "103": "v3", "055": "v1"}
    port.device.up = True
    bridge_ports.follow(port.device)
    assert port in bridge.forward(STATION, None, START)[0]


def test_a_bridge_that_goes_down_disables_its_ports(
    br0: Device, bridge: Bridge, ports: dict[str, Port]
) -> None:
    """And forgets what it learned."""
    bridge.fdb.learn(STATION, ports["v1"], START)
    br0.up = False
    bridge_ports.follow(br0)
    assert {port.state for port in bridge.ports} == {PortState.DISABLED}
    assert bridge.fdb.lookup(STATION, START) is None
    assert not br0.carrier
    br0.up = True
    bridge_ports.follow(br0)
    assert {port.state for port in bridge.ports} == {PortState.FORWARDING}


def test_a_port_that_leaves_takes_all_its_entries_along(bridge: Bridge, ports: dict[str, Port]) -> None:
    """Those made by hand, too."""
    port = ports["v1"]
    bridge.fdb.learn(STATION, port, START)
    bridge.fdb.write(mac(0x55), port, FdbState.STATIC, START, FdbWrite.ADD)
    bridge.fdb.write(mac(0x56), port, FdbState.PERMANENT, START, FdbWrite.ADD)
    bridge_ports.detach(port.device)
    assert table(bridge) == {"100": "self", "102": "v2", "103": "v3"}
    assert port.device.port is None


def test_a_device_that_is_no_bridge_s_business_is_passed_over(net: Namespace) -> None:
    """`follow` is called for every device."""
    device = veth(net, "a", 1)
    bridge_ports.follow(device)
    bridge_ports.change_mac(device, mac(2))
    assert device.mac == mac(2)


def test_what_cannot_be_a_port_is_refused(node: Namespace, br0: Device, plain: Device) -> None:
    """The loopback, a bridge, a port of another bridge; and only a bridge takes ports."""
    device = node.devices["v1"]
    for bridge, candidate, number in (
        (br0, node.loopback, errno.EINVAL),
        (br0, plain, errno.ELOOP),
        (plain, device, errno.EBUSY),
        (device, veth(node, "free", 9), errno.EOPNOTSUPP),
    ):
        with pytest.raises(OSError) as caught:  # noqa: PT011 - the number is what is checked
            bridge_ports.attach(bridge, candidate)
        assert caught.value.errno == number
    with pytest.raises(OSError, match="Invalid argument"):
        bridge_ports.detach(br0)


def test_without_spanning_tree_a_blocking_port_forwards_at_once(ports: dict[str, Port]) -> None:
    """Every other state stays as it was set."""
    for state in PortState:
        bridge_ports.set_state(ports["v1"], state)
        assert ports["v1"].state is (PortState.FORWARDING if state is PortState.BLOCKING else state)


def test_the_state_of_a_port_that_does_not_run_cannot_be_set(ports: dict[str, Port]) -> None:
    """ENETDOWN; without carrier, `disabled` is allowed."""
    port = ports["v1"]
    port.device.carrier = False
    with pytest.raises(OSError, match="down"):
        bridge_ports.set_state(port, PortState.FORWARDING)
    bridge_ports.set_state(port, PortState.DISABLED)
    port.device.up = False
    with pytest.raises(OSError, match="down"):
        bridge_ports.set_state(port, PortState.DISABLED)
