# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import emu
from emu.cli.shell.own import OWN
from emu.cli.shell.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable

TOPOLOGIES = Path(__file__).parents[4] / "topologies"


class Talk:
    """A conversation, and what was said in it."""

    def __init__(self, session: Session, capsys: pytest.CaptureFixture[str]) -> None:
        self.session = session
        self.status = 0
        self.errors = ""
        self._capsys = capsys

    def __call__(self, line: str) -> str:
        """Do a line and return what it printed."""
        self.status = self.session.do(line)
        captured = self._capsys.readouterr()
        self.errors = captured.err
        return captured.out


@pytest.fixture
def talk_about(capsys: pytest.CaptureFixture[str]) -> Callable[[str], Talk]:
    """Return what begins a conversation about a file of topologies/."""

    def begin(name: str) -> Talk:
        return Talk(Session(emu.load(str(TOPOLOGIES / name)), OWN), capsys)

    return begin


@pytest.fixture
def network(talk_about: Callable[[str], Talk]) -> Talk:
    """Talk about two pods on a bridge."""
    return talk_about("two-pods-on-a-bridge.yaml")


@pytest.fixture
def cluster(talk_about: Callable[[str], Talk]) -> Talk:
    """Talk about a cluster with two workers, a Deployment `web` and a pod `client`."""
    return talk_about("two-workers.yaml")
