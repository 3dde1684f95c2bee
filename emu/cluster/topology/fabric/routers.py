# SPDX-License-Identifier: GPL-2.0-only
"""The key `routers`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from emu.document.fields import Place


@attrs.frozen
class RouterSpec:
    """A router."""


def router(place: Place) -> RouterSpec:
    """Read one router."""
    place.fault("is not modelled yet")
    return RouterSpec()
