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
_EXPECTING: Final = """
def test_met(emu):
    emu.load("{topology}")
    emu.expect("front-end -> svc/back-end:8080 ALWAYS", "any pod -> any pod NO-NAT")


def test_not_met(emu):
    emu.load("{topology}")
    emu.expect("front-end -> worker:9001 ALWAYS", "any pod{{tier}} -> worker:9000 NEVER")


def test_wrong(emu):
    emu.load("{topology}")
    emu.expect("front-end -> worker:9001 ALLWAYS")
"""


def run(folder: Path, load: str, *options: str) -> str:
    """Run two tests in a process of their own and return what pytest says."""
    return run_file(folder, _TEST.format(load=load), *options)


def run_file(folder: Path, text: str, *options: str) -> str:
    """Run a file of tests in a process of its own and return what pytest says."""
    (folder / "test_it.py").write_text(text)
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
    assert "NEVER  refused: nobody listens on TCP port 9001" in output
    assert "flow     default/front-end -> default/worker:9001/TCP" in output


def test_an_option_names_the_topology_of_all_tests(tmp_path: Path) -> None:
    """For tests that load nothing themselves."""
    output = run(tmp_path, "pass", f"--emu-topology={ROOT}/topologies/tiers.yaml")
    assert "1 failed, 1 passed" in output


def test_without_a_topology_it_is_said_what_is_missing(tmp_path: Path) -> None:
    """A question about nothing is a mistake of the test."""
    assert "load a topology first, or name one by --emu-topology" in run(tmp_path, "pass")


def test_lines_are_those_of_a_scenario(tmp_path: Path) -> None:
    """All that are not met stand in the report, each with its reason; a wrong line is an error."""
    output = run_file(tmp_path, _EXPECTING.format(topology=f"{ROOT}/topologies/tiers.yaml"))
    assert "2 failed, 1 passed" in output
    reason = "NO_SOCKET at default/worker/eth0"
    assert f"FAIL  front-end -> worker:9001 expected ALWAYS got NEVER   {reason}" in output
    assert "FAIL  any pod{tier} -> worker:9000 expected NEVER got ALWAYS" in output
    assert "ExpectationError: 'ALLWAYS' is no verdict" in output
