# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pytest

from emu.kernel.drops import DropReason
from emu.verify.causes.codes import CODES, EXPLAINED, OURS
from tests.unit.verify import reasons_index

INDEX = Path(__file__).parents[3] / "docs" / "reasons" / "README.md"
PAGES = files("emu") / "reasons"
PARTS = ["How it comes about", "What to look at", "In the kernel"]
ALL_PARTS = [*PARTS[:2], "What helps", "In emu", *PARTS[2:]]


def test_codes_of_ours_are_no_drop_reasons() -> None:
    """A code means one thing."""
    assert not set(OURS) & set(DropReason.__members__)
    assert CODES.keys() == OURS.keys() | DropReason.__members__.keys()


def test_every_page_is_about_a_code() -> None:
    """None is left over from a code that is gone."""
    assert {entry.name for entry in PAGES.iterdir()} == {f"{code}.md" for code in CODES}


def test_what_is_explained_is_a_code() -> None:
    """Nothing is promised that there is not."""
    assert CODES.keys() >= EXPLAINED


def test_the_index_is_current() -> None:
    """`python -m tests.unit.verify.reasons_index` writes it."""
    assert INDEX.read_text(encoding="utf-8") == reasons_index.text()


@pytest.mark.parametrize("code", CODES)
class TestPage:
    """The page of each code."""

    def test_says_what_it_means_how_it_comes_about_and_what_to_look_at(self, code: str) -> None:
        """In this order, none of it empty; where clusters meet it also what helps, and an example."""
        text = (PAGES / f"{code}.md").read_text(encoding="utf-8")
        heading, meaning, *rest = text.split("\n\n")
        assert heading == f"# {code}"
        assert meaning.rstrip().endswith((".", ")"))
        sections = "\n\n".join(rest).split("## ")[1:]
        parts = ALL_PARTS if code in EXPLAINED else PARTS
        assert [section.partition("\n\n")[0] for section in sections] == parts
        assert all(section.partition("\n\n")[2].strip() for section in sections)

    def test_shows_itself_in_its_example(self, code: str) -> None:
        """The example begins with the code, as the answer has it."""
        text = (PAGES / f"{code}.md").read_text(encoding="utf-8")
        _, _, example = text.partition("## In emu\n\n")
        assert not example or example.startswith(f"    {code}, ")

    def test_fits_a_terminal(self, code: str) -> None:
        """A short page of a hundred columns."""
        lines = (PAGES / f"{code}.md").read_text(encoding="utf-8").splitlines()
        assert len(lines) < 45
        assert max(map(len, lines)) <= 100

    def test_names_only_codes_that_there_are(self, code: str) -> None:
        """What it refers to can be looked up."""
        words = (PAGES / f"{code}.md").read_text(encoding="utf-8").replace("`", " ").split()
        named = {word.strip(".,:;()") for word in words if word.strip(".,:;()").isupper() and "_" in word}
        names = {name for name in named if not name.startswith(("SKB_", "PACKET_"))}
        assert names <= CODES.keys() | {"LOWER_UP", "QDISC_DROP"}
