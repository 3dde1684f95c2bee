# SPDX-License-Identifier: GPL-2.0-only
"""The bridge's way of a frame, as found on Linux 6.18 with packet sockets on every port."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from emu.kernel import netdev
from emu.kernel.drops import DropReason
from emu.kernel.effects import Drop, Transmit
from emu.kernel.link import bridge as bridge_link
from emu.kernel.link.bridge import Bridge, Port, PortState
from emu.kernel.link.fdb import FdbState, FdbWrite
from emu.sim.time import SECOND, START, Instant
from emu.wire.addresses import BROADCAST_MAC, MacAddress
from emu.wire.frame import Frame

if TYPE_CHECKING:
    from emu.kernel.link.device import Device
    from emu.kernel.namespace import Namespace

A = MacAddress.parse("0a:00:00:00:00:01")
B = MacAddress.parse("0a:00:00:00:00:02")
GROUP = MacAddress.parse("01:00:5e:01:02:03")
BR0 = MacAddress.parse("02:00:00:00:01:00")
V1 = MacAddress.parse("02:00:00:00:01:01")
V2 = MacAddress.parse("02:00:00:00:01:02")
EXPERIMENT = b"\x88\xb5"


def frame(dst: bytes, src: bytes = A, payload: bytes = b"hello") -> Frame:
    """Return a frame that no IP stack cares for."""
    return Frame(dst + src + EXPERIMENT + payload, packet_id=1)


def link_local(last_octet: int) -> MacAddress:
    """Return one of the addresses that bridges keep to themselves."""
    return MacAddress(b"\x01\x80\xc2\0\0" + bytes((last_octet,)))


def came(net: Namespace, iface: str, sent: Frame, now: Instant = START) -> list[str]:
    """Let `sent` arrive on `iface` and return by which devices it left, in order."""
    effects = net.receive(iface, sent, now)
    return [effect.iface for effect in effects if isinstance(effect, Transmit)]


def refused(net: Namespace, iface: str, sent: Frame) -> list[DropReason]:
    """Let `sent` arrive on `iface` and return why it was dropped."""
    return [effect.reason for effect in net.receive(iface, sent, START) if isinstance(effect, Drop)]


def heard(device: Device) -> int:
    """Return how many frames the bridge device got."""
    return device.counters.rx_packets


# --- the decision alone ---


def test_an_unknown_unicast_leaves_by_every_other_port(bridge: Bridge, ports: dict[str, Port]) -> None:
    """Newest port first, as Linux keeps its list, and not up to this host."""
    assert bridge.forward(B, ports["v1"], START) == ([ports["v3"], ports["v2"]], False)


@pytest.mark.parametrize("dst", [BROADCAST_MAC, GROUP])
def test_a_group_address_leaves_by_every_other_port_and_goes_up(
    bridge: Bridge, ports: dict[str, Port], dst: MacAddress
) -> None:
    """Broadcast and multicast alike, as snooping is off."""
    assert bridge.forward(dst, ports["v1"], START) == ([ports["v3"], ports["v2"]], True)


def test_a_known_address_leaves_by_its_port_alone(bridge: Bridge, ports: dict[str, Port]) -> None:
    """Until it is too old: then it is flooded again."""
    bridge.fdb.learn(B, ports["v2"], START)
    assert bridge.forward(B, ports["v1"], START) == ((ports["v2"],), False)
    later = Instant(300 * SECOND)
    assert bridge.forward(B, ports["v1"], later) == ([ports["v3"], ports["v2"]], False)


def test_a_frame_never_leaves_by_the_port_it_came_in(bridge: Bridge, ports: dict[str, Port]) -> None:
    """Unless that port has hairpin mode."""
    bridge.fdb.learn(B, ports["v1"], START)
    assert bridge.forward(B, ports["v1"], START) == ((), False)
    ports["v1"].hairpin = True
    assert bridge.forward(B, ports["v1"], START) == ((ports["v1"],), False)


def test_a_hairpin_port_gets_its_own_broadcasts_back(bridge: Bridge, ports: dict[str, Port]) -> None:
    """In its place in the list."""
    ports["v2"].hairpin = True
    names = [port.name for port in bridge.forward(BROADCAST_MAC, ports["v2"], START)[0]]
    assert names == ["v3", "v2", "v1"]


@pytest.mark.parametrize("dst", [BR0, V1, V2])
def test_addresses_of_this_host_go_up_and_nowhere_else(
    bridge: Bridge, ports: dict[str, Port], dst: MacAddress
) -> None:
    """The bridge's address and those of its ports, whichever port the frame came in by."""
    assert bridge.forward(dst, ports["v1"], START) == ((), True)


def test_a_permanent_entry_makes_an_address_of_this_host(bridge: Bridge, ports: dict[str, Port]) -> None:
    """`bridge fdb add ... permanent` means local to the bridge."""
    bridge.fdb.write(B, ports["v2"], FdbState.PERMANENT, START, FdbWrite.ADD)
    assert bridge.forward(B, ports["v1"], START) == ((), True)


def test_isolated_ports_reach_only_the_others(bridge: Bridge, ports: dict[str, Port]) -> None:
    """Both of them have to be isolated for a frame to be stopped; hairpin makes no exception."""
    ports["v1"].isolated = ports["v2"].isolated = ports["v1"].hairpin = True
    bridge.fdb.learn(B, ports["v2"], START)
    assert bridge.forward(B, ports["v1"], START) == ((), False)
    assert bridge.forward(B, ports["v3"], START) == ((ports["v2"],), False)
    assert bridge.forward(BROADCAST_MAC, ports["v1"], START) == ([ports["v3"]], True)


@pytest.mark.parametrize(
    ("switch", "dst"), [("flood", B), ("mcast_flood", GROUP), ("bcast_flood", BROADCAST_MAC)]
)
def test_each_kind_of_flooding_can_be_switched_off_for_a_port(
    bridge: Bridge, ports: dict[str, Port], switch: str, dst: MacAddress
) -> None:
    """One switch for unknown unicast, one for multicast, one for broadcast."""
    setattr(ports["v2"], switch, False)
    assert bridge.forward(dst, ports["v1"], START)[0] == [ports["v3"]]
    for other in {B, GROUP, BROADCAST_MAC} - {dst}:
        assert bridge.forward(other, ports["v1"], START)[0] == [ports["v3"], ports["v2"]]


def test_what_the_host_itself_sends_to_a_group_is_always_flooded(
    bridge: Bridge, ports: dict[str, Port]
) -> None:
    """The switches for groups are for forwarded frames; the one for unknown unicast is for all."""
    port = ports["v2"]
    port.flood = port.mcast_flood = port.bcast_flood = False
    for dst in (GROUP, BROADCAST_MAC):
        assert port in bridge.forward(dst, None, START)[0]
    assert port not in bridge.forward(B, None, START)[0]


def test_what_the_host_sends_to_a_port_s_own_address_leaves_there(
    bridge: Bridge, ports: dict[str, Port]
) -> None:
    """And what it sends to the bridge's address goes nowhere."""
    assert bridge.forward(V2, None, START) == ((ports["v2"],), False)
    assert bridge.forward(BR0, None, START) == ((), False)


def test_only_forwarding_ports_are_left_by(bridge: Bridge, ports: dict[str, Port]) -> None:
    """A port in any other state gets nothing, though the address is known to be there."""
    bridge.fdb.learn(B, ports["v2"], START)
    for state in set(PortState) - {PortState.FORWARDING}:
        ports["v2"].state = state
        assert bridge.forward(B, ports["v1"], START) == ((), False)
        assert bridge.forward(BROADCAST_MAC, ports["v1"], START)[0] == [ports["v3"]]


# --- frames that come in ---


def test_a_broadcast_leaves_by_the_ports_first_and_then_goes_up(node: Namespace, br0: Device) -> None:
    """One copy for each port but the one it came in by."""
    assert came(node, "v1", frame(BROADCAST_MAC)) == ["v3", "v2"]
    assert heard(br0) == 1


def test_an_unknown_unicast_does_not_go_up(node: Namespace, br0: Device) -> None:
    """The host's own stack sees nothing of it."""
    assert came(node, "v1", frame(B)) == ["v3", "v2"]
    assert heard(br0) == 0


def test_the_source_of_each_frame_is_learned(node: Namespace) -> None:
    """The answer goes to one port."""
    came(node, "v1", frame(B, A))
    assert came(node, "v2", frame(A, B)) == ["v1"]


def test_a_port_that_does_not_learn_leaves_sources_unknown(
    node: Namespace, ports: dict[str, Port], bridge: Bridge
) -> None:
    """`learning off`."""
    ports["v1"].learning = False
    came(node, "v1", frame(B, A))
    assert bridge.fdb.lookup(A, START) is None


@pytest.mark.parametrize("src", [bytes(6), GROUP, BROADCAST_MAC])
def test_a_source_that_is_no_station_is_refused(node: Namespace, bridge: Bridge, src: bytes) -> None:
    """Zero and group addresses send nothing."""
    assert refused(node, "v1", frame(BROADCAST_MAC, src)) == [DropReason.MAC_INVALID_SOURCE]
    assert bridge.fdb.lookup(src, START) is None


def test_a_source_that_is_ours_is_forwarded_but_not_learned(node: Namespace, bridge: Bridge) -> None:
    """Linux complains in its log and goes on."""
    assert came(node, "v1", frame(BROADCAST_MAC, V2)) == ["v3", "v2"]
    entry = bridge.fdb.lookup(V2, START)
    assert entry is not None
    assert entry.port is not None
    assert entry.port.name == "v2"


def test_a_frame_for_a_station_behind_the_same_port_ends_here(node: Namespace) -> None:
    """No port may take it."""
    assert refused(node, "v1", frame(A, A)) == [DropReason.BRIDGE_NO_EGRESS_PORT]


@pytest.mark.parametrize(
    ("state", "learns"),
    [(PortState.LISTENING, False), (PortState.DISABLED, False), (PortState.LEARNING, True)],
)
def test_a_port_that_does_not_forward_takes_nothing(
    node: Namespace, bridge: Bridge, ports: dict[str, Port], state: PortState, *, learns: bool
) -> None:
    """A learning one looks at the source before it drops the frame."""
    ports["v1"].state = state
    assert refused(node, "v1", frame(BROADCAST_MAC)) == [DropReason.BRIDGE_INGRESS_STP_STATE]
    assert (bridge.fdb.lookup(A, START) is not None) is learns


@pytest.mark.parametrize("last_octet", [2, 3, 14, 15])
def test_link_local_frames_are_for_the_port_s_own_stack(
    node: Namespace, bridge: Bridge, br0: Device, last_octet: int
) -> None:
    """Not forwarded, not given to the bridge device, but their source is learned."""
    sent = frame(link_local(last_octet))
    assert refused(node, "v1", sent) == [DropReason.UNHANDLED_PROTO]
    assert heard(br0) == 0
    assert bridge.fdb.lookup(A, START) is not None


@pytest.mark.parametrize("last_octet", [0, 16])
def test_other_groups_near_the_link_local_ones_are_flooded(
    node: Namespace, br0: Device, last_octet: int
) -> None:
    """Spanning tree's own address too, as there is no spanning tree."""
    assert came(node, "v1", frame(link_local(last_octet))) == ["v3", "v2"]
    assert heard(br0) == 1


def test_pause_frames_end_at_the_port(node: Namespace, bridge: Bridge) -> None:
    """Nor do they teach anything."""
    assert refused(node, "v1", frame(link_local(1))) == [DropReason.MAC_IEEE_MAC_CONTROL]
    assert bridge.fdb.lookup(A, START) is None


def test_group_fwd_mask_makes_a_bridge_forward_link_local_frames(node: Namespace, bridge: Bridge) -> None:
    """Bit 14 is for LLDP."""
    bridge.group_fwd_mask = 1 << 14
    assert came(node, "v1", frame(link_local(14))) == ["v3", "v2"]


def test_a_frame_may_exceed_a_port_s_mtu_by_a_tag_and_no_more(
    node: Namespace, ports: dict[str, Port]
) -> None:
    """1004 octets of payload pass an MTU of 1000, 1005 do not; the other ports are not concerned."""
    ports["v2"].device.mtu = 1000
    assert came(node, "v1", frame(BROADCAST_MAC, payload=bytes(1004))) == ["v3", "v2"]
    effects = node.receive("v1", frame(BROADCAST_MAC, payload=bytes(1005)), START)
    drops = [(effect.iface, effect.reason) for effect in effects if isinstance(effect, Drop)]
    assert ("v2", DropReason.PKT_TOO_BIG) in drops
    assert [e.iface for e in effects if isinstance(e, Transmit)] == ["v3"]


def test_the_host_sends_by_the_bridge_without_teaching_it(
    node: Namespace, br0: Device, bridge: Bridge
) -> None:
    """A known destination gets the frame by its port, an unknown one by all ports."""
    came(node, "v2", frame(A, B))
    netdev.transmit(node, br0, frame(B, A))
    netdev.transmit(node, br0, frame(A, A))
    sent = [effect.iface for effect in node.take_effects() if isinstance(effect, Transmit)]
    assert sent == ["v2", "v3", "v2", "v1"]
    assert bridge.fdb.lookup(A, START) is None


def test_the_host_s_frame_that_no_port_takes_is_dropped(node: Namespace, br0: Device) -> None:
    """Its own address is no destination."""
    netdev.transmit(node, br0, frame(BR0))
    (effect,) = node.take_effects()
    assert isinstance(effect, Drop)
    assert effect.reason is DropReason.BRIDGE_NO_EGRESS_PORT


def test_every_copy_is_a_frame_of_its_own(node: Namespace) -> None:
    """So that each can have its own trail, with the packet's number on all."""
    effects = node.receive("v1", frame(BROADCAST_MAC), START)
    copies = [effect.frame for effect in effects if isinstance(effect, Transmit)]
    assert len({id(copy) for copy in copies}) == 2
    assert {copy.packet_id for copy in copies} == {1}


def test_a_trace_tells_what_was_learned_and_where_a_frame_went(
    node: Namespace, br0: Device, notes: list[str]
) -> None:
    """In words; what was known before is not repeated."""
    node.receive("v1", frame(BROADCAST_MAC), START)
    node.receive("v1", frame(B), START)
    node.receive("v2", frame(A), START)
    node.receive("v2", frame(A), START)
    netdev.transmit(node, br0, frame(BR0))
    assert notes == [
        "fdb: 0a:00:00:00:00:01 learned: v1",
        "bridge: br0: broadcast, to v3, v2, this host",
        "bridge: br0: 0a:00:00:00:00:02 is unknown, flooded to v3, v2",
        "fdb: 0a:00:00:00:00:01 moved: v2",
        "bridge: br0: 0a:00:00:00:00:01 is behind v2, to nobody",
        "bridge: br0: 0a:00:00:00:00:01 is behind v2, to nobody",
        "bridge: br0: 02:00:00:00:01:00 is ours, to nobody",
    ]


def test_a_frame_too_short_to_be_one_is_dropped(node: Namespace, br0: Device) -> None:
    """Whoever hands it over."""
    bridge_link.receive(node, node.devices["v1"], Frame(bytes(13)))
    br0.link.transmit(node, br0, Frame(bytes(13)))
    assert [effect.reason for effect in node.take_effects() if isinstance(effect, Drop)] == [
        DropReason.PKT_TOO_SMALL,
        DropReason.PKT_TOO_SMALL,
    ]
