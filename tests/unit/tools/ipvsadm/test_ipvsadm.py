# SPDX-License-Identifier: GPL-2.0-only
"""`ipvsadm`: virtual services set up, listed and saved."""

from __future__ import annotations

import pytest

from emu.apps.commands import execute
from emu.errors import CommandError
from emu.sim.time import SECOND
from emu.wire import tcp
from tests.unit.kernel.netfilter.ipvs.balanced import Balanced
from tests.unit.kernel.netfilter.nat_gateway import Gateway, ip


def run(gateway: Gateway, line: str) -> str:
    """Run ipvsadm with the words of `line`."""
    gateway.net.now = gateway.now
    return execute(gateway.net, ["ipvsadm", *line.split()])


@pytest.fixture
def gateway() -> Gateway:
    """Return a gateway without virtual services."""
    return Gateway()


def test_services_are_listed_by_address_with_their_destinations(gateway: Gateway) -> None:
    """The columns are those that people look for: scheduler, flags, weight, connections."""
    for line in (
        "-A -u 10.96.0.10:53 -s rr",
        "-A -t 10.96.0.7:80 -s wrr -p 10800",
        "-a -t 10.96.0.7:80 -r 10.2.0.3:8080 -m -w 3",
        "-a -t 10.96.0.7:80 -r 10.2.0.2:8080 -m",
        "-A -f 7 -s sh -b sh-port,sh-fallback",
    ):
        assert run(gateway, line) == ""
    assert run(gateway, "-Ln") == (
        "IP Virtual Server version 1.2.1 (size=4096)\n"
        "Prot LocalAddress:Port Scheduler Flags\n"
        "  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn\n"
        "TCP  10.96.0.7:80 wrr persistent 10800\n"
        "  -> 10.2.0.2:8080                Masq    1      0          0         \n"
        "  -> 10.2.0.3:8080                Masq    3      0          0         \n"
        "UDP  10.96.0.10:53 rr\n"
        "FWM  7 sh (sh-fallback,sh-port)\n"
    )


def test_what_is_saved_makes_the_same_again(gateway: Gateway) -> None:
    """A command on each line."""
    run(gateway, "-A -t 10.96.0.7:80 -s wlc -p 600 -M 255.255.255.0")
    run(gateway, "-a -t 10.96.0.7:80 -r 10.2.0.2:8080 -m -w 2 -x 9 -y 3")
    run(gateway, "-A --sctp-service 10.96.0.8:9 -s rr")
    saved = run(gateway, "-Sn")
    again = Gateway()
    for line in saved.splitlines():
        run(again, line)
    assert run(again, "-Sn") == saved
    assert saved == (
        "-A -t 10.96.0.7:80 -s wlc -p 600 -M 255.255.255.0\n"
        "-a -t 10.96.0.7:80 -r 10.2.0.2:8080 -m -w 2 -x 9 -y 3\n"
        "-A --sctp-service 10.96.0.8:9 -s rr\n"
    )


def test_connections_are_listed_with_the_time_that_they_have() -> None:
    """The state, the three places, and a client that stays as a line of its own."""
    balanced = Balanced("rr", "10.2.0.2", persistence=600)
    balanced.chosen(1000)
    balanced.wait(10 * SECOND)
    assert run(balanced, "-Lnc") == (
        "IPVS connection entries\n"
        "pro expire state       source             virtual            destination\n"
        "TCP 00:50  SYN_RECV    10.1.0.2:1000      10.96.0.1:80       10.2.0.2:8080\n"
        "TCP 09:50  NONE        10.1.0.2:0         10.96.0.1:80       10.2.0.2:8080\n"
    )


def test_counters_are_listed() -> None:
    """Connections, packets and octets of service and destination, in nine columns each."""
    balanced = Balanced("rr", "10.2.0.2")
    flow = balanced.client(1000)
    (out,) = balanced.send("left", flow.packet(b""))
    balanced.send("right", out.flow.reply.packet(b"", flags=tcp.SYN | tcp.ACK, ack=2))
    assert run(balanced, "-Ln --stats").splitlines()[1:] == [
        "Prot LocalAddress:Port               Conns   InPkts  OutPkts  InBytes OutBytes",
        "  -> RemoteAddress:Port",
        "TCP  10.96.0.1:80                        1        1        1       40       40",
        "  -> 10.2.0.2:8080                       1        1        1       40       40",
    ]
    assert run(balanced, "-Ln --persistent-conn").splitlines()[-1].split() == [
        "->",
        "10.2.0.2:8080",
        "1",
        "0",
        "1",
        "0",
    ]


def test_time_outs_are_set_and_shown(gateway: Gateway) -> None:
    """0 leaves one as it is."""
    assert run(gateway, "-L --timeout") == "Timeout (tcp tcpfin udp): 900 120 300\n"
    run(gateway, "--set 60 0 10")
    assert run(gateway, "-L --timeout") == "Timeout (tcp tcpfin udp): 60 120 10\n"


def test_services_and_destinations_are_changed_and_deleted() -> None:
    """Then nothing of them is listed."""
    balanced = Balanced("rr", "10.2.0.2", "10.2.0.3")
    run(balanced, "-E -t 10.96.0.1:80 -s lc")
    run(balanced, "-e -t 10.96.0.1:80 -r 10.2.0.2:8080 -m -w 0")
    assert balanced.chosen(1) == ip("10.2.0.3")
    run(balanced, "-d -t 10.96.0.1:80 -r 10.2.0.3:8080")
    assert run(balanced, "-Sn") == "-A -t 10.96.0.1:80 -s lc\n-a -t 10.96.0.1:80 -r 10.2.0.2:8080 -m -w 0\n"
    run(balanced, "-D -t 10.96.0.1:80")
    assert run(balanced, "-Sn") == ""
    run(balanced, "-A -t 10.96.0.1:80")
    run(balanced, "-C")
    assert run(balanced, "-Sn") == ""


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("-A -t 10.96.0.1:80", "Service already exists"),
        ("-E -t 10.96.0.9:80", "No such service"),
        ("-D -t 10.96.0.9:80", "No such service"),
        ("-Ln -t 10.96.0.9:80", "No such service"),
        ("-a -t 10.96.0.9:80 -r 10.2.0.2:80 -m", "Service not defined"),
        ("-a -t 10.96.0.1:80 -r 10.2.0.2:8080 -m", "Destination already exists"),
        ("-e -t 10.96.0.1:80 -r 10.2.0.9:8080 -m", "No such destination"),
        ("-d -t 10.96.0.1:80 -r 10.2.0.9:8080", "No such destination"),
        ("-A -t 10.96.0.9:80 -s xx", "Scheduler or persistence engine not found"),
        ("-A -t 10.96.0.9:80 -s mh", "the scheduler mh is not modelled"),
        ("-a -t 10.96.0.1:80 -r 10.2.0.9:80", "direct routing (-g, the default) is not modelled"),
        ("-a -t 10.96.0.1:80 -r 10.2.0.9:80 -i", "tunneling (-i) is not modelled"),
        ("-A -u 10.96.0.9:80 -o", "one-packet scheduling (-o) is not modelled"),
        ("-Ln --rate", "rates (--rate) are not modelled"),
        ("-R", "restore needs a file"),
        ("-Z", "zeroing counters"),
        ("-A", "You need to supply the 'service' option"),
        ("-a -t 10.96.0.1:80 -m", "You need to supply the 'real-server' option"),
        ("-A -t 10.96.0.1:x", "illegal virtual server address[:port] specified"),
        ("-A -t 10.96.0.9 -s rr", "Zero port specified for non-persistent service"),
        ("-a -t 10.96.0.1:80 -r 10.2.0.9:80 -m -w 65536", "illegal weight specified"),
        ("-A -D", "multiple commands specified"),
        ("-q", "-q: unknown option"),
        ("--quiet", "--quiet: unknown option"),
        ("--set 1 2", "--set option requires 3 timeouts"),
    ],
)
def test_what_makes_no_sense_or_is_not_modelled_is_said(line: str, complaint: str) -> None:
    """By name, and nothing is changed."""
    balanced = Balanced("rr", "10.2.0.2")
    before = run(balanced, "-Sn")
    with pytest.raises(
        CommandError, match=complaint.replace("(", r"\(").replace("[", r"\[").replace(")", r"\)")
    ):
        run(balanced, line)
    assert run(balanced, "-Sn") == before
