# SPDX-License-Identifier: GPL-2.0-only
"""The tally of generated clusters, printed at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.properties.held import HELD

if TYPE_CHECKING:
    from _pytest.terminal import TerminalReporter


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    """Print on how many clusters the invariants held, and how often each was looked at."""
    if HELD.clusters:
        total = HELD.checked.total()
        terminalreporter.write_line(
            f"invariants: held on {HELD.clusters} generated clusters, looked at {total} times"
        )
        looks = ", ".join(f"{name} {count}" for name, count in sorted(HELD.checked.items()))
        terminalreporter.write_line(f"  {looks}")
