# SPDX-License-Identifier: GPL-2.0-only
"""Frames at the door of a namespace, before any protocol has looked at them."""

from __future__ import annotations

import random
from typing import Final

import pytest

from emu.kernel import inetdev, rtnetlink
from emu.kernel.effects import Drop, Transmit
from emu.kernel.link.veth import Veth
from emu.kernel.namespace import Namespace
from emu.sim.choice import DrawnChoice
from emu.sim.time import START
from emu.wire import arp, ethernet
from emu.wire.addresses import BROADCAST_MAC, Interface, IpAddress, MacAddress
from emu.wire.frame import Frame

OURS: Final = MacAddress.parse("02:00:00:00:00:01")
ASKER: Final = MacAddress.parse("02:00:00:00:00:02")
PRIORITY_TAG: Final = bytes.fromhex("8100 a000")  # priority 5, VLAN 0
VLAN_9: Final = bytes.fromhex("8100 0009")


@pytest.fixture
def net() -> Namespace:
    """Return a namespace with 10.0.0.1 on `eth0`, whose MTU is the largest there is."""
    net = Namespace("host", random=random.Random(0), choice=DrawnChoice(random.Random(0)))
    device = net.add_device("eth0", Veth(), OURS, mtu=65535)
    inetdev.add_address(net.fib, device, Interface.parse("10.0.0.1/24"))
    rtnetlink.set_up(net, device)
    net.take_effects()
    return net


def question(tags: bytes) -> bytes:
    """Return the ARP request for 10.0.0.1 with `tags` behind the addresses."""
    asker, asked = IpAddress.parse("10.0.0.2"), IpAddress.parse("10.0.0.1")
    body = arp.build(arp.REQUEST, ASKER, asker, bytes(6), asked)
    untagged = ethernet.header(BROADCAST_MAC, ASKER, ethernet.ARP) + body
    return untagged[:12] + tags + untagged[12:]


@pytest.mark.parametrize("count", [0, 1, 2, 16_000])
def test_tags_of_vlan_0_are_passed_over(net: Namespace, count: int) -> None:
    """A priority is no VLAN: the frame is for whoever takes untagged ones, however many tags it has."""
    effects = net.receive("eth0", Frame(question(PRIORITY_TAG * count), 1), START)
    assert [effect.frame.octets[:6] for effect in effects if isinstance(effect, Transmit)] == [ASKER]


@pytest.mark.parametrize("tags", [VLAN_9, PRIORITY_TAG + VLAN_9, PRIORITY_TAG[:2]])
def test_any_other_tag_has_no_taker(net: Namespace, tags: bytes) -> None:
    """A frame of a VLAN that has no device here is dropped with a reason."""
    octets = question(tags) if tags != PRIORITY_TAG[:2] else question(b"")[:12] + tags
    effects = net.receive("eth0", Frame(octets, 1), START)
    assert [effect.reason.name for effect in effects if isinstance(effect, Drop)] == ["UNHANDLED_PROTO"]
