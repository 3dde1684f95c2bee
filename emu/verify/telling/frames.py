# SPDX-License-Identifier: GPL-2.0-only
"""The frames of a story, as a capture: which frame of the file each step is, and which step each frame."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.observe.capture import Capture
from emu.observe.recording import Kind
from emu.verify.explainer import Explainer
from emu.verify.telling.every_step import step_rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from emu.cluster.emulation import Emulation
    from emu.verify.story import Story
    from emu.verify.telling.places import Places

_TAPS: Final = frozenset((Kind.IN, Kind.OUT))


@attrs.frozen
class Frames:
    """What a story's packets looked like at every device.

    Attributes:
        capture: all of them.
        numbers: by the number of a step at a device, which frame of the file it is, from 1.
        request: the packet id of the request, None if none was sent.
        answer: the packet id of the answer, None if there was none.
    """

    capture: Capture
    numbers: Mapping[int, int]
    request: int | None
    answer: int | None

    @property
    def summary(self) -> str:
        """How to find them in Wireshark, in a line."""
        called = {"request": self.request, "answer": self.answer}
        told = [f"{word} frame.packet_id == {found}" for word, found in called.items() if found is not None]
        count = len(self.numbers)
        return ", ".join((f"{count} frame{'' if count == 1 else 's'}", *told))


def frames_of(network: Emulation, story: Story, places: Places) -> Frames:
    """Return the frames of a story; each says which row of `emu trace -v` it is."""
    steps = sorted((hop.told.step for hop in story.hops()), key=lambda step: step.number)
    points = dict.fromkeys((step.net, step.device) for step in steps if step.kind in _TAPS)
    capture = Capture(
        list(points), epoch=network.epoch, explainer=Explainer(network), key_log=network.recording.key_log
    )
    at: dict[int, int] = {}
    for step in steps:
        before = len(capture.frames)
        capture.hear(step)
        if len(capture.frames) > before:
            at[step.number] = before
    shown = [row.number for row in step_rows(story, places) if row.number]
    for count, number in enumerate(shown, 1):
        if number in at:
            frame = capture.frames[at[number]]
            capture.frames[at[number]] = frame._replace(comments=(f"emu step={count}", *frame.comments))
    place = {id(frame): count for count, frame in enumerate(capture.in_order(), 1)}
    numbers = {number: place[id(capture.frames[index])] for number, index in at.items()}
    request, answer = story.request, story.answer
    return Frames(
        capture,
        numbers,
        None if request is None else request.birth.step.packet_id,
        None if answer is None else answer.birth.step.packet_id,
    )
