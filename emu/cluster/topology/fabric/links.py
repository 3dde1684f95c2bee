# SPDX-License-Identifier: GPL-2.0-only
"""The key `links`: cables between machines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from emu.document.fields import Place


@attrs.frozen
class LinkSpec:
    """A cable."""


def link(place: Place) -> LinkSpec:
    """Read one cable."""
    place.fault("is not modelled yet")
    return LinkSpec()
