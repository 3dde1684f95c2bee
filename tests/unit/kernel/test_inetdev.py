# SPDX-License-Identifier: GPL-2.0-only
"""Addresses of a device. Which routes come and go with them is in `test_ip_transcripts`."""

from __future__ import annotations

import errno
from typing import Final

import attrs
import pytest

from emu.kernel import inetdev
from emu.kernel.fib import Fib, Nexthop, Route, RouteError, RouteType, Scope
from emu.kernel.link.device import Device
from emu.kernel.link.dummy import Dummy
from emu.wire.addresses import ANY_IP4, ZERO_MAC, Interface, IpAddress, Prefix


@pytest.fixture
def fib() -> Fib:
    """Return the FIB of a node whose devices `lo`, `eth0`, `eth1` are up and have no address."""
    return Fib(
        {
            name: Device(name, index, ZERO_MAC, Dummy(), up=True)
            for index, name in enumerate(("lo", "eth0", "eth1"), 1)
        }
    )


def add(fib: Fib, device: str, *addresses: str, scope: str | None = None) -> None:
    """Give `device` the addresses, like `10.0.0.1/24`."""
    for address in addresses:
        inetdev.add_address(fib, fib.devices[device], Interface.parse(address), scope=scope)


def listed(fib: Fib, device: str) -> list[str]:
    """Return the addresses of `device`, secondary ones in brackets."""
    return [f"[{own}]" if own.secondary else str(own) for own in fib.devices[device].addresses]


def local(fib: Fib) -> list[str]:
    """Return the addresses that the table `local` calls ours."""
    return [str(route.dst.address) for route in fib.routes(255) if route.type is RouteType.LOCAL]


class TestAdding:
    """`ip addr add`."""

    def test_an_address_alone_reaches_everywhere_and_has_no_broadcast(self, fib: Fib) -> None:
        """Scope `global`, `brd` only if given, as `ip addr add 10.0.0.1/24` leaves it."""
        address = inetdev.add_address(fib, fib.devices["eth0"], Interface.parse("10.0.0.1/24"))
        assert (address.scope, address.broadcast, address.secondary) == ("global", None, False)
        assert fib.devices["eth0"].addresses == [address]

    def test_a_loopback_address_reaches_this_host_only(self, fib: Fib) -> None:
        """127.0.0.0/8 has scope `host`, on any device."""
        add(fib, "eth0", "127.1.0.1/16")
        assert fib.devices["eth0"].addresses[0].scope == "host"

    def test_near_primaries_come_first_and_secondaries_last(self, fib: Fib) -> None:
        """`ip -4 -o addr` after these commands listed the addresses so."""
        add(fib, "eth0", "10.0.0.1/24", "10.0.0.2/24", "10.1.0.1/24")
        add(fib, "eth0", "10.2.0.1/24", scope="link")
        add(fib, "eth0", "10.3.0.1/24", scope="host")
        add(fib, "eth0", "10.4.0.1/24")
        assert listed(fib, "eth0") == [
            "10.3.0.1/24",
            "10.2.0.1/24",
            "10.0.0.1/24",
            "10.1.0.1/24",
            "10.4.0.1/24",
            "[10.0.0.2/24]",
        ]

    @pytest.mark.parametrize(
        ("address", "scope", "number"),
        [("10.0.0.1/24", "global", errno.EEXIST), ("10.0.0.2/24", "link", errno.EINVAL)],
    )
    def test_what_does_not_fit_is_refused(self, fib: Fib, address: str, scope: str, number: int) -> None:
        """A second time, or another scope in one subnet; nothing has changed then."""
        add(fib, "eth0", "10.0.0.1/24")
        generation = fib.generation
        with pytest.raises(RouteError) as caught:
            add(fib, "eth0", address, scope=scope)
        assert caught.value.errno == number
        assert listed(fib, "eth0") == ["10.0.0.1/24"]
        assert fib.generation == generation

    def test_an_address_revives_what_died_with_the_last(self, fib: Fib) -> None:
        """A multipath route by a device that lost its address and gets one has both ways again.

        `ip route add 9.0.0.0/8 nexthop via 10.0.0.9 nexthop via 10.1.0.9`, then `ip addr
        del 10.1.0.1/24 dev eth1` shows `dead linkdown`, and `ip addr add 10.2.0.1/24 dev
        eth1` takes it off.
        """
        add(fib, "eth0", "10.0.0.1/24")
        add(fib, "eth1", "10.1.0.1/24")
        nexthops = tuple(Nexthop("", IpAddress.parse(f"10.{number}.0.9")) for number in (0, 1))
        fib.add(Route(Prefix.parse("9.0.0.0/8"), nexthops=nexthops))

        def dead() -> list[tuple[bool, bool]]:
            (route,) = (known for known in fib.routes(254) if known.dst.length == 8)
            return [(hop.dead, hop.linkdown) for hop in route.nexthops]

        inetdev.delete_address(fib, fib.devices["eth1"], Interface.parse("10.1.0.1/24"), promote=False)
        assert dead() == [(False, False), (True, True)]
        add(fib, "eth1", "10.2.0.1/24")
        assert dead() == [(False, False), (False, False)]


class TestDeleting:
    """`ip addr del`."""

    def test_what_went_is_returned(self, fib: Fib) -> None:
        """A primary address takes its secondaries along, in the list's order, itself last."""
        add(fib, "eth0", "10.0.0.1/24", "10.1.0.1/24", "10.0.0.2/24", "10.0.0.3/24")
        device = fib.devices["eth0"]
        gone = inetdev.delete_address(fib, device, Interface.parse("10.0.0.1/24"), promote=False)
        assert [str(address) for address in gone] == ["10.0.0.2/24", "10.0.0.3/24", "10.0.0.1/24"]
        assert local(fib) == ["10.1.0.1"]

    def test_promotion_leaves_the_others(self, fib: Fib) -> None:
        """The first secondary is primary then, behind the primaries that were before it."""
        add(fib, "eth0", "10.0.0.1/24", "10.1.0.1/24", "10.0.0.2/24", "10.0.0.3/24")
        device = fib.devices["eth0"]
        gone = inetdev.delete_address(fib, device, Interface.parse("10.0.0.1/24"), promote=True)
        assert [str(address) for address in gone] == ["10.0.0.1/24"]
        assert listed(fib, "eth0") == ["10.1.0.1/24", "10.0.0.2/24", "[10.0.0.3/24]"]
        assert local(fib) == ["10.0.0.2", "10.0.0.3", "10.1.0.1"]

    def test_an_address_without_length_means_the_first_entry_with_it(self, fib: Fib) -> None:
        """As `ip addr del 10.0.0.1 dev eth0` does, with a warning."""
        add(fib, "eth0", "10.0.0.1/24", "10.0.0.1/16")
        inetdev.delete_address(fib, fib.devices["eth0"], IpAddress.parse("10.0.0.1"), promote=False)
        assert listed(fib, "eth0") == ["10.0.0.1/16"]

    def test_an_address_with_a_peer_is_named_with_it(self, fib: Fib) -> None:
        """Without the peer it is not found."""
        device, interface = fib.devices["eth0"], Interface.parse("10.0.0.1/32")
        peer = Prefix.parse("10.0.0.2/32")
        inetdev.add_address(fib, device, interface, peer=peer)
        assert [str(route.dst) for route in fib.routes(254)] == ["10.0.0.2/32"]
        with pytest.raises(RouteError, match="Address not found") as caught:
            inetdev.delete_address(fib, device, interface, promote=False)
        assert caught.value.errno == errno.EADDRNOTAVAIL
        inetdev.delete_address(fib, device, interface, promote=False, peer=peer)
        assert list(fib.routes()) == []

    def test_a_device_that_goes_away_leaves_nothing(self, fib: Fib) -> None:
        """Addresses, their routes and all others by the device, in every table, are gone."""
        add(fib, "eth0", "10.0.0.1/24", "10.0.0.2/24")
        for table in (77, 254):
            fib.add(Route(Prefix.parse("9.0.0.0/8"), nexthops=(Nexthop("eth0"),), table=table))
        inetdev.device_removed(fib, fib.devices["eth0"])
        assert fib.devices["eth0"].addresses == []
        assert list(fib.routes()) == []

    def test_adding_and_deleting_ends_where_it_began(self, fib: Fib) -> None:
        """What one command enters the other takes away, with the device up or down."""
        add(fib, "eth0", "10.0.0.1/24", "10.0.0.2/24", "10.0.0.1/16")
        before = list(fib.routes())
        for address in ("10.0.0.3/24", "10.0.0.1/25", "10.9.0.1/31", "10.9.0.2/32"):
            add(fib, "eth0", address)
            interface = Interface.parse(address)
            inetdev.delete_address(fib, fib.devices["eth0"], interface, promote=False)
            assert list(fib.routes()) == before


@attrs.frozen
class Source:
    """Which source is expected where devices have certain addresses.

    Attributes:
        addresses: `DEVICE ADDRESS` or `DEVICE ADDRESS SCOPE`, in the order of entry.
        expected: the source, empty for none.
        device: the packet leaves by it.
        dst: towards this address, if given.
        scope: how far the source must reach.
    """

    addresses: tuple[str, ...]
    expected: str
    device: str = "eth0"
    dst: str = ""
    scope: Scope = Scope.GLOBAL


TWO: Final = ("eth0 10.0.0.1/24", "eth0 10.1.0.1/24")
NEAR: Final = ("eth0 10.0.0.1/24", "eth0 10.1.0.1/24 link")
SOURCES: Final = {
    "the first": Source(TWO, "10.0.0.1"),
    "the one of the subnet": Source(TWO, "10.1.0.1", dst="10.1.0.9"),
    "the first for a stranger": Source(TWO, "10.0.0.1", dst="8.8.8.8"),
    "no secondary": Source(("eth0 10.0.0.1/24", "eth0 10.0.0.2/24"), "10.0.0.1", dst="10.0.0.2"),
    "none that is too near": Source(NEAR, "10.0.0.1", dst="10.1.0.9"),
    "a near one for the link": Source(NEAR, "10.1.0.1", scope=Scope.LINK),
    "another device's": Source(("eth1 10.0.0.1/24",), "10.0.0.1"),
    "the loopback's before": Source(
        ("eth1 10.0.0.1/24", "lo 127.0.0.1/8", "lo 10.9.0.1/32"), "10.9.0.1", scope=Scope.LINK
    ),
    "not another's link address": Source(("eth1 10.0.0.1/24 link",), "", scope=Scope.LINK),
    "none at all": Source(("lo 127.0.0.1/8",), ""),
    "127.0.0.1 for this host": Source(("lo 127.0.0.1/8",), "127.0.0.1", device="lo", scope=Scope.HOST),
}


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_the_source_is(name: str, fib: Fib) -> None:
    """Of the device's primary addresses one of the destination's subnet, or the first; else another's."""
    case = SOURCES[name]
    for entry in case.addresses:
        device, address, *scope = entry.split()
        add(fib, device, address, scope=scope[0] if scope else None)
    towards = IpAddress.parse(case.dst) if case.dst else None
    found = inetdev.select_source(fib.devices.values(), fib.devices[case.device], towards, case.scope)
    assert str(found or "") == case.expected


def test_the_unspecified_address_is_no_destination(fib: Fib) -> None:
    """0.0.0.0 as destination means none, even with an address of a subnet that holds it."""
    add(fib, "eth0", "10.0.0.1/24", "0.1.0.1/8")
    found = inetdev.select_source(fib.devices.values(), fib.devices["eth0"], ANY_IP4, Scope.GLOBAL)
    assert str(found) == "10.0.0.1"


def test_without_a_device_the_first_that_reaches_is_the_source(fib: Fib) -> None:
    """A route without device leaves the choice to all."""
    add(fib, "eth1", "10.0.0.1/24")
    assert str(inetdev.select_source(fib.devices.values(), None, None, Scope.GLOBAL)) == "10.0.0.1"


def test_with_route_localnet_host_addresses_count_as_of_the_link(fib: Fib) -> None:
    """The sysctl lets 127.0.0.1 of the device be a source on its link."""
    add(fib, "eth0", "127.0.0.1/8")
    devices, device = fib.devices.values(), fib.devices["eth0"]
    assert inetdev.select_source(devices, device, None, Scope.LINK) is None
    found = inetdev.select_source(devices, device, None, Scope.LINK, route_localnet=True)
    assert str(found) == "127.0.0.1"
