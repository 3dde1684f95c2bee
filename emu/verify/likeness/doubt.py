# SPDX-License-Identifier: GPL-2.0-only
"""What is met that is not understood: then nothing is shared that could depend on it."""

from __future__ import annotations


class Doubt(Exception):  # noqa: N818 - no error: the answer is "ask"
    """Something could tell pods apart in a way that is not known. `str()` of it says what."""
