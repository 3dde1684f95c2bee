# SPDX-License-Identifier: GPL-2.0-only
"""Steps of a trace and frames of its capture: each says which of the others it is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import emu
from emu.verify.asker import Asker
from emu.verify.telling.every_step import step_rows
from emu.verify.telling.frames import frames_of
from emu.verify.telling.places import Places

TOPOLOGIES = Path(__file__).parents[4] / "topologies"
_STEP = re.compile(r"emu step=(\d+)")


@pytest.mark.parametrize(
    ("name", "source", "target"),
    [
        ("two-nodes-by-vxlan.yaml", "pod1", "pod2:8080"),
        ("reply-past-the-nat.yaml", "client", "10.96.0.20:80"),
        ("two-workers.yaml", "client", "web.default.svc.cluster.local:80"),
        ("two-workers.yaml", "client", "nowhere.example:80"),
        ("two-pods-on-a-bridge.yaml", "pod1", "10.0.0.99"),
    ],
)
def test_steps_and_frames_know_each_other(name: str, source: str, target: str) -> None:
    """Both ways, and they were seen at the same place at the same time."""
    network = emu.load(str(TOPOLOGIES / name), steps=False)
    story = Asker(network).judge(source, target).outcomes[0].story
    places = Places(network)
    found = frames_of(network, story, places)
    frames = list(found.capture.in_order())
    rows = [row for row in step_rows(story, places, found.numbers) if row.time]
    seen = 0
    for count, row in enumerate(rows, 1):
        if row.number not in found.numbers:
            continue
        number = found.numbers[row.number]
        frame = frames[number - 1]
        owner, device = found.capture.points[frame.point]
        seen += 1
        assert row.what.endswith(f", frame {number}")
        assert row.where == f"{owner} {device} {frame.direction.name.lower()}"
        assert frame.comments[0] == f"emu step={count}"
    assert seen
    said = [match[1] for frame in frames for text in frame.comments if (match := _STEP.fullmatch(text))]
    assert len(said) == seen


def test_a_packet_that_ends_stands_behind_its_last_frame() -> None:
    """With the reason of the answer; frames behind it are counted with it."""
    network = emu.load(str(TOPOLOGIES / "reply-past-the-nat.yaml"))
    failed = Asker(network).judge("client", "10.96.0.20:80").failure
    assert failed is not None
    frames = list(frames_of(network, failed.story, Places(network)).capture.in_order())
    assert any("DROP REPLY_NOT_UNNATED" in text for text in frames[-1].comments)


def test_how_to_find_them_is_said() -> None:
    """In the words of display filters."""
    network = emu.load(str(TOPOLOGIES / "two-nodes-by-vxlan.yaml"))
    outcome = Asker(network).judge("pod1", "pod2:8080").outcomes[0]
    found = frames_of(network, outcome.story, Places(network))
    assert re.fullmatch(
        r"20 frames, request frame\.packet_id == \d+, answer frame\.packet_id == \d+", found.summary
    )
    assert len({frame.packet_id for frame in found.capture.frames}) == 2
