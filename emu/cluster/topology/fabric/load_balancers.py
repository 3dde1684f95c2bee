# SPDX-License-Identifier: GPL-2.0-only
"""The key `loadBalancers`: what stands in front of Services."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from emu.document.fields import Place


@attrs.frozen
class LoadBalancerSpec:
    """What the key says."""


def load_balancer(place: Place) -> LoadBalancerSpec:
    """Read what the key says."""
    place.fault("is not modelled yet")
    return LoadBalancerSpec()
