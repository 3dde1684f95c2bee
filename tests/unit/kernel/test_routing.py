# SPDX-License-Identifier: GPL-2.0-only
"""What a router makes of odd addresses; the answers are those of Linux 6.18 (golden `martian-addresses`)."""

from __future__ import annotations

import pytest

from emu.kernel.drops import DropReason
from emu.wire.addresses import ANY_IP4, IpAddress
from tests.unit.kernel.router import FAR, NEXT, Router, echo

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
