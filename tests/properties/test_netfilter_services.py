# SPDX-License-Identifier: GPL-2.0-only
"""kube-proxy's rules share connections out exactly, and NAT that draws ports draws the same ones again."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.cluster.network.actions import CapturePoint, Ping, Step, UdpRequest, UdpServer
from emu.cluster.network.model import (
    EndSpec,
    LinkSpec,
    NamespaceSpec,
    NetworkDocument,
    RouteSpec,
    RulesFile,
    Sysctl,
)
from emu.sim.choice import branches
from emu.testing.lab import EVERYWHERE, mac, recorded
from emu.testing.services import PORT, TARGET_PORT, cluster_ip, service_rules
from emu.wire.addresses import Interface
from emu.wire.ipv4 import UDP
from tests.unit.kernel.netfilter.nat_gateway import HERE, Flow, Gateway, ip

if TYPE_CHECKING:
    from emu.sim.choice import ScriptedChoice

CLIENT: Final = ip("10.1.0.2")
TARGET: Final = ip("10.2.0.2")
MOST: Final = 30
"""Endpoints: so many neighbours the gateway has."""

CHI_SQUARE: Final = {2: 15.1, 3: 18.4, 7: 27.9, 20: 50.8}
"""By the number of endpoints, what chance exceeds once in 10,000 times."""


def rules_of(endpoints: int, services: int = 1) -> list[str]:
    """Return kube-proxy's rules."""
    text = service_rules(services, endpoints, target=TARGET, protocol="udp", pods="10.1.0.0/16")
    return text.rstrip("\n").split("\n")


def chosen(gateway: Gateway, sport: int = 1000, service: int = 0) -> int:
    """Begin a connection to a service and return the number of the endpoint that gets it."""
    flow = Flow(UDP, CLIENT, cluster_ip(service), sport, PORT)
    (out,) = gateway.send("left", flow.packet())
    assert out.flow.dport == TARGET_PORT
    return int(out.flow.dst) - int(TARGET)


def shares(endpoints: int) -> dict[int, Fraction]:
    """Return the exact probability of each endpoint, from all branches."""
    found: dict[int, Fraction] = {}
    for choice in branches():
        number = chosen(Gateway(*rules_of(endpoints), choice=choice))
        found[number] = found.get(number, Fraction(0)) + choice.probability
    assert sum(found.values()) == 1
    return found


@settings(max_examples=max(settings().max_examples // 10, 5))
@given(st.integers(1, MOST))
def test_each_endpoint_of_a_service_gets_exactly_its_share(endpoints: int) -> None:
    """1/n, though the text has eleven decimals of it: `0.33333333349` is a third.

    Caught, planted: probabilities taken for the number of 2**-31 that they are stored as.
    """
    assert shares(endpoints) == {number: Fraction(1, endpoints) for number in range(endpoints)}


@pytest.mark.parametrize("endpoints", CHI_SQUARE)
def test_seeds_share_connections_out_evenly(endpoints: int) -> None:
    """Of 400 connections an endpoint, none gets more or less than chance explains."""
    gateway = Gateway(*rules_of(endpoints), seed=endpoints)
    count = 400 * endpoints
    found = Counter(chosen(gateway, sport) for sport in range(1024, 1024 + count))
    assert sum((found[number] - 400) ** 2 / 400 for number in range(endpoints)) < CHI_SQUARE[endpoints]


@settings(max_examples=max(settings().max_examples // 4, 5))
@given(st.integers(1, 6), st.integers(1, 5), st.integers(1, 12))
def test_nth_is_state_and_no_chance(every: int, services: int, packets: int) -> None:
    """Each of `every` connections in turn is taken, on the only branch there is."""
    rules = [
        *("*nat", f"-A PREROUTING -d {cluster_ip(0)} -m statistic --mode nth --every {every} --packet 0"),
        "COMMIT",
    ]
    rules[1] += f" -j DNAT --to-destination {TARGET}"
    rules.insert(2, f"-A PREROUTING -d {cluster_ip(0)} -j DNAT --to-destination 10.2.0.3")
    explored: list[ScriptedChoice] = []
    for choice in branches():
        explored.append(choice)
        gateway = Gateway(*rules, choice=choice)
        for number in range(packets):
            flow = Flow(UDP, CLIENT, cluster_ip(0), 1000 + number, services)
            (out,) = gateway.send("left", flow.packet())
            assert out.flow.dst == (TARGET if number % every == 0 else ip("10.2.0.3"))
    (only,) = explored
    assert only.probability == 1


# --- one seed, the same octets ---

MASQUERADING: Final = """\
*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
-A PREROUTING -d 10.96.0.1/32 -m statistic --mode random --probability 0.5 -j DNAT --to-destination 10.0.2.2
-A PREROUTING -d 10.96.0.1/32 -j DNAT --to-destination 10.0.2.3
-A POSTROUTING -o eth1 -j MASQUERADE --random-fully
COMMIT
"""


def document(requests: int) -> NetworkDocument:
    """Return a network in which two clients talk through a gateway that draws ports and endpoints."""

    def end(ns: str, iface: str, number: int, *addresses: str) -> EndSpec:
        return EndSpec(ns, iface, mac(number), tuple(map(Interface.parse, addresses)))

    links = (
        LinkSpec(end("client", "eth0", 1, "10.0.1.2/24"), end("gw", "eth0", 2, "10.0.1.1/24")),
        LinkSpec(end("gw", "eth1", 3, "10.0.2.1/24"), end("server", "eth0", 4, "10.0.2.2/24", "10.0.2.3/24")),
    )
    asking = [
        Step("udp", UdpRequest("client", ip("10.96.0.1"), 7, payload=b"x" * number))
        for number in range(requests)
    ]
    return NetworkDocument(
        (
            NamespaceSpec("client"),
            NamespaceSpec("gw", (Sysctl("net.ipv4.ip_forward", "1"),)),
            NamespaceSpec("server"),
        ),
        links=links,
        routes=(RouteSpec("client", EVERYWHERE, via=ip("10.0.1.1")),),
        iptables={"gw": RulesFile("gw.rules", MASQUERADING)},
        captures=(CapturePoint("gw", "eth0"), CapturePoint("gw", "eth1")),
        actions=(
            Step("udp_server", UdpServer("server", 7), background=True, lead=0),
            *asking,
            Step("ping", Ping("client", ip("10.96.0.1"), count=2)),
        ),
    )


@settings(max_examples=max(settings().max_examples // 10, 5))
@given(st.integers(1, 6), st.integers(0, 5))
def test_two_runs_with_one_seed_draw_the_same_ports(requests: int, seed: int) -> None:
    """The captures are the same octets; another seed gives others.

    Caught, planted: ports drawn from a random stream that all runs share.
    """
    network = document(requests)
    assert recorded(network, seed=seed) == recorded(network, seed=seed)
    assert recorded(network, seed=seed) != recorded(network, seed=seed + 1)


@given(st.integers(0, 99))
def test_gateways_with_one_seed_draw_the_same_ports(seed: int) -> None:
    """Whatever else this process drew meanwhile."""

    def ports() -> list[int]:
        gateway = Gateway("*nat", "-A POSTROUTING -o right -j MASQUERADE --random-fully", "COMMIT", seed=seed)
        flows = [Flow(UDP, ip("10.2.0.1"), TARGET, sport, 53) for sport in range(1024, 1034)]
        return [out.flow.sport for flow in flows for out in gateway.send(HERE, flow.packet())]

    assert ports() == ports()
