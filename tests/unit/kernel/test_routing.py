# SPDX-License-Identifier: GPL-2.0-only
"""What routing makes of odd addresses; the answers are those of Linux 6.18 (golden `martian-addresses`)."""

from __future__ import annotations

import pytest

from emu.kernel import sockets
from emu.kernel.drops import DropReason
from emu.kernel.fib import RouteType
from emu.kernel.routing import route_output
from emu.kernel.sockets import SocketKind
from emu.wire.addresses import ANY_IP4, IpAddress
from tests.unit.kernel.router import FAR, NEXT, ROUTER, ROUTER_OUT, Router, echo

IN_ZERO_NETWORK = IpAddress.parse("0.1.2.3")


@pytest.fixture
def router() -> Router:
    """The router."""
    return Router()


def test_the_network_of_zeros_is_like_any_other(router: Router) -> None:
    """Since Linux 5.3 addresses of 0.0.0.0/8, but for 0.0.0.0, are forwarded as others are."""
    router.route("0.0.0.0/8", "eth1", NEXT)
    (there,) = router.receive(echo(IN_ZERO_NETWORK))
    (back,) = router.receive(echo(FAR, src=IN_ZERO_NETWORK))
    assert (there.dst, back.src) == (IN_ZERO_NETWORK, IN_ZERO_NETWORK)


def test_the_unspecified_address_is_no_address(router: Router) -> None:
    """0.0.0.0 neither sends nor receives."""
    assert router.drops(echo(ANY_IP4)) == [DropReason.IP_INVALID_DEST]
    assert router.drops(echo(FAR, src=ANY_IP4)) == [DropReason.IP_INVALID_SOURCE]


class TestOwnPackets:
    """Where packets of this host go."""

    @pytest.mark.parametrize(
        ("dst", "kind"), [("255.255.255.255", RouteType.BROADCAST), ("239.1.1.1", RouteType.MULTICAST)]
    )
    def test_a_default_route_tells_the_device_of_what_is_for_all(
        self, router: Router, dst: str, kind: RouteType
    ) -> None:
        """It leaves by that device with its own MAC address, not the gateway's."""
        router.route("0.0.0.0/0", "eth1", NEXT)
        decision = route_output(router.net, IpAddress.parse(dst))
        assert (decision.kind, decision.device.name) == (kind, "eth1")
        assert (decision.next_hop, decision.gateway) == (IpAddress.parse(dst), None)
        assert decision.src == ROUTER_OUT

    def test_a_route_for_groups_may_have_a_gateway(self, router: Router) -> None:
        """Only of routes that are not for groups alone the gateway is passed over."""
        router.route("224.0.0.0/4", "eth1", NEXT)
        assert route_output(router.net, IpAddress.parse("239.1.1.1")).gateway == NEXT

    def test_a_loopback_address_stays_inside(self, router: Router) -> None:
        """Bound to 127.0.0.1 nothing is sent to a wire, unless `route_localnet` is 1."""
        loopback = IpAddress.parse("127.0.0.1")
        with pytest.raises(OSError, match="Invalid argument"):
            route_output(router.net, FAR, src=loopback)
        assert route_output(router.net, ROUTER, src=loopback).kind is RouteType.LOCAL
        router.set("conf.eth1.route_localnet", 1)
        assert route_output(router.net, FAR, src=loopback).device.name == "eth1"

    @pytest.mark.parametrize(("bound", "peer"), [(ANY_IP4, "127.0.0.1"), (ROUTER, "10.0.0.1")])
    def test_to_connect_to_nowhere_is_to_connect_to_oneself(
        self, router: Router, bound: IpAddress, peer: str
    ) -> None:
        """To the address the socket is bound to, else to 127.0.0.1."""
        socket = sockets.create(router.net, SocketKind.UDP)
        sockets.bind(router.net, socket, bound, 1000)
        sockets.connect(router.net, socket, ANY_IP4, 9)
        assert (str(socket.remote), str(socket.local)) == (peer, peer)
