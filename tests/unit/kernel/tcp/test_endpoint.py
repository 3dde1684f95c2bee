# SPDX-License-Identifier: GPL-2.0-only
"""System calls of TCP sockets, between two namespaces."""

from __future__ import annotations

import errno
import socket as system

import pytest

from emu.kernel import sockets, tcp
from emu.kernel.drops import DropReason
from emu.sim.time import MILLISECOND, SECOND
from emu.wire.addresses import IpAddress
from tests.unit.kernel.tcp.hosts import PORT, A, B, Hosts


@pytest.fixture
def hosts() -> Hosts:
    """Return two hosts that know each other's MAC address."""
    hosts = Hosts()
    hosts.lab.ping("a", "b")
    hosts.wait(10 * SECOND)
    hosts.forget()
    return hosts


# --- a connection's life ---


def test_data_goes_both_ways_and_the_connection_ends(hosts: Hosts) -> None:
    """What a request over TCP looks like."""
    listener = hosts.listening("b")
    client = hosts.connecting("a")
    assert tcp.is_connected(client)
    server = hosts.accepted("b", listener)
    assert (server.remote, server.remote_port) == (A, client.local_port)
    assert (server.local, server.local_port) == (B, PORT)
    assert hosts.send("a", client, b"question") == 8
    assert hosts.receive("b", server) == b"question"
    hosts.send("b", server, b"answer")
    assert hosts.receive("a", client) == b"answer"
    hosts.close("a", client)
    assert hosts.receive("b", server) == b""
    hosts.close("b", server)
    assert hosts.heard() == [
        "a S",
        "b SA",
        "a A",
        "a PA 8",
        "b A",
        "b PA 6",
        "a A",
        "a FA",
        "b FA",
        "a A",
    ]
    assert hosts.states("b") == ["LISTEN"]
    assert hosts.states("a") == ["TIME-WAIT"]
    hosts.wait(62 * SECOND)
    assert hosts.states("a") == []
    assert hosts.drops == []


def test_nobody_listening_is_a_refusal(hosts: Hosts) -> None:
    """RST, and ECONNREFUSED."""
    client = hosts.connecting("a")
    assert hosts.heard() == ["a S", "b RA"]
    assert hosts.drops == [DropReason.NO_SOCKET]
    assert tcp.is_readable(client)
    with pytest.raises(ConnectionRefusedError):
        hosts.receive("a", client)
    assert hosts.states("a") == []


def test_a_refused_socket_may_try_again(hosts: Hosts) -> None:
    """With the same port."""
    client = hosts.connecting("a")
    with pytest.raises(ConnectionRefusedError):
        hosts.send("a", client, b"x")
    hosts.listening("b")
    hosts.call("a", sockets.connect, client, B, PORT)
    assert tcp.is_connected(client)


def test_nothing_read_yet_would_block(hosts: Hosts) -> None:
    """And so would accepting, and writing into a full buffer."""
    listener = hosts.listening("b")
    with pytest.raises(BlockingIOError):
        hosts.accepted("b", listener)
    assert not tcp.is_readable(listener)
    client = hosts.connecting("a")
    assert tcp.is_readable(listener)
    assert not tcp.is_readable(client)
    with pytest.raises(BlockingIOError):
        hosts.receive("a", client)
    assert tcp.is_writable(client)
    while tcp.is_writable(client):
        hosts.send("a", client, bytes(65536))
    with pytest.raises(BlockingIOError):
        hosts.send("a", client, b"x")
    server = hosts.accepted("b", listener)
    hosts.wait(SECOND)
    while tcp.is_readable(server):
        hosts.receive("b", server)
        hosts.wait(SECOND)
    assert tcp.is_writable(client)


def test_the_order_of_calls_matters(hosts: Hosts) -> None:
    """Connecting twice, listening on a connection, and so on."""
    fresh = hosts.socket("a")
    with pytest.raises(BrokenPipeError):
        hosts.send("a", fresh, b"x")
    with pytest.raises(OSError, match="not connected"):
        hosts.receive("a", fresh)
    with pytest.raises(OSError, match="not connected"):
        hosts.call("a", tcp.shutdown, fresh, system.SHUT_WR)
    with pytest.raises(OSError, match="Invalid argument"):
        hosts.accepted("a", fresh)
    client, _ = hosts.connected()
    with pytest.raises(OSError, match="already connected"):
        hosts.call("a", tcp.connect, client, B, PORT)
    with pytest.raises(OSError, match="Invalid argument"):
        hosts.call("a", tcp.listen, client, 5)
    listener = hosts.listening("a")
    with pytest.raises(OSError, match="already connected"):
        hosts.call("a", tcp.connect, listener, B, PORT)
    with pytest.raises(OSError, match="not connected"):
        hosts.receive("a", listener)


def test_connecting_twice_before_the_answer_is_in_progress(hosts: Hosts) -> None:
    """EALREADY."""
    client = hosts.connecting("a", IpAddress.parse("10.0.0.77"))
    with pytest.raises(OSError, match="already in progress"):
        hosts.call("a", tcp.connect, client, B, PORT)


def test_a_4_tuple_can_be_used_once_only(hosts: Hosts) -> None:
    """EADDRNOTAVAIL."""
    hosts.listening("b")
    first, second = hosts.socket("a", A, 5000), hosts.socket("a", A, 5000)
    hosts.call("a", sockets.connect, first, B, PORT)
    with pytest.raises(OSError, match="Cannot assign"):
        hosts.call("a", sockets.connect, second, B, PORT)


def test_a_host_speaks_to_itself(hosts: Hosts) -> None:
    """By the loopback device."""
    listener = hosts.listening("a")
    client = hosts.connecting("a", A)
    server = hosts.accepted("a", listener)
    assert hosts.send("a", client, b"hello") == 5
    assert hosts.receive("a", server) == b"hello"
    assert hosts.segments == []


# --- closing ---


def test_half_of_a_connection_may_be_shut(hosts: Hosts) -> None:
    """The other half goes on."""
    client, server = hosts.connected()
    hosts.call("a", tcp.shutdown, client, system.SHUT_WR)
    assert hosts.receive("b", server) == b""
    hosts.send("b", server, b"still here")
    assert hosts.receive("a", client) == b"still here"
    with pytest.raises(BrokenPipeError):
        hosts.send("a", client, b"x")
    hosts.call("b", tcp.shutdown, server, system.SHUT_RDWR)
    assert hosts.states("b") == []


def test_shutting_the_reading_ends_it(hosts: Hosts) -> None:
    """Nothing is sent."""
    client, _ = hosts.connected()
    hosts.call("a", tcp.shutdown, client, system.SHUT_RD)
    assert hosts.receive("a", client) == b""
    assert hosts.segments == []


def test_shutting_a_connection_that_is_being_made_ends_it(hosts: Hosts) -> None:
    """Without a word."""
    client = hosts.connecting("a", IpAddress.parse("10.0.0.77"))
    hosts.call("a", tcp.shutdown, client, system.SHUT_WR)
    assert hosts.states("a") == []


def test_closing_with_unread_data_resets_the_peer(hosts: Hosts) -> None:
    """It gets ECONNRESET once, and EPIPE when it writes."""
    client, server = hosts.connected()
    hosts.send("a", client, b"unread")
    hosts.close("b", server)
    assert hosts.heard()[-1] == "b RA"
    with pytest.raises(ConnectionResetError):
        hosts.receive("a", client)
    assert hosts.receive("a", client) == b""
    with pytest.raises(BrokenPipeError):
        hosts.send("a", client, b"x")


def test_lingering_for_no_time_resets_the_peer(hosts: Hosts) -> None:
    """SO_LINGER of 0 seconds."""
    client, _ = hosts.connected()
    client.tcp.linger = 0
    hosts.close("a", client)
    assert hosts.heard() == ["a RA"]
    assert hosts.states("a") == hosts.states("b") == []


def test_what_was_sent_arrives_though_the_program_is_gone(hosts: Hosts) -> None:
    """The connection lives on without a socket, until everything is acknowledged."""
    client, server = hosts.connected()
    sent = hosts.send("a", client, bytes(100_000))
    hosts.close("a", client)
    assert tcp.is_lingering(hosts.lab.net("a"), A, client.local_port)
    assert hosts.listing("a")[0].socket == 0
    read = b""
    while part := hosts.receive("b", server):
        read += part
        hosts.wait(100 * MILLISECOND)
    assert len(read) == sent > 65536
    hosts.close("b", server)
    assert hosts.states("a") == ["TIME-WAIT"]
    assert not tcp.is_lingering(hosts.lab.net("a"), B, client.local_port)


def test_a_listener_that_goes_takes_its_connections_along(hosts: Hosts) -> None:
    """Those that nobody accepted get RST; those that were accepted live."""
    listener = hosts.listening("b")
    first = hosts.connecting("a")
    hosts.accepted("b", listener)
    second = hosts.connecting("a")
    hosts.forget()
    hosts.close("b", listener)
    assert hosts.heard() == ["b RA"]
    assert tcp.is_connected(first)
    assert not tcp.is_connected(second)
    assert hosts.states("b") == ["ESTAB"]


def test_a_listener_may_be_shut_down_and_listen_again(hosts: Hosts) -> None:
    """Shutting its writing does nothing."""
    listener = hosts.listening("b")
    hosts.call("b", tcp.shutdown, listener, system.SHUT_WR)
    assert tcp.is_listening(listener)
    hosts.call("b", tcp.shutdown, listener, system.SHUT_RDWR)
    assert not tcp.is_listening(listener)
    hosts.call("b", sockets.listen, listener, 5)
    assert tcp.is_connected(hosts.connecting("a"))


# --- a listener's queue ---


def test_a_full_queue_lets_no_further_connection_in(hosts: Hosts) -> None:
    """One more than the backlog; the SYN is dropped, and repeated."""
    listener = hosts.listening("b", backlog=1)
    for _ in range(2):
        assert tcp.is_connected(hosts.connecting("a"))
    late = hosts.connecting("a")
    assert not tcp.is_connected(late)
    assert hosts.drops == [DropReason.TCP_LISTEN_OVERFLOW]
    assert hosts.listing("b")[0].recv_q == 2
    hosts.accepted("b", listener)
    hosts.wait(1100 * MILLISECOND)
    assert tcp.is_connected(late)


def overflow(hosts: Hosts) -> list[sockets.Socket]:
    """Begin two connections where one has room; the other's handshake ends when it is gone."""
    hosts.listening("b", backlog=0)
    return hosts.beginning("a", 2)


def test_a_handshake_that_ends_at_a_full_queue_waits(hosts: Hosts) -> None:
    """Its last ACK is taken for lost: the SYN-ACK is repeated until there is room."""
    overflow(hosts)
    assert hosts.drops == [DropReason.TCP_LISTEN_OVERFLOW]
    assert hosts.states("b") == ["LISTEN", "SYN-RECV", "ESTAB"]
    assert hosts.states("a") == ["ESTAB", "ESTAB"]
    listener = next(hosts.lab.net("b").tcp.listeners())
    hosts.accepted("b", listener)
    hosts.wait(1100 * MILLISECOND)
    assert hosts.heard()[-2:] == ["b SA", "a A"]
    assert hosts.states("b") == ["LISTEN", "ESTAB", "ESTAB"]


def test_or_it_is_refused(hosts: Hosts) -> None:
    """tcp_abort_on_overflow=1."""
    hosts.set("b", "abort_on_overflow", 1)
    _, second = overflow(hosts)
    assert hosts.heard()[-1] == "b R"
    assert hosts.states("b") == ["LISTEN", "ESTAB"]
    with pytest.raises(ConnectionResetError):
        hosts.receive("a", second)


def test_without_cookies_only_so_many_handshakes_may_be_open(hosts: Hosts) -> None:
    """tcp_syncookies=0: as many as the backlog."""
    hosts.set("b", "syncookies", 0)
    hosts.listening("b", backlog=3)
    for _ in range(5):
        hosts.lab.call(
            "a", lambda net: sockets.connect(net, sockets.create(net, sockets.SocketKind.TCP), B, PORT)
        )
    hosts.wait(10 * MILLISECOND)
    assert hosts.drops == [DropReason.TCP_LISTEN_OVERFLOW] * 2


def test_accepted_sockets_inherit_the_options_of_the_listener(hosts: Hosts) -> None:
    """As on Linux."""
    listener = hosts.listening("b")
    hosts.call("b", tcp.set_nodelay, listener, on=True)
    hosts.call("b", tcp.set_keepalive, listener, on=True)
    listener.tcp.linger = 0
    listener.ttl, listener.tos = 7, 0x20
    hosts.connecting("a")
    server = hosts.accepted("b", listener)
    assert (server.tcp.nodelay, server.tcp.keepalive, server.tcp.linger) == (True, True, 0)
    assert [(heard.header.ttl, heard.header.tos) for heard in hosts.segments if heard.host == "b"] == [
        (7, 0x20)
    ]


# --- options ---


def test_without_nagle_each_write_is_sent(hosts: Hosts) -> None:
    """TCP_NODELAY, before and after connecting."""
    client, _ = hosts.connected()
    hosts.call("a", tcp.set_nodelay, client, on=True)
    for _ in range(3):
        hosts.lab.call("a", lambda net: sockets.send(net, client, b"x"))
    hosts.wait(100 * MILLISECOND)
    assert hosts.heard()[:3] == ["a PA 1"] * 3


def test_a_quick_ack_is_sent_at_once(hosts: Hosts) -> None:
    """TCP_QUICKACK for what waits for its ACK."""
    client, server = hosts.connected()
    hosts.send("a", client, b"question")
    hosts.send("b", server, b"answer")
    hosts.receive("b", server)
    hosts.send("a", client, b"next")
    hosts.receive("b", server)
    assert hosts.heard()[-1] == "a PA 4"
    hosts.forget()
    hosts.call("b", tcp.set_quickack, server, on=True)
    assert hosts.heard() == ["b A"]


def test_a_kept_alive_connection_is_probed(hosts: Hosts) -> None:
    """SO_KEEPALIVE, after two hours of silence."""
    client, _ = hosts.connected()
    hosts.call("a", tcp.set_keepalive, client, on=True)
    assert hosts.listing("a")[0].timer is not None
    hosts.wait(7400 * SECOND)
    assert hosts.heard() == ["a A", "b A"]


# --- errors ---


def test_an_absent_host_is_given_up_by_arp(hosts: Hosts) -> None:
    """EHOSTUNREACH after three seconds."""
    client = hosts.connecting("a", IpAddress.parse("10.0.0.77"))
    hosts.wait(4 * SECOND)
    with pytest.raises(OSError, match="No route to host"):
        hosts.receive("a", client)
    assert client.error == 0


def test_without_a_route_connecting_fails(hosts: Hosts) -> None:
    """ENETUNREACH."""
    with pytest.raises(OSError, match="unreachable") as caught:
        hosts.connecting("a", IpAddress.parse("192.0.2.1"))
    assert caught.value.errno == errno.ENETUNREACH


def test_a_silent_peer_is_given_up(hosts: Hosts) -> None:
    """ETIMEDOUT after tcp_syn_retries."""
    hosts.set("a", "syn_retries", 1)
    hosts.set("a", "syn_linear_timeouts", 0)
    hosts.listening("b", backlog=0)
    hosts.connecting("a")
    client = hosts.connecting("a")
    hosts.wait(5 * SECOND)
    assert hosts.heard().count("a S") == 3
    with pytest.raises(TimeoutError):
        hosts.receive("a", client)


# --- what ss shows ---


def test_the_listing_tells_queues_and_timers(hosts: Hosts) -> None:
    """As `ss -tano` does."""
    hosts.connected()
    listener = hosts.listening("b", B, backlog=7)
    client = hosts.connecting("a")
    server = hosts.accepted("b", listener)
    hosts.send("a", client, b"12345")
    lines = hosts.listing("b")
    assert (lines[0].state.value, lines[0].send_q, lines[0].local, lines[0].local_port) == (
        "LISTEN",
        7,
        B,
        PORT,
    )
    line = next(line for line in lines if line.socket == server.number)
    assert (line.recv_q, line.send_q, line.remote, line.remote_port) == (5, 0, A, client.local_port)
    hosts.lab.call("a", lambda net: sockets.send(net, client, b"678"))
    line = next(line for line in hosts.listing("a") if line.socket == client.number)
    assert line.send_q == 3
    assert line.timer is not None
    name, left, count = line.timer
    assert (name, count) == ("on", 0)
    assert 200 * MILLISECOND <= left <= 210 * MILLISECOND


def test_handshakes_and_time_wait_have_timers_too(hosts: Hosts) -> None:
    """The ones until they are repeated, or forgotten."""
    clients = overflow(hosts)
    waiting = hosts.listing("b")[1]
    assert waiting.timer is not None
    assert waiting.timer[0] == "on"
    for client in clients:
        hosts.close("a", client)
    server = hosts.accepted("b", next(hosts.lab.net("b").tcp.listeners()))
    hosts.close("b", server)
    timer = hosts.listing("a")[0].timer
    assert timer is not None
    assert timer[0] == "timewait"
    assert 59 * SECOND < timer[1] <= 62 * SECOND
