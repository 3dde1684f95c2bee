# SPDX-License-Identifier: GPL-2.0-only
"""Pages that `expect` lines name: asked of both clusters, whichever of them has the line."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from emu.cluster.cluster import Cluster
from emu.cluster.points import DEFAULT_NAMESPACE
from emu.errors import EndPointError, UnknownNameError
from emu.verify.causes.cause import Cause
from emu.verify.difference.answer import Answer, answer_of
from emu.verify.expect.pairs import pairs_of
from emu.verify.fetching import Fetcher
from emu.verify.questions import Flow, Member, Party, Port
from emu.verify.story import Way
from emu.verify.verdict import Result, Word

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.verify.asker import Asker
    from emu.verify.difference.seen import Owners

PAGE: Final = Port(0, "HTTP")
"""What stands in the place of a port where a URL is asked."""


def flows(cluster: Cluster, both: tuple[Cluster, Cluster]) -> Iterator[Flow]:
    """Yield who asks for which page, as lines of either cluster expect; who is not there asks nothing."""
    lines = [line for each in both for line in each.topology.expectations if line.target.is_page]
    for line in lines:
        with suppress(EndPointError, UnknownNameError):
            for pair in pairs_of(cluster, line, DEFAULT_NAMESPACE):
                if not pair.absent:
                    yield Flow(_single(pair.source), _single(pair.target), PAGE)


def answer(asker: Asker, known: Owners, source: str, url: str) -> Answer:
    """Return what becomes of a page: of the way to who answers, and where that is there, of what he says."""
    verdict = asker.judge(source, url)
    cluster = asker.network
    if verdict.word is not Word.ALWAYS or not isinstance(cluster, Cluster):
        return answer_of(verdict, known)
    page = Fetcher(cluster).fetch(source, url)
    if page.word is Word.ALWAYS:
        return answer_of(verdict, known)
    cause = page.cause
    if cause is None and page.codes:
        cause = Cause(page.codes[0], page.words, Way.REPLY, "")
    unknown = () if page.is_whole else ("more branches than are followed",)
    return Answer(
        page.word,
        page.delivered if page.is_whole else None,
        Result.REFUSED,
        cause,
        unknown,
        codes=tuple(sorted(page.codes)),
    )


def _single(point: str) -> Party:
    return Party(point, point, (Member(point, point),))
