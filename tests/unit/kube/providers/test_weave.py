# SPDX-License-Identifier: GPL-2.0-only
"""weave: what it writes, who has which addresses, and what frames look like on the way."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emu.kube import cni
from emu.kube.providers import PROVIDERS, OptionsError
from emu.kube.providers.weave import shares
from emu.observe.recording import Kind, Recording
from emu.sim.time import SECOND, later
from emu.wire.addresses import IpAddress, Prefix
from tests.unit.kube.providers.lab import NODES, OUTSIDE, Lab

if TYPE_CHECKING:
    from emu.observe.recording import Step

POSTROUTING = [
    "-A POSTROUTING -j WEAVE",
    (
        "-A WEAVE -m set --match-set weaver-no-masq-local dst "
        '-m comment --comment "Prevent SNAT to locally running containers" -j RETURN'
    ),
    "-A WEAVE -s 10.244.0.0/16 -d 224.0.0.0/4 -j RETURN",
    "-A WEAVE ! -s 10.244.0.0/16 -d 10.244.0.0/16 -j MASQUERADE",
    "-A WEAVE -s 10.244.0.0/16 ! -d 10.244.0.0/16 -j MASQUERADE",
]
UNDERLAY = 14 + 20  # octets before UDP


@pytest.fixture
def lab() -> Lab:
    """Two nodes with weave."""
    return Lab("weave")


class _Frames:
    """All frames that leave a device."""

    def __init__(self, net: str, device: str) -> None:
        self.point = net, device
        self.octets: list[bytes] = []

    def hear(self, step: Step) -> None:
        """Keep it if it leaves there."""
        if step.kind is Kind.OUT and (step.net, step.device) == self.point:
            self.octets.append(step.octets)


def frames_of(lab: Lab, net: str, device: str) -> list[bytes]:
    """Return the frames that leave a device from now on, as they come."""
    frames = _Frames(net, device)
    recording = Recording()
    recording.add(frames)
    lab.fabric.record(recording)
    return frames.octets


class TestWritten:
    """What stands on a node."""

    def test_configuration(self, lab: Lab) -> None:
        """As the daemon installs it: weave-net, portmap behind it."""
        assert json.loads(lab.disks["node-1"]["/etc/cni/net.d/10-weave.conflist"]) == {
            "cniVersion": "0.3.0",
            "name": "weave",
            "plugins": [
                {"name": "weave", "type": "weave-net", "hairpinMode": True},
                {"type": "portmap", "capabilities": {"portMappings": True}, "snat": True},
            ],
        }

    def test_rules(self, lab: Lab) -> None:
        """What leaves the segment is masqueraded, and what comes to it; own pods see who asks."""
        assert lab.rules("node-1", "nat") == POSTROUTING
        assert lab.rules("node-1", "filter")[0] == "-A FORWARD -i weave -o weave -j ACCEPT"

    def test_without_no_masq_local(self) -> None:
        """The rule with the set is left out."""
        rules = Lab("weave", {"noMasqLocal": False}).rules("node-1", "nat")
        assert rules == [POSTROUTING[0], *POSTROUTING[2:]]

    def test_devices(self, lab: Lab) -> None:
        """A bridge with an address, a datapath plugged into it, and a tunnel that carries 1376 octets."""
        text = lab.show(lab.node("node-1"), "ip", "addr")
        assert "weave: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1376" in text
        assert "inet 10.244.0.1/16 scope global weave" in text
        assert "vethwe-bridge@if" in text
        assert "vxlan-6784.1: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1376" in text

    def test_the_datapath_is_no_bridge(self, lab: Lab) -> None:
        """`ip -d link` calls it what it is, and knows no more of it."""
        text = lab.show(lab.node("node-1"), "ip", "-d", "link", "show", "datapath")
        assert "openvswitch addrgenmode" in text
        assert "forward_delay" not in text

    def test_twice_is_once(self, lab: Lab) -> None:
        """The same wishes change nothing."""
        before = lab.show(lab.node("node-1"), "ip", "addr"), lab.rules("node-1", "nat")
        assert lab.apply() == []
        assert (lab.show(lab.node("node-1"), "ip", "addr"), lab.rules("node-1", "nat")) == before

    def test_a_node_that_is_gone_has_no_tunnel(self, lab: Lab) -> None:
        """The others' tunnels to it go, too."""
        lab.apply((NODES[0],))
        assert "vxlan-6784" not in lab.show(lab.node("node-1"), "ip", "link")

    def test_a_node_with_another_address_has_another_tunnel(self, lab: Lab) -> None:
        """It leads to the new address."""
        moved = attrs.evolve(NODES[1], internal_ip="192.168.1.99")
        lab.apply((NODES[0], moved))
        assert "dst 192.168.1.99" in lab.show(lab.node("node-1"), "bridge", "fdb")

    def test_wrong_options_are_told_all_at_once(self) -> None:
        """With what there is."""
        with pytest.raises(OptionsError) as caught:
            PROVIDERS["weave"]({"mtu": "big", "noMaskLocal": True})
        assert len(caught.value.faults) == 2
        assert "noMasqLocal" in str(caught.value)


class TestShares:
    """Who has which part of the range."""

    @pytest.mark.parametrize(
        ("count", "firsts"),
        [
            (1, ["10.32.0.1"]),
            (2, ["10.32.0.1", "10.40.0.0"]),
            (3, ["10.32.0.1", "10.40.0.0", "10.44.0.0"]),
            (4, ["10.32.0.1", "10.40.0.0", "10.44.0.0", "10.36.0.0"]),
        ],
    )
    def test_are_halves_of_halves(self, count: int, firsts: list[str]) -> None:
        """Each begins with its bridge's address."""
        assert [str(each.first) for each in shares(Prefix.parse("10.32.0.0/12"), count)] == firsts

    @given(st.integers(1, 200), st.integers(8, 16))
    def test_are_all_of_it_and_nobody_moves(self, count: int, length: int) -> None:
        """Parts do not overlap, nothing is left out, and who joins later takes no first address away."""
        whole = Prefix.of(IpAddress.parse("10.0.0.0"), length)
        parts = sorted((int(each.first), int(each.last)) for each in shares(whole, count))
        assert parts[0][0] == int(whole.address) + 1
        assert parts[-1][1] == int(whole.address) + (1 << (32 - length)) - 2
        assert all(one[1] + 1 == other[0] for one, other in pairwise(parts))
        before = [each.first for each in shares(whole, count)]
        assert [each.first for each in shares(whole, count + 1)][:count] == before

    def test_prefixes_are_all_of_a_part(self) -> None:
        """Routers of the underlay are told them."""
        first, last = shares(Prefix.parse("10.32.0.0/12"), 2)
        assert Prefix.parse("10.36.0.0/14") in first.prefixes
        assert last.prefixes[0] == Prefix.parse("10.40.0.0/14")


class TestAddresses:
    """The lowest free one, at once again."""

    def test_begin_behind_the_bridges(self, lab: Lab) -> None:
        """The bridge asked first."""
        lab.pod("node-1", "a")
        lab.pod("node-1", "b")
        lab.pod("node-2", "c")
        assert [str(lab.addresses[name]) for name in "abc"] == ["10.244.0.2", "10.244.0.3", "10.244.128.1"]

    def test_come_back_at_once(self, lab: Lab) -> None:
        """Unlike host-local, which goes round."""
        lab.pod("node-1", "a")
        lab.pod("node-1", "b")
        cni.delete(lab.config("node-1"), lab.call("node-1", "a"))
        lab.pod("node-1", "c")
        assert lab.addresses["c"] == lab.addresses["a"]

    def test_a_daemon_that_is_not_there_is_asked_later(self, lab: Lab) -> None:
        """Its port refuses."""
        del lab.disks["node-1"]["/var/lib/weave/state.json"]
        with pytest.raises(cni.CniError, match=r"127\.0\.0\.1:6784: connect: connection refused"):
            lab.pod("node-1", "a")

    def test_what_is_no_state_is_told(self, lab: Lab) -> None:
        """A file that somebody else has written."""
        lab.disks["node-1"]["/var/lib/weave/state.json"] = '{"address": 5}'
        with pytest.raises(cni.CniError, match=r"state\.json"):
            lab.pod("node-1", "a")

    def test_delete_is_twice_the_same(self, lab: Lab) -> None:
        """What is missing is no mistake."""
        lab.pod("node-1", "a")
        for _ in range(2):
            cni.delete(lab.config("node-1"), lab.call("node-1", "a"))
        assert "10.244.0.2" not in lab.show(lab.node("node-1"), "ipset", "list", "weaver-no-masq-local")


class TestPackets:
    """One segment for all nodes."""

    def test_pods_of_two_nodes_are_neighbours(self, lab: Lab) -> None:
        """No router is between them: the TTL arrives as it left, and they know each other's MAC addresses."""
        one, other = lab.pod("node-1", "a"), lab.pod("node-2", "b")
        assert lab.ping(one, lab.addresses["b"]).ttl == 64
        assert f"{lab.addresses['b']} dev eth0 lladdr {other.device('eth0').mac}" in lab.show(
            one, "ip", "neigh"
        )

    def test_the_outer_packet(self, lab: Lab) -> None:
        """UDP 6784 with DF, TTL 64, without checksum; the VNI has the numbers of both peers, sender low."""
        one = lab.pod("node-1", "a")
        lab.pod("node-2", "b")
        lab.ping(one, lab.addresses["b"])
        sent = frames_of(lab, "node/node-2", "eth0")
        lab.ping(one, lab.addresses["b"])
        (outer,) = (octets for octets in sent if len(octets) == UNDERLAY + 8 + 8 + 14 + 84)
        assert outer[20] & 0x40
        assert outer[22] == 64
        assert outer[UNDERLAY + 2 : UNDERLAY + 4] == (6784).to_bytes(2, "big")
        assert outer[UNDERLAY + 6 : UNDERLAY + 8] == b"\0\0"

    def test_the_two_directions_have_each_others_vni(self, lab: Lab) -> None:
        """Low and high half change places."""
        mesh = [lab.written[node.name].mesh for node in NODES]
        (to_2,), (to_1,) = (each.peers for each in mesh if each is not None)
        assert (to_2.sends, to_2.receives) == (to_1.receives, to_1.sends)
        assert int(to_2.sends) == (int(to_2.receives) >> 12 | (int(to_2.receives) & 0xFFF) << 12)

    def test_sources(self, lab: Lab) -> None:
        """Pods see pods, and nodes by their bridges; outside sees the node."""
        one, other = lab.pod("node-1", "a"), lab.pod("node-2", "b")
        address = lab.addresses["b"]
        assert lab.who_asks(one, other, address) == str(lab.addresses["a"])
        assert lab.who_asks(lab.node("node-1"), other, address) == "10.244.0.1"
        assert lab.who_asks(one, lab.fabric.namespace("ext/outside"), OUTSIDE) == "192.168.1.11"

    def test_what_netfilter_sees_of_a_frame_it_sees_once(self, lab: Lab) -> None:
        """The bridge calls it, the datapath behind it does not: one entry a connection."""
        one, other = lab.pod("node-1", "a"), lab.pod("node-2", "b")
        lab.who_asks(one, other, lab.addresses["b"])
        lines = lab.show(lab.node("node-1"), "conntrack", "-L", "-p", "udp", "--dport", "4000").splitlines()
        assert len([line for line in lines if line.startswith("udp")]) == 1

    def test_a_frame_for_all_comes_to_all_once(self, lab: Lab) -> None:
        """Tunnels pass nothing on to each other."""
        one = lab.pod("node-1", "a")
        lab.pod("node-1", "b")
        other = lab.pod("node-2", "c")
        requests = frames_of(lab, "node/node-2", "vethwe-datapath")
        target = IpAddress.parse("10.244.200.200")
        lab.ping(one, target)
        lab.fabric.loop.run_until(later(lab.fabric.loop.now, 10 * SECOND))
        assert len([octets for octets in requests if octets.endswith(target)]) == 3  # as often as ARP asks
        assert other.device("eth0").counters.rx_packets > 0
