# SPDX-License-Identifier: GPL-2.0-only
"""Packets that may overtake each other where that is asked for, on the kernel that a Scenario names."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from emu.cluster.cluster import Cluster
from emu.kernel.netfilter.conntrack.race import Race

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.cluster.emulation import Emulation


def race_of(network: Emulation) -> Race:
    """Return how packets overtake each other: as the Scenario's `races` says, else as with today's Linux."""
    told = network.topology.race if isinstance(network, Cluster) else None
    return told or Race()


@contextmanager
def racing(network: Emulation) -> Iterator[None]:
    """Let packets overtake each other inside the block, drawn from the seed."""
    let_race = network.let_race if isinstance(network, Cluster) else network.fabric.let_race
    let_race(race_of(network))
    try:
        yield
    finally:
        let_race(None)
