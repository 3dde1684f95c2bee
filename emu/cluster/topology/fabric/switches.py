# SPDX-License-Identifier: GPL-2.0-only
"""The key `switches`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from emu.document.fields import Place


@attrs.frozen
class SwitchSpec:
    """A switch."""


def switch(place: Place) -> SwitchSpec:
    """Read one switch."""
    place.fault("is not modelled yet")
    return SwitchSpec()
