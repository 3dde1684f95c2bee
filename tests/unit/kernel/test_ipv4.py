# SPDX-License-Identifier: GPL-2.0-only
"""The way of a packet through a router, box by box, as Linux 6.18 goes it."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Final

import pytest

from emu.kernel import ipv4
from emu.kernel.drops import DropReason
from emu.kernel.effects import Drop
from emu.kernel.fib import Route, RouteType
from emu.kernel.routing import route_output
from emu.wire import udp
from emu.wire.addresses import BROADCAST_MAC, IpAddress, MacAddress, Prefix
from emu.wire.ipv4 import DF, MF, build, rechecksum
from tests.unit.kernel.router import FAR, NEXT, ROUTER, ROUTER_OUT, SENDER, Router, Sent, echo, packets

if TYPE_CHECKING:
    from collections.abc import Callable

ELSEWHERE: Final = IpAddress.parse("192.0.2.1")
OTHERS_MAC: Final = MacAddress.parse("02:00:00:00:00:77")


@pytest.fixture
def router() -> Router:
    """The router."""
    return Router()


def packet(
    *, dst: IpAddress = FAR, ttl: int = 64, size: int = 8, flags: int = 0, protocol: int = 17
) -> bytes:
    """Return a packet from the sender."""
    body = udp.build(SENDER, dst, 1000, 2000, bytes(size)) if protocol == 17 else bytes(size)
    return build(protocol, SENDER, dst, body, ttl=ttl, identification=7, fragment=flags)


def changed(at: int, value: int) -> bytes:
    """Return a packet with one octet of its header overwritten, and a right checksum."""
    octets = bytearray(packet())
    octets[at] = value
    return rechecksum(bytes(octets[:20])) + bytes(octets[20:])


class TestArrival:
    """What is looked at before anything else."""

    @pytest.mark.parametrize(
        ("octets", "reason"),
        [
            pytest.param(changed(0, 0x65), DropReason.IP_INHDR, id="version 6"),
            pytest.param(changed(0, 0x44), DropReason.IP_INHDR, id="a header of 16 octets"),
            pytest.param(changed(0, 0x4F), DropReason.IP_INHDR, id="a header longer than the packet"),
            pytest.param(changed(3, 200), DropReason.PKT_TOO_SMALL, id="cut short"),
            pytest.param(changed(3, 19), DropReason.IP_INHDR, id="total length below the header's"),
            pytest.param(
                packet()[:10] + b"\xff\xff" + packet()[12:], DropReason.IP_CSUM, id="wrong checksum"
            ),
            pytest.param(packet()[:19], DropReason.IP_INHDR, id="no whole header"),
            pytest.param(b"", DropReason.IP_INHDR, id="nothing"),
        ],
    )
    def test_malformed_packets_are_dropped_in_silence(
        self, router: Router, octets: bytes, reason: DropReason
    ) -> None:
        """Nobody is told, whoever they are for."""
        assert router.drops(octets) == [reason]

    def test_padding_ends_here(self, router: Router) -> None:
        """What a short frame was filled up with is not forwarded."""
        (sent,) = router.receive(packet(size=1) + bytes(17))
        assert len(sent.packet) == 29

    def test_packets_for_another_station_are_none_of_ours(self, router: Router) -> None:
        """A flooded frame reaches the host and ends there."""
        effects = router.effects(packet(), to=OTHERS_MAC)
        assert [effect.reason for effect in effects if isinstance(effect, Drop)] == [DropReason.OTHERHOST]

    def test_unknown_protocols_are_refused(self, router: Router) -> None:
        """The sender gets *protocol unreachable*."""
        (sent,) = router.receive(packet(dst=ROUTER, protocol=253))
        assert sent.error[:2] == (3, 2)


class TestForwarding:
    """What RFC 1812 wants of a router."""

    def test_a_packet_leaves_with_one_less_to_live(self, router: Router) -> None:
        """Nothing else of it changes, and its checksum is right again."""
        (sent,) = router.receive(packet())
        assert (sent.iface, sent.header.ttl, sent.has_right_checksum) == ("eth1", 63, True)
        assert sent.packet[:8] + sent.packet[12:] == packet()[:8] + packet()[12:]

    @pytest.mark.parametrize("ttl", [0, 1])
    def test_a_spent_ttl_is_told(self, router: Router, ttl: int) -> None:
        """*Time exceeded* quotes the packet as it came."""
        (sent,) = router.receive(packet(ttl=ttl))
        assert (sent.iface, sent.dst, sent.error[:2]) == ("eth0", SENDER, (11, 0))
        assert sent.quoted.packet == packet(ttl=ttl)

    def test_of_fragments_only_the_first_is_told_about(self, router: Router) -> None:
        """RFC 1122 §3.2.2: no error about a fragment with an offset."""
        assert router.receive(packet(ttl=1, flags=MF))[0].error[:2] == (11, 0)
        assert router.drops(packet(ttl=1, flags=5)) == [DropReason.IP_INHDR]

    def test_broadcast_frames_are_never_forwarded(self, router: Router) -> None:
        """Whatever the address inside."""
        effects = router.effects(packet(), to=BROADCAST_MAC)
        assert packets(effects) == []
        assert [effect.reason for effect in effects if isinstance(effect, Drop)] == [
            DropReason.UNICAST_IN_L2_MULTICAST
        ]

    def test_what_is_too_large_is_cut_or_refused(self, router: Router) -> None:
        """By DF: *fragmentation needed* tells the MTU, and quotes the TTL of arrival."""
        router.net.device("eth1").mtu = 600
        cut = router.receive(packet(size=1000))
        assert [(sent.header.offset, sent.header.mf, len(sent.packet)) for sent in cut] == [
            (0, True, 596),
            (576, False, 452),
        ]
        (told,) = router.receive(packet(size=1000, flags=DF))
        assert (told.error[:2], told.icmp.word2, told.quoted.header.ttl) == ((3, 4), 600, 64)

    @pytest.mark.parametrize(
        ("kind", "error"),
        [(RouteType.UNREACHABLE, (3, 1)), (RouteType.PROHIBIT, (3, 13)), (RouteType.THROW, (3, 0))],
    )
    def test_refusing_routes_are_told(self, router: Router, kind: RouteType, error: tuple[int, int]) -> None:
        """Host, communication administratively prohibited, net: each type has its code."""
        router.net.fib.add(Route(Prefix.parse("192.0.2.0/24"), kind))
        (sent,) = router.receive(packet(dst=ELSEWHERE))
        assert sent.error[:2] == error

    def test_a_blackhole_tells_nobody(self, router: Router) -> None:
        """That is what it is for."""
        router.net.fib.add(Route(Prefix.parse("192.0.2.0/24"), RouteType.BLACKHOLE))
        assert router.drops(packet(dst=ELSEWHERE)) == [DropReason.IP_INNOROUTES]

    def test_a_host_forwards_nothing(self, router: Router) -> None:
        """With `ip_forward` 0 what is not for it ends, without a word to the sender."""
        router.set("ip_forward", 0)
        assert router.drops(packet()) == [DropReason.IP_INADDRERRORS]

    def test_a_way_back_by_the_same_device_is_told_before_it_is_taken(self, router: Router) -> None:
        """A *redirect* names the better next hop, and the packet goes on all the same."""
        router.set("conf.all.send_redirects", 1)
        router.neighbour("eth0", IpAddress.parse("10.0.0.9"))
        router.route("192.0.2.0/24", "eth0", IpAddress.parse("10.0.0.9"))
        told, forwarded = router.receive(packet(dst=ELSEWHERE))
        assert (told.error[:2], told.packet[24:28]) == ((5, 1), IpAddress.parse("10.0.0.9"))
        assert (told.quoted.header.ttl, forwarded.iface, forwarded.header.ttl) == (63, "eth0", 63)


class TestSending:
    """Packets of this host's own."""

    @staticmethod
    def sent(router: Router, send: Callable[[], int]) -> list[Sent]:
        """Return what leaves when `send` is called."""
        send()
        return packets(router.net.take_effects())

    def test_the_kernel_fills_in_what_is_left_out(self, router: Router) -> None:
        """Source by the route, TTL by the setting, an identification of its own."""
        router.set("ip_default_ttl", 33)
        (sent,) = self.sent(router, lambda: ipv4.send(router.net, protocol=253, dst=FAR, payload=b"data"))
        assert (sent.src, sent.header.ttl, sent.header.df, sent.packet[20:]) == (
            ROUTER_OUT,
            33,
            False,
            b"data",
        )
        assert sent.header.identification

    def test_identifications_differ(self, router: Router) -> None:
        """Two packets to one host can be told apart when they are cut."""
        found = [
            self.sent(router, lambda: ipv4.send(router.net, protocol=253, dst=FAR, payload=b""))[0].header
            for _ in range(2)
        ]
        assert found[0].identification != found[1].identification

    def test_a_packet_that_may_not_be_cut_needs_no_identification(self, router: Router) -> None:
        """RFC 6864: with DF, and nobody who would ignore it, it is 0."""
        send = lambda: ipv4.send(router.net, protocol=253, dst=FAR, payload=b"", df=True, ignore_df=False)  # noqa: E731
        (sent,) = self.sent(router, send)
        assert (sent.header.identification, sent.header.df) == (0, True)

    def test_what_does_not_fit_is_cut_or_refused(self, router: Router) -> None:
        """EMSGSIZE where it may not be cut, or is longer than any packet."""
        large = bytes(3000)
        pieces = self.sent(router, lambda: ipv4.send(router.net, protocol=253, dst=FAR, payload=large))
        assert [len(sent.packet) for sent in pieces] == [1500, 1500, 60]
        for payload, ignore_df in ((large, False), (bytes(65516), True)):
            with pytest.raises(OSError, match="too long") as refused:
                ipv4.send(router.net, protocol=253, dst=FAR, payload=payload, df=True, ignore_df=ignore_df)
            assert refused.value.errno == errno.EMSGSIZE

    def test_groups_are_reached_as_far_as_the_next_router(self, router: Router) -> None:
        """Multicast has a TTL of 1 unless asked for."""
        router.route("224.0.0.0/4", "eth1")
        group = IpAddress.parse("224.1.2.3")
        (sent,) = self.sent(router, lambda: ipv4.send(router.net, protocol=253, dst=group, payload=b""))
        assert sent.header.ttl == 1

    def test_no_way_is_told_to_the_caller(self, router: Router) -> None:
        """ENETUNREACH, and nothing is sent."""
        with pytest.raises(OSError, match="Network is unreachable"):
            ipv4.send(router.net, protocol=253, dst=ELSEWHERE, payload=b"")
        assert router.net.take_effects() == []


def test_the_source_is_what_was_bound_or_what_routing_chose(router: Router) -> None:
    """An unspecified one is replaced."""
    decision = route_output(router.net, NEXT)
    assert ipv4.source_of(decision, bytes(4)) == ROUTER_OUT
    assert ipv4.source_of(decision, ROUTER) == ROUTER


def test_an_echo_is_answered_from_the_address_that_was_asked(router: Router) -> None:
    """Also where another one is nearer to the asker."""
    (sent,) = router.receive(echo(ROUTER_OUT))
    assert (sent.iface, sent.src, sent.dst, sent.icmp.type) == ("eth0", ROUTER_OUT, SENDER, 0)
