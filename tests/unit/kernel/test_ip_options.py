# SPDX-License-Identifier: GPL-2.0-only
"""IP options on their way through a router, and in its answers.

What is expected is what Linux 6.18 did: it and the emulator were given two
thousand packets with random options, besides the golden scenarios `ip-options`
and `ip-options-mixed`.
"""

from __future__ import annotations

from typing import Final

import pytest

from emu.kernel.drops import DropReason
from emu.kernel.fragment import split
from emu.kernel.ip_options_reader import LOOSE_SOURCE_ROUTE, NO_OPERATION, STRICT_SOURCE_ROUTE
from emu.sim.time import EPOCH, MILLISECOND, SECOND, Instant
from emu.wire.addresses import BROADCAST_MAC, IpAddress
from emu.wire.icmp import (
    ECHO_REPLY,
    HOST_UNREACHABLE,
    NET_UNREACHABLE,
    PARAMETER_PROBLEM,
    PORT_UNREACHABLE,
    SOURCE_ROUTE_FAILED,
    TIME_EXCEEDED,
    UNREACHABLE,
)
from emu.wire.ipv4 import UDP, build
from tests.unit.kernel.router import FAR, NEXT, ROUTER, ROUTER_OUT, SENDER, Router, Sent, echo

ELSEWHERE: Final = IpAddress.parse("192.0.2.1")
NOON: Final = Instant(12 * 3600 * SECOND - EPOCH % (86400 * SECOND))
TIME: Final = (12 * 3600 * 1000 + 5).to_bytes(4, "big")
FREE: Final = bytes(4)
DATAGRAM: Final = bytes.fromhex("1388000900080000")  # to port 9, without data or checksum


def option(kind: int, *body: bytes) -> bytes:
    """Return an option with its length."""
    octets = b"".join(body)
    return bytes((kind, 2 + len(octets))) + octets


def record_route(pointer: int, *slots: bytes) -> bytes:
    """Return the option *record route*."""
    return option(7, bytes((pointer,)), *slots)


def timestamp(pointer: int, flags: int, *slots: bytes) -> bytes:
    """Return the option *timestamp*."""
    return option(68, bytes((pointer, flags)), *slots)


def source_route(kind: int, pointer: int, *slots: bytes) -> bytes:
    """Return the option *loose source route* or *strict source route*."""
    return option(kind, bytes((pointer,)), *slots)


def padded(options: bytes) -> bytes:
    """Return `options` filled up with zeros."""
    return options + bytes(-len(options) % 4)


@pytest.fixture
def router() -> Router:
    """A router that follows source routes and answers without limit, five milliseconds past noon."""
    router = Router()
    router.now = Instant(NOON + 5 * MILLISECOND)
    router.set("icmp_ratelimit", 0)
    router.set("conf.all.accept_source_route", 1)
    return router


def forwarded(router: Router, options: bytes, dst: IpAddress = FAR) -> Sent:
    """Return the packet with `options` as it left by eth1."""
    (sent,) = router.receive(echo(dst, options=options))
    assert sent.iface == "eth1"
    assert sent.has_right_checksum
    return sent


def answered(router: Router, options: bytes, dst: IpAddress = ROUTER) -> Sent:
    """Return the answer to an echo with `options`."""
    (sent,) = router.receive(echo(dst, options=options))
    assert sent.icmp.type == ECHO_REPLY
    assert sent.has_right_checksum
    return sent


class TestCarried:
    """Options that mean nothing to a router."""

    @pytest.mark.parametrize(
        "options",
        ["01010101", "00000000", "1e04abcd", "9e04abcd", "94040000", "94040001", "820b0000000000000000ff00"],
    )
    def test_what_is_not_acted_upon_goes_on_unchanged(self, router: Router, options: str) -> None:
        """No operation, the end, router alert, security and unknown ones are left as they are."""
        assert forwarded(router, bytes.fromhex(options)).options.hex() == options

    def test_nothing_but_zeros_follows_the_end(self, router: Router) -> None:
        """Octets behind the end of the options are blanked, and the checksum is mended."""
        assert forwarded(router, bytes.fromhex("0001ff07")).options == bytes(4)

    @pytest.mark.parametrize("options", ["01010101", "1e04abcd", "94040000"])
    def test_an_answer_does_not_carry_them(self, router: Router, options: str) -> None:
        """An echo reply has none of the options that it could not go on with."""
        assert answered(router, bytes.fromhex(options)).options == b""


class TestRecordRoute:
    """Each router writes its address."""

    def test_a_router_records_the_address_it_sends_from(self, router: Router) -> None:
        """The slot that was filled at input gets the address of the device that the packet leaves by."""
        sent = forwarded(router, record_route(4, FREE, FREE))
        assert sent.options == padded(record_route(8, ROUTER_OUT, FREE))

    def test_a_full_one_is_left_alone(self, router: Router) -> None:
        """Nothing is written where there is no room."""
        assert forwarded(router, record_route(8, NEXT)).options == padded(record_route(8, NEXT))

    def test_an_error_quotes_the_address_of_input_and_the_checksum_of_before(self, router: Router) -> None:
        """What was written before the error shows in the packet that it quotes, whose checksum is wrong."""
        (sent,) = router.receive(echo(FAR, options=record_route(4, FREE, FREE), ttl=1))
        assert sent.error == (TIME_EXCEEDED, 0, 0)
        assert sent.quoted.options == padded(record_route(8, ROUTER, FREE))
        assert not sent.quoted.has_right_checksum
        assert sent.options == padded(record_route(12, ROUTER, ROUTER))

    def test_an_answer_goes_on_with_it(self, router: Router) -> None:
        """The end host is in it twice: as receiver, and as sender of the answer."""
        sent = answered(router, record_route(4, FREE, FREE, FREE))
        assert sent.options == padded(record_route(12, ROUTER, ROUTER, FREE))

    def test_an_answer_has_no_room_for_half_a_slot(self, router: Router) -> None:
        """With one to three octets left behind our address as receiver there is no answer at all."""
        assert router.receive(echo(ROUTER, options=record_route(4, FREE, b"\0"))) == []

    def test_a_route_error_comes_after_the_recording(self, router: Router) -> None:
        """Options are read though there is no route."""
        (sent,) = router.receive(echo(ELSEWHERE, options=record_route(4, FREE)))
        assert sent.error == (UNREACHABLE, NET_UNREACHABLE, 0)
        assert sent.quoted.options == padded(record_route(8, ROUTER))

    def test_silence_of_the_next_hop_records_us_twice(self, router: Router) -> None:
        """Linux reads the options again when the neighbour does not answer, and takes the next slot."""
        silent = IpAddress.parse("10.0.1.77")
        assert router.receive(echo(silent, options=record_route(4, FREE, FREE))) == []
        (sent,) = router.run(4 * SECOND)
        assert sent.error == (UNREACHABLE, HOST_UNREACHABLE, 0)
        assert sent.quoted.options == padded(record_route(12, ROUTER_OUT, ROUTER))

    def test_fragments_leave_it_to_the_first(self, router: Router) -> None:
        """The whole datagram has the options of its first fragment, whichever comes first."""
        packet = echo(ROUTER, options=record_route(4, FREE, FREE), size=40)
        first, second = split(packet, 56)
        assert second[20:32] == bytes((NO_OPERATION,)) * 11 + b"\0"
        assert router.receive(second) == []
        (sent,) = router.receive(first)
        assert (sent.icmp.type, sent.options) == (ECHO_REPLY, padded(record_route(12, ROUTER, ROUTER)))


class TestTimestamp:
    """Each host writes the time, and its address if that is asked for."""

    def test_the_time_is_milliseconds_since_midnight(self, router: Router) -> None:
        """Universal time, as the run's clock has it."""
        sent = forwarded(router, timestamp(5, 0, FREE, FREE))
        assert sent.options == padded(timestamp(9, 0, TIME, FREE))

    def test_the_address_is_that_of_input(self, router: Router) -> None:
        """Other than in a record route it is not replaced on output."""
        sent = forwarded(router, timestamp(5, 1, FREE, FREE))
        assert sent.options == timestamp(13, 1, ROUTER, TIME)

    @pytest.mark.parametrize(("address", "is_stamped"), [(ROUTER, True), (ROUTER_OUT, True), (NEXT, False)])
    def test_only_the_host_that_is_named_stamps(
        self, router: Router, address: IpAddress, *, is_stamped: bool
    ) -> None:
        """With addresses given beforehand others pass the option on as it is."""
        sent = forwarded(router, timestamp(5, 3, address, FREE))
        assert sent.options == timestamp(13 if is_stamped else 5, 3, address, TIME if is_stamped else FREE)

    def test_who_finds_no_room_is_counted(self, router: Router) -> None:
        """The overflow counter goes up by one."""
        sent = forwarded(router, timestamp(9, 0x20, TIME))
        assert sent.options == timestamp(9, 0x30, TIME)

    def test_nobody_is_counted_where_addresses_are_given(self, router: Router) -> None:
        """No room for others is no loss there."""
        sent = forwarded(router, timestamp(13, 0x23, NEXT, TIME))
        assert sent.options == timestamp(13, 0x23, NEXT, TIME)

    def test_an_unknown_flag_is_passed_over(self, router: Router) -> None:
        """The option goes on unchanged."""
        assert forwarded(router, timestamp(5, 7, FREE)).options == timestamp(5, 7, FREE)

    def test_an_answer_goes_on_with_it(self, router: Router) -> None:
        """Receiver and sender of the answer both stamp."""
        assert answered(router, timestamp(5, 0, FREE, FREE)).options == timestamp(13, 0, TIME, TIME)
        both = timestamp(5, 1, FREE, FREE, FREE, FREE)
        assert answered(router, both).options == timestamp(21, 1, ROUTER, TIME, ROUTER, TIME)

    def test_in_an_answer_the_next_address_given_may_be_ours_too(self, router: Router) -> None:
        """Then it is stamped, and else left free."""
        ours = timestamp(5, 3, ROUTER, FREE, ROUTER_OUT, FREE)
        assert answered(router, ours).options == timestamp(21, 3, ROUTER, TIME, ROUTER_OUT, TIME)
        others = timestamp(5, 3, ROUTER, FREE, NEXT, FREE)
        assert answered(router, others).options == timestamp(13, 3, ROUTER, TIME, NEXT, FREE)

    @pytest.mark.parametrize("slots", [(FREE, b"\0"), (FREE, FREE, FREE)])
    def test_an_answer_has_no_room_for_half_a_stamp(self, router: Router, slots: tuple[bytes, ...]) -> None:
        """There is none then."""
        flags = 0 if len(slots) == 2 else 1
        assert router.receive(echo(ROUTER, options=timestamp(5, flags, *slots))) == []


class TestMalformed:
    """A bad option ends the packet, and the sender is told the octet."""

    @pytest.mark.parametrize(
        ("options", "place"),
        [
            pytest.param("1e09000000", 20, id="longer than the header"),
            pytest.param("1e010000", 20, id="length 1"),
            pytest.param("0101011e", 23, id="no length"),
            pytest.param("07020000", 21, id="record route without a pointer"),
            pytest.param("0707030000000000", 22, id="pointer into the option's head"),
            pytest.param("0707050000000000", 22, id="pointer to less than a slot"),
            pytest.param("07030407030400", 23, id="two record routes"),
            pytest.param("83020000", 21, id="source route without a pointer"),
            pytest.param("8307030000000000", 22, id="pointer into the source route's head"),
            pytest.param("8303048903040000", 23, id="two source routes, of which one is strict"),
            pytest.param("4403050000", 21, id="timestamp without flags"),
            pytest.param("44080400000000", 22, id="pointer into the timestamp's head"),
            pytest.param("4408060000000000", 22, id="half a stamp"),
            pytest.param("4408050100000000", 22, id="a stamp without room for the address"),
            pytest.param("4408050300000000", 22, id="an address without room for the stamp"),
            pytest.param("440405f0", 23, id="the overflow counter is at its end"),
            pytest.param("4404050044040500", 24, id="two timestamps"),
            pytest.param("94030000", 21, id="router alert without a value"),
            pytest.param("86060000000100", 21, id="a security label without tags"),
            pytest.param("860a0000000101040000", 22, id="a security label of an unknown domain"),
        ],
    )
    def test_the_sender_is_told_which_octet_is_wrong(self, router: Router, options: str, place: int) -> None:
        """The pointer of the parameter problem counts from the start of the header."""
        (sent,) = router.receive(echo(FAR, options=bytes.fromhex(options)))
        assert (sent.error, sent.dst) == ((PARAMETER_PROBLEM, 0, place), SENDER)
        assert router.net.drops == {DropReason.IP_INHDR: 1}

    def test_what_stands_before_the_bad_octet_is_done(self, router: Router) -> None:
        """The options before it are filled in, in the quotation and in the error's own."""
        (sent,) = router.receive(echo(FAR, options=record_route(4, FREE, FREE) + bytes((30,))))
        assert sent.error == (PARAMETER_PROBLEM, 0, 31)
        assert sent.quoted.options == record_route(8, ROUTER, FREE) + bytes((30,))
        assert sent.options == padded(record_route(12, ROUTER, ROUTER))

    def test_a_security_label_comes_back(self, router: Router) -> None:
        """It is the one option that is refused and is still in the error about it."""
        label = bytes.fromhex("860a0000000101040000")
        (sent,) = router.receive(echo(FAR, options=label))
        assert sent.options == padded(label)

    def test_a_martian_is_dropped_first(self, router: Router) -> None:
        """Nobody is told about the options of a packet with an impossible source."""
        packet = echo(FAR, options=b"\x1e\x09\0\0", src=IpAddress.parse("127.0.0.1"))
        assert router.drops(packet) == [DropReason.IP_LOCALNET]


@pytest.mark.parametrize("kind", [LOOSE_SOURCE_ROUTE, STRICT_SOURCE_ROUTE])
class TestSourceRoute:
    """The sender says where its packet has to pass."""

    @pytest.mark.parametrize("where", ["all", "eth0"])
    def test_it_is_refused_in_silence_unless_both_settings_allow_it(
        self, router: Router, kind: int, where: str
    ) -> None:
        """`accept_source_route` has to be 1 for all devices and for the one it came in by."""
        router.set(f"conf.{where}.accept_source_route", 0)
        for dst in (ROUTER, FAR):
            assert router.drops(echo(dst, options=source_route(kind, 4, FAR))) == [DropReason.NOT_SPECIFIED]

    def test_a_stage_makes_the_next_one_the_destination_and_takes_its_place(
        self, router: Router, kind: int
    ) -> None:
        """The address recorded is that of the device it leaves by; the rest of the route stays."""
        sent = forwarded(router, source_route(kind, 4, NEXT, FAR), ROUTER)
        assert sent.dst == NEXT
        assert sent.options == padded(source_route(kind, 8, ROUTER_OUT, FAR))

    def test_the_router_is_its_own_next_stage(self, router: Router, kind: int) -> None:
        """It goes on to the stage after at once; its first slot keeps the address given."""
        sent = forwarded(router, source_route(kind, 4, ROUTER_OUT, NEXT), ROUTER)
        assert sent.dst == NEXT
        assert sent.options == padded(source_route(kind, 12, ROUTER_OUT, ROUTER_OUT))

    def test_the_receiver_of_a_used_one_answers_along_the_way_back(self, router: Router, kind: int) -> None:
        """The answer goes to the last stage first, the sender is the last slot of its source route."""
        sent = answered(router, source_route(kind, 12, SENDER, NEXT))
        assert (sent.dst, sent.iface) == (NEXT, "eth1")
        assert sent.options == padded(source_route(kind, 4, SENDER))

    def test_an_error_takes_the_way_back(self, router: Router, kind: int) -> None:
        """As an answer does."""
        options = source_route(kind, 8, NEXT)
        (sent,) = router.receive(build(UDP, SENDER, ROUTER, DATAGRAM, options=padded(options)))
        assert sent.error == (UNREACHABLE, PORT_UNREACHABLE, 0)
        assert sent.dst == NEXT
        assert sent.options == padded(source_route(kind, 4, SENDER))

    def test_without_a_stage_between_the_answer_has_none(self, router: Router, kind: int) -> None:
        """The sender itself in the first slot is no stage."""
        assert answered(router, source_route(kind, 8, SENDER)).options == b""

    @pytest.mark.parametrize("hop", ["192.0.2.1", "224.0.0.1", "10.0.1.255", "255.255.255.255"])
    def test_the_next_stage_must_be_a_host_that_is_reached(self, router: Router, kind: int, hop: str) -> None:
        """No route, a group, a broadcast: the packet is dropped in silence."""
        packet = echo(ROUTER, options=source_route(kind, 4, IpAddress.parse(hop)))
        assert router.drops(packet) == [DropReason.NOT_SPECIFIED]

    def test_half_a_slot_is_malformed(self, router: Router, kind: int) -> None:
        """The pointer is wrong, says the parameter problem."""
        (sent,) = router.receive(echo(ROUTER, options=source_route(kind, 4, b"\x0a\0")))
        assert sent.error == (PARAMETER_PROBLEM, 0, 22)

    def test_a_broadcast_frame_or_destination_is_no_stage(self, router: Router, kind: int) -> None:
        """Neither goes on, and nobody is told."""
        options = source_route(kind, 4, NEXT)
        assert router.receive(echo(ROUTER, options=options), to=BROADCAST_MAC) == []
        assert router.drops(echo(IpAddress.parse("10.0.0.255"), options=options)) == [
            DropReason.NOT_SPECIFIED
        ]

    def test_no_route_ends_it_in_silence(self, router: Router, kind: int) -> None:
        """A packet without a source route would be answered by net unreachable."""
        packet = echo(ELSEWHERE, options=source_route(kind, 4, FAR))
        assert router.drops(packet) == [DropReason.NOT_SPECIFIED]

    def test_a_group_may_be_asked_to_hear_the_answer(self, router: Router, kind: int) -> None:
        """Such an answer has TTL 1."""
        router.route("224.0.0.0/4", "eth1")
        sent = answered(router, source_route(kind, 8, IpAddress.parse("224.0.0.1")))
        assert (sent.dst, sent.header.ttl) == (IpAddress.parse("224.0.0.1"), 1)


class TestStrictness:
    """What distinguishes the strict source route."""

    def test_who_is_no_stage_passes_on_a_loose_one_only(self, router: Router) -> None:
        """The strict one is off its way: the destination, octet 16, is wrong."""
        options = source_route(LOOSE_SOURCE_ROUTE, 4, FAR)
        assert forwarded(router, options).options == padded(options)
        (sent,) = router.receive(echo(FAR, options=source_route(STRICT_SOURCE_ROUTE, 4, FAR)))
        assert sent.error == (PARAMETER_PROBLEM, 0, 16)

    def test_the_next_stage_of_a_strict_one_is_a_neighbour(self, router: Router) -> None:
        """By way of a gateway the source route fails, and the sender is told."""
        assert forwarded(router, source_route(LOOSE_SOURCE_ROUTE, 4, FAR), ROUTER).dst == FAR
        (sent,) = router.receive(echo(ROUTER, options=source_route(STRICT_SOURCE_ROUTE, 4, FAR)))
        assert sent.error == (UNREACHABLE, SOURCE_ROUTE_FAILED, 0)

    def test_who_asks_for_a_way_is_not_redirected(self, router: Router) -> None:
        """Going out where it came in is what the source route wants."""
        third = IpAddress.parse("10.0.0.77")
        router.neighbour("eth0", third)
        (sent,) = router.receive(echo(ROUTER, options=source_route(LOOSE_SOURCE_ROUTE, 4, third)))
        assert (sent.iface, sent.dst) == ("eth0", third)


class TestTogether:
    """Several options in one packet."""

    def test_a_stage_stamps_with_the_address_it_leaves_by(self, router: Router) -> None:
        """Beside a source route, and nowhere else, a timestamp's address is replaced on output."""
        way = source_route(LOOSE_SOURCE_ROUTE, 4, NEXT)
        sent = forwarded(router, way + timestamp(5, 1, FREE, FREE), ROUTER)
        assert sent.options == padded(
            source_route(LOOSE_SOURCE_ROUTE, 8, ROUTER_OUT) + timestamp(13, 1, ROUTER_OUT, TIME)
        )

    def test_an_answer_has_them_in_an_order_of_its_own(self, router: Router) -> None:
        """Record route, timestamp, source route."""
        way = source_route(LOOSE_SOURCE_ROUTE, 8, NEXT)
        sent = answered(router, way + timestamp(5, 0, FREE) + record_route(4, FREE))
        assert sent.options == padded(
            record_route(8, ROUTER) + timestamp(9, 0, TIME) + source_route(LOOSE_SOURCE_ROUTE, 4, SENDER)
        )

    def test_the_quotation_is_shorter_by_the_options_of_the_error(self, router: Router) -> None:
        """An error has 576 octets at most, its options included."""
        packet = echo(FAR, options=record_route(4, *[FREE] * 9), ttl=1, size=1000)
        (sent,) = router.receive(packet)
        assert (sent.header.total_length, len(sent.options)) == (576, 40)
