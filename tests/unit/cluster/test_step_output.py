# SPDX-License-Identifier: GPL-2.0-only
"""What steps are expected to print."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from emu.apps.tools.finished import Finished
from emu.cli import cli
from emu.cluster.step_output import OutputExpectation

if TYPE_CHECKING:
    from pathlib import Path

PRINTED = Finished("one\ntwo\n", "an error\n", 3)


@pytest.mark.parametrize(
    ("expected", "missed"),
    [
        ({"prints": "one\ntwo"}, ""),
        ({"prints": "one"}, "prints 'one\\ntwo'"),
        ({"prints": ""}, "prints 'one\\ntwo'"),
        ({"contains": ("one", "error")}, ""),
        ({"contains": ("one", "three")}, "no 'three'"),
        ({"exits": 3}, ""),
        ({"exits": 0}, "exits 3"),
        ({"prints": "one\ntwo", "exits": 4}, "exits 3"),
    ],
)
def test_what_a_step_says_is_compared(expected: dict[str, Any], missed: str) -> None:
    """All of the output, parts of it with errors, and the exit status."""
    assert OutputExpectation("get nodes", **expected).missed(PRINTED) == missed


def run(verb: str, folder: Path, *steps: str) -> tuple[int, str]:
    """Run or test a scenario, and return exit status and output."""
    file = folder / "steps.yaml"
    lines = "".join(f"  - {{{step}}}\n" for step in steps)
    file.write_text(f"apiVersion: emu/v1\nkind: Scenario\nspec:\n  steps:\n{lines}")
    result = CliRunner().invoke(cli, [verb, str(file)])
    return result.exit_code, result.output


@pytest.mark.parametrize("verb", ["run", "test"])
def test_steps_count_as_lines_do(tmp_path: Path, verb: str) -> None:
    """One that is met, one that is not; a program may fail if that is expected."""
    met = "run: exec ext/laptop -- curl -sS localhost:1, exits: 7, prints: '', contains: connect to server"
    status, told = run(verb, tmp_path, met)
    assert status == 0, told
    assert "1 expectation: 1 met, 0 not" in told
    status, told = run(verb, tmp_path, "run: exec ext/laptop -- hostname, prints: desktop")
    assert status == 1
    assert "FAIL  exec ext/laptop -- hostname expected prints 'desktop' got prints 'laptop'" in told
    assert "steps.yaml:5" in told


def test_what_cannot_be_expected_is_a_fault(tmp_path: Path) -> None:
    """Told at its line."""
    status, told = run("test", tmp_path, "run: get nodes, exits: 256", "run: get nodes, print: x")
    assert status == 2
    assert "steps[0].exits: must be a whole number from 0 to 255, not 256" in told
    assert "did you mean 'prints'?" in told
