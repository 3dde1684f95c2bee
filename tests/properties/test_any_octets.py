# SPDX-License-Identifier: GPL-2.0-only
"""Whatever octets come, nothing breaks and nothing goes on for ever."""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.apps import datagram, stream
from emu.apps.ping import ping
from emu.apps.traceroute import traceroute
from emu.errors import StormError
from emu.kernel import inetdev, rtnetlink
from emu.kernel.link.dummy import Dummy
from emu.observe.recording import Kind
from emu.sim.time import MILLISECOND
from emu.testing.lab import Lab, looped_switches, mac, pods_on_a_bridge, routed_chain, vxlan_pair
from emu.testing.networks import networks
from emu.testing.strategies import frames, mutants
from emu.wire.addresses import Interface, IpAddress

if TYPE_CHECKING:
    from collections.abc import Callable

    from emu.kernel.namespace import Namespace

STRANGER = mac(0x999)
NOBODY = IpAddress.parse("10.0.0.99")
BUDGET = 50_000  # events that one frame may cause on a network of six namespaces


def add_dummy(net: Namespace) -> None:
    """Give a namespace a device of the kind that no document has, with an address."""
    device = net.add_device("dummy0", Dummy(), mac(0xD00), mtu=1500)
    inetdev.add_address(net.fib, device, Interface.parse("10.66.0.1/24"))
    rtnetlink.set_up(net, device)


def octets_for(lab: Lab, point: str) -> st.SearchStrategy[bytes]:
    """Draw any octets, and frames that lead far in at a device before or after they were damaged."""
    device = lab.find(point)[1]
    own = [address.address for address in device.addresses]
    others = [lab.address(name) for name in lab.fabric.namespaces if not name.startswith("sw")]
    right = frames(
        macs=[device.mac, STRANGER], addresses=[*own, *own, *others, NOBODY], ports=(7, 8472, 40000)
    )
    return mutants(right) | right | st.binary(max_size=100)


def put(lab: Lab, point: str, octets: bytes, *, inwards: bool) -> None:
    """Have a frame come in at a device, or leave by it, and see to what end it leads."""
    owner, _, name = point.partition("/")
    door = lab.fabric.receive_frame if inwards else lab.fabric.send_frame
    lab.fabric.loop.replenish()
    door(lab.net(owner), name, octets)
    lab.wait(MILLISECOND)


@settings(max_examples=max(settings().max_examples // 4, 5))
@given(st.data())
def test_no_octets_break_a_device_of_any_kind(data: st.DataObject) -> None:
    """Loopback, veth, dummy, bridge, port and VXLAN take what they can and drop the rest, both ways."""
    document = data.draw(networks(fewest=3), "network")
    lab = Lab(document, budget=BUDGET)
    for net in lab.fabric.namespaces.values():
        lab.call(net.name, add_dummy)
        lab.start(net.name, datagram.serve(7, reply=lambda _: None))
        lab.start(net.name, stream.serve(7, b"hello"))
    points = [f"{net.name}/{name}" for net in lab.fabric.namespaces.values() for name in net.devices]
    for point in data.draw(st.lists(st.sampled_from(points), min_size=1, max_size=10), "points"):
        octets = data.draw(octets_for(lab, point), f"at {point}")
        put(lab, point, octets, inwards=data.draw(st.booleans(), "inwards"))
    lab.fabric.loop.replenish()
    lab.rest()


LABS: dict[str, tuple[Callable[[], Lab], str, str]] = {
    "router": (partial(routed_chain, 1), "client", "server"),
    "bridge": (pods_on_a_bridge, "pod1", "pod2"),
    "tunnel": (vxlan_pair, "pod1", "pod2"),
}


def busy(name: str) -> Lab:
    """Return a lab in the middle of a ping, a trace, a datagram exchange and a TCP connection."""
    make, asker, server = LABS[name]
    lab = make()
    lab.fabric.loop.budget = BUDGET
    dst = lab.address(server)
    lab.start(server, datagram.serve(7))
    lab.start(server, stream.serve(7, b"hello"))
    lab.start(asker, ping(dst, count=2, size=1600))
    lab.start(asker, datagram.request(dst, 7, bytes(2000), count=2, interval=100 * MILLISECOND))
    lab.start(asker, stream.request(dst, 7, bytes(2000), rounds=3))
    lab.start(asker, traceroute(dst))
    lab.wait(400 * MILLISECOND)
    return lab


@cache
def heard(name: str) -> list[tuple[str, bytes]]:
    """Return the frames that came in somewhere in a busy lab, with the points."""
    return [(f"{step.net}/{step.device}", step.octets) for step in busy(name).steps if step.kind is Kind.IN]


@pytest.mark.parametrize("name", LABS)
@settings(max_examples=max(settings().max_examples // 8, 5))
@given(data=st.data())
def test_damaged_copies_of_real_frames_break_nothing(data: st.DataObject, name: str) -> None:
    """What was right a moment ago comes again with a few bits or octets changed, cut off or added."""
    lab = busy(name)
    copies = st.lists(st.sampled_from(heard(name)), min_size=20, max_size=40)
    for point, octets in data.draw(copies, "frames"):
        put(lab, point, data.draw(mutants(st.just(octets)), "damaged"), inwards=True)
    lab.fabric.loop.replenish()
    lab.rest()


def test_a_bridge_loop_is_told_as_a_storm() -> None:
    """Two switches with two cables between them: the first broadcast spends the budget of events."""
    lab = looped_switches()
    with pytest.raises(StormError, match="is there a bridge loop"):
        lab.ping("a", "b")
