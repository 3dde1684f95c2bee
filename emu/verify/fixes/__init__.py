# SPDX-License-Identifier: GPL-2.0-only
"""What to change so that a question succeeds: proposed from objects, proved with packets.

    cause --PROPOSERS--> proposals --done to a copy--> asked there again --ALWAYS--> Fix

A proposer (one module a family) looks at the failure and at objects and says what
might help; whether it does is decided by the same question, asked on a copy of
the network to which the proposal was done. What does not help is never shown.
"""

from __future__ import annotations

from emu.verify.fixes.fix import Fix, Proposal
from emu.verify.fixes.remedy import Change, Command, Document, Question, Step
from emu.verify.fixes.search import MAX_TRIES, find_fix

__all__ = [
    "MAX_TRIES",
    "Change",
    "Command",
    "Document",
    "Fix",
    "Proposal",
    "Question",
    "Step",
    "find_fix",
]
