# SPDX-License-Identifier: GPL-2.0-only
"""The first line: did it arrive, how often, and where and why it ended.

The longest of several wordings that fits is taken, so that the line always has
the verdict and, where something fails, the reason code.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from emu.verify.causes import nft
from emu.verify.causes.codes import NETPOL_NOT_ENFORCED
from emu.verify.story import Way
from emu.verify.telling.fates import fates, listed, merged
from emu.verify.telling.layout import WIDTH, shortened
from emu.verify.telling.places import Places
from emu.verify.verdict import Word

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from emu.verify.causes.cause import Cause
    from emu.verify.telling.fates import Fate
    from emu.verify.verdict import Verdict

_CLAUSE: Final = re.compile(r"(?:: |; |, | \()")
_NEXT_HOP: Final = "via "  # of a multipath route
_FEW: Final = 3  # end points that are named one by one
_GAPS: Final = ("   ", "  ")  # before the reason code


def first_line(verdict: Verdict, places: Places | None = None, denied: Cause | None = None) -> str:
    """Return the answer in eighty columns: the verdict, its share, where and why it ends.

    Args:
        verdict: the answer.
        places: whose addresses they are; None tells what the verdict says of that.
        denied: why policies that nobody enforces would end what is delivered; None if they would not.
    """
    word = verdict.words
    if verdict.unknown:
        more = f" and {len(verdict.unknown) - 1} more" if len(verdict.unknown) > 1 else ""
        room = WIDTH - len(word) - 2 - len(more)
        return f"{word}  {shortened(verdict.unknown[0], room)}{more}"
    failed = verdict.failure
    cause = None if failed is None else failed.cause
    code = "" if cause is None else cause.code
    if denied is not None:
        words, code = f"delivered, but {denied.object} denies it", NETPOL_NOT_ENFORCED
        room = WIDTH - len(word) - len(code) - 2 * len(_GAPS[-1])
        return f"{word}  {shortened(words, room)}{_GAPS[-1]}{code}"
    ends = merged(fates(verdict, enumerate(verdict.outcomes, 1), places or Places()))
    for sentence in _sentences(verdict, cause, ends):
        for gap in _GAPS:
            line = f"{word}  {sentence}{gap}{code}".rstrip()
            if len(line) <= WIDTH:
                return line
    return f"{word}{_GAPS[0]}{code}".rstrip()


def _sentences(verdict: Verdict, cause: Cause | None, ends: list[Fate]) -> Iterator[str]:
    """Yield what the line may say, the most telling first."""
    if cause is None:
        flow = f"{verdict.source.text} -> {verdict.target}"
        picked = [name for fate in ends if fate.picks_endpoint for name in fate.picked]
        if len(picked) > 1:
            yield f"{flow}  delivered, to {listed(picked, 'end points')}"
            yield f"{flow}  delivered, to {len(picked)} end points"
        yield f"{flow}  delivered"
        yield f"delivered to {verdict.target}"
        yield "delivered"
        return
    failing = next(fate for fate in ends if not fate.is_delivered)
    if verdict.word is Word.SOMETIMES and not verdict.is_timed:
        yield from _when(failing, ends, verdict)
    assert failing.outcome.cause is not None, "what fails has a cause"
    half = "reply " if cause.way is Way.REPLY else ""
    result = verdict.failure.result.value if verdict.failure is not None else ""
    sometimes = "else " if verdict.word is Word.SOMETIMES else ""
    if verdict.is_timed:
        sometimes = "a matter of timing: "
    if cause.object.startswith("NetworkPolicy "):
        yield f"{sometimes}{half}{result} at {cause.net} by {cause.object}"
        yield f"{sometimes}{half}{result} by {cause.object}"
    for words in _openings(cause.words):
        for place in (f" at {cause.place}", f" at {cause.net}", ""):
            yield f"{sometimes}{half}{result}{place}: {words}"
    places = (f" at {cause.place}", f" at {cause.net}")
    if cause.object:
        yield from (f"{sometimes}{half}{result}{place} because of {cause.object}" for place in (*places, ""))
    yield from (f"{sometimes}{half}{result}{place}" for place in places)
    yield f"{sometimes}{half}{result}"


def _openings(words: str) -> list[str]:
    """Return how much of a sentence can be said, all of it first; a lone name says nothing."""
    openings = [words[: found.start()] for found in _CLAUSE.finditer(words)]
    return [words, *(each for each in reversed(openings) if " " in each)]


def _when(failing: Fate, ends: Sequence[Fate], verdict: Verdict) -> Iterator[str]:
    """Yield what chance has to pick for it to fail."""
    if not failing.picked:
        return
    if not failing.picks_endpoint:
        verb = "fails " if failing.picked[0].startswith(_NEXT_HOP) else "fails when drawn: "
        yield f"{verb}{failing.names}"
        return
    by = "kube-proxy picks" if _is_kube_proxy(verdict) else "it goes to"
    of = sum(len(fate.picked) for fate in ends if fate.picks_endpoint)
    kind = "pods" if _are_pods(verdict) else "end points"
    for where in (f" ({failing.vicinity})", "") if failing.vicinity else ("",):
        if len(failing.picked) <= _FEW:
            yield f"fails when {by} {failing.names}{where}"
            yield f"fails for {failing.names}{where}"
        yield f"fails for {len(failing.picked)} of {of} {kind}{where}"


def _is_kube_proxy(verdict: Verdict) -> bool:
    questions = {taken.question for one in verdict.outcomes for taken in one.choices}
    return any(each.startswith("KUBE-") or nft.port_of_chain(each) for each in questions)


def _are_pods(verdict: Verdict) -> bool:
    return any(one.arrival is not None and one.arrival.pod for one in verdict.outcomes)
