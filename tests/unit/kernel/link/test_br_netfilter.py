# SPDX-License-Identifier: GPL-2.0-only
"""IPv4 on a bridge with `bridge-nf-call-iptables`, as found on Linux 6.18 without any rule."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from emu.kernel.drops import DropReason
from emu.kernel.effects import Drop, Transmit
from emu.kernel.link import bridge_ports
from emu.sim.time import START
from emu.wire import ipv4
from emu.wire.frame import Frame

if TYPE_CHECKING:
    from emu.kernel.link.bridge import Bridge, Port
    from emu.kernel.link.device import Device
    from emu.kernel.namespace import Namespace

SRC, DST = bytes((10, 0, 0, 1)), bytes((10, 0, 0, 2))
MACS = b"\x0a\0\0\0\0\2\x0a\0\0\0\0\1"
HEADER = MACS + b"\x08\0"


@pytest.fixture
def filtering(node: Namespace) -> Namespace:
    """Return `node` with the sysctl on."""
    node.sysctl.set("net.bridge.bridge-nf-call-iptables", 1)
    return node


def packet(payload: int = 50, *, fragment: int = 0) -> bytes:
    """Return an IPv4 packet with so many octets of payload."""
    return ipv4.build(17, SRC, DST, bytes(payload), identification=7, fragment=fragment)


def sent(net: Namespace, octets: bytes) -> dict[str, list[int]]:
    """Let a frame arrive on `v1`; return the lengths of what left, by port."""
    lengths: dict[str, list[int]] = {}
    for effect in net.receive("v1", Frame(octets, 1), START):
        if isinstance(effect, Transmit):
            lengths.setdefault(effect.iface, []).append(len(effect.frame.octets))
    return lengths


MALFORMED = {
    "wrong checksum": HEADER + packet()[:10] + b"\x12\x34" + packet()[12:],
    "cut short": HEADER + packet()[:-3],
    "no whole header": HEADER + packet()[:10],
    "version 6": HEADER + b"\x65" + packet()[1:],
    "header of 16 octets": HEADER + b"\x44" + packet()[1:],
    "total length within the header": HEADER + ipv4.rechecksum(packet()[:2] + b"\0\x13" + packet()[4:20]),
}


@pytest.mark.parametrize("octets", MALFORMED.values(), ids=MALFORMED)
def test_malformed_packets_end_on_the_bridge_before_it_learns(
    filtering: Namespace, bridge: Bridge, octets: bytes
) -> None:
    """Dropped as malformed header, whatever it was."""
    (effect,) = filtering.receive("v1", Frame(octets, 1), START)
    assert isinstance(effect, Drop)
    assert effect.reason is DropReason.IP_INHDR
    assert bridge.fdb.lookup(octets[6:12], START) is None


@pytest.mark.parametrize("octets", MALFORMED.values(), ids=MALFORMED)
def test_without_the_sysctl_a_bridge_never_looks_at_packets(node: Namespace, octets: bytes) -> None:
    """They are forwarded as they came."""
    assert sent(node, octets) == {"v3": [len(octets)], "v2": [len(octets)]}


def test_padding_is_taken_away(filtering: Namespace) -> None:
    """What leaves is as long as the packet says."""
    assert sent(filtering, HEADER + packet(10) + bytes(16)) == {"v3": [44], "v2": [44]}


def test_options_are_part_of_the_header(filtering: Namespace) -> None:
    """A right checksum over all of it passes, one over the first 20 octets does not."""
    octets = ipv4.build(17, SRC, DST, bytes(10), options=b"\x94\x04\0\0")
    assert sent(filtering, HEADER + octets) == {"v3": [48], "v2": [48]}
    wrong = ipv4.rechecksum(octets[:20]) + octets[20:]
    assert sent(filtering, HEADER + wrong) == {}


def test_other_protocols_pass_as_they_came(filtering: Namespace) -> None:
    """ARP, and IPv4 behind a VLAN tag."""
    for ethertype in (b"\x08\x06", b"\x81\0\0\5\x08\0"):
        octets = MACS + ethertype + b"nonsense"
        assert sent(filtering, octets) == {"v3": [len(octets)], "v2": [len(octets)]}


def test_a_packet_too_large_for_a_port_is_fragmented_to_the_bridge_s_mtu(
    filtering: Namespace, br0: Device, ports: dict[str, Port]
) -> None:
    """Only for that port, and not to the port's own MTU."""
    bridge_ports.change_mtu(ports["v2"].device, 1000)
    assert sent(filtering, HEADER + packet(1200)) == {"v3": [1234], "v2": [1010, 258]}
    bridge_ports.change_mtu(br0, 600)
    assert sent(filtering, HEADER + packet(1200)) == {"v3": [1234], "v2": [610, 610, 82]}
    assert sent(filtering, HEADER + packet(882)) == {"v3": [916], "v2": [916]}
    bridge_ports.change_mtu(br0, 1500)
    assert sent(filtering, HEADER + packet(1200)) == {"v3": [1234]}


def test_fragmenting_is_noted(filtering: Namespace, ports: dict[str, Port], notes: list[str]) -> None:
    """With the MTU that was taken."""
    bridge_ports.change_mtu(ports["v2"].device, 1000)
    sent(filtering, HEADER + packet(1200))
    assert "br_netfilter: fragments for v2, MTU 1000" in notes


def test_four_octets_too_many_are_fragmented_too(filtering: Namespace, ports: dict[str, Port]) -> None:
    """Netfilter knows nothing of the room for a tag."""
    bridge_ports.change_mtu(ports["v2"].device, 1000)
    assert sent(filtering, HEADER + packet(982)) == {"v3": [1016], "v2": [1010, 40]}


def test_a_packet_with_df_that_is_too_large_ends_without_a_word(
    filtering: Namespace, ports: dict[str, Port]
) -> None:
    """A bridge sends no ICMP."""
    bridge_ports.change_mtu(ports["v2"].device, 1000)
    effects = filtering.receive("v1", Frame(HEADER + packet(1200, fragment=ipv4.DF), 1), START)
    assert [effect.iface for effect in effects if isinstance(effect, Transmit)] == ["v3"]
    assert [effect.reason for effect in effects if isinstance(effect, Drop)] == [DropReason.PKT_TOO_BIG]
