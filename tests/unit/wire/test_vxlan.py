# SPDX-License-Identifier: GPL-2.0-only
"""The VXLAN header."""

from __future__ import annotations

import pytest

from emu.errors import HeaderError
from emu.wire import vxlan
from emu.wire.vxlan import Vni, Vxlan


def test_the_header_stands_before_the_inner_frame() -> None:
    """Flags with the I bit, three octets reserved, the VNI, one reserved."""
    payload = vxlan.build(Vni(0x123456), b"frame")
    assert payload.hex() == "0800000012345600" + b"frame".hex()
    assert Vxlan.parse(payload) == (vxlan.FLAG_VNI, 0x123456)


def test_flags_are_read_as_they_stand() -> None:
    """Without the I bit the VNI is not valid; the receiver judges."""
    assert Vxlan.parse(bytes.fromhex("0000000000000100")) == (0, 1)


@pytest.mark.parametrize("length", [0, 7])
def test_too_few_octets_are_no_header(length: int) -> None:
    """Eight are the least."""
    with pytest.raises(HeaderError):
        Vxlan.parse(bytes(length))
