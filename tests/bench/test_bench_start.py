# SPDX-License-Identifier: GPL-2.0-only
"""What the command line costs to start: processor time, user and system, of a new process.

`pytest tests/bench/test_bench_start.py --benchmark-enable`
"""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

ROOT: Final = Path(__file__).parents[2]
TOPOLOGY: Final = ROOT / "topologies/two-pods-on-a-bridge.yaml"


def time_of_children() -> float:
    """Return the processor time that finished child processes have taken, seconds."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def run(benchmark: BenchmarkFixture, *argv: str) -> None:
    """Run Python with `argv` several times, each in a process of its own."""

    def start() -> int:
        done = subprocess.run([sys.executable, *argv], cwd=ROOT, stdout=subprocess.DEVNULL, check=False)
        return done.returncode

    status = benchmark.pedantic(start, rounds=15, warmup_rounds=1)  # type: ignore[no-untyped-call]  # theirs
    assert status == 0


pytestmark = pytest.mark.benchmark(group="processor time of a command", timer=time_of_children)


def test_bare_python(benchmark: BenchmarkFixture) -> None:
    """What there is no way below."""
    run(benchmark, "-c", "pass")


def test_scapy_alone(benchmark: BenchmarkFixture) -> None:
    """The import of the layers that any program with Scapy begins with."""
    run(benchmark, "-c", "import scapy.layers.inet")


def test_help(benchmark: BenchmarkFixture) -> None:
    """`emu --help`."""
    run(benchmark, "-m", "emu", "--help")


def test_run_with_a_capture(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    """A small topology loaded, run, and its capture written."""
    run(benchmark, "-m", "emu", "run", str(TOPOLOGY), "-w", str(tmp_path / "x.pcapng"))
