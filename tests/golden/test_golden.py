# SPDX-License-Identifier: GPL-2.0-only
"""Scenarios that were recorded on Linux, run by emu and compared frame by frame."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from emu.cluster.network.reader import load_network
from emu.cluster.network.results import write_results
from emu.cluster.network.run import NetworkRun

if TYPE_CHECKING:
    from types import ModuleType

HERE: Final = Path(__file__).parent
FOLDERS: Final = (HERE / "scenarios", HERE / "own")


def _normalize() -> ModuleType:
    """Return the comparison that came with the recordings, as it is."""
    spec = importlib.util.spec_from_file_location("normalize", HERE / "normalize.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


normalize = _normalize()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make a case of every folder with a scenario."""
    if "scenario" not in metafunc.fixturenames:
        return
    chosen = metafunc.config.getoption("--golden-dir")
    folders = FOLDERS if chosen is None else (chosen,)
    found = sorted(path.parent for folder in folders for path in folder.glob("*/scenario.yaml"))
    metafunc.parametrize("scenario", [_case(path) for path in found])


def _case(folder: Path) -> object:
    return pytest.param(folder, id=folder.name, marks=pytest.mark.judge("golden"))


def test_emu_does_what_linux_did(scenario: Path, tmp_path: Path) -> None:
    """Frames at all capture points in their order, tables, outcomes and given timings are the same."""
    run = NetworkRun(load_network(scenario / "scenario.yaml"))
    outcome = run.run()
    write_results(run, outcome, tmp_path)
    differences = normalize.diff_dirs(str(scenario / "golden"), str(tmp_path), "network")
    assert differences == []
    assert outcome.unexpected == []


def test_same_seed_gives_the_same_octets(tmp_path: Path) -> None:
    """Two runs of one scenario write equal captures, whatever else ran before them."""
    written = []
    for name in ("first", "second"):
        run = NetworkRun(load_network(HERE / "scenarios/vxlan-learning/scenario.yaml"))
        write_results(run, run.run(), tmp_path / name)
        written.append({path.name: path.read_bytes() for path in (tmp_path / name / "pcap").iterdir()})
    assert written[0] == written[1]
    assert len(written[0]) == 5
