# SPDX-License-Identifier: GPL-2.0-only
"""Rulesets listed by us, loaded by the real nft, and listed again."""

from __future__ import annotations

import os
import re
import subprocess
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import HealthCheck, given, settings

from emu.kernel.netfilter.nftables.tables import NfTables
from emu.sim.time import START
from emu.testing.nft_strategies import nft_texts
from emu.tools.nft.listing import render
from emu.tools.nft.loading import load
from emu.tools.nft.shown import sorted_sets
from tests.kernel.linux import namespace
from tests.unit.tools.nft.rulefiles import FILES, FOLDER, RULE_FILES, samples

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.kernel

_NETNS: Final = f"emunft{os.getpid()}"
_LEFT: Final = re.compile(r" expires (?:59m59s\d+ms|1h)")


@pytest.fixture(scope="module", autouse=True)
def _linux() -> Iterator[None]:
    with namespace(_NETNS):
        yield


def nft(*words: str, text: str = "") -> subprocess.CompletedProcess[str]:
    """Run the real nft."""
    command = ["ip", "netns", "exec", _NETNS, "nft", *words]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False)


def listed_by_linux(text: str) -> str:
    """Return what the real nft lists after loading `text` into an empty namespace."""
    nft("flush", "ruleset")
    loaded = nft("-f", "-", text=text)
    assert not loaded.returncode, f"{text}\n{loaded.stderr}"
    return _LEFT.sub("", nft("list", "ruleset").stdout)


def listed_by_us(text: str) -> str:
    """Return what we list after loading `text` into nothing."""
    tables = NfTables()
    load(tables, text, START)
    return _LEFT.sub("", render(sorted_sets(tables.snapshot(START))))


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_listed_alike(name: str) -> None:
    """What people and programs write is listed alike, and so is that listing."""
    text = (FOLDER / f"{name}.nft").read_text(encoding="utf-8")
    ours = listed_by_us(text)
    assert listed_by_linux(text) == ours
    assert listed_by_linux(ours) == ours


@pytest.mark.parametrize("name", RULE_FILES)
def test_a_rule_is_still_listed_as_it_was_recorded(name: str) -> None:
    """The samples are what this machine's nft says."""
    for sample in samples(name):
        lines = listed_by_linux(sample.text).splitlines()
        begin = lines.index("\tchain c {")
        assert lines[begin + 2 : -2] == sample.listed


@settings(suppress_health_check=list(HealthCheck), deadline=None, derandomize=True, max_examples=200)
@given(text=nft_texts())
def test_any_ruleset_is_listed_alike(text: str) -> None:
    """Random rulesets are listed alike, and so are their listings."""
    ours = listed_by_us(text)
    assert listed_by_linux(text) == ours
    assert listed_by_linux(ours) == ours
