# SPDX-License-Identifier: GPL-2.0-only
"""Namespaces and bridges small enough to see at a glance."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from emu.kernel.link import bridge_ports
from emu.kernel.link.bridge import Bridge, Port
from emu.kernel.link.veth import Veth
from emu.kernel.namespace import Namespace
from emu.sim.choice import DrawnChoice
from emu.wire.addresses import MacAddress

if TYPE_CHECKING:
    from emu.kernel.effects import Drop
    from emu.kernel.facts import Fact
    from emu.kernel.link.device import Device
    from emu.kernel.netfilter.verdict import Verdict
    from emu.kernel.recorder import Direction
    from emu.kernel.skb import Skb
    from emu.wire.frame import Frame


def mac(number: int) -> MacAddress:
    """Return a unicast MAC address that ends in `number`."""
    return MacAddress(b"\x02\0\0\0" + number.to_bytes(2, "big"))


class Notes:
    """A recorder that keeps decisions, as `stage: detail`."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def seen(self, net: Namespace, device: Device, direction: Direction, frame: Frame) -> None:
        """Pass over what is seen."""

    def note(self, net: Namespace, packet: Frame | Skb, stage: str, detail: str | Fact) -> None:  # noqa: ARG002
        """Take a decision down."""
        self.lines.append(f"{stage}: {detail}")

    def ruled(self, net: Namespace, packet: Skb, place: tuple[str, str], number: int, rule: object) -> None:
        """Pass over rules."""

    def ended(self, net: Namespace, packet: Skb, place: tuple[str, str], policy: Verdict) -> None:
        """Pass over policies."""

    def dropped(self, net: Namespace, packet: Frame | Skb, drop: Drop) -> None:
        """Pass over drops."""


@pytest.fixture
def notes(net: Namespace) -> list[str]:
    """Return the list in which the namespace's decisions will stand."""
    net.recorder = recorder = Notes()
    return recorder.lines


@pytest.fixture
def net() -> Namespace:
    """Return a namespace with nothing but `lo`."""
    return Namespace("node1", random=random.Random(0), choice=DrawnChoice(random.Random(0)))


@pytest.fixture
def node(net: Namespace) -> Namespace:
    """Return a namespace with bridge `br0` (...:100) and its running ports `v1`, `v2`, `v3` (...:101 and on).

    `bridge-nf-call-iptables` is off.
    """
    net.sysctl.set("net.bridge.bridge-nf-call-iptables", 0)
    bridge = net.add_device("br0", Bridge(), mac(0x100), mtu=1500)
    bridge_ports.start(bridge, mac_is_set=True)
    bridge.up = True
    for number in (1, 2, 3):
        device = net.add_device(f"v{number}", Veth(), mac(0x100 + number), mtu=1500)
        device.up = True
        bridge_ports.attach(bridge, device)
    return net


@pytest.fixture
def br0(node: Namespace) -> Device:
    """Return the bridge device of `node`."""
    return node.devices["br0"]


@pytest.fixture
def bridge(br0: Device) -> Bridge:
    """Return the bridge of `node`."""
    assert isinstance(br0.link, Bridge)
    return br0.link


@pytest.fixture
def ports(bridge: Bridge) -> dict[str, Port]:
    """Return the ports of `node`'s bridge by name."""
    return {port.name: port for port in bridge.ports}
