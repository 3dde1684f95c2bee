# SPDX-License-Identifier: GPL-2.0-only
"""What is left of a command that has ended."""

from __future__ import annotations

import attrs


@attrs.frozen
class Finished:
    """What a command printed, and its exit status."""

    stdout: str = ""
    stderr: str = ""
    status: int = 0
