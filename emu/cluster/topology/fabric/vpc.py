# SPDX-License-Identifier: GPL-2.0-only
"""The key `vpc`: a cloud's network: subnets, route tables, gateways, security groups."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from emu.document.fields import Place


@attrs.frozen
class VpcSpec:
    """What the key says."""


def vpc(place: Place) -> VpcSpec:
    """Read what the key says."""
    place.fault("is not modelled yet")
    return VpcSpec()
