# SPDX-License-Identifier: GPL-2.0-only
"""Asks what lines expect, and compares: one pair after the other, up to the first that fails."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.cluster.cluster import Cluster
from emu.errors import DocumentError, EndPointError, Fault, UnknownNameError
from emu.verify.asker import Asker
from emu.verify.causes.codes import CODES, NETPOL_NOT_ENFORCED
from emu.verify.expect.denials import Denials, policy_code
from emu.verify.expect.finding import VACUOUS, Finding
from emu.verify.expect.nat import NatWitness
from emu.verify.expect.page import of_page
from emu.verify.expect.pairs import nobody, pairs_of, strangers_of
from emu.verify.fetching import Fetcher
from emu.verify.probing.guests import invite
from emu.verify.racing import race_of
from emu.verify.verdict import Word

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from emu.cluster.emulation import Emulation
    from emu.cluster.expectation import Expectation
    from emu.verify.expect.finding import Pair
    from emu.verify.verdict import Verdict

NAT: Final = "NAT"
"""What came of a NO-NAT whose packets arrived otherwise than they were sent."""

_NOT_RUNNING: Final = "NOT RUNNING"


class Checker:
    """Checks expectations of one cluster or network.

    Args:
        network: it is the same after each question; addresses that belong to nobody and are asked, or ask,
            get a host outside.
        namespace: of names without one.
    """

    def __init__(self, network: Emulation, *, namespace: str = "default") -> None:
        self._network = network
        self._namespace = namespace
        self._denials = Denials(network, namespace) if isinstance(network, Cluster) else None
        self._invited: dict[str, set[tuple[str, int]]] = {}
        self._brief: Asker | None = None
        self._whole: Asker | None = None
        self._fetcher: Fetcher | None = None
        self._racing: Asker | None = None

    def check_all(self, expectations: Iterable[Expectation]) -> Iterator[Finding]:
        """Yield a finding for each line.

        Raises:
            DocumentError: lines name who cannot be asked; all that can be known before are
                told before anything is asked.
        """
        lines = list(expectations)
        faults: list[Fault] = []
        meant: list[list[Pair]] = []
        for each in lines:
            try:
                meant.append(pairs_of(self._network, each, self._namespace))
            except (EndPointError, UnknownNameError) as error:
                faults.append(_fault(each, error))
        if faults:
            raise DocumentError(faults)
        self._invite(lines)
        for each, pairs in zip(lines, meant, strict=True):
            try:
                yield self._check(each, pairs)
            except (EndPointError, UnknownNameError) as error:
                raise DocumentError([_fault(each, error)]) from None

    def check(self, expectation: Expectation) -> Finding:
        """Return what is found about a line.

        Raises:
            EndPointError: an end point is wrong.
            UnknownNameError: it is not there.
        """
        pairs = pairs_of(self._network, expectation, self._namespace)
        self._invite([expectation])
        return self._check(expectation, pairs)

    def _invite(self, lines: Iterable[Expectation]) -> None:
        """Give addresses outside, that belong to nobody, a host each; in copies, too."""
        named = strangers_of(lines)
        strangers = {each: ports for each, ports in named.items() if self._invited.get(each) != ports}
        network = self._network
        if strangers and isinstance(network, Cluster):
            self._invited |= strangers
            invite(network, strangers)
            network.remember(lambda other: invite(other, strangers) if isinstance(other, Cluster) else None)
            self._brief = self._whole = self._racing = self._fetcher = None
            self._denials = Denials(network, self._namespace)

    def _judge(self, expectation: Expectation, pair: Pair, witness: NatWitness | None) -> Verdict:
        """Ask; who looks for translations, or sends data, sees each exchange to its end."""
        asker, payload = self._asker, expectation.payload
        if expectation.has_races:
            race = race_of(self._network)
            asker = self._racing = self._racing or Asker(self._network, race=race)
        elif witness is not None or payload:
            asker = self._whole = self._whole or Asker(self._network)
        return asker.judge(
            pair.source,
            pair.target,
            namespace=self._namespace,
            payload=payload,
            witness=witness,
            beside=expectation.beside,
        )

    @property
    def _asker(self) -> Asker:
        self._brief = self._brief or Asker(self._network, is_brief=True)
        return self._brief

    def _check(self, expectation: Expectation, pairs: list[Pair]) -> Finding:
        if not pairs:
            words = nobody(self._network, expectation, self._namespace)
            return Finding(expectation, is_met=False, got=VACUOUS, words=words)
        found = Finding(expectation, is_met=True, got="")
        for count, pair in enumerate(pairs, 1):
            found = self._check_pair(expectation, pair, count)
            if not found.is_met:
                return found
        return found

    def _check_pair(self, expectation: Expectation, pair: Pair, count: int) -> Finding:
        if pair.absent:
            return Finding(
                expectation, is_met=False, got=_NOT_RUNNING, words=pair.absent, pair=pair, asked=count
            )
        is_bare = expectation.wanted == "ALWAYS" and not (expectation.payload or expectation.has_races)
        if is_bare and self._asker.is_clear(pair.source, pair.target, namespace=self._namespace):
            return self._fetched(expectation, pair, count)
        witness = NatWitness() if expectation.wanted == "NO-NAT" else None
        verdict = self._judge(expectation, pair, witness)
        if witness is not None and verdict.word is Word.ALWAYS:
            return _of_translations(expectation, witness, pair, count)
        if expectation.target.is_page and verdict.word is Word.ALWAYS:
            return self._fetched(expectation, pair, count)
        if not _is_met(expectation, verdict):
            return self._unmet(expectation, verdict, pair, count)
        if expectation.wanted == "NEVER" and (code := policy_code(verdict)):
            return self._proved(expectation, code, pair, count)
        if expectation.wanted == "NEVER" and not expectation.code and (code := self._unenforced(pair)):
            words = f"nobody enforces the policies that would deny it ({code})"
            return _vacuous(expectation, f"{words}, and it does not pass anyway", verdict, pair, count)
        return Finding(expectation, is_met=True, got=_got(verdict), asked=count)

    def _fetched(self, expectation: Expectation, pair: Pair, count: int) -> Finding:
        """Return what is found where the way is there: all that is asked, but of a page."""
        network = self._network
        if not expectation.target.is_page or not isinstance(network, Cluster):
            return Finding(expectation, is_met=True, got=Word.ALWAYS.value, asked=count)
        self._fetcher = self._fetcher or Fetcher(network)
        page = self._fetcher.fetch(pair.source, pair.target, namespace=self._namespace)
        return of_page(expectation, page, pair, count, self._denials)

    # --- what is not met ---

    def _unmet(self, expectation: Expectation, verdict: Verdict, pair: Pair, count: int) -> Finding:
        reason, place, words = _why(verdict)
        if expectation.wanted == "NEVER" and (code := self._unenforced(pair)):
            reason, place = NETPOL_NOT_ENFORCED, ""
            words = f"{CODES[NETPOL_NOT_ENFORCED]}: enforced, they would end it ({code})"
        return Finding(
            expectation,
            is_met=False,
            got=_got(verdict),
            reason=reason,
            place=place,
            words=words,
            pair=pair,
            asked=count,
        )

    def _unenforced(self, pair: Pair) -> str:
        """Return the reason by which policies that nobody enforces would end a flow; empty if none would."""
        if self._denials is None or self._denials.are_enforced:
            return ""
        denied = self._denials.if_enforced(pair)
        return policy_code(denied) if denied.word is Word.NEVER else ""

    def _proved(self, expectation: Expectation, code: str, pair: Pair, count: int) -> Finding:
        """Return whether a policy's denial counts: without the policies, the flow passes."""
        assert self._denials is not None, "where a policy denies there are objects of Kubernetes"
        without = self._denials.without_policies(pair)
        if without.delivered:
            return Finding(
                expectation,
                is_met=True,
                got=Word.NEVER.value,
                reason=code,
                asked=count,
                proof="passes without the policies",
            )
        words = f"a policy denies it ({code}), and without all policies it does not pass either"
        return _vacuous(expectation, words, without, pair, count)


def _is_met(expectation: Expectation, verdict: Verdict) -> bool:
    """Return whether an answer is what is expected; translations are looked at apart."""
    if expectation.code and expectation.code not in _codes(verdict):
        return False
    if expectation.share is not None:
        return verdict.delivered == expectation.share
    return verdict.word.value == expectation.wanted


def _codes(verdict: Verdict) -> set[str]:
    """Return the reasons of all outcomes that are not delivered."""
    return {one.cause.code for one in verdict.outcomes if one.cause is not None}


def _got(verdict: Verdict) -> str:
    return verdict.words


def _why(verdict: Verdict) -> tuple[str, str, str]:
    """Return why something failed: the code, the place, and what happened."""
    if verdict.unknown:
        return "", "", "not known: " + "; ".join(verdict.unknown)
    failure = verdict.failure
    if failure is None or failure.cause is None:
        return "", "", ""
    return failure.cause.code, failure.cause.place, failure.cause.words


def _vacuous(expectation: Expectation, words: str, verdict: Verdict, pair: Pair, count: int) -> Finding:
    """Return that a denial proves nothing; `verdict` tells what ends the packets where policies do not."""
    reason, place, why = _why(verdict)
    told = f"{words}: {why}"
    return Finding(
        expectation, is_met=False, got=VACUOUS, reason=reason, place=place, words=told, pair=pair, asked=count
    )


def _of_translations(expectation: Expectation, witness: NatWitness, pair: Pair, count: int) -> Finding:
    """Return what was found about a flow that arrives always."""
    if not witness.translations:
        return Finding(expectation, is_met=True, got="NO-NAT", asked=count)
    words, more = next(iter(witness.translations)), len(witness.translations) - 1
    words += f" (and {more} more such places)" if more else ""
    return Finding(expectation, is_met=False, got=NAT, words=words, pair=pair, asked=count)


def _fault(expectation: Expectation, error: Exception) -> Fault:
    return Fault(expectation.file or "<expect>", expectation.line or 1, expectation.path, str(error))
