# SPDX-License-Identifier: GPL-2.0-only
"""The reason codes that documents may name: those that have a page in `emu/reasons`."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from typing import Final

from emu.kernel.facts import INSERT_FAILED, TABLE_FULL

BY_DETAIL: Final = {TABLE_FULL: "CT_TABLE_FULL", INSERT_FAILED: "CT_INSERT_FAILED"}
"""Codes of packets whose kernel says more than its reason, by how that begins."""

_ENDING = ".md"


@lru_cache(maxsize=1)
def reason_codes() -> tuple[str, ...]:
    """Return the codes that have a page, sorted."""
    names = (entry.name for entry in (files("emu") / "reasons").iterdir())
    return tuple(sorted(name.removesuffix(_ENDING) for name in names if name.endswith(_ENDING)))
