# SPDX-License-Identifier: GPL-2.0-only
"""The modelled commands: arguments in, tables changed, text out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.kernel.namespace import Namespace


def execute(net: Namespace, argv: Sequence[str]) -> str:
    """Run a command in `net` and return what it prints."""
    raise CommandError(f"{net.name}: {argv[0]} is not modelled", 127)
