# SPDX-License-Identifier: GPL-2.0-only
"""Options that several providers have."""

from __future__ import annotations

import pytest

from emu.kube.providers import PROVIDERS, OptionsError

WITH_MTU = ("kubenet", "kindnet", "flannel", "calico", "weave", "vpc")


@pytest.mark.parametrize("mtu", [-1, 5, 67, 65536])
@pytest.mark.parametrize("name", WITH_MTU)
def test_an_mtu_that_no_device_has_is_refused(name: str, mtu: int) -> None:
    """IPv4 needs 68 octets, and a packet has no more than 65535."""
    with pytest.raises(OptionsError, match="mtu: must be from 68 to 65535, or 0"):
        PROVIDERS[name]({"mtu": mtu})


@pytest.mark.parametrize("name", WITH_MTU)
def test_others_are_taken(name: str) -> None:
    """The lowest, the highest; with 0 or none the provider reckons it out itself."""
    for mtu in (0, None, 68, 65535):
        assert PROVIDERS[name]({"mtu": mtu}) is not None
