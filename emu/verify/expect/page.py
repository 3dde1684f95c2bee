# SPDX-License-Identifier: GPL-2.0-only
"""Whether a line about a URL is met, where the way to who answers is ALWAYS there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.verify.expect.denials import POLICY_CODES
from emu.verify.expect.finding import VACUOUS, Finding
from emu.verify.verdict import Word

if TYPE_CHECKING:
    from emu.cluster.expectation import Expectation
    from emu.verify.expect.denials import Denials
    from emu.verify.expect.finding import Pair
    from emu.verify.fetching import Fetched

_UNFOLLOWED: Final = "not known: the page has more branches than are followed"


def of_page(
    expectation: Expectation, fetched: Fetched, pair: Pair, count: int, denials: Denials | None
) -> Finding:
    """Return whether what came of a URL is what is expected.

    Args:
        expectation: the line.
        fetched: what came of it.
        pair: who asked for what.
        count: how many pairs were asked.
        denials: who proves that a policy is what denies a page.
    """
    got = (
        f"{fetched.word.value} {fetched.delivered}" if fetched.word is Word.SOMETIMES else fetched.word.value
    )
    code = fetched.codes[0] if fetched.codes else ""
    words = fetched.words if fetched.is_whole else _UNFOLLOWED
    if not _is_met(expectation, fetched):
        return Finding(expectation, is_met=False, got=got, reason=code, words=words, pair=pair, asked=count)
    denied = next((each for each in fetched.codes if each in POLICY_CODES), "")
    if expectation.wanted != "NEVER" or not denied or denials is None:
        return Finding(expectation, is_met=True, got=got, asked=count)
    without = denials.page_without_policies(pair)
    if without.delivered:
        proof = "passes without the policies"
        return Finding(expectation, is_met=True, got=got, reason=denied, asked=count, proof=proof)
    told = (
        f"a policy denies it ({denied}), and without all policies it is no good page either: {without.words}"
    )
    reason = without.codes[0] if without.codes else ""
    return Finding(expectation, is_met=False, got=VACUOUS, reason=reason, words=told, pair=pair, asked=count)


def _is_met(expectation: Expectation, fetched: Fetched) -> bool:
    if expectation.code and expectation.code not in fetched.codes:
        return False
    if expectation.share is not None:
        return fetched.is_whole and fetched.delivered == expectation.share
    return fetched.word.value == expectation.wanted
