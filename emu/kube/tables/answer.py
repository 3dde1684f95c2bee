# SPDX-License-Identifier: GPL-2.0-only
"""What a command has to say."""

from __future__ import annotations

from attrs import frozen


@frozen
class Answer:
    """What a command prints, and its exit status."""

    stdout: str = ""
    stderr: str = ""
    status: int = 0
