# SPDX-License-Identifier: GPL-2.0-only
"""What comes of a URL on every branch of chance; the cluster is the same afterwards.

A page is fetched as `emu.verify.pages` does it: names, certificates, connections and the
requests of proxies are packets. What a proxy draws itself (nginx takes its endpoints in turn)
is not chance here: a page is what the next client gets.
"""

from __future__ import annotations

from contextlib import contextmanager
from fractions import Fraction
from itertools import islice
from typing import TYPE_CHECKING, Final

import attrs

from emu.apps import console
from emu.errors import CommandError
from emu.fabric.held import Held, OnceOnlyError
from emu.sim.choice import branches
from emu.verify.pages import ask_on, look_by
from emu.verify.steady import SteadyChoice
from emu.verify.telling.layout import LABEL
from emu.verify.verdict import Word

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from emu.apps.tools.finished import Finished
    from emu.cluster.cluster import Cluster
    from emu.verify.causes.cause import Cause
    from emu.verify.pages import Page

MAX_BRANCHES: Final = 256
"""Branches of one page that are followed. A name that is looked up in vain in five domains has 32."""


@attrs.frozen
class Fetched:
    """What clients get.

    Attributes:
        delivered: how many of them a page that is good.
        pages: each that is not good, once.
        codes: why not, as far as somebody knows: those of the pages, and of what a controller asks itself.
        words: what the first of these pages says, and what fails behind it; empty if all are good.
        cause: of what fails behind a controller, None if nothing does.
        is_whole: all branches were followed.
    """

    delivered: Fraction
    pages: tuple[Page, ...] = ()
    codes: tuple[str, ...] = ()
    words: str = ""
    cause: Cause | None = None
    is_whole: bool = True

    @property
    def word(self) -> Word:
        """The answer in a word."""
        if not self.is_whole:
            return Word.UNKNOWN
        if not self.delivered:
            return Word.NEVER
        return Word.ALWAYS if self.delivered == 1 else Word.SOMETIMES


class Fetcher:
    """Fetches pages.

    Args:
        cluster: nobody else may change it between the questions.
    """

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self._held = Held(cluster.fabric)

    def fetch(self, source: str, url: str, *, namespace: str = "default") -> Fetched:
        """Return what `source` gets for a URL.

        Raises:
            CommandError: it is no URL, or its server is silent for an hour.
            EndPointError: `source` is no end point.
            UnknownNameError: there is none such.
        """
        delivered = followed = Fraction(0)
        poor: list[Page] = []
        for choice in islice(branches(), MAX_BRANCHES):
            page = self._look(SteadyChoice(choice), source, url, namespace)
            followed += choice.probability
            if page.is_good:
                delivered += choice.probability
            elif page not in poor:
                poor.append(page)
        codes, words, cause = self._why(poor)
        return Fetched(delivered, tuple(poor), codes, words, cause, is_whole=followed == 1)

    def _why(self, poor: Sequence[Page]) -> tuple[tuple[str, ...], str, Cause | None]:
        """Return the codes for what is amiss, the words of the first page, and what fails behind one."""
        cause: Cause | None = None
        codes: list[str] = []
        told: list[str] = []
        for page in poor:
            words = [" ".join(line[LABEL:].split()) for line in page.lines()]
            codes += [page.code, "" if page.explanation is None else page.explanation.code]
            behind = ask_on(self.cluster, page)
            failed = None if behind is None else behind[1].failure
            if behind is not None and failed is not None and failed.cause is not None:
                cause = cause or failed.cause
                codes.append(failed.cause.code)
                words.append(f"{behind[0].source} -> {behind[0].target}: {failed.cause.words}")
            told.append("; ".join(words))
        return tuple(dict.fromkeys(filter(None, codes))), next(iter(told), ""), cause

    def _look(self, choice: SteadyChoice, source: str, url: str, namespace: str) -> Page:
        try:
            with self._held.trial(choice, is_unseen=True):
                return _look_aside(self.cluster, source, url, namespace)
        except OnceOnlyError:
            with _copy(self.cluster, choice) as made:
                return _look_aside(made, source, url, namespace)


@contextmanager
def _copy(cluster: Cluster, choice: SteadyChoice) -> Iterator[Cluster]:
    """Give the cluster made again: for programs that answer once and are gone."""
    made = cluster.again_as(cluster.topology)
    made.fabric.decide_by(choice)
    made.hold_still()
    yield made


def _look_aside(cluster: Cluster, source: str, url: str, namespace: str) -> Page:
    """Fetch a page without noting it among what people have done to the cluster."""
    host = cluster.host(source, namespace=namespace)

    def execute(argv: Sequence[str]) -> Finished:
        process = cluster.fabric.spawn(host.net, console.run(argv, host.userland))
        cluster.finish(process)
        if not process.done:
            process.kill()
            raise CommandError(f"{url}: no end after an hour")
        return process.result

    return look_by(cluster, execute, url)
