# SPDX-License-Identifier: GPL-2.0-only
"""What is true of packets on their way through any number of routers, whatever the MTUs."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from emu.apps import stream
from emu.apps.options import IpOptions
from emu.apps.ping import ping
from emu.fabric import program
from emu.kernel.sockets import PathMtuDiscovery, SocketKind
from emu.observe.recording import Kind
from emu.sim.time import SECOND
from emu.testing.checks import unaccounted, wrong_checksums
from emu.testing.doings import actions
from emu.testing.lab import Lab, routed_chain, vxlan_pair
from emu.testing.networks import networks
from emu.wire import ethernet, ipv4
from emu.wire.addresses import ANY_IP4
from emu.wire.ipv4 import Ipv4

if TYPE_CHECKING:
    from emu.fabric.program import Program
    from emu.observe.recording import Step
    from emu.wire.addresses import IpAddress

INITIAL_TTL = 64
TAPS = (Kind.IN, Kind.OUT)
SOME = settings(max_examples=max(settings().max_examples // 5, 5))  # a network for each takes a while
IPV4 = ethernet.IPV4.to_bytes(2, "big")


def chains(least_mtu: int = 68) -> st.SearchStrategy[Lab]:
    """Draw a client and a server with up to five routers between them, and any MTUs; shrinks to a cable."""
    mtus = st.sampled_from((1500, 1400, 576, 100, 68)).filter(lambda mtu: mtu >= least_mtu)
    return st.integers(0, 5).flatmap(
        lambda routers: st.builds(
            routed_chain,
            st.just(routers),
            st.lists(mtus, min_size=routers + 1, max_size=routers + 1),
            seed=st.integers(0, 9),
        )
    )


def payloads() -> st.SearchStrategy[bytes]:
    """Draw octets that make one packet, or several fragments."""
    return st.binary(min_size=1, max_size=60) | st.integers(1, 3000).map(
        lambda length: bytes(number * 7 & 0xFF for number in range(length))
    )


def journeys(lab: Lab) -> dict[int, list[Step]]:
    """Return the taps that each IPv4 packet passed, fragments of one packet together."""
    found: defaultdict[int, list[Step]] = defaultdict(list)
    for step in lab.steps:
        if step.kind in TAPS and step.octets[12:14] == IPV4:
            found[step.packet_id].append(step)
    return found


def places(journey: list[Step]) -> list[str]:
    """Return the namespaces that a packet came through, in order."""
    return list(dict.fromkeys(step.net for step in journey))


def header_of(step: Step) -> Ipv4:
    """Return the IPv4 header of the frame at a tap."""
    return Ipv4.parse(step.octets[ethernet.HEADER_LENGTH :])


def mirror(port: int, heard: list[bytes]) -> Program[None]:
    """Answer datagrams with the reverse of what they hold, which any router may cut."""
    socket = yield from program.socket(SocketKind.UDP)
    yield from program.configure(socket, pmtu_discovery=PathMtuDiscovery.DONT)
    yield from program.bind(socket, ANY_IP4, port)
    while True:
        found = yield from program.receive_from(socket)
        heard.append(found.data)
        yield from program.send_to(socket, found.data[::-1], found.address, found.port)


def exchange(dst: IpAddress, port: int, payload: bytes) -> Program[bytes]:
    """Send a datagram that any router may cut, and return the one that comes back."""
    socket = yield from program.socket(SocketKind.UDP)
    yield from program.configure(socket, pmtu_discovery=PathMtuDiscovery.DONT)
    yield from program.connect(socket, dst, port)
    yield from program.send(socket, payload)
    return (yield from program.receive(socket, timeout=SECOND))


def carried(journey: list[Step], net: str) -> bytes:
    """Return what the packet carried when it passed the taps of `net`, fragments put together."""
    parts = {}
    for step in journey:
        header, packet = header_of(step), step.octets[ethernet.HEADER_LENGTH :]
        if step.net == net:
            parts[header.offset] = packet[header.header_length :]
    return b"".join(parts[at] for at in sorted(parts))


def check_taps(lab: Lab) -> None:
    """Assert that each router took one from the TTL, and that checksums are right at every tap."""
    row = list(lab.fabric.namespaces)
    for journey in journeys(lab).values():
        origin = row.index(journey[0].net)
        for step in journey:
            passed = abs(row.index(step.net) - origin) - (step.kind is Kind.IN)
            assert header_of(step).ttl == INITIAL_TTL - max(passed, 0)
            assert wrong_checksums(step.octets) == []


def whole_journeys(lab: Lab, protocol: int) -> list[list[Step]]:
    """Return the journeys of a protocol's packets that lead from one end of the row to the other."""
    row = list(lab.fabric.namespaces)
    ends = {row[0], row[-1]}
    return [
        journey
        for journey in journeys(lab).values()
        if {journey[0].net, journey[-1].net} == ends and header_of(journey[0]).protocol == protocol
    ]


def check_ends(lab: Lab, protocol: int) -> None:
    """Assert that packets that were not cut arrive as they were sent, but for TTL and header checksum."""
    for journey in whole_journeys(lab, protocol):
        assert places(journey) in (list(lab.fabric.namespaces), list(lab.fabric.namespaces)[::-1])
        sent, got = journey[0].octets[ethernet.HEADER_LENGTH :], journey[-1].octets[ethernet.HEADER_LENGTH :]
        if not header_of(journey[-1]).is_fragment:
            assert sent[:8] + sent[9:10] + sent[12:] == got[:8] + got[9:10] + got[12:]


@SOME
@given(chains(), st.integers(0, 3000))
def test_a_ping_and_its_reply(lab: Lab, size: int) -> None:
    """The reply comes the same way back, with a TTL that tells the number of routers."""
    routers = len(lab.fabric.namespaces) - 2
    request = ping(lab.address("server"), size=size, options=IpOptions(df=False))
    (echo,) = lab.run("client", request)
    assert (echo.outcome, echo.ttl) == ("reply", INITIAL_TTL - routers)
    there, back = whole_journeys(lab, ipv4.ICMP)
    assert places(there) == places(back)[::-1]
    assert carried(there, "client")[4:] == carried(back, "client")[4:]  # all but type and checksum
    check_taps(lab)
    check_ends(lab, ipv4.ICMP)
    assert lab.drops == []


@SOME
@given(chains(), payloads())
def test_a_datagram_and_its_echo(lab: Lab, payload: bytes) -> None:
    """Payload and ports are at each end what they were at the other."""
    heard: list[bytes] = []
    lab.start("server", mirror(7, heard))
    assert lab.run("client", exchange(lab.address("server"), 7, payload)) == payload[::-1]
    assert heard == [payload]
    check_taps(lab)
    check_ends(lab, ipv4.UDP)
    assert lab.drops == []


@SOME
@given(chains(least_mtu=100), payloads(), payloads())
def test_a_tcp_connection(lab: Lab, request: bytes, reply: bytes) -> None:
    """Both sides read what the other wrote, however often it had to be sent before it fitted the path."""
    lab.start("server", stream.serve(80, reply))
    wanted = stream.request(lab.address("server"), 80, request, want=len(reply), timeout=60 * SECOND)
    found = lab.run("client", wanted)
    assert (found.outcome, found.received[: len(reply)]) == ("ok", reply)
    check_taps(lab)
    check_ends(lab, ipv4.TCP)
    assert unaccounted(lab) == []


@SOME
@given(st.integers(0, 3000), payloads(), st.integers(0, 9))
def test_what_goes_through_a_tunnel(size: int, payload: bytes, seed: int) -> None:
    """Inside and outside, checksums are right at every tap, and what comes out is what went in."""
    lab = vxlan_pair(seed=seed)
    lab.start("pod2", mirror(7, []))
    (echo,) = lab.run("pod1", ping(lab.address("pod2"), size=size, options=IpOptions(df=False)))
    assert (echo.outcome, echo.ttl) == ("reply", INITIAL_TTL - 2)
    assert lab.run("pod1", exchange(lab.address("pod2"), 7, payload)) == payload[::-1]
    assert [step for step in lab.steps if step.kind in TAPS and wrong_checksums(step.octets)] == []
    assert unaccounted(lab) == []


@SOME
@given(st.data())
def test_checksums_on_any_network(data: st.DataObject) -> None:
    """Whatever programs send, on whatever network, no tap ever sees a wrong checksum."""
    document = data.draw(networks(fewest=3), "network")
    lab = Lab(document)
    for step in data.draw(actions(document, fewest=2, injections=False), "actions"):
        process = lab.begin(step.action)
        if not step.background:
            lab.finish(process)
    assert [step for step in lab.steps if step.kind in TAPS and wrong_checksums(step.octets)] == []
