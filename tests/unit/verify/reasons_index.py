# SPDX-License-Identifier: GPL-2.0-only
"""The index of the reason codes, as `docs/reasons/README.md` has it.

python -m tests.unit.verify.reasons_index > docs/reasons/README.md
"""

from __future__ import annotations

import sys
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from emu.verify.causes.codes import CODES, EXPLAINED, OURS

if TYPE_CHECKING:
    from collections.abc import Iterable

_HEAD: Final = """\
# Reason codes

Why a question got no answer, in a word that stays the same. `emu trace` and `emu probe` answer with
them, an `expect` line names them behind `because`, and `emu explain CODE` prints their pages.
"""
_CLUSTERS: Final = """\
## What clusters meet

Each page tells the cause, how to recognise it in a real cluster, and what helps.
"""
_KERNEL: Final = """\
## The kernel's own

The names of the kernel's drop reasons (`pwru` prints them), and a few of ours for what has none.
Where one of the first table explains it, that one is told, and this stays in the hop.
"""


def summary(code: str) -> str:
    """Return the first sentence of a page."""
    text = (files("emu") / "reasons" / f"{code}.md").read_text(encoding="utf-8")
    paragraph = text.split("\n\n")[1].replace("\n", " ").strip()
    return paragraph.partition(". ")[0].removesuffix(".")


def _table(codes: Iterable[str]) -> str:
    rows = [f"| [{code}](../../emu/reasons/{code}.md) | {summary(code)} |" for code in sorted(codes)]
    return "\n".join(("| code | what it says |", "| --- | --- |", *rows, ""))


def text() -> str:
    """Return the whole index."""
    return "\n".join(
        (_HEAD, _CLUSTERS, _table(EXPLAINED), _KERNEL, _table((CODES.keys() | OURS) - EXPLAINED))
    )


if __name__ == "__main__":
    sys.stdout.write(text())
