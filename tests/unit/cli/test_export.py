# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from emu.cli import cli

if TYPE_CHECKING:
    from pathlib import Path

POD = """
apiVersion: v1
kind: Pod
metadata: {name: web, annotations: {emu/serve: tcp/8080}}
spec: {containers: [{name: c, image: nginx}]}
"""


def emu(*arguments: str | Path) -> Result:
    """Run the command line."""
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """A cluster with one pod."""
    path = tmp_path / "pod.yaml"
    path.write_text(POD)
    return path


def test_a_cluster_becomes_a_document_that_runs(manifest: Path, tmp_path: Path) -> None:
    """With its rules beside it; what stands in and what is left out is told on standard error."""
    folder = tmp_path / "out"
    result = emu("export", "network", "-f", manifest, "-o", folder)
    assert (result.exit_code, result.stdout) == (0, "")
    assert "stand-ins: " in result.stderr
    assert "left out: " in result.stderr
    files = {path.suffix for path in folder.iterdir()}
    assert files == {".yaml", ".rules"}
    head = (folder / "scenario.yaml").read_text().splitlines()[0]
    assert head == f"# Made by `emu export network {manifest}`."
    again = emu("run", folder / "scenario.yaml")
    assert again.exit_code == 0
    assert again.stdout.startswith("emu\n")


@pytest.mark.parametrize("what", ["graph", "pcap"])
def test_other_exports_are_refused_by_name(what: str) -> None:
    """Before anything is read."""
    result = emu("export", what)
    assert result.exit_code == 2
    assert f"export {what} is not modelled yet" in result.stderr


def test_a_faulty_document_writes_nothing(tmp_path: Path) -> None:
    """Not even a folder."""
    (tmp_path / "pod.yaml").write_text(POD.replace("containers", "contaniers"))
    result = emu("export", "network", "-f", tmp_path / "pod.yaml", "-o", tmp_path / "out")
    assert result.exit_code == 2
    assert not (tmp_path / "out").exists()


def test_a_file_in_the_way_is_told(manifest: Path, tmp_path: Path) -> None:
    """The folder cannot be where a file is."""
    (tmp_path / "out").write_text("")
    result = emu("export", "network", "-f", manifest, "-o", tmp_path / "out")
    assert result.exit_code == 2
    assert "Not a directory" in result.stderr
