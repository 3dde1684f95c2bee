# SPDX-License-Identifier: GPL-2.0-only
"""`iptables-legacy-save`: does the same, and calls itself otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu.apps.commands import iptables_save
from emu.tools.iptables.program import Backend

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.apps.commands.action import Action


def prepare(argv: Sequence[str]) -> Action:
    """Read its arguments and return what they ask for.

    Raises:
        CommandError: they make no sense, or something is not modelled.
    """
    return iptables_save.prepare(argv, Backend.LEGACY)
