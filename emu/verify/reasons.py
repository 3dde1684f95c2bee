# SPDX-License-Identifier: GPL-2.0-only
"""The names that moved to `emu.verify.causes`."""

from __future__ import annotations

from emu.verify.causes.cause import Cause
from emu.verify.causes.codes import CODES, OURS
from emu.verify.causes.find import find_cause, find_cause_of_no_name

__all__ = ["CODES", "OURS", "Cause", "find_cause", "find_cause_of_no_name"]
