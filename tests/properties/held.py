# SPDX-License-Identifier: GPL-2.0-only
"""On how many generated clusters the invariants held, and how often each was looked at, in this session."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

import attrs

from emu.testing.invariants import Findings

if TYPE_CHECKING:
    from collections.abc import Iterator


@attrs.define
class Held:
    """What this session has seen.

    Attributes:
        clusters: generated ones, on which all that was checked held.
        checked: how often each invariant was looked at there.
    """

    clusters: int = 0
    checked: Counter[str] = attrs.field(factory=Counter)


HELD = Held()
MOST_TOLD = 10


@contextmanager
def holding(clusters: int = 1) -> Iterator[Findings]:
    """Give findings to fill; assert that nothing is wrong and something was looked at, and count it."""
    found = Findings()
    yield found
    assert not found.faults, "\n".join(found.faults[:MOST_TOLD])
    assert found.checked.total() > 0, "nothing was looked at"
    HELD.clusters += clusters
    HELD.checked += found.checked
