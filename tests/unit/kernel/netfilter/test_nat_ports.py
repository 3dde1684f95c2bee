# SPDX-License-Identifier: GPL-2.0-only
"""Which port and address a connection gets, as found on Linux 6.18."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from emu.wire import icmp, tcp
from emu.wire.ipv4 import ICMP, TCP, UDP
from tests.unit.kernel.netfilter.nat_gateway import Flow, Gateway, Out, ip

if TYPE_CHECKING:
    from collections.abc import Iterable

SERVER = ip("10.2.0.2")
MASQUERADE = "-A POSTROUTING -o right -j MASQUERADE"


def nat(*rules: str, seed: int = 0) -> Gateway:
    """Return a gateway with such rules of the table nat."""
    return Gateway("*nat", *rules, "COMMIT", seed=seed)


def ports(rule: str, sport: int, clients: Iterable[int] = range(2, 32), protocol: int = UDP) -> list[int]:
    """Return the source ports of clients who all have the port `sport` and ask the same server."""
    gateway = nat(rule)
    flows = [Flow(protocol, ip(f"10.1.0.{client}"), SERVER, sport, 53) for client in clients]
    return [out.flow.sport for flow in flows for out in gateway.send("left", flow.packet())]


@pytest.mark.parametrize(
    ("sport", "least", "most"),
    [(100, 1, 511), (511, 1, 511), (512, 600, 1023), (700, 600, 1023), (1024, 1024, 65535)],
)
def test_a_port_that_is_taken_is_replaced_by_one_as_privileged(sport: int, least: int, most: int) -> None:
    """The first client keeps its own, the others get any of 1 to 511, 600 to 1023, or 1024 and on."""
    first, *others = [port for seed in range(4) for port in ports(MASQUERADE, sport)[seed:]][:30]
    assert first == sport
    assert len(set(others)) == len(others)
    assert all(least <= port <= most for port in others)
    assert max(others) - min(others) > (most - least) // 2


@pytest.mark.parametrize("option", ["--random", "--random-fully"])
def test_with_random_no_port_is_kept(option: str) -> None:
    """Not even that of the first client: each is drawn."""
    found = ports(f"{MASQUERADE} {option}", 40000)
    assert 40000 not in found
    assert len(set(found)) == len(found)
    assert all(port >= 1024 for port in found)
    privileged = ports(f"{MASQUERADE} {option}", 700)
    assert all(600 <= port < 1024 for port in privileged)


def test_a_range_of_ports_is_used_up_and_then_packets_end() -> None:
    """Eleven clients get through, the others' packets are dropped when they would be confirmed."""
    gateway = nat(f"{MASQUERADE.replace('-o right', '-o right -p udp')} --to-ports 40000-40010")
    flows = [Flow(UDP, ip(f"10.1.0.{client}"), SERVER, 40000, 53) for client in range(2, 32)]
    outs = [out for flow in flows for out in gateway.send("left", flow.packet())]
    assert sorted(out.flow.sport for out in outs) == list(range(40000, 40011))
    assert {drop.detail for drop in gateway.drops} == {
        "insert_failed: another connection has these addresses and ports"
    }
    assert gateway.net.netfilter.conntrack.stats["insert_failed"] == 19


def test_a_port_within_the_range_is_kept() -> None:
    """As long as nobody has it."""
    rule = "-A POSTROUTING -o right -p udp -j MASQUERADE --to-ports 5000-5100"
    found = ports(rule, 5050, range(2, 5))
    assert found[0] == 5050
    assert len(set(found)) == 3
    assert all(5000 <= port <= 5100 for port in found)


def test_identifiers_of_echoes_are_ports_too() -> None:
    """The first ping keeps its own; others get any of 65536, and their answers have the old one."""
    gateway = nat(MASQUERADE)
    seen = set()
    for client in range(2, 32):
        flow = Flow(ICMP, ip(f"10.1.0.{client}"), SERVER, 77, icmp.ECHO << 8)
        (out,) = gateway.send("left", flow.packet())
        seen.add(out.flow.sport)
        (back,) = gateway.send("right", out.flow.reply.packet())
        assert back.flow == flow.reply
    assert 77 in seen
    assert len(seen) == 30


def test_addresses_of_a_range_are_chosen_by_a_hash_that_is_no_secret() -> None:
    """The first five of `SNAT --to-source 10.9.9.1-10.9.9.200`, as Linux chose them for 10.1.0.2 and on."""
    for option, hosts in (("", [82, 23, 47, 27, 59]), (" --persistent", [27, 163, 173, 110, 46])):
        gateway = nat(f"-A POSTROUTING -o right -j SNAT --to-source 10.9.9.1-10.9.9.200{option}")
        flows = [Flow(UDP, ip(f"10.1.0.{client}"), SERVER, 4000, 53) for client in range(2, 7)]
        outs = [out for flow in flows for out in gateway.send("left", flow.packet())]
        assert [str(out.flow.src) for out in outs] == [f"10.9.9.{host}" for host in hosts]


def test_a_client_keeps_the_mapping_of_its_port() -> None:
    """A socket that talks to two servers looks the same to both (RFC 4787 §4.1)."""
    gateway = nat("-A POSTROUTING -o right -p udp -j SNAT --to-source 10.9.9.1-10.9.9.200:2000-3000")
    outs: list[Out] = []
    for server in range(2, 8):
        outs += gateway.send("left", Flow(UDP, ip("10.1.0.2"), ip(f"10.2.0.{server}"), 4000, 53).packet())
    assert len({(out.flow.src, out.flow.sport) for out in outs}) == 1


def test_a_range_that_is_shifted_keeps_the_distance() -> None:
    """`--to-destination ADDRESS:LOW-HIGH/BASE`: the port BASE + N becomes LOW + N."""
    gateway = nat(
        "-A PREROUTING -p tcp -m tcp --dport 30000:30010 -j DNAT --to-destination 10.2.0.2:4000-4010/30000"
    )
    flow = Flow(TCP, ip("10.1.0.2"), ip("10.96.0.1"), 1000, 30007)
    (out,) = gateway.send("left", flow.packet(b""))
    assert out.flow == Flow(TCP, ip("10.1.0.2"), SERVER, 1000, 4007)


class SinglePort:
    """A gateway that gives one port to all connections to a server, and has a connection that is closed."""

    def __init__(self, *, closed: bool = True) -> None:
        self.gateway = nat("-A POSTROUTING -o right -p tcp -j MASQUERADE --to-ports 4000-4000")
        flow = Flow(TCP, ip("10.1.0.2"), SERVER, 1000, 80)
        (out,) = self.begin(2, seq=5000)
        answers = out.flow.reply
        steps = [(answers, tcp.SYN | tcp.ACK, 9000, 5001), (flow, tcp.ACK, 5001, 9001)]
        if closed:
            steps += [(flow, tcp.FIN | tcp.ACK, 5001, 9001), (answers, tcp.FIN | tcp.ACK, 9001, 5002)]
            steps.append((flow, tcp.ACK, 5002, 9002))
        for way, flags, seq, ack in steps:
            place = "left" if way is flow else "right"
            assert self.gateway.send(place, way.packet(b"", flags=flags, seq=seq, ack=ack))

    def begin(self, client: int, *, seq: int) -> list[Out]:
        """Let a client begin a connection."""
        flow = Flow(TCP, ip(f"10.1.0.{client}"), SERVER, 1000, 80)
        return self.gateway.send("left", flow.packet(b"", seq=seq))


def test_a_closed_connection_gives_its_port_to_one_with_higher_numbers() -> None:
    """So its late answers cannot be taken for answers to the new one."""
    lab = SinglePort()
    assert lab.begin(3, seq=100) == []
    assert lab.begin(3, seq=5001) == []
    (out,) = lab.begin(4, seq=6000)
    assert out.flow.sport == 4000
    (left,) = lab.gateway.connections()
    assert left.original.src == ip("10.1.0.4")


def test_an_open_connection_keeps_its_port() -> None:
    """Whatever number the other begins with."""
    assert SinglePort(closed=False).begin(3, seq=9000) == []
