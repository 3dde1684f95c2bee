# SPDX-License-Identifier: GPL-2.0-only
"""A fix: what was proposed, done to a copy, and found to help there."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Final

import attrs

from emu.verify.fixes.remedy import Change, Question

if TYPE_CHECKING:
    from emu.cluster.emulation import Emulation
    from emu.kube.api.objects.field import Json
    from emu.verify.causes.cause import Cause
    from emu.verify.fixes.remedy import Remedy
    from emu.verify.verdict import Verdict

WIDTH: Final = 78


@attrs.frozen
class Proposal:
    """What might help.

    Attributes:
        words: what is to be done and why, in a line that ends without a full stop.
        remedies: how it is done, in this order.
    """

    words: str
    remedies: tuple[Remedy, ...]


@attrs.frozen
class Fix:
    """What helped on a copy.

    Attributes:
        proposals: what was done there, one after the other: mostly one thing.
        verdict: the answer to the question on that copy.
    """

    proposals: tuple[Proposal, ...]
    verdict: Verdict = attrs.field(eq=False, repr=False)

    @property
    def words(self) -> str:
        """What is to be done and why, in a line."""
        return "; then ".join(proposal.words for proposal in self.proposals)

    @property
    def remedies(self) -> tuple[Remedy, ...]:
        """How it is done: several changes of an object are one, from the first state to the last."""
        found: dict[object, Remedy] = {}
        for number, remedy in enumerate(each for proposal in self.proposals for each in proposal.remedies):
            if not isinstance(remedy, Change):
                found[number] = remedy
                continue
            before = found.pop(remedy.name, remedy)
            assert isinstance(before, Change)
            found[remedy.name] = attrs.evolve(remedy, old=before.old)
        return tuple(found.values())

    @property
    def manifests(self) -> tuple[dict[str, Json], ...]:
        """The objects that change, whole, as they should be."""
        return tuple(each.manifest for each in self.remedies if isinstance(each, Change))

    @property
    def question(self) -> Question | None:
        """Who is to be asked instead; None if that stays."""
        return next((each for each in reversed(self.remedies) if isinstance(each, Question)), None)

    def denied(self, before: Verdict) -> Cause | None:
        """Return why policies end what passed `before`, now that they are enforced; None of a failure."""
        failed = self.verdict.failure
        return None if before.failure is not None or failed is None else failed.cause

    def apply(self, network: Emulation) -> Emulation:
        """Do it to `network`, and return that, or what takes its place where the `Cluster` document changes.

        Raises:
            EmuError: it cannot be done there.
        """
        for remedy in self.remedies:
            network = remedy.applied(network)
        return network

    def lines(self, width: int = WIDTH) -> list[str]:
        """Return the fix as text: the words, numbered if more than one thing is to be done, then how.

        A command is a line, or several broken by backslashes; of a manifest there is what changes.
        """
        lines: list[str] = []
        for number, proposal in enumerate(self.proposals, 1):
            start = f"{number}. " if len(self.proposals) > 1 else ""
            lines += textwrap.wrap(
                start + proposal.words,
                width,
                subsequent_indent=" " * len(start),
                break_on_hyphens=False,
                break_long_words=False,
            )
        for remedy in self.remedies:
            lines += [f"  {line}" for line in remedy.lines(width - 2)]
        return lines
