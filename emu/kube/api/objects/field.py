# SPDX-License-Identifier: GPL-2.0-only
"""How the classes of API objects are put together.

Each is frozen and has the fields that something in emu reads, with the API's
defaults. What else a manifest says stands in `rest`, under the API's own
names, so that an object can be written down again as it was read.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, TypeAlias

import attrs

if TYPE_CHECKING:
    Json: TypeAlias = bool | int | float | str | list["Json"] | dict[str, "Json"] | None
else:
    Json = object  # recursive: whoever reads the types of fields at run time needs no more
"""What a manifest is made of."""

Rest: TypeAlias = Mapping[str, Json]
Labels: TypeAlias = Mapping[str, str]
Quantities: TypeAlias = Mapping[str, int | float | str]

NOTHING: Final[Mapping[str, str]] = MappingProxyType({})
"""No labels; one object for all who have none."""

KEEP: Final = "keep"
"""Metadata of a field that is written down even where it is false."""


def rest() -> Rest:
    """Return the field for what a manifest says beyond the typed fields."""
    value: Rest = attrs.field(default=NOTHING, kw_only=True, repr=False)
    return value


def label_map() -> Labels:
    """Return a field for labels, annotations or a simple selector."""
    value: Labels = attrs.field(default=NOTHING)
    return value


def kept(*, default: bool = False) -> bool:
    """Return a field for a truth value that is written down even where it is false."""
    value: bool = attrs.field(default=default, metadata={KEEP: True})
    return value
