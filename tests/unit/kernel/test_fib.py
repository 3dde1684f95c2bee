# SPDX-License-Identifier: GPL-2.0-only
"""Looking routes up: what is remembered, chosen and counted. What Linux says is in `test_ip_transcripts`."""

from __future__ import annotations

import errno
import random
from fractions import Fraction
from typing import TYPE_CHECKING, Final

import attrs
import pytest

from emu.kernel import inetdev
from emu.kernel.fib import (
    Fib,
    Flow,
    Insertion,
    Nexthop,
    Route,
    RouteError,
    RoutePattern,
    RouteType,
    RoutingRule,
    RuleAction,
    RulePattern,
)
from emu.kernel.link.device import Device
from emu.kernel.link.dummy import Dummy
from emu.sim.choice import DrawnChoice, ScriptedChoice, branches
from emu.wire.addresses import ANY_IP4, ZERO_MAC, Interface, IpAddress, Prefix

if TYPE_CHECKING:
    from collections.abc import Callable

GATEWAY0: Final = IpAddress.parse("192.168.0.9")
GATEWAY1: Final = IpAddress.parse("192.168.1.9")
FAR: Final = IpAddress.parse("8.8.8.8")


@pytest.fixture
def fib() -> Fib:
    """Return the FIB of a node with 192.168.0.1/24 on `eth0` and 192.168.1.1/24 on `eth1`, both up."""
    return make_fib()


def make_fib() -> Fib:
    """Return such a FIB; tests of choices need several."""
    devices = {
        name: Device(name, index, ZERO_MAC, Dummy(), up=True)
        for index, name in enumerate(("lo", "eth0", "eth1"), 1)
    }
    fib = Fib(devices)
    inetdev.device_up(fib, devices["lo"])
    for number in (0, 1):
        inetdev.add_address(fib, devices[f"eth{number}"], Interface.parse(f"192.168.{number}.1/24"))
    return fib


def route(dst: str, *gateways: IpAddress, metric: int = 0) -> Route:
    """Return a route to `dst` by gateways of equal weight."""
    return Route(
        Prefix.parse(dst), nexthops=tuple(Nexthop("", gateway) for gateway in gateways), metric=metric
    )


def flow(src: str = "", dst: str = "8.8.8.8", iif: str = "lo") -> Flow:
    """Return a flow by its addresses in text; without `src` the source is still to be chosen."""
    return Flow(IpAddress.parse(dst), IpAddress.parse(src) if src else ANY_IP4, iif)


class TestLookup:
    """What comes back."""

    def test_a_route_by_a_gateway_tells_device_gateway_and_mtu(self, fib: Fib) -> None:
        """The answer has what the packet's way needs, the device found by the gateway."""
        entered = fib.add(attrs.evolve(route("0.0.0.0/0", GATEWAY1), mtu=1400))
        found = fib.lookup(flow())
        assert found is not None
        assert (found.type, found.device, found.gateway) == (RouteType.UNICAST, "eth1", GATEWAY1)
        assert (found.mtu, found.table, found.prefsrc) == (1400, 254, None)
        assert found.route is entered

    def test_without_a_route_there_is_no_answer(self, fib: Fib) -> None:
        """Where Linux says ENETUNREACH the answer is None."""
        assert fib.lookup(flow()) is None

    def test_a_gateway_that_is_an_address_of_ours_is_no_next_hop(self, fib: Fib) -> None:
        """A packet by `via 127.0.0.1` goes to its destination itself, as if that were on the link."""
        fib.add(route("10.0.0.0/8", IpAddress.parse("127.0.0.1")))
        found = fib.lookup(flow(dst="10.0.0.1"))
        assert found is not None
        assert (found.device, found.gateway) == ("lo", None)

    @pytest.mark.parametrize(
        ("action", "kind"),
        [
            (RuleAction.BLACKHOLE, RouteType.BLACKHOLE),
            (RuleAction.PROHIBIT, RouteType.PROHIBIT),
            (RuleAction.UNREACHABLE, None),
        ],
    )
    def test_a_rule_refuses_like_a_route(self, fib: Fib, action: RuleAction, kind: RouteType | None) -> None:
        """A rule's `unreachable` alone is different: it is no answer at all (ENETUNREACH)."""
        fib.add(route("0.0.0.0/0", GATEWAY0))
        fib.add_rule(RoutingRule(1, action))
        found = fib.lookup(flow())
        assert (found and found.type) == kind
        assert found is None or found.route.nexthops == ()

    def test_rules_of_a_packet_of_this_host_see_it_come_from_lo(self, fib: Fib) -> None:
        """`iif lo` is for our own packets, whether the caller says `lo` or nothing."""
        fib.add(route("0.0.0.0/0", GATEWAY0))
        fib.add_rule(RoutingRule(1, RuleAction.BLACKHOLE, iif="lo"))
        kinds = []
        for iif in ("lo", "", "eth0"):
            found = fib.lookup(flow(iif=iif))
            assert found is not None
            kinds.append(found.type)
        assert kinds == [RouteType.BLACKHOLE, RouteType.BLACKHOLE, RouteType.UNICAST]

    def test_a_rule_without_action_is_passed_over(self, fib: Fib) -> None:
        """`nop` leaves the packet to the next rule."""
        fib.add(route("0.0.0.0/0", GATEWAY0))
        fib.add_rule(RoutingRule(1, RuleAction.NOP))
        assert fib.lookup(flow()) is not None

    @pytest.mark.parametrize(
        ("address", "device", "kind"),
        [
            ("192.168.0.1", "", RouteType.LOCAL),
            ("192.168.0.1", "eth0", RouteType.LOCAL),
            ("192.168.0.1", "eth1", RouteType.UNICAST),
            ("127.3.2.1", "", RouteType.LOCAL),
            ("192.168.1.255", "", RouteType.BROADCAST),
            ("255.255.255.255", "", RouteType.BROADCAST),
            ("0.0.0.0", "", RouteType.BROADCAST),  # noqa: S104
            ("0.1.2.3", "", RouteType.UNICAST),
            ("224.0.0.1", "", RouteType.MULTICAST),
            ("192.168.0.77", "", RouteType.UNICAST),
            ("8.8.8.8", "", RouteType.UNICAST),
            ("10.0.0.1", "", RouteType.UNICAST),
        ],
    )
    def test_an_address_has_a_type(self, fib: Fib, address: str, device: str, kind: RouteType) -> None:
        """Ours, broadcast, multicast or another's; a route that refuses makes an address nobody's."""
        fib.add(Route(Prefix.parse("10.0.0.0/8"), RouteType.BLACKHOLE))
        assert fib.address_type(IpAddress.parse(address), device) is kind

    def test_the_local_table_can_be_asked_alone(self, fib: Fib) -> None:
        """An address of ours is found there; with custom rules, others are not."""
        fib.add(route("0.0.0.0/0", GATEWAY0))
        fib.add_rule(RoutingRule(1, RuleAction.NOP))
        found = fib.lookup_local(IpAddress.parse("192.168.0.1"))
        assert found is not None
        assert (found.type, found.device) == (RouteType.LOCAL, "eth0")
        assert fib.lookup_local(FAR) is None


class TestRemembering:
    """An answer is kept until something changes, and no longer."""

    CHANGES: Final[dict[str, Callable[[Fib], object]]] = {
        "add": lambda fib: fib.add(route("8.0.0.0/8", GATEWAY1)),
        "replace": lambda fib: fib.add(route("0.0.0.0/0", GATEWAY1), Insertion.REPLACE),
        "delete": lambda fib: fib.delete(RoutePattern(Prefix.parse("0.0.0.0/0"))),
        "flush": lambda fib: fib.flush(lambda route: not route.dst.length),
        "add_rule": lambda fib: fib.add_rule(RoutingRule(1, RuleAction.BLACKHOLE)),
        "delete_rule": lambda fib: fib.delete_rule(RulePattern(32766)),
        "device_down": lambda fib: fib.device_down("eth0"),
        "device_removed": lambda fib: fib.device_removed("eth0"),
    }

    @pytest.mark.parametrize("name", sorted(CHANGES))
    def test_a_change_is_seen_by_the_next_look_up(self, fib: Fib, name: str) -> None:
        """The answer to the same flow differs after the change, and the generation too."""
        fib.add(route("0.0.0.0/0", GATEWAY0))
        before, generation = fib.lookup(flow()), fib.generation
        assert fib.lookup(flow()) is before
        self.CHANGES[name](fib)
        assert fib.generation > generation
        assert fib.lookup(flow()) != before

    REFUSALS: Final[dict[str, Callable[[Fib], object]]] = {
        "exists": lambda fib: fib.add(route("0.0.0.0/0", GATEWAY1)),
        "no gateway": lambda fib: fib.add(route("8.0.0.0/8", FAR)),
        "no route": lambda fib: fib.delete(RoutePattern(Prefix.parse("8.0.0.0/8"))),
        "no rule": lambda fib: fib.delete_rule(RulePattern(5)),
        "a rule exists": lambda fib: fib.add_rule(RoutingRule(0, table=255)),
    }

    @pytest.mark.parametrize("name", sorted(REFUSALS))
    def test_what_is_refused_changes_nothing(self, fib: Fib, name: str) -> None:
        """The generation stays, and the tables."""
        fib.add(route("0.0.0.0/0", GATEWAY0))
        before = (fib.generation, list(fib.routes()), fib.rules, fib.lookup(flow()))
        with pytest.raises(RouteError):
            self.REFUSALS[name](fib)
        assert (fib.generation, list(fib.routes()), fib.rules, fib.lookup(flow())) == before

    def test_what_is_there_already_changes_nothing(self, fib: Fib) -> None:
        """Replacing a route by itself, or a device that goes down without routes, are no change."""
        fib.add(route("0.0.0.0/0", GATEWAY0))
        generation = fib.generation
        fib.add(route("0.0.0.0/0", GATEWAY0), Insertion.REPLACE)
        fib.device_up("eth0")
        fib.carrier_changed("eth0")
        fib.device_down("eth7")
        assert fib.flush(lambda _: False) == []
        assert fib.generation == generation

    def test_what_is_dead_cannot_die(self, fib: Fib) -> None:
        """A device that loses its last address and then goes down changes a multipath route once."""
        fib.add(route("0.0.0.0/0", GATEWAY0, GATEWAY1))
        inetdev.flush_addresses(fib, fib.devices["eth1"])
        generation = fib.generation
        fib.device_down("eth1")
        assert fib.generation == generation

    def test_a_sysctl_that_changes_is_seen_at_once(self, fib: Fib) -> None:
        """Whether a route without carrier counts is asked at each look-up."""
        ignored: set[str] = set()
        fib = Fib(fib.devices, ignored.__contains__)
        inetdev.add_address(fib, fib.devices["eth1"], Interface.parse("10.0.0.1/24"))
        fib.devices["eth1"].carrier = False
        fib.carrier_changed("eth1")
        there = flow(dst="10.0.0.7")
        assert fib.lookup(there) is not None
        ignored.add("eth1")
        assert fib.lookup(there) is None
        ignored.clear()
        assert fib.lookup(there) is not None

    def test_the_cache_does_not_grow_without_end(self, fib: Fib, monkeypatch: pytest.MonkeyPatch) -> None:
        """More flows than it holds empty it, and are answered all the same."""
        monkeypatch.setattr("emu.kernel.fib._CACHE_SIZE", 4)
        for last in range(10):
            assert fib.lookup(flow(dst=f"192.168.0.{last + 10}")) is not None
        assert len(fib._cache) <= 4


class TestMultipath:
    """Which nexthop a flow takes."""

    def test_each_nexthop_has_its_weight_as_odds(self) -> None:
        """Weights 1 and 3 are the probabilities 1/4 and 3/4."""
        nexthops = (Nexthop("", GATEWAY0), Nexthop("", GATEWAY1, weight=3))
        shares = {}
        for choice in branches():
            fib = make_fib()
            fib.add(Route(Prefix.parse("0.0.0.0/0"), nexthops=nexthops))
            found = fib.lookup(flow(iif="eth0"), choice)
            assert found is not None
            shares[found.device] = choice.probability
        assert shares == {"eth0": Fraction(1, 4), "eth1": Fraction(3, 4)}

    def test_a_flow_keeps_its_nexthop(self, fib: Fib) -> None:
        """Mark, TOS, device and other routes that come and go do not move it."""
        fib.add(route("0.0.0.0/0", GATEWAY0, GATEWAY1))
        choice = ScriptedChoice((1,))
        first = fib.lookup(flow(iif="eth0"), choice)
        fib.add(route("9.0.0.0/8", GATEWAY0))
        again = fib.lookup(flow(iif="eth0")._replace(mark=1, tos=8), choice)
        assert first is not None
        assert again is not None
        assert first.device == again.device == "eth1"
        assert len(choice.taken) == 1

    def test_flows_are_spread(self, fib: Fib) -> None:
        """Other addresses, another nexthop, in the long run."""
        fib.add(route("0.0.0.0/0", GATEWAY0, GATEWAY1))
        choice = DrawnChoice(random.Random(7))
        found = [fib.lookup(flow(dst=f"8.8.8.{last}"), choice) for last in range(64)]
        devices = [answer.device for answer in found if answer is not None]
        assert 20 < devices.count("eth0") < 44

    def test_our_own_packet_goes_where_its_source_address_belongs(self) -> None:
        """A packet bound to eth1's address goes by eth1, whatever the hash (Linux 6.16 and later).

        `ip route get 8.8.8.N from 192.168.1.1` gave `dev eth1` for every N, with
        192.168.0.1 `dev eth0`; from an address of `lo`, or with `iif eth1`, both.
        """
        for pick in (0, 1):
            fib = make_fib()
            fib.add(route("0.0.0.0/0", GATEWAY0, GATEWAY1))
            inetdev.add_address(fib, fib.devices["lo"], Interface.parse("172.30.0.1/32"))
            flows = {
                flow("192.168.0.1"): "eth0",
                flow("192.168.1.1"): "eth1",
                flow("172.30.0.1"): f"eth{pick}",
                flow("192.168.1.77", iif="eth1"): f"eth{pick}",
            }
            for asked, device in flows.items():
                found = fib.lookup(asked, ScriptedChoice((pick,)))
                assert found is not None
                assert found.device == device

    def test_among_nexthops_with_the_source_the_hash_decides(self) -> None:
        """With two gateways behind eth1 the first from the hashed place on is taken, else the first."""
        other = IpAddress.parse("192.168.1.10")
        gateways = []
        for pick in (0, 1, 2):
            fib = make_fib()
            fib.add(route("0.0.0.0/0", GATEWAY1, other, GATEWAY0))
            found = fib.lookup(flow("192.168.1.1"), ScriptedChoice((pick,)))
            assert found is not None
            gateways.append(found.gateway)
        assert gateways == [GATEWAY1, other, GATEWAY1]

    def test_dead_nexthops_and_those_without_carrier_are_not_taken(self, fib: Fib) -> None:
        """The odds are those of the nexthops left; without a choice the first of them is the answer."""
        fib = Fib(fib.devices, lambda _: True)
        for number in (0, 1):
            device = fib.devices[f"eth{number}"]
            device.addresses.clear()
            inetdev.add_address(fib, device, Interface.parse(f"192.168.{number}.1/24"))
        fib.add(route("0.0.0.0/0", GATEWAY0, GATEWAY1))
        fib.devices["eth0"].carrier = False
        fib.carrier_changed("eth0")
        choice = ScriptedChoice()
        for found in (fib.lookup(flow(), choice), fib.lookup(flow())):
            assert found is not None
            assert found.device == "eth1"
        assert choice.taken[0].probability == 1
        fib.devices["eth1"].up = False
        fib.device_down("eth1")
        assert fib.lookup(flow(), choice) is None

    def test_a_packet_bound_to_a_device_takes_the_nexthop_by_it(self, fib: Fib) -> None:
        """`oif` leaves nothing to choose."""
        fib.add(route("0.0.0.0/0", GATEWAY0, GATEWAY1))
        choice = ScriptedChoice()
        found = fib.lookup(flow()._replace(oif="eth1"), choice)
        assert found is not None
        assert found.gateway == GATEWAY1
        assert choice.taken == []


class TestEntering:
    """What is kept about routes."""

    def test_a_local_route_that_somebody_enters_is_remembered(self, fib: Fib) -> None:
        """Linux then looks closer at sources; routes that come with addresses do not count."""
        assert not fib.has_custom_local_routes
        fib.add(Route(Prefix.parse("10.0.0.0/8"), RouteType.LOCAL, (Nexthop("lo"),)))
        assert fib.has_custom_local_routes

    def test_a_prefix_with_host_bits_is_refused(self, fib: Fib) -> None:
        """As `ip route add 10.0.0.1/8` is."""
        wrong = Prefix(IpAddress.parse("10.0.0.1"), 8)
        with pytest.raises(RouteError, match="Invalid prefix for given prefix length") as caught:
            fib.add(Route(wrong, RouteType.BLACKHOLE))
        assert caught.value.errno == errno.EINVAL

    def test_ipv6_is_refused(self, fib: Fib) -> None:
        """These are the tables of IPv4; nothing of IPv6 gets in by mistake."""
        for call in (
            lambda: fib.add(Route(Prefix.parse("2001:db8::/32"), RouteType.BLACKHOLE)),
            lambda: inetdev.add_address(fib, fib.devices["eth0"], Interface.parse("2001:db8::1/64")),
        ):
            with pytest.raises(RouteError) as caught:
                call()
            assert caught.value.errno == errno.EAFNOSUPPORT

    def test_an_error_without_words_is_told_by_its_number(self, fib: Fib) -> None:
        """The message is what the number means; `extack` stays empty."""
        fib.add(route("0.0.0.0/0", GATEWAY0))
        with pytest.raises(RouteError, match="File exists") as caught:
            fib.add(route("0.0.0.0/0", GATEWAY1))
        assert (caught.value.errno, caught.value.extack) == (errno.EEXIST, "")

    def test_flush_deletes_and_returns_what_is_unwanted(self, fib: Fib) -> None:
        """Routes of every table may go at once."""
        fib.add(route("9.0.0.0/8", GATEWAY0))
        fib.add(attrs.evolve(route("9.0.0.0/8", GATEWAY0), table=77))
        gone = fib.flush(lambda known: known.dst == Prefix.parse("9.0.0.0/8"))
        assert sorted(known.table for known in gone) == [77, 254]
        assert fib.lookup(flow(dst="9.0.0.1")) is None
        assert 77 in fib.tables

    def test_tables_are_listed_as_linux_keeps_them(self, fib: Fib) -> None:
        """By the low eight bits of their number, the newer first."""
        for table in (1, 300, 44, 257, 2):
            fib.add(Route(Prefix.parse("9.0.0.0/8"), RouteType.BLACKHOLE, table=table))
        assert fib.tables == [257, 1, 2, 44, 300, 254, 255]
