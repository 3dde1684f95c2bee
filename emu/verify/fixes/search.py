# SPDX-License-Identifier: GPL-2.0-only
"""Looks for a fix: proposes, does it to a copy, asks there again, and believes nothing else.

What helps no further than to the next failure is a step on the way: what that
failure suggests is then done on top of it. Single steps are tried first.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

import attrs

from emu.errors import EmuError
from emu.verify.asker import Asker
from emu.verify.causes.cause import Cause
from emu.verify.causes.codes import CODES, NETPOL_EGRESS, NETPOL_INGRESS, NETPOL_NOT_ENFORCED
from emu.verify.fixes.case import Case
from emu.verify.fixes.enforcement import are_ignored
from emu.verify.fixes.fix import Fix
from emu.verify.fixes.proposers import ALWAYS, PROPOSERS
from emu.verify.story import Way
from emu.verify.verdict import Word

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.cluster.emulation import Emulation
    from emu.kernel.netfilter.conntrack.race import Race
    from emu.verify.fixes.fix import Proposal
    from emu.verify.verdict import Verdict

MAX_TRIES: Final = 4
"""How many copies are made at most: each is a whole network, built anew."""

_NOT_ENFORCED: Final = Cause(NETPOL_NOT_ENFORCED, CODES[NETPOL_NOT_ENFORCED], Way.REQUEST, "")
_OF_POLICIES: Final = frozenset((NETPOL_INGRESS, NETPOL_EGRESS))


def find_fix(
    network: Emulation,
    source: str,
    target: str,
    verdict: Verdict,
    *,
    namespace: str = "default",
    race: Race | None = None,
    beside: str = "",
) -> Fix | None:
    """Return what makes an exchange succeed always, proved on a copy; None if nothing is found.

    One that succeeds only because nobody enforces NetworkPolicies is to fail: the
    fix is then what has them enforced, and shown if they end the exchange.

    Args:
        network: where the question was asked; it stays as it is.
        source: who asked, as it was given.
        target: whom, as it was given.
        verdict: the answer.
        namespace: of names of Kubernetes without one.
        race: which packets overtook each other when it was asked.
        beside: who asked at the same instant.
    """
    is_too_open = verdict.failure is None and not verdict.unknown and are_ignored(network)
    waiting = deque([_State(network, source, target, verdict, race=race, beside=beside)])
    tries = 0
    while waiting:
        state = waiting.popleft()
        for proposal in _proposals(state, namespace):
            if tries == MAX_TRIES:
                return None
            tries += 1
            after = _tried(state, proposal, namespace)
            if after is None:
                continue
            if _is_denied(after.verdict) if is_too_open else _is_healthy(after, namespace):
                return Fix(after.proposals, after.verdict)
            if not is_too_open and _is_progress(state.verdict, after.verdict):
                waiting.append(after)
    return None


@attrs.frozen(eq=False)
class _State:
    """A copy, after some proposals, and the answer there."""

    network: Emulation
    source: str
    target: str
    verdict: Verdict
    proposals: tuple[Proposal, ...] = ()
    race: Race | None = None
    beside: str = ""

    def judge(self, namespace: str, *, is_brief: bool = False) -> Verdict:
        """Ask, and return the answer."""
        return Asker(self.network, is_brief=is_brief, race=self.race).judge(
            self.source,
            self.target,
            namespace=namespace,
            payload=self.verdict.target.payload,
            beside=self.beside,
        )


def _proposals(state: _State, namespace: str) -> Iterator[Proposal]:
    """Yield what the failure of a state suggests, the likeliest first, and nothing twice."""
    verdict, outcome = state.verdict, state.verdict.failure
    if verdict.unknown:
        return
    if outcome is None and are_ignored(state.network):
        outcome, cause = verdict.outcomes[0], _NOT_ENFORCED
    elif outcome is not None and outcome.cause is not None:
        cause = outcome.cause
    else:
        return
    case = Case(state.network, state.source, state.target, namespace, verdict, outcome, cause)
    seen = list(state.proposals)
    for propose in (*ALWAYS, *PROPOSERS.get(cause.code, ())):
        for proposal in propose(case):
            if proposal not in seen:
                seen.append(proposal)
                yield proposal


def _tried(state: _State, proposal: Proposal, namespace: str) -> _State | None:
    """Return what is after a proposal; None if it cannot be carried out."""
    trial = Fix((proposal,), state.verdict)
    asked = trial.question
    source, target = (asked.source, asked.target) if asked is not None else (state.source, state.target)
    try:
        network = trial.apply(state.network.again())
        after = attrs.evolve(
            state, network=network, source=source, target=target, proposals=(*state.proposals, proposal)
        )
        return attrs.evolve(after, verdict=after.judge(namespace, is_brief=True))
    except (EmuError, OSError):
        return None


def _is_healthy(state: _State, namespace: str) -> bool:
    """Return whether the exchange succeeds always there, to its end."""
    if state.verdict.word is not Word.ALWAYS:
        return False
    was_whole = state.race is not None or bool(state.verdict.target.name)  # nothing is cut short there
    return was_whole or state.judge(namespace).word is Word.ALWAYS


def _is_denied(verdict: Verdict) -> bool:
    """Return whether policies end the exchange."""
    cause = None if verdict.failure is None else verdict.failure.cause
    return verdict.word is Word.NEVER and cause is not None and cause.code in _OF_POLICIES


def _is_progress(before: Verdict, after: Verdict) -> bool:
    """Return whether it now fails less often, or elsewhere."""
    if after.delivered is None or before.delivered is None:
        return False
    if after.delivered != before.delivered:
        return after.delivered > before.delivered
    return _place(before) != _place(after)


def _place(verdict: Verdict) -> tuple[object, ...]:
    """Return where and how the most probable failure happens."""
    failed = verdict.failure
    if failed is None or failed.cause is None:
        return ()
    request = failed.story.request
    there = request.tuples[-1] if request is not None and request.tuples else None
    met = (there.protocol, there.dst, there.dport) if there is not None else ()
    return failed.cause.code, failed.cause.way, failed.cause.net, met
