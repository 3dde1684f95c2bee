# SPDX-License-Identifier: GPL-2.0-only
"""The key `switches`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from emu.cluster.topology import values
from emu.document.fields import Fields

if TYPE_CHECKING:
    from emu.document.fields import Place


@attrs.frozen
class SwitchSpec:
    """A switch: its name, and where it stands."""

    name: str
    file: str = attrs.field(default="", eq=False, repr=False, kw_only=True)
    line: int = attrs.field(default=0, eq=False, repr=False, kw_only=True)


def switch(place: Place) -> SwitchSpec:
    """Read one switch."""
    fields = Fields(place)
    return fields.done(SwitchSpec(fields.must("name", values.name), file=place.file, line=place.line))
