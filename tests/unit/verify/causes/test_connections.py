# SPDX-License-Identifier: GPL-2.0-only
"""Connection tracking, NAT, MTUs and addresses, in networks without Kubernetes."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from emu.apps import datagram
from emu.kernel.netfilter import nat, nat_ports
from emu.sim.time import SECOND
from emu.testing.lab import Lab, pods_on_a_bridge, routed_chain
from emu.verify.causes.find import find_cause
from emu.verify.endpoint import Protocol, Source, Target
from emu.verify.exchange import observe
from emu.verify.story import Way, tell
from emu.wire.addresses import IpAddress
from tests.unit.verify.causes.lab import cause, connect, failures, served

if TYPE_CHECKING:
    from emu.kernel.namespace import Namespace
    from emu.kernel.netfilter.conntrack.entry import Connection
    from emu.kernel.netfilter.conntrack.tuples import Tuple
    from emu.kernel.netfilter.nat_range import NatRange
    from emu.verify.causes.cause import Cause

_NARROW = partial(routed_chain, 2, (1500, 1400, 1500))


def ask_from(lab: Lab, address: str) -> str:
    """Ask UDP 53 of `address` from port 40000 of the client, and return what came of it."""
    asked = IpAddress.parse(address)
    return lab.run("client", datagram.request(asked, 53, b"x", src_port=40000, timeout=5 * SECOND))[0]


def cause_from(lab: Lab, address: str) -> Cause:
    """Return why asking so fails."""
    exchange = observe(lab, lambda: ask_from(lab, address))
    source, target = Source("client", "client"), Target(address, IpAddress.parse(address), Protocol.UDP, 53)
    return find_cause(lab, exchange, tell(exchange, source, target), source, target)


class TestConntrack:
    """What the tables of connections have to do with it."""

    def test_a_rule_that_drops_what_is_invalid(self) -> None:
        """The router has not seen the SYN, so the answer belongs to nothing."""
        lab = served(
            routed_chain,
            "server",
            "r1 iptables -A FORWARD -m conntrack --ctstate INVALID -j DROP",
            "r1 iptables -t raw -A PREROUTING -p tcp --tcp-flags SYN,ACK SYN -j NOTRACK",
        )
        found = cause(lab, "client", "server:80")
        assert (found.code, found.net, found.way) == ("CT_INVALID", "r1", Way.REPLY)
        assert found.rule == "-A FORWARD -m conntrack --ctstate INVALID -j DROP"
        assert "(no packet for tcp 10.0.1.2:80 > 10.0.0.1:" in found.words

    def test_an_invalid_answer_that_is_not_translated_back(self) -> None:
        """It reaches the client from the server's own address, and the client does not know it."""
        lab = served(
            routed_chain,
            "server",
            "r1 iptables -t nat -A PREROUTING -d 10.9.0.1 -p tcp -j DNAT --to-destination 10.0.1.2",
            "r1 iptables -t raw -A PREROUTING -s 10.0.1.2 -j CT --zone 5",  # where nothing began
            "client ip route add 10.9.0.1/32 via 10.0.0.2",
        )
        found = cause(lab, "client", "10.9.0.1:80")
        assert (found.code, found.net, found.way) == ("CT_INVALID", "client", Way.REPLY)
        assert "the answer comes from 10.0.1.2, and 10.9.0.1 was asked" in found.words

    def test_a_full_table(self) -> None:
        """With connections that stay."""
        lab = served(routed_chain, "server", "r1 iptables -A FORWARD -m conntrack --ctstate NEW -j ACCEPT")
        sysctl = lab.net("r1").sysctl
        sysctl.values = {**sysctl.values, "net.netfilter.nf_conntrack_max": 2}  # as the machine sets it
        connect(lab, "client", "server", 2)
        found = cause(lab, "client", "server:80")
        assert (found.code, found.net) == ("CT_TABLE_FULL", "r1")

    def test_no_port_is_left_to_masquerade_with(self) -> None:
        """The rule that has too few is told, and how many connections have them."""
        lab = served(
            routed_chain,
            "server",
            "r1 iptables -t nat -A POSTROUTING -o eth1 -p tcp -j MASQUERADE --to-ports 40000-40001",
        )
        connect(lab, "client", "server", 2)
        found = cause(lab, "client", "server:80")
        assert (found.code, found.net) == ("CT_NAT_PORTS_EXHAUSTED", "r1")
        assert found.words.startswith("2 connections to 10.0.1.2:80 have all ports of 10.0.1.1")
        assert found.rule == "-A POSTROUTING -o eth1 -p tcp -j MASQUERADE --to-ports 40000-40001"

    def test_two_connections_that_answers_could_not_be_told_apart_of(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """If NAT did not see to it that they can: the second one is not entered."""
        genuine = nat_ports.unique_tuple

        def careless(
            net: Namespace, connection: Connection, present: Tuple, range_: NatRange, *, is_source: bool
        ) -> Tuple:
            return present if is_source else genuine(net, connection, present, range_, is_source=is_source)

        monkeypatch.setattr(nat, "unique_tuple", careless)
        lab = served(
            routed_chain,
            "server",
            "r1 iptables -t nat -A PREROUTING -d 10.9.0.0/24 -j DNAT --to-destination 10.0.1.2",
            "client ip route add 10.9.0.0/24 via 10.0.0.2",
        )
        assert ask_from(lab, "10.9.0.1") == "reply"
        found = cause_from(lab, "10.9.0.2")
        assert (found.code, found.net) == ("CT_INSERT_FAILED", "r1")

    def test_an_entry_that_outlived_its_pod(self) -> None:
        """A client that keeps its port follows it, though no rule says so any more."""
        rule = "PREROUTING -d 10.9.0.1 -p udp -j DNAT --to-destination 10.0.1.2"
        other = f"r1 iptables -t nat -A {rule.replace('10.9.0.1', '10.9.0.2')}"  # so that NAT stays
        lab = served(routed_chain, "server", f"r1 iptables -t nat -A {rule}", other)
        lab.namespace("client").run("ip route add 10.9.0.1/32 via 10.0.0.2")
        assert ask_from(lab, "10.9.0.1") == "reply"
        lab.namespace("r1").run(f"iptables -t nat -D {rule}")
        lab.namespace("server").run("ip addr replace 10.0.1.9/24 dev eth0")
        lab.namespace("server").run("ip addr del 10.0.1.2/24 dev eth0")
        found = cause_from(lab, "10.9.0.1")
        assert found.code == "CT_STALE_DNAT"
        assert "r1's connection tracking still translates 10.9.0.1:53 to 10.0.1.2:53" in found.words

    @pytest.mark.parametrize(
        "commands",
        [
            ["iptables -t nat -A PREROUTING -d 10.9.0.1 -j DNAT --to-destination 10.0.1.77"],
            [
                "nft add table ip t",
                "nft 'add chain ip t pre { type nat hook prerouting priority -100; }'",
                "nft add rule ip t pre ip daddr 10.9.0.1 dnat to 10.0.1.77",
            ],
        ],
    )
    def test_a_rule_of_today_that_leads_to_nobody_is_no_stale_entry(self, commands: list[str]) -> None:
        """Of either tool: the packet met it."""
        lab = served(
            routed_chain,
            "server",
            "client ip route add 10.9.0.1/32 via 10.0.0.2",
            *(f"r1 {command}" for command in commands),
        )
        assert cause(lab, "client", "10.9.0.1:53/udp").code == "NEIGH_FAILED"


class TestMtu:
    """Packets that are too large."""

    def test_an_error_that_comes_back_mends_the_connection(self) -> None:
        """TCP sends smaller segments."""
        assert failures(served(_NARROW, "server"), "client", "server:80", payload=3000) == []

    @pytest.mark.parametrize(
        ("command", "end"),
        [
            ("r1 iptables -A OUTPUT -p icmp -j DROP", "ends in r1 (NETFILTER_DROP"),
            ("client iptables -A INPUT -p icmp -j DROP", "ends in client (NETFILTER_DROP"),
        ],
    )
    def test_one_that_does_not_makes_a_black_hole(self, command: str, end: str) -> None:
        """The connection stands, and its first full segment is lost; the rule is told."""
        lab = served(_NARROW, "server", command)
        assert failures(lab, "client", "server:80") == []
        found = cause(lab, "client", "server:80", payload=3000)
        assert (found.code, found.place) == ("PMTU_BLACKHOLE", "r1/eth0")
        assert end in found.words
        assert found.rule.endswith("-p icmp -j DROP")

    def test_a_sender_that_was_told_is_only_too_big(self) -> None:
        """An echo with DF."""
        found = cause(routed_chain(1, (1500, 80)), "client", "server")
        assert (found.code, found.words) == ("PKT_TOO_BIG", "84 octets, DF set, MTU 80")


class TestAddresses:
    """Two hosts or two networks with the same numbers."""

    def test_two_hosts_with_one_address(self) -> None:
        """The one that answers last gets the packets."""
        lab = served(partial(pods_on_a_bridge, 3), "pod2", "pod3 ip addr add 10.244.0.3/24 dev eth0")
        found = cause(lab, "pod1", "pod2:80")
        assert (found.code, found.place) == ("DUP_IP", "pod3/eth0")
        assert found.words.startswith("pod2 and pod3 both have 10.244.0.3, and pod1 sends to pod3")

    def test_a_neighbour_entry_of_the_former_owner(self) -> None:
        """Whose it is now is told."""
        lab = served(partial(pods_on_a_bridge, 3), "pod2")
        mac = lab.net("pod3").devices["eth0"].mac
        lab.namespace("pod1").run(f"ip neigh replace 10.244.0.3 lladdr {mac} dev eth0")
        found = cause(lab, "pod1", "pod2:80")
        assert found.code == "DUP_IP"
        assert f"pod1 has {mac} of pod3 as neighbour 10.244.0.3, which is pod2's" in found.words

    def test_one_owner_with_a_closed_port_is_no_duplicate(self) -> None:
        """The plain case stays what it is."""
        lab = served(partial(pods_on_a_bridge, 3), "pod2")
        assert cause(lab, "pod1", "pod2:81").code == "NO_SOCKET"

    def test_a_netmask_that_is_too_short_captures_packets(self) -> None:
        """The host is looked for on the wrong link."""
        lab = served(partial(routed_chain, 2), "server", "client ip route add 10.0.0.0/16 dev eth0 metric 5")
        lab.namespace("client").run("ip route del 10.0.2.0/24")
        found = cause(lab, "client", "server:80")
        assert (found.code, found.net) == ("CIDR_OVERLAP", "client")
        assert "by its route 10.0.0.0/16 dev eth0; it is server's, of 10.0.2.0/24" in found.words

    def test_an_address_of_nobody_is_not_answered_for(self) -> None:
        """The plain case stays what it is."""
        assert cause(Lab(routed_chain().document), "client", "10.0.0.9").code == "NEIGH_FAILED"


def test_a_rule_that_refuses_ports_that_no_service_has() -> None:
    """As kube-proxy writes it in mode nftables; the comment says what it is for."""
    lab = served(
        routed_chain,
        "server",
        "r1 nft add table ip kube-proxy",
        "r1 nft 'add chain ip kube-proxy filter-forward { type filter hook forward priority 0; }'",
        "r1 nft 'add rule ip kube-proxy filter-forward tcp dport 81 reject "
        'comment "Reject traffic to invalid ports of ClusterIPs"\'',
    )
    assert cause(lab, "client", "server:81").code == "SVC_NO_SUCH_PORT"
