# SPDX-License-Identifier: GPL-2.0-only
"""Counting the values of a field in a capture's frames, as a scenario asks for it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from emu.cluster.network.steps import Result
from emu.observe.canonical.frames import canonical_frames

if TYPE_CHECKING:
    from emu.cluster.network.actions import Tally
    from emu.observe.canonical.frames import Tree
    from emu.observe.capture import Capture

_ANY: Final = (0, 1 << 30)


def tally(action: Tally, capture: Capture) -> Result:
    """Return how often each value of the field stands in the frames captured so far.

    Frames with equal key fields have to have equal values (else `inconsistent`),
    and each count has to be within the bounds (else `skewed`).
    """
    frames = [(frame.octets, "") for frame in capture.at(action.capture)]
    counts: Counter[object] = Counter()
    values: dict[tuple[object, ...], object] = {}
    is_consistent = True
    for tree in canonical_frames(frames):
        value = _field(tree, action.of)
        key = tuple(_field(tree, name) for name in action.key)
        if value is None or None in key:
            continue
        counts[value] += 1
        is_consistent = values.setdefault(key, value) == value and is_consistent
    least, most = action.between or _ANY
    is_even = all(least <= count <= most for count in counts.values())
    outcome = "inconsistent" if not is_consistent else "consistent" if is_even else "skewed"
    return Result(outcome=outcome, values=sorted(counts, key=str), counts=dict(counts))


def _field(tree: Tree, name: str) -> object:
    found: object = tree
    for key in name.split("."):
        if not isinstance(found, dict) or key not in found:
            return None
        found = found[key]
    return found
