# SPDX-License-Identifier: GPL-2.0-only
"""What would change: the same questions asked in two clusters, and the flows whose fate differs.

    difference = compare(before, after)
    for row in difference.changed:
        print(row.flow, row.before, row.after, row.cause)

Questions come from `emu.verify.questions`, answers from packets (`emu.verify.asker`).
"""

from __future__ import annotations

from emu.verify.difference.answer import Answer
from emu.verify.difference.compare import Difference, TooManyQuestionsError, compare
from emu.verify.difference.rows import Row

__all__ = ["Answer", "Difference", "Row", "TooManyQuestionsError", "compare"]
