# SPDX-License-Identifier: GPL-2.0-only
"""Mistakes that the objects alone show: no packet is asked.

    findings = lint(cluster, places)

Each family of checks has a module of functions from `Facts` to complaints;
`CHECKS` has them all, with their codes.
"""

from __future__ import annotations

from emu.verify.lint.checks import CHECKS, lint
from emu.verify.lint.finding import Check, Finding, Severity

__all__ = ["CHECKS", "Check", "Finding", "Severity", "lint"]
