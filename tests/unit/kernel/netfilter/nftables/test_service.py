# SPDX-License-Identifier: GPL-2.0-only
"""A Service as a proxy's nftables rules make it: chosen, translated, masqueraded, and answered."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

from emu.cluster.network.rules_nft import load
from emu.sim.choice import Choice, branches
from emu.wire.ipv4 import ICMP, TCP
from tests.unit.kernel.netfilter.nat_gateway import Flow, Gateway, ip

_RULES = """
add table ip proxy
add chain ip proxy pre { type nat hook prerouting priority dstnat ; }
add chain ip proxy out { type nat hook output priority -100 ; }
add chain ip proxy post { type nat hook postrouting priority srcnat ; }
add chain ip proxy check { type filter hook forward priority filter ; }
add chain ip proxy marking
add chain ip proxy refuse
add chain ip proxy service
add chain ip proxy endpoint-5
add chain ip proxy endpoint-6
add map ip proxy services { type ipv4_addr . inet_proto . inet_service : verdict ; }
add map ip proxy without { type ipv4_addr . inet_proto . inet_service : verdict ; }
add set ip proxy affinity-6 { type ipv4_addr ; flags dynamic,timeout ; timeout 60s ; }
add rule ip proxy pre ip daddr . meta l4proto . th dport vmap @services
add rule ip proxy out ip daddr . meta l4proto . th dport vmap @services
add rule ip proxy check ct state new ip daddr . meta l4proto . th dport vmap @without
add rule ip proxy refuse reject
add rule ip proxy marking meta mark set mark or 0x4000
add rule ip proxy post mark and 0x4000 == 0 return
add rule ip proxy post meta mark set mark xor 0x4000
add rule ip proxy post masquerade fully-random
add rule ip proxy service ip saddr != 10.1.0.0/28 jump marking
add rule ip proxy service ip saddr @affinity-6 goto endpoint-6
add rule ip proxy service numgen random mod 2 vmap { 0 : goto endpoint-5, 1 : goto endpoint-6 }
add rule ip proxy endpoint-5 meta l4proto tcp dnat to 10.2.0.5:8080
add rule ip proxy endpoint-6 update @affinity-6 { ip saddr }
add rule ip proxy endpoint-6 meta l4proto tcp dnat to 10.2.0.6:8080
add element ip proxy services { 10.77.0.1 . tcp . 80 : goto service }
add element ip proxy without { 10.77.0.2 . tcp . 80 comment "shop/old" : goto refuse }
"""


def gateway(choice: Choice | None = None) -> Gateway:
    """Return a gateway with the rules."""
    made = Gateway(choice=choice)
    load(made.net, _RULES)
    return made


def ask(client: str, port: int = 1000, service: str = "10.77.0.1") -> Flow:
    """Return the flow of a client to the Service."""
    return Flow(TCP, ip(client), ip(service), port, 80)


def test_a_service_is_translated_and_its_answers_are_translated_back() -> None:
    """The client hears the address it asked."""
    node, flow = gateway(), ask("10.1.0.2")
    (out,) = node.send("left", flow.packet())
    assert (out.place, str(out.flow.dst), out.flow.dport) == ("right", str(out.flow.dst), 8080)
    assert str(out.flow.dst) in ("10.2.0.5", "10.2.0.6")
    assert out.flow.src == flow.src
    assert not out.wrong_checksums
    (back,) = node.send("right", out.flow.reply.packet(flags=0x12))
    assert (back.place, back.flow) == ("left", flow.reply)


def test_a_client_from_elsewhere_is_masqueraded() -> None:
    """The mark is set on the way in, and taken off where it has done its work."""
    node, flow = gateway(), ask("10.1.0.20")
    (out,) = node.send("left", flow.packet())
    assert str(out.flow.src) == "10.2.0.1"
    (back,) = node.send("right", out.flow.reply.packet(flags=0x12))
    assert back.flow == flow.reply


def test_each_endpoint_is_as_likely_as_the_other() -> None:
    """Exactly one half each, over all branches."""
    found: Counter[str] = Counter()
    for choice in branches():
        (out,) = gateway(choice).send("left", ask("10.1.0.2").packet())
        found[str(out.flow.dst)] += choice.probability  # type: ignore[assignment]  # fractions add up as well
    assert found == {"10.2.0.5": Fraction(1, 2), "10.2.0.6": Fraction(1, 2)}


def test_affinity_keeps_a_client_at_its_endpoint() -> None:
    """A client that has been at the second endpoint comes there again."""
    for choice in branches():
        node = gateway(choice)
        (first,) = node.send("left", ask("10.1.0.2").packet())
        if str(first.flow.dst) == "10.2.0.6":
            again = [node.send("left", ask("10.1.0.2", 2000 + n).packet())[0].flow.dst for n in range(3)]
            assert set(map(str, again)) == {"10.2.0.6"}


def test_a_service_without_endpoints_is_refused() -> None:
    """With port unreachable, to whoever asks."""
    (out,) = gateway().send("left", ask("10.1.0.2", service="10.77.0.2").packet())
    assert out.place == "left"
    assert out.header.protocol == ICMP
    assert out.body[:2] == bytes((3, 3))
    assert Flow.of(out.quoted) == ask("10.1.0.2", service="10.77.0.2")


def test_other_ports_pass() -> None:
    """What no map has is routed as it is."""
    flow = Flow(TCP, ip("10.1.0.2"), ip("10.77.0.1"), 1000, 81)
    (out,) = gateway().send("left", flow.packet())
    assert (out.place, out.flow) == ("right", flow)
