# SPDX-License-Identifier: GPL-2.0-only
"""Stories of `topologies` in which clients ask meanwhile end as their lines say."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest
from click.testing import CliRunner

from emu.cli import cli

TOPOLOGIES: Final = Path(__file__).parents[2] / "topologies"
STORIES: Final = sorted(
    str(path.relative_to(TOPOLOGIES))
    for path in TOPOLOGIES.rglob("*.yaml")
    if "\n  traffic:" in path.read_text(encoding="utf-8")
    and "\n  expect:" in path.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("name", STORIES)
def test_a_story_ends_as_its_lines_say(name: str) -> None:
    """`emu test` meets all of them."""
    result = CliRunner().invoke(cli, ["test", str(TOPOLOGIES / name)])
    assert result.exit_code == 0, result.stdout


def test_there_are_stories() -> None:
    """None of them is overlooked."""
    assert len(STORIES) >= 10
