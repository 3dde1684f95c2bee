# SPDX-License-Identifier: GPL-2.0-only
"""One seed decides everything: the same seed gives the same octets, whatever else is going on."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.cluster.network.reader import load_network
from emu.testing.doings import actions
from emu.testing.lab import recorded
from emu.testing.networks import networks

if TYPE_CHECKING:
    from emu.cluster.network.model import NetworkDocument

ROOT: Final = Path(__file__).parents[2]
SCENARIOS: Final = (
    "own/switch-chain-flags",
    "own/tcp-endings",
    "own/vxlan-mesh-static",
    "scenarios/arp-queue",
    "scenarios/mtu-fragmentation",
    "scenarios/vxlan-learning",
)
DIGESTS: Final = """
import hashlib, pathlib, sys
from emu.cluster.network.reader import load_network
from emu.testing.lab import recorded
for file in sys.argv[1:]:
    print(hashlib.sha256(recorded(load_network(pathlib.Path(file)), seed=7)).hexdigest())
"""


def busy_networks() -> st.SearchStrategy[NetworkDocument]:
    """Draw networks with a few actions."""
    return networks(fewest=3).flatmap(
        lambda document: actions(document, fewest=1, most=4).map(
            lambda steps: attrs.evolve(document, actions=steps)
        )
    )


def of_other_process(files: list[str], hash_seed: str) -> list[str]:
    """Return the digests of what another interpreter records, whose sets and dictionaries hash otherwise."""
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", DIGESTS, *files]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.split()


@settings(max_examples=max(settings().max_examples // 5, 5))
@given(busy_networks(), st.integers(0, 3))
def test_two_runs_of_any_network_write_the_same_octets(document: NetworkDocument, seed: int) -> None:
    """What one run leaves behind in the process does not reach the next."""
    assert recorded(document, seed=seed) == recorded(document, seed=seed)


def test_processes_that_hash_otherwise_write_the_same_octets() -> None:
    """No order depends on hashes of this process: two others, and this one, record the same."""
    files = [str(ROOT / "tests/golden" / name / "scenario.yaml") for name in SCENARIOS]
    here = [hashlib.sha256(recorded(load_network(Path(file)), seed=7)).hexdigest() for file in files]
    assert of_other_process(files, "1") == of_other_process(files, "2") == here


@pytest.mark.parametrize("name", SCENARIOS)
def test_another_seed_writes_other_octets(name: str) -> None:
    """Identifications, ports and sequence numbers are drawn, so nothing else than the seed decides them."""
    document = load_network(ROOT / "tests/golden" / name / "scenario.yaml")
    assert len({recorded(document, seed=seed) for seed in range(3)}) == 3
