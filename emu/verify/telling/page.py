# SPDX-License-Identifier: GPL-2.0-only
"""What came of a URL, as the first line and the last ones of an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.verify.telling.answer import first_line
from emu.verify.telling.layout import WIDTH, paragraph, shortened
from emu.verify.telling.text import below
from emu.verify.verdict import Word

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.verify.pages import Page
    from emu.verify.telling.telling import Telling
    from emu.verify.verdict import Verdict

_GAPS: Final = ("   ", "  ")  # before the reason code
_LEAST: Final = 20  # columns that a URL has


def page_line(verdict: Verdict, page: Page, behind: Verdict | None = None) -> str:
    """Return the first line where the way is ALWAYS there: which page it is, and the code of what is amiss.

    Args:
        verdict: on the way to who answers.
        page: what is answered.
        behind: on the way on from there, if that fails.
    """
    failed = None if behind is None else behind.failure
    code = page.code
    if not page.certificate and failed is not None and failed.cause is not None:
        code = failed.cause.code
    said = "  ".join(_said(page))
    word = Word.ALWAYS.value
    for flow in (f"{verdict.source.text} -> {page.url}  ", f"{page.url}  "):
        for gap in _GAPS:
            line = f"{word}  {flow}{said}{gap}{code}".rstrip()
            if len(line) <= WIDTH:
                return line
    room = max(WIDTH - len(word) - len(said) - len(code) - 3 * len(_GAPS[-1]), _LEAST)
    return f"{word}  {shortened(page.url, room)}  {said}{_GAPS[-1]}{code}".rstrip()


def _said(page: Page) -> Iterator[str]:
    """Yield what a client sees first: a certificate that it refuses, then the answer."""
    if page.certificate:
        yield "certificate refused"
    elif not page.status:
        yield shortened(page.trouble, WIDTH // 2)
    else:
        by = "" if page.explanation is None or page.is_good else " from the Ingress controller"
        yield f"HTTP {page.status}{by}"


def behind_lines(telling: Telling) -> Iterator[str]:
    """Yield what fails behind a proxy: its answer, where and why, whose doing it is, and what would help."""
    verdict = telling.verdict
    yield from paragraph("onward", f"{verdict.source.text} -> {verdict.target}")
    yield from paragraph("", first_line(verdict, telling.places))
    for label, words in telling.facts():
        if label != "flow":
            yield from paragraph(label, words)
    yield from below(telling)
