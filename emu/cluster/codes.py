# SPDX-License-Identifier: GPL-2.0-only
"""The reason codes that documents may name: those that have a page in `emu/reasons`."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files

_ENDING = ".md"


@lru_cache(maxsize=1)
def reason_codes() -> tuple[str, ...]:
    """Return the codes that have a page, sorted."""
    names = (entry.name for entry in (files("emu") / "reasons").iterdir())
    return tuple(sorted(name.removesuffix(_ENDING) for name in names if name.endswith(_ENDING)))
