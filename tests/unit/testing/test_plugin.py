# SPDX-License-Identifier: GPL-2.0-only
"""The pytest plugin, used as other people use it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[3]
_TEST: Final = """
def test_reached(emu):
    {load}
    flow = emu.flow("front-end", "svc/back-end:8080")
    assert flow.always, flow.explain()


def test_not_reached(emu):
    {load}
    flow = emu.flow("front-end", "worker:9001")
    assert flow.always, flow.explain()
"""


def run(folder: Path, load: str, *options: str) -> str:
    """Run two tests in a process of their own and return what pytest says."""
    (folder / "test_it.py").write_text(_TEST.format(load=load))
    own = {"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""}
    environment = {**os.environ, **own}
    words = [sys.executable, "-m", "pytest", "-q", "-p", "emu.testing.plugin", *options, str(folder)]
    return subprocess.run(
        words, check=False, capture_output=True, text=True, cwd=folder, env=environment
    ).stdout


def test_a_flow_that_fails_explains_itself(tmp_path: Path) -> None:
    """The verdict, the reason and the hops stand in pytest's report."""
    output = run(tmp_path, f'emu.load("{ROOT}/topologies/tiers.yaml")')
    assert "1 failed, 1 passed" in output
    assert "NEVER  refused at default/worker" in output
    assert "flow     default/front-end -> default/worker:9001/TCP" in output


def test_an_option_names_the_topology_of_all_tests(tmp_path: Path) -> None:
    """For tests that load nothing themselves."""
    output = run(tmp_path, "pass", f"--emu-topology={ROOT}/topologies/tiers.yaml")
    assert "1 failed, 1 passed" in output


def test_without_a_topology_it_is_said_what_is_missing(tmp_path: Path) -> None:
    """A question about nothing is a mistake of the test."""
    assert "load a topology first, or name one by --emu-topology" in run(tmp_path, "pass")
