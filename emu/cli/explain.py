# SPDX-License-Identifier: GPL-2.0-only
"""`emu explain`: a page about a reason code, from `emu/reasons`."""

from __future__ import annotations

from importlib.resources import files

import click

from emu.cluster.codes import reason_codes
from emu.errors import UnknownNameError, did_you_mean

_ENDING = ".md"


@click.command()
@click.argument("code", required=False)
def explain(code: str | None) -> int:
    """Print a page about the reason code CODE; without one, list all codes."""
    click.echo("\n".join(summaries()) if code is None else page(code), nl=code is None)
    return 0


def page(code: str) -> str:
    """Return the page about `code`, written in either case.

    Raises:
        UnknownNameError: there is none.
    """
    name = code.upper()
    known = reason_codes()
    if name not in known:
        raise UnknownNameError(f"no reason code {code}{did_you_mean(name, known)} (emu explain lists them)")
    return (files("emu") / "reasons" / f"{name}{_ENDING}").read_text(encoding="utf-8")


def summaries() -> list[str]:
    """Return a line for each code: its name and the first sentence of its page."""
    width = max(map(len, reason_codes()))
    lines = []
    for code in reason_codes():
        _, _, body = page(code).partition("\n\n")
        paragraph = body.partition("\n\n")[0].replace("\n", " ")
        sentence = paragraph.partition(". ")[0].removesuffix(".")
        lines.append(f"{code:<{width}}  {sentence}")
    return lines
