# SPDX-License-Identifier: GPL-2.0-only
"""What is said about the input on standard error, beside every answer.

What emu does in another way than the input says, or does not model, is said each time, a line for each sort
of thing. Warnings about the documents themselves do not change from question to question: the first few
are told, how many more there are, and the verb that tells them all. On a terminal both are dim, so that the
answer stands out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from emu.errors import Fault

_MOST: Final = 3


def tell(lines: Iterable[str], *, known: Collection[str] = ()) -> None:
    """Say lines, but those that are `known` already."""
    for line in dict.fromkeys(lines):
        if line not in known:
            click.secho(line, err=True, dim=True)


def tell_warnings(faults: Sequence[Fault], *, most: int | None = _MOST) -> None:
    """Say what documents are warned of, `most` of it; None for all."""
    shown = faults[:most]
    tell(f"warning: {fault}" for fault in shown)
    if more := len(faults) - len(shown):
        tell([f"{more} more warning{'s' if more > 1 else ''} about the input: emu lint tells all"])
