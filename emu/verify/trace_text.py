# SPDX-License-Identifier: GPL-2.0-only
"""A verdict for people, where nothing but the verdict is at hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu.verify.telling import text as form
from emu.verify.telling.telling import Telling

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from emu.verify.verdict import Outcome, Verdict


def text(verdict: Verdict, shown: Sequence[tuple[int, Outcome]], told: Iterable[int]) -> str:
    """Return a verdict as plain text.

    Args:
        verdict: the answer.
        shown: numbered branches to list.
        told: the numbers of those whose story is told.
    """
    return form.text(Telling(verdict, tuple(shown), tuple(told)))
