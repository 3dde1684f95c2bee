# SPDX-License-Identifier: GPL-2.0-only
"""The reason codes that documents may name: those that have a page in `emu/reasons`."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from typing import Final

BY_DETAIL: Final = {"nf_conntrack: table full": "CT_TABLE_FULL", "insert_failed": "CT_INSERT_FAILED"}
"""Codes of packets whose kernel says more than its reason, by how that begins."""

_ENDING = ".md"


@lru_cache(maxsize=1)
def reason_codes() -> tuple[str, ...]:
    """Return the codes that have a page, sorted."""
    names = (entry.name for entry in (files("emu") / "reasons").iterdir())
    return tuple(sorted(name.removesuffix(_ENDING) for name in names if name.endswith(_ENDING)))
