# SPDX-License-Identifier: GPL-2.0-only
"""A request that a bridge floods: whom it does not concern is not gone through, and nobody can tell."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

import attrs
import pytest

from emu.fabric import driver
from emu.fabric.driver import Fabric
from emu.kernel import arp, rtnetlink
from emu.kernel.link import bridge_ports
from emu.kernel.link.bridge import Bridge
from emu.kernel.nud import Nud
from emu.kube.cni.call import Call
from emu.kube.cni.disk import Disk
from emu.kube.cni.links import add_veth
from emu.wire.addresses import Interface, IpAddress, MacAddress

if TYPE_CHECKING:
    from collections.abc import Callable

    from emu.kernel.namespace import Namespace

PODS: Final = 8
TALKER: Final = IpAddress.parse("10.244.0.10")
SLOWLY: Final = 1 << 30


def run(prepare: Callable[[Fabric, Namespace], None]) -> list[object]:
    """Let a pod announce its address to others, one of which is prepared; return what all are like then."""
    fabric = Fabric()
    node = fabric.add_namespace("node")
    bridge = node.add_device("cni0", Bridge(), MacAddress.parse("02:00:00:00:00:01"), mtu=1500)
    bridge_ports.start(bridge, mac_is_set=True)
    fabric.call(node, partial(rtnetlink.set_up, device=bridge))
    pods = [fabric.add_namespace(f"pod{number}") for number in range(PODS)]
    for number, pod in enumerate(pods):
        pair = add_veth(Call(fabric, node, pod, str(number), disk=Disk()))
        bridge_ports.attach(bridge, pair.host)
        address = Interface(IpAddress.from_int(int(TALKER) + number), 24)
        fabric.call(pod, partial(rtnetlink.add_address, device=pair.inside, interface=address))
        fabric.call(pod, partial(rtnetlink.set_up, device=pair.inside))
    prepare(fabric, pods[3])
    talker = pods[0]
    talker.sysctl.set("net.ipv4.conf.eth0.arp_notify", 1)
    fabric.call(talker, partial(arp.announce, device=talker.device("eth0")))
    fabric.loop.run_until(fabric.loop.now)
    state: list[object] = [fabric.loop.events_run]
    for net in fabric.namespaces.values():
        counters = [attrs.astuple(device.counters) for device in net.devices.values()]
        neighbours = [(each.ip, each.mac, each.state) for each in net.neighbours]
        state.append((net.name, net.now, counters, neighbours, dict(net.drops)))
    return state


def nothing(_fabric: Fabric, _pod: Namespace) -> None:
    """Leave a pod as it is."""


def know_another(fabric: Fabric, pod: Namespace) -> None:
    """Have a pod know the talker, under an address that is about to change."""
    mac = MacAddress.parse("02:00:00:00:00:99")
    fabric.call(
        pod,
        lambda net: arp.act(net, net.neighbours.replace("eth0", TALKER, mac, Nud.STALE, net.now)),
    )


def claim(fabric: Fabric, pod: Namespace) -> None:
    """Have a pod take the talker's address: it will answer."""
    device = pod.device("eth0")
    fabric.call(pod, partial(rtnetlink.add_address, device=device, interface=Interface(TALKER, 32)))


def setting(name: str) -> Callable[[Fabric, Namespace], None]:
    """Return what switches a sysctl on in a pod."""

    def switch(_fabric: Fabric, pod: Namespace) -> None:
        pod.sysctl.set(name, 1)

    return switch


def go_down(fabric: Fabric, pod: Namespace) -> None:
    """Take a pod's device down while its cable stays."""
    del fabric
    pod.device("eth0").up = False


def see_nothing(_fabric: Fabric, pod: Namespace) -> None:
    """Let a pod have rules that are not modelled."""
    pod.unseen = {"arp": "arptables"}


@pytest.mark.parametrize(
    "prepare",
    [
        nothing,
        know_another,
        claim,
        setting("net.ipv4.conf.all.arp_accept"),
        setting("net.ipv4.conf.eth0.drop_gratuitous_arp"),
        setting("net.ipv4.conf.eth0.forwarding"),
        setting("net.ipv4.conf.all.proxy_arp"),
        go_down,
        see_nothing,
    ],
)
def test_everybody_is_as_if_the_request_had_gone_through_them(
    monkeypatch: pytest.MonkeyPatch, prepare: Callable[[Fabric, Namespace], None]
) -> None:
    """Counters, neighbours, drops and the number of events are those of the long way."""
    quickly = run(prepare)
    monkeypatch.setattr(driver, "_FLOOD", SLOWLY)
    assert quickly == run(prepare)
