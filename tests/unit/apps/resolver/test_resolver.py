# SPDX-License-Identifier: GPL-2.0-only
"""Names become addresses: every query is a packet, in the order the C libraries send them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emu.apps import console, dns_server
from emu.apps.resolver.lookup import Reason, Resolved, Unresolved, look_up, name_of, numeric
from emu.apps.resolver.message import build, read
from emu.fabric import program
from emu.fabric.userland import Userland
from emu.sim.time import MILLISECOND, SECOND
from emu.testing.lab import Lab, two_hosts
from emu.testing.zone import Zone
from emu.wire.addresses import IpAddress
from emu.wire.ipv4 import TCP, Ipv4

if TYPE_CHECKING:
    from emu.fabric.program import Program

SEARCH = "search default.svc.cluster.local svc.cluster.local cluster.local\n"
POD = SEARCH + "nameserver 10.0.0.2\noptions ndots:5\n"
WEB = "web.default.svc.cluster.local"
ZONE = {
    (WEB, "A"): ["10.96.0.7"],
    ("example.com", "A"): ["192.0.2.80"],
    ("example.com", "AAAA"): ["2001:db8::80"],
    ("long.example", "A"): [f"192.0.2.{number}" for number in range(1, 60)],
    ("2.0.0.10.in-addr.arpa", "PTR"): ["dns.example."],
    ("www.example.com", "CNAME"): ["example.com."],
}


def lab_with(zone: Zone, *, seed: int = 0) -> Lab:
    """Return two hosts, the second of which has `zone`."""
    lab = two_hosts(seed=seed)
    lab.start("b", dns_server.serve(zone.answer))
    return lab


def ask(
    name: str, zone: Zone, text: str = POD, *, lab: Lab | None = None, libc: str = "glibc"
) -> Resolved | Unresolved:
    """Look `name` up on host `a`."""
    userland = Userland("a", {"/etc/resolv.conf": text}, libc="musl" if libc == "musl" else "glibc")
    return (lab or lab_with(zone)).run("a", look_up(name, userland))


def ports(lab: Lab) -> list[int]:
    """Return the source ports of the queries that host `a` sent, in order."""
    frames = (step.octets for step in lab.at("a/eth0") if step.kind.value == "out")
    return [int.from_bytes(f[34:36]) for f in frames if f[12:14] == b"\x08\x00" and f[36:38] == b"\x00\x35"]


def pairs(*names: str) -> list[tuple[str, str]]:
    """Return A and AAAA questions for each name."""
    return [(name, kind) for name in names for kind in ("A", "AAAA")]


def messages() -> st.SearchStrategy[bytes]:
    """Replies of which some octets are wrong, or missing."""
    query = dns.message.make_query("web.example", "A", id=7, use_edns=0)
    reply = dns.message.make_response(query)
    reply.answer.append(dns.rrset.from_text("web.example.", 30, "IN", "A", "192.0.2.1"))
    octets = reply.to_wire()
    places = st.tuples(st.integers(0, len(octets) - 1), st.integers(0, 255))

    def spoil(changes: list[tuple[int, int]]) -> bytes:
        spoilt = bytearray(octets)
        for at, value in changes:
            spoilt[at] = value
        return bytes(spoilt)

    spoilt = st.lists(places, max_size=4).map(spoil)
    return st.tuples(spoilt, st.integers(0, len(octets))).map(lambda pair: pair[0][: pair[1]])


class TestSearch:
    """How many queries a name costs."""

    def test_a_service_of_the_own_namespace_costs_two(self) -> None:
        """The first domain has it; its AAAA is NODATA."""
        zone = Zone(ZONE)
        found = ask("web", zone)
        assert found == Resolved((IpAddress.parse("10.96.0.7"),), WEB)
        assert zone.asked == pairs(WEB)

    @pytest.mark.parametrize(
        ("name", "count"),
        [("example.com", 8), ("example.com.", 2), ("web.default.svc.cluster.local", 8), ("web.default", 4)],
    )
    def test_ndots_5_makes_names_dear(self, name: str, count: int) -> None:
        """Each domain of the list costs a pair of queries; a dot at the end saves them."""
        zone = Zone(ZONE)
        assert isinstance(ask(name, zone), Resolved)
        assert len(zone.asked) == count

    def test_a_name_with_enough_dots_is_asked_as_it_is_first(self) -> None:
        """And then searched for, if it does not exist."""
        zone = Zone(ZONE)
        text = "search svc.cluster.local\nnameserver 10.0.0.2\noptions ndots:1\n"
        assert isinstance(ask("web.default", zone, text), Resolved)
        assert zone.asked == pairs("web.default", WEB)

    def test_no_data_goes_on(self) -> None:
        """The next domain may have it; if none has, there is no address."""
        zone = Zone({("x.default.svc.cluster.local", "TXT"): ["t"], **ZONE})
        answer = ask("x", zone)
        assert isinstance(answer, Unresolved)
        assert (answer.reason, str(answer)) == (Reason.NODATA, "No address associated with hostname")
        assert len(zone.asked) == 8

    def test_an_unknown_name_is_not_known(self) -> None:
        """In the words of gai_strerror."""
        answer = ask("nope", Zone(ZONE))
        assert str(answer) == "Name or service not known"

    def test_a_server_that_fails_is_a_temporary_failure(self) -> None:
        """All candidates are tried, each in two rounds."""
        zone = Zone(ZONE, code=dns.rcode.SERVFAIL)
        assert str(ask("web", zone)) == "Temporary failure in name resolution"
        assert len(zone.asked) == 4 * 2 * 2

    @pytest.mark.parametrize("name", ["a..b", "x" * 64, "y" * 300])
    def test_what_is_no_name_is_not_asked_for(self, name: str) -> None:
        """Empty and overlong labels."""
        zone = Zone(ZONE)
        answer = ask(name, zone)
        assert isinstance(answer, Unresolved)
        assert (answer.reason, zone.asked) == (Reason.NONAME, [])


class TestPackets:
    """What is on the wire."""

    def test_both_questions_leave_by_one_port_before_an_answer_comes(self) -> None:
        """As sendmmsg sends them."""
        zone = Zone(ZONE)
        lab = lab_with(zone)
        ask("web", zone, lab=lab)
        [first, second] = ports(lab)
        assert first == second
        dns_steps = [s for s in lab.at("a/eth0") if s.octets[12:14] == b"\x08\x00"]
        assert [s.kind.value for s in dns_steps] == ["out", "out", "in", "in"]

    def test_numbers_differ_and_come_from_the_seed(self) -> None:
        """Same seed, same octets."""

        def frames(seed: int) -> list[bytes]:
            zone = Zone(ZONE)
            lab = lab_with(zone, seed=seed)
            ask("example.com", zone, lab=lab)
            return [step.octets for step in lab.at("a/eth0")]

        assert frames(1) == frames(1)
        assert frames(1) != frames(2)

    def test_a_truncated_answer_is_fetched_by_tcp(self) -> None:
        """All of it arrives."""
        zone = Zone(ZONE)
        lab = lab_with(zone)
        found = ask("long.example.", zone, lab=lab)
        assert isinstance(found, Resolved)
        assert len(found.addresses) == 59
        assert any(s.octets[23] == TCP for s in lab.at("a/eth0") if s.octets[12:14] == b"\x08\x00")

    def test_edns0_makes_room(self) -> None:
        """For 1200 octets by UDP."""
        zone = Zone(ZONE)
        lab = lab_with(zone)
        found = ask("long.example.", zone, POD + "options edns0\n", lab=lab)
        assert isinstance(found, Resolved)
        assert not any(s.octets[23] == TCP for s in lab.at("a/eth0") if s.octets[12:14] == b"\x08\x00")

    def test_use_vc_asks_by_tcp_alone(self) -> None:
        """Both questions by one connection."""
        zone = Zone(ZONE)
        lab = lab_with(zone)
        assert isinstance(ask("web", zone, POD + "options use-vc\n", lab=lab), Resolved)
        assert ports(lab) == [ports(lab)[0]] * len(ports(lab))
        assert all(
            Ipv4.parse(s.octets[14:]).protocol == TCP
            for s in lab.at("a/eth0")
            if s.octets[12:14] == b"\x08\x00"
        )

    def test_no_aaaa_asks_for_a_alone(self) -> None:
        """One query for each candidate."""
        zone = Zone(ZONE)
        ask("web", zone, POD + "options no-aaaa\n")
        assert zone.asked == [(WEB, "A")]

    def test_a_lost_answer_costs_five_seconds(self) -> None:
        """Then both are asked again, one after the other."""
        zone = Zone(ZONE, deaf=["AAAA"])
        lab = lab_with(zone)
        assert isinstance(ask("web", zone, lab=lab), Resolved)
        assert lab.fabric.loop.now // MILLISECOND // 100 == 50
        assert zone.asked == pairs(WEB, WEB)
        assert len(set(ports(lab))) == 1

    def test_an_answer_lost_again_costs_five_more(self) -> None:
        """Then each question gets a socket of its own."""
        zone = Zone(ZONE, deaf=["AAAA", "AAAA"])
        lab = lab_with(zone)
        assert isinstance(ask("web", zone, lab=lab), Resolved)
        assert lab.fabric.loop.now // SECOND == 10
        assert len(set(ports(lab))) == 3

    def test_single_request_asks_one_after_the_other(self) -> None:
        """A's answer comes before AAAA leaves."""
        zone = Zone(ZONE)
        lab = lab_with(zone)
        ask("web", zone, POD + "options single-request\n", lab=lab)
        dns_steps = [s for s in lab.at("a/eth0") if s.octets[12:14] == b"\x08\x00"]
        assert [s.kind.value for s in dns_steps] == ["out", "in", "out", "in"]


class TestServers:
    """Several of them, and none."""

    def test_the_second_is_asked_when_the_first_is_silent(self) -> None:
        """After five seconds."""
        zone = Zone(ZONE)
        lab = lab_with(zone)
        text = SEARCH + "nameserver 10.0.0.9\nnameserver 10.0.0.2\n"
        lab.namespace("a").run("ip neigh add 10.0.0.9 lladdr 02:00:00:00:00:09 dev eth0")
        assert isinstance(ask("web", zone, text, lab=lab), Resolved)
        assert lab.fabric.loop.now // SECOND == 5

    def test_nobody_there_is_a_temporary_failure(self) -> None:
        """At once: the port is closed."""
        lab = two_hosts()
        assert str(ask("web", Zone(ZONE), lab=lab)) == "Temporary failure in name resolution"
        assert lab.fabric.loop.now < SECOND
        assert len(ports(lab)) >= 2

    def test_silence_ends_after_both_rounds(self) -> None:
        """The first candidate, then the name as it is: twice five seconds each."""
        lab = two_hosts()
        lab.namespace("b").run("iptables -A INPUT -p udp -j DROP")
        assert str(ask("web", Zone(ZONE), lab=lab)) == "Temporary failure in name resolution"
        assert lab.fabric.loop.now // SECOND == 20


class TestMusl:
    """The other C library."""

    def test_it_stops_at_no_data(self) -> None:
        """The next domain is not asked."""
        zone = Zone({("x.default.svc.cluster.local", "TXT"): ["t"], **ZONE})
        assert str(ask("x", zone, libc="musl")) == "Name has no usable address"
        assert len(zone.asked) == 2

    def test_it_never_searches_for_a_name_with_enough_dots(self) -> None:
        """What does not exist as it is does not exist."""
        zone = Zone(ZONE)
        text = "search svc.cluster.local\nnameserver 10.0.0.2\noptions ndots:1\n"
        assert str(ask("web.default", zone, text, libc="musl")) == "Name does not resolve"
        assert zone.asked == pairs("web.default")

    def test_it_asks_all_servers_at_once(self) -> None:
        """A silent one costs nothing."""
        zone = Zone(ZONE)
        lab = lab_with(zone)
        lab.namespace("a").run("ip neigh add 10.0.0.9 lladdr 02:00:00:00:00:09 dev eth0")
        text = SEARCH + "nameserver 10.0.0.9\nnameserver 10.0.0.2\n"
        assert isinstance(ask("web", zone, text, lab=lab, libc="musl"), Resolved)
        assert lab.fabric.loop.now < SECOND
        assert len(ports(lab)) == 4

    def test_it_asks_again_for_what_is_missing_after_two_and_a_half_seconds(self) -> None:
        """By the same port."""
        zone = Zone(ZONE, deaf=["AAAA"])
        lab = lab_with(zone)
        assert isinstance(ask("web", zone, lab=lab, libc="musl"), Resolved)
        assert lab.fabric.loop.now // MILLISECOND // 100 == 25
        assert zone.asked == [(WEB, "A"), (WEB, "AAAA"), (WEB, "AAAA")]

    def test_a_failing_server_is_asked_again_at_once(self) -> None:
        """At most twice for each query and round; in the end it is a temporary failure."""
        zone = Zone(ZONE, code=dns.rcode.SERVFAIL)
        assert str(ask("web", zone, libc="musl")) == "Try again"
        assert len(zone.asked) == 2 * (2 + 4)


class TestFiles:
    """What is known without asking."""

    def test_hosts_come_before_dns(self) -> None:
        """In any case of the letters, with the line's first name as the canonical one."""
        zone = Zone(ZONE)
        files = {"/etc/hosts": "10.0.0.2\tweb-0.web.default\tWEB-0 # a pod\n", "/etc/resolv.conf": POD}
        found = lab_with(zone).run("a", look_up("web-0", Userland("a", files)))
        assert found == Resolved((IpAddress.parse("10.0.0.2"),), "web-0.web.default")
        assert zone.asked == []

    def test_localhost_needs_no_file(self) -> None:
        """It is there without one."""
        found = two_hosts().run("a", look_up("localhost", Userland()))
        assert isinstance(found, Resolved)
        assert list(map(str, found.ipv4)) == ["127.0.0.1"]

    @pytest.mark.parametrize(
        ("text", "address"), [("127.1", "127.0.0.1"), ("10.0.0.2", "10.0.0.2"), ("0x7f.1", "127.0.0.1")]
    )
    def test_numbers_are_addresses(self, text: str, address: str) -> None:
        """Also in the short forms."""
        assert numeric(text) == IpAddress.parse(address)

    @pytest.mark.parametrize("text", ["", "web", "1.2.3.4.5", "10.0.0.256", "3com"])
    def test_names_are_not(self, text: str) -> None:
        """Even if they begin with a digit."""
        assert numeric(text) is None


def test_an_alias_leads_to_its_address() -> None:
    """The canonical name is where it ends."""
    zone = Zone(ZONE | {("www.example.com", "A"): ["192.0.2.80"]})

    def answer(
        query: dns.message.Message, client: IpAddress, by: dns_server.Transport
    ) -> dns.message.Message | None:
        reply = zone.answer(query, client, by)
        if reply is not None and reply.answer and query.question[0].rdtype == dns.rdatatype.A:
            reply.answer[1:] = [dns.rrset.from_text("example.com.", 30, "IN", "A", "192.0.2.80")]
        return reply

    lab = two_hosts()
    lab.start("b", dns_server.serve(answer))
    found = ask("www.example.com.", zone, lab=lab)
    assert isinstance(found, Resolved)
    assert (list(map(str, found.ipv4)), found.canonical) == (["192.0.2.80"], "example.com")


def test_an_address_has_the_name_that_its_pointer_says() -> None:
    """Or none."""
    lab = lab_with(Zone(ZONE))
    userland = Userland("a", {"/etc/resolv.conf": POD})
    assert lab.run("a", name_of(lab.address("b"), userland)) == "dns.example"
    assert lab.run("a", name_of(lab.address("a"), userland)) is None


def test_neighbours_come_before_strangers_without_a_route() -> None:
    """The sort of RFC 6724: what cannot be reached is tried last."""
    zone = Zone(
        {("both.example", "A"): ["203.0.113.1", "10.0.0.2"], ("both.example", "AAAA"): ["2001:db8::1"]}
    )
    found = ask("both.example.", zone)
    assert isinstance(found, Resolved)
    assert str(found.addresses[0]) == "10.0.0.2"


class TestServer:
    """The server that others build on."""

    def test_a_reply_may_take_its_time(self) -> None:
        """Others are answered meanwhile."""
        zone = Zone(ZONE)

        def answer(
            query: dns.message.Message, client: IpAddress, by: dns_server.Transport
        ) -> Program[dns.message.Message | None]:
            if query.question[0].rdtype == dns.rdatatype.A:
                yield from program.sleep(SECOND)
            return zone.answer(query, client, by)

        lab = two_hosts()
        lab.start("b", dns_server.serve(answer))
        assert isinstance(ask("web", zone, lab=lab), Resolved)
        assert zone.asked == [(WEB, "AAAA"), (WEB, "A")]

    @pytest.mark.parametrize(
        ("octets", "reply"),
        [
            (b"", b""),
            (b"\x12\x34", b""),
            (b"\x12\x34\x81\x00" + bytes(8), b""),
            (b"\x12\x34\x01\x00\x00\x01" + bytes(6) + b"\xff", b"\x12\x34\x81\x01" + bytes(8)),
            (b"\x12\x34\x01\x00" + bytes(8), b"\x12\x34\x81\x01" + bytes(8)),
        ],
    )
    def test_what_is_no_query_gets_formerr_or_nothing(self, octets: bytes, reply: bytes) -> None:
        """Answers are never answered."""
        assert dns_server.read(octets) == reply

    @given(octets=st.binary(max_size=200) | messages())
    def test_nothing_that_comes_breaks_it(self, octets: bytes) -> None:
        """Neither as a query nor as a reply."""
        query = build("web.example", "A", 7)
        assert query is not None
        dns_server.read(octets)
        read(octets, query)

    def test_a_long_reply_is_cut_to_what_the_client_takes(self) -> None:
        """512 octets without EDNS, and TC says so."""
        query = dns.message.make_query("long.example", "A")
        reply = Zone(ZONE).answer(query, IpAddress.parse("10.0.0.1"), "udp")
        octets = dns_server.encode(reply, dns_server.udp_size(query))
        assert len(octets) <= 512
        assert dns.message.from_wire(octets).flags & dns.flags.TC


def test_a_server_answers_from_the_address_that_was_asked() -> None:
    """Of a machine with two addresses it is not the one that routing would choose (IP_PKTINFO)."""
    lab = lab_with(Zone(ZONE))
    lab.run("b", console.run(["ip", "addr", "add", "10.0.0.99/32", "dev", "lo"], Userland("b")))
    assert isinstance(ask(WEB, Zone(ZONE), POD.replace("10.0.0.2", "10.0.0.99"), lab=lab), Resolved)
