# SPDX-License-Identifier: GPL-2.0-only
"""Loopback, veth and dummy devices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu.kernel.drops import DropReason
from emu.kernel.effects import Backlog, Drop, Transmit
from emu.kernel.link.dummy import Dummy
from emu.kernel.link.veth import Veth
from emu.wire.addresses import MacAddress
from emu.wire.frame import Frame

if TYPE_CHECKING:
    from emu.kernel.namespace import Namespace

FRAME = Frame(bytes(60), packet_id=7)
MAC = MacAddress.parse("02:00:00:00:00:01")


def test_what_is_sent_to_the_loopback_comes_in_again_by_the_backlog(net: Namespace) -> None:
    """The frame is queued behind what waits already, never received within the sending."""
    net.loopback.link.transmit(net, net.loopback, FRAME)
    assert net.take_effects() == [Backlog("lo", FRAME)]


def test_a_veth_puts_frames_on_its_cable(net: Namespace) -> None:
    """One frame in, the same frame out of that device."""
    device = net.add_device("eth0", Veth(), MAC, mtu=1500)
    device.link.transmit(net, device, FRAME)
    assert net.take_effects() == [Transmit("eth0", FRAME)]


def test_a_veth_drops_what_has_no_whole_ethernet_header(net: Namespace) -> None:
    """13 octets are no frame, and count as dropped."""
    device = net.add_device("eth0", Veth(), MAC, mtu=1500)
    device.link.transmit(net, device, Frame(bytes(13)))
    (effect,) = net.take_effects()
    assert isinstance(effect, Drop)
    assert effect.reason is DropReason.NOT_SPECIFIED
    assert device.counters.tx_dropped == 1


def test_a_dummy_swallows_frames(net: Namespace, notes: list[str]) -> None:
    """Nothing follows, not even a drop; a trace tells it."""
    device = net.add_device("dummy0", Dummy(), MAC, mtu=1500)
    device.link.transmit(net, device, FRAME)
    assert net.take_effects() == []
    assert notes == ["dummy: dummy0 swallows it"]
