# SPDX-License-Identifier: GPL-2.0-only
"""Whether a step has printed what it was expected to print."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu.verify.expect.finding import Finding

if TYPE_CHECKING:
    from emu.apps.tools.finished import Finished
    from emu.cluster.step_output import OutputExpectation


def check_output(expected: OutputExpectation, finished: Finished) -> Finding:
    """Return a finding for a step."""
    missed = expected.missed(finished)
    words = "\n      ".join((finished.stdout + finished.stderr).splitlines()) if missed else ""
    return Finding(expected, is_met=not missed, got=missed or expected.verdict, words=words)
