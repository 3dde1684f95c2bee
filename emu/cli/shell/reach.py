# SPDX-License-Identifier: GPL-2.0-only
"""All ask all, and a line for each who asks, as mininet's `pingall` prints it.

    web-0 -> client X db?1/2

A name means an answer always, `X` none ever, and the fraction what part of
chance lets an answer come back. Each is a question with real packets, asked from the same
state: afterwards nothing has changed, no time has passed.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from emu.errors import CommandError
from emu.verify.asker import Asker
from emu.verify.verdict import Word

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from emu.cluster.emulation import Emulation
    from emu.verify.verdict import Verdict


def all_pairs(emulation: Emulation, hosts: Sequence[str], flow: str = "") -> Iterator[str]:
    """Yield the lines of `pingall`, the share of all questions that got no answer at the end.

    Args:
        emulation: who is asked.
        hosts: end points, all of which ask all others.
        flow: what is asked: `:80`, `:53/udp`; a ping where it is empty.

    Raises:
        CommandError: there are not two hosts.
    """
    if len(hosts) < 2:
        raise CommandError("there are not two who could ask each other", 1)
    asker = Asker(emulation, is_brief=True)
    yield f"*** Reach: {flow}" if flow else "*** Ping: testing ping reachability"
    answered = Fraction(0)
    for source in hosts:
        cells = []
        for target in hosts:
            if target == source:
                continue
            verdict = asker.judge(source, f"{target}{flow}")
            answered += verdict.delivered or 0
            cells.append(_cell(target, verdict))
        yield f"{source} -> {' '.join(cells)}"
    total = len(hosts) * (len(hosts) - 1)
    lost = round(100 * (1 - answered / total))
    received = answered if answered.denominator > 1 else answered.numerator
    yield f"*** Results: {lost}% dropped ({received}/{total} received)"


def _cell(target: str, verdict: Verdict) -> str:
    if verdict.word is Word.ALWAYS:
        return target
    if verdict.word is Word.NEVER:
        return "X"
    if verdict.word is Word.UNKNOWN:
        return f"{target}?"
    return f"{target}?{verdict.delivered}"
