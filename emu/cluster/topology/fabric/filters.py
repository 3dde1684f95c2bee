# SPDX-License-Identifier: GPL-2.0-only
"""The key `filters`: what drops frames on their way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from emu.document.fields import Place


@attrs.frozen
class FilterSpec:
    """A filter."""


def drop_filter(place: Place) -> FilterSpec:
    """Read one filter."""
    place.fault("is not modelled yet")
    return FilterSpec()
