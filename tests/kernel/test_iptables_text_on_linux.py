# SPDX-License-Identifier: GPL-2.0-only
"""Our text of tables, read by the real iptables-restore and printed again by the real iptables-save."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import given, note

from emu.testing.netfilter_strategies import snapshots
from emu.tools.iptables.restore import parse
from emu.tools.iptables.save import render
from tests.kernel.linux import drawn, namespace

if TYPE_CHECKING:
    from emu.tools.iptables.snapshot import Snapshot

GOLDEN: Final = Path(__file__).parent.parent / "golden"
FILES: Final = sorted({path.read_bytes(): path for path in GOLDEN.glob("**/*.rules")}.values())
"""The rules files of all scenarios, equal ones once."""
BACKENDS: Final = ("nft", "legacy")


def restored(netns: str, backend: str, text: str, *tables: str) -> str:
    """Return what iptables-save -c prints of `tables` after `text` was restored."""
    run = ["ip", "netns", "exec", netns]
    command = [*run, f"iptables-{backend}-restore", "-c"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    printed = []
    for table in tables:
        command = [*run, f"iptables-{backend}-save", "-c", "-t", table]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        printed += [line for line in done.stdout.splitlines(keepends=True) if line[0] != "#"]
    return "".join(printed)


@pytest.mark.kernel
@pytest.mark.parametrize("backend", BACKENDS)
def test_linux_prints_golden_rules_as_we_do(backend: str) -> None:
    """The rules of all scenarios."""
    for path in FILES:
        tables = parse(path.read_text(encoding="utf-8"))
        with namespace() as netns:
            for sets in path.parent.glob("*.ipset"):
                subprocess.run(
                    ["ip", "netns", "exec", netns, "ipset", "restore", "-exist"],
                    input=sets.read_bytes(),
                    check=True,
                )
            ours = render(tables.values(), counters=True)
            assert restored(netns, backend, ours, *tables) == ours


@pytest.mark.kernel
@pytest.mark.parametrize("backend", BACKENDS)
def test_linux_prints_random_tables_as_we_do(backend: str) -> None:
    """Whatever rules there are, with any counters."""
    with namespace() as netns:

        @drawn(60)
        @given(snapshot=snapshots())
        def prints_the_same(snapshot: Snapshot) -> None:
            ours = render([snapshot], counters=True)
            note(ours)
            assert restored(netns, backend, ours, snapshot.table.name) == ours

        prints_the_same()
