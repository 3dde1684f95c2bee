# SPDX-License-Identifier: GPL-2.0-only
"""Where given packets ended without arriving, in a line each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from emu.observe.recording import Kind

if TYPE_CHECKING:
    from emu.observe.recording import Step


@attrs.define(eq=False)
class Losses:
    """Listens for the end of some packets.

    Attributes:
        packets: the ids of those that matter.
    """

    packets: set[int] = attrs.field(factory=set)
    _heard: list[Step] = attrs.field(factory=list, init=False)

    def hear(self, step: Step) -> None:
        """Take note of `step` if a packet ended there."""
        if step.kind is Kind.DROP:
            self._heard.append(step)

    @property
    def lines(self) -> list[str]:
        """A line for each end of one of `packets`, in order."""
        return [_words(step) for step in self._heard if step.packet_id in self.packets]


def _words(step: Step) -> str:
    place = f"{step.net}/{step.device}" if step.device else step.net
    reason = step.reason.name if step.reason is not None else ""
    return f"dropped at {place}: {reason}" + (f", {step.detail}" if step.detail else "")
