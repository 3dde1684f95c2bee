# SPDX-License-Identifier: GPL-2.0-only
"""Segments and ICMP errors that come from the wire: whose are they?"""

from __future__ import annotations

import errno
from fractions import Fraction

import pytest

from emu.fabric.cable import Cable
from emu.fabric.faults import NO_FAULTS, Faults
from emu.kernel import sockets, tcp
from emu.kernel.drops import DropReason
from emu.sim.time import MILLISECOND, SECOND
from emu.testing.lab import routed_chain
from emu.wire import icmp
from emu.wire import tcp as wire
from emu.wire.addresses import ANY_IP4, IpAddress
from emu.wire.ipv4 import DF, TCP, build
from emu.wire.tcp import ACK, FIN, PSH, RST, SYN
from tests.unit.kernel.tcp.hosts import PORT, A, B, Hosts

STRANGER = 4242


@pytest.fixture
def hosts() -> Hosts:
    """Return two hosts that know each other's MAC address."""
    hosts = Hosts()
    hosts.lab.ping("a", "b")
    hosts.wait(10 * SECOND)
    hosts.forget()
    return hosts


def segment(flags: int, seq: int = 1000, ack: int = 0, payload: bytes = b"", *, dport: int = PORT) -> bytes:
    """Return a segment of a stranger on `a` to `b`."""
    return wire.build(
        A, B, STRANGER, dport, seq=seq, ack=ack, flags=flags, window=500, options=b"", payload=payload
    )


def damaged(place: int, octet: int) -> bytes:
    """Return a SYN with one octet changed."""
    octets = bytearray(segment(SYN))
    octets[place] = octet
    return bytes(octets)


# --- nobody is there ---


@pytest.mark.parametrize(
    ("flags", "payload", "answer"),
    [
        pytest.param(SYN, b"", (RST | ACK, 0, 1001), id="SYN"),
        pytest.param(SYN, b"data", (RST | ACK, 0, 1005), id="SYN with data"),
        pytest.param(FIN, b"x", (RST | ACK, 0, 1002), id="FIN with data"),
        pytest.param(0, b"", (RST | ACK, 0, 1000), id="no flags"),
        pytest.param(ACK, b"", (RST, 77, 0), id="ACK"),
        pytest.param(SYN | ACK, b"", (RST, 77, 0), id="SYN-ACK"),
        pytest.param(PSH | ACK, b"data", (RST, 77, 0), id="data"),
        pytest.param(RST, b"", None, id="RST"),
        pytest.param(RST | ACK, b"", None, id="RST-ACK"),
    ],
)
@pytest.mark.parametrize("listens", [False, True])
def test_what_belongs_to_nobody_is_refused(
    hosts: Hosts, flags: int, payload: bytes, answer: tuple[int, int, int] | None, *, listens: bool
) -> None:
    """RFC 9293 §3.5.2; a listener answers only what has ACK, and takes a SYN."""
    if listens:
        hosts.listening("b")
        if not flags & ACK:
            answer = None
    hosts.inject("b", segment(flags, ack=77 if flags & ACK else 0, payload=payload), src=A, dst=B)
    answers = hosts.sent_by("b")
    if listens and flags == SYN:
        assert [str(heard) for heard in answers] == ["b SA"]
        return
    assert [(h.tcp.flags, h.tcp.seq, h.tcp.ack) for h in answers] == ([answer] if answer else [])
    assert [(h.header.identification, h.header.df, h.header.ttl) for h in answers] == [(0, True, 64)] * len(
        answers
    )
    assert len(hosts.drops) >= 1


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        pytest.param(segment(SYN)[:19], DropReason.PKT_TOO_SMALL, id="shorter than a header"),
        pytest.param(
            segment(SYN)[:12] + b"\x40" + segment(SYN)[13:], DropReason.PKT_TOO_SMALL, id="header too short"
        ),
        pytest.param(
            segment(SYN)[:12] + b"\xf0" + segment(SYN)[13:], DropReason.PKT_TOO_SMALL, id="header too long"
        ),
        pytest.param(
            segment(SYN)[:-3] + b"\x99" + segment(SYN)[-2:], DropReason.TCP_CSUM, id="wrong checksum"
        ),
    ],
)
def test_broken_segments_are_not_answered(hosts: Hosts, octets: bytes, reason: DropReason) -> None:
    """Nobody knows who sent them."""
    hosts.inject("b", octets, src=A, dst=B)
    assert hosts.segments == []
    assert hosts.drops == [reason]


def test_a_syn_to_a_broadcast_address_is_ignored(hosts: Hosts) -> None:
    """TCP has two ends."""
    hosts.listening("b")
    everyone = IpAddress.parse("10.0.0.255")
    octets = wire.build(A, everyone, STRANGER, PORT, seq=1, ack=0, flags=SYN, window=500)
    hosts.inject("b", octets, src=A, dst=everyone)
    assert hosts.segments == []
    assert hosts.drops == [DropReason.NOT_SPECIFIED]


def test_a_syn_that_cannot_be_answered_is_dropped(hosts: Hosts) -> None:
    """There is no way back."""
    hosts.listening("b")
    far = IpAddress.parse("192.0.2.1")
    octets = wire.build(far, B, STRANGER, PORT, seq=1, ack=0, flags=SYN, window=500)
    hosts.inject("b", octets, src=far, dst=B)
    assert hosts.segments == []
    assert hosts.drops == [DropReason.IP_OUTNOROUTES]


# --- listeners ---


def test_who_listens_on_the_address_itself_goes_before_who_listens_on_all(hosts: Hosts) -> None:
    """As Linux scores listeners."""
    anybody, special = hosts.socket("b"), hosts.socket("b")
    for sock, address in ((anybody, ANY_IP4), (special, B)):
        sock.local, sock.local_port = address, PORT
        hosts.call("b", tcp.listen, sock, 5)
    hosts.connecting("a")
    assert (tcp.is_readable(special), tcp.is_readable(anybody)) == (True, False)
    client = hosts.socket("b")
    hosts.call("b", sockets.connect, client, IpAddress.parse("127.0.0.1"), PORT)
    assert tcp.is_readable(anybody)


def test_a_handshake_that_the_other_end_refuses_is_forgotten(hosts: Hosts) -> None:
    """`a` knows of no connection and answers the SYN-ACK by RST."""
    hosts.listening("b")
    hosts.inject("b", segment(SYN), src=A, dst=B)
    assert hosts.heard() == ["b SA", "a R"]
    assert hosts.states("b") == ["LISTEN"]


def test_a_handshake_with_nobody_at_the_other_end_is_given_up(hosts: Hosts) -> None:
    """The SYN-ACK cannot even be delivered: ARP finds no one."""
    hosts.listening("b")
    ghost = IpAddress.parse("10.0.0.66")
    octets = wire.build(ghost, B, STRANGER, PORT, seq=1, ack=0, flags=SYN, window=500)
    hosts.inject("b", octets, src=ghost, dst=B)
    assert hosts.states("b") == ["LISTEN", "SYN-RECV"]
    hosts.wait(80 * SECOND)
    assert hosts.states("b") == ["LISTEN"]


# --- old connections ---


def test_a_port_in_time_wait_may_be_used_again_by_the_peer(hosts: Hosts) -> None:
    """A SYN with a higher number opens a new connection in its place."""
    listener = hosts.listening("b")
    client = hosts.socket("a", A, 5000)
    hosts.call("a", sockets.connect, client, B, PORT)
    server = hosts.accepted("b", listener)
    hosts.close("b", server)
    hosts.close("a", client)
    assert hosts.states("b") == ["LISTEN", "TIME-WAIT"]
    last = hosts.sent_by("a")[-1].tcp
    hosts.forget()
    octets = wire.build(A, B, 5000, PORT, seq=last.seq + 100_000 & 0xFFFFFFFF, ack=0, flags=SYN, window=500)
    hosts.inject("b", octets, src=A, dst=B)
    assert hosts.heard()[0] == "b SA"


def test_without_a_listener_time_wait_keeps_its_place(hosts: Hosts) -> None:
    """The SYN is answered by an ACK; the RST which that gets is ignored (tcp_rfc1337=1)."""
    hosts.set("b", "rfc1337", 1)
    listener = hosts.listening("b")
    client = hosts.socket("a", A, 5000)
    hosts.call("a", sockets.connect, client, B, PORT)
    server = hosts.accepted("b", listener)
    hosts.close("b", server)
    hosts.close("a", client)
    hosts.close("b", listener)
    last = hosts.sent_by("a")[-1].tcp
    hosts.forget()
    octets = wire.build(A, B, 5000, PORT, seq=last.seq + 100_000 & 0xFFFFFFFF, ack=0, flags=SYN, window=500)
    hosts.inject("b", octets, src=A, dst=B)
    assert hosts.heard() == ["b A", "a R"]
    assert hosts.states("b") == ["TIME-WAIT"]


# --- what packets look like ---


def test_packets_of_a_connection_are_counted_and_other_answers_are_not(hosts: Hosts) -> None:
    """IP identification: a counter from a random start; 0 for SYN-ACK and TIME-WAIT."""
    listener = hosts.listening("b")
    client = hosts.connecting("a")
    server = hosts.accepted("b", listener)
    for _ in range(2):
        hosts.send("a", client, b"question")
        hosts.receive("b", server)
        hosts.send("b", server, b"answer")
        hosts.receive("a", client)
    hosts.close("a", client)
    hosts.wait(100 * MILLISECOND)
    hosts.close("b", server)
    ids = {name: [h.header.identification for h in hosts.sent_by(name)] for name in "ab"}
    first = ids["a"][0]
    assert ids["a"] == [*range(first, first + len(ids["a"]) - 1), 0]
    first = ids["b"][1]
    assert ids["b"] == [0, *range(first, first + len(ids["b"]) - 1)]
    assert all(h.header.df for h in hosts.segments)


def test_sockets_without_path_mtu_discovery_send_without_df(hosts: Hosts) -> None:
    """IP_PMTUDISC_DONT."""
    hosts.listening("b")
    client = hosts.socket("a")
    client.pmtu_discovery = sockets.PathMtuDiscovery.DONT
    hosts.call("a", sockets.connect, client, B, PORT)
    assert [h.header.df for h in hosts.sent_by("a")] == [False, False]


# --- ICMP errors ---


def quoting(sock: sockets.Socket, seq: int) -> bytes:
    """Return what an ICMP error quotes of a segment that `sock` sent."""
    octets = wire.build(
        sock.local, sock.remote, sock.local_port, sock.remote_port, seq=seq, ack=0, flags=ACK, window=0
    )
    return build(TCP, sock.local, sock.remote, octets, fragment=DF)[:28]


def unreachable(code: int, quoted: bytes, mtu: int = 0) -> bytes:
    """Return an ICMP message Destination Unreachable."""
    return icmp.build(icmp.UNREACHABLE, code, quoted, word2=mtu)


@pytest.mark.parametrize(
    ("kind", "code", "number"),
    [
        (icmp.UNREACHABLE, icmp.HOST_UNREACHABLE, errno.EHOSTUNREACH),
        (icmp.UNREACHABLE, icmp.NET_UNREACHABLE, errno.ENETUNREACH),
        (icmp.UNREACHABLE, icmp.PORT_UNREACHABLE, errno.ECONNREFUSED),
        (icmp.TIME_EXCEEDED, 0, errno.EHOSTUNREACH),
        (icmp.PARAMETER_PROBLEM, 0, errno.EPROTO),
    ],
)
def test_an_error_ends_an_attempt_to_connect(hosts: Hosts, kind: int, code: int, number: int) -> None:
    """Where data is under way it does not: the way may come back."""
    client = hosts.connecting("a", IpAddress.parse("10.0.0.77"))
    entry = client.tcp.entry
    assert entry is not None
    assert entry.connection is not None
    quoted = quoting(client, entry.connection.tcb.snd.una & 0xFFFFFFFF)
    hosts.icmp("a", icmp.build(kind, code, quoted), src=B)
    with pytest.raises(OSError) as caught:  # noqa: PT011 - the number is checked
        hosts.receive("a", client)
    assert caught.value.errno == number
    assert hosts.states("a") == []


def test_an_error_does_not_end_a_connection(hosts: Hosts) -> None:
    """Nor does one about a segment that was never sent, or is long acknowledged."""
    client, server = hosts.connected()
    hosts.send("a", client, b"data")
    entry = client.tcp.entry
    assert entry is not None
    assert entry.connection is not None
    snd = entry.connection.tcb.snd
    for seq in (snd.una, snd.una - 2, snd.nxt + 1):
        for code in (icmp.HOST_UNREACHABLE, icmp.PORT_UNREACHABLE, icmp.FRAGMENTATION_NEEDED):
            hosts.icmp("a", unreachable(code, quoting(client, seq & 0xFFFFFFFF)), src=B)
    hosts.send("a", client, b" more")
    assert hosts.receive("b", server) == b"data more"
    assert client.error == 0


def test_errors_about_nobodys_segments_are_ignored(hosts: Hosts) -> None:
    """There is nobody to tell."""
    stranger = build(TCP, A, B, segment(SYN))[:28]
    hosts.icmp("a", unreachable(icmp.PORT_UNREACHABLE, stranger), src=B)
    assert hosts.states("a") == []


@pytest.mark.parametrize(
    ("kind", "code", "is_given_up"),
    [
        (icmp.UNREACHABLE, icmp.HOST_UNREACHABLE, True),
        (icmp.UNREACHABLE, icmp.PORT_UNREACHABLE, False),
        (icmp.TIME_EXCEEDED, 0, True),
    ],
)
@pytest.mark.parametrize("exact", [True, False])
def test_an_error_about_a_syn_ack_ends_the_handshake(
    hosts: Hosts, kind: int, code: int, *, is_given_up: bool, exact: bool
) -> None:
    """If the error is about the way and quotes the right number."""
    ghost = IpAddress.parse("10.0.0.66")
    hosts.listening("b")
    hosts.inject(
        "b", wire.build(ghost, B, STRANGER, PORT, seq=1, ack=0, flags=SYN, window=500), src=ghost, dst=B
    )
    entry = next(iter(hosts.lab.net("b").tcp.entries()))
    assert entry.handshake is not None
    seq = entry.handshake.iss + (not exact) & 0xFFFFFFFF
    quoted = build(TCP, B, ghost, wire.build(B, ghost, PORT, STRANGER, seq=seq, ack=0, flags=SYN, window=0))[
        :28
    ]
    hosts.icmp("b", icmp.build(kind, code, quoted), src=A)
    assert (hosts.states("b") == ["LISTEN"]) == (is_given_up and exact)


def test_a_narrow_way_is_learnt_and_met_with_smaller_segments() -> None:
    """Path MTU discovery, RFC 1191: what was too big is sent again at once."""
    lab = routed_chain(2, mtus=(1500, 1000, 1500))
    hosts = Hosts(lab)
    lab.ping("client", "server")
    listener = hosts.socket("server", port=PORT)
    hosts.call("server", sockets.listen, listener, 5)
    client = hosts.socket("client")
    hosts.call("client", sockets.connect, client, lab.address("server"), PORT)
    server = hosts.call("server", sockets.accept, listener)
    hosts.forget()
    hosts.send("client", client, bytes(3000))
    hosts.wait(SECOND)
    assert len(hosts.receive("server", server)) == 3000
    sizes = [len(h.payload) for h in hosts.sent_by("client") if h.payload]
    assert sizes[:3] == [1460, 1460, 80]
    assert set(sizes[3:-1]) <= {960, 500, 80}
    assert DropReason.PKT_TOO_BIG in hosts.drops
    hosts.forget()
    hosts.send("client", client, bytes(1500))
    assert [len(h.payload) for h in hosts.sent_by("client") if h.payload] == [960, 540]


def test_a_segment_that_the_device_no_longer_takes_is_cut_anew(hosts: Hosts) -> None:
    """Its MTU became smaller while the segment waited to be sent again."""
    client, server = hosts.connected()
    cable = Cable(faults=Faults(Fraction(1)))
    hosts.lab.plug("a/eth0", "b/eth0", cable)
    hosts.send("a", client, bytes(2920))
    hosts.lab.find("a/eth0")[1].mtu = 1000
    hosts.wait(SECOND)
    cable.set_faults(NO_FAULTS)
    hosts.wait(2 * SECOND)
    assert len(hosts.receive("b", server)) == 2920
    assert max(h.header.total_length for h in hosts.sent_by("a")[-3:]) == 1000
