# SPDX-License-Identifier: GPL-2.0-only
"""A question about a living emulation, for tests: does it arrive, always?

flow = cluster.flow("client", "svc/web:80")
assert flow.always, flow.explain()
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from emu.verify.asker import Asker
from emu.verify.racing import race_of
from emu.verify.verdict import Word

if TYPE_CHECKING:
    from fractions import Fraction

    from emu.cluster.emulation import Emulation
    from emu.verify.fixes import Fix
    from emu.verify.verdict import Verdict


class Flow:
    """An exchange between two end points, asked on every branch of chance when it is first needed.

    Args:
        network: whom; it is the same afterwards.
        source: who asks.
        target: whom, with port and protocol.
        namespace: of names without one.
        payload: octets that have to arrive, too.
        races: packets may overtake each other; every order is followed.
        beside: who asks the same at the same instant, and races, too; nobody for an empty one.
    """

    def __init__(
        self,
        network: Emulation,
        source: str,
        target: str,
        *,
        namespace: str = "default",
        payload: int = 0,
        races: bool = False,
        beside: str = "",
    ) -> None:
        self.source = source
        self.target = target
        self._network = network
        self._namespace = namespace
        self._payload = payload
        self._race = race_of(network) if races or beside else None
        self._beside = beside

    @cached_property
    def verdict(self) -> Verdict:
        """The whole answer.

        Raises:
            EndPointError: an end point is wrong.
            UnknownNameError: there is none such.
        """
        return Asker(self._network, race=self._race).judge(
            self.source,
            self.target,
            namespace=self._namespace,
            payload=self._payload,
            beside=self._beside,
        )

    @property
    def always(self) -> bool:
        """Whether it is delivered on every branch."""
        return self.verdict.word is Word.ALWAYS

    @property
    def never(self) -> bool:
        """Whether it is delivered on no branch."""
        return self.verdict.word is Word.NEVER

    @property
    def delivered(self) -> Fraction | None:
        """The exact probability that it is delivered; None if that is not known."""
        return self.verdict.delivered

    @property
    def reason(self) -> str | None:
        """Why the most probable failure failed, as a reason code; None if nothing fails."""
        failure = self.verdict.failure
        return None if failure is None or failure.cause is None else failure.cause.code

    @cached_property
    def fix(self) -> Fix | None:
        """What makes it succeed always, proved on a copy; None if nothing is known to."""
        from emu.verify.fixes import find_fix  # noqa: PLC0415 - only failures need it

        return find_fix(
            self._network,
            self.source,
            self.target,
            self.verdict,
            namespace=self._namespace,
            race=self._race,
            beside=self._beside,
        )

    def explain(self) -> str:
        """Return the verdict, the way of its most telling branch and what would help, as `emu trace` does."""
        from emu.verify.telling.places import Places  # noqa: PLC0415 - only failures need it
        from emu.verify.telling.telling import Telling  # noqa: PLC0415 - as above
        from emu.verify.telling.text import text  # noqa: PLC0415 - as above

        verdict = self.verdict
        shown = tuple(enumerate(verdict.outcomes, 1))
        told = tuple(number for number, one in shown if one is (verdict.failure or verdict.outcomes[0]))
        fixes, denied = ((), None) if self.fix is None else ((self.fix,), self.fix.denied(verdict))
        return text(Telling(verdict, shown, told, fixes=fixes, places=Places(self._network), denied=denied))

    def __repr__(self) -> str:
        return f"<Flow {self.source} -> {self.target}>"
