# SPDX-License-Identifier: GPL-2.0-only
"""`emu lint` from the command line: what it prints, and its exit status."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from emu.cli import cli

NETWORK = Path(__file__).parents[3] / "topologies" / "two-pods-on-a-bridge.yaml"
POD = (
    "{apiVersion: v1, kind: Pod, metadata: {name: web, labels: {app: web}}, "
    "spec: {containers: [{name: c, image: i}]}}"
)
FAULTY = (
    "{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {selector: {app: x}, ports: [{port: 80}]}}"
)
SOUND = FAULTY.replace("app: x", "app: web")
CLUSTER = "{apiVersion: emu/v1, kind: Cluster, spec: {nodes: [{name: n1}], podCIDR: 172.18.0.0/16}}"


def lint(folder: Path, *documents: str, options: tuple[str, ...] = ()) -> Result:
    """Run the verb on a file of some documents."""
    file = folder / "shop.yaml"
    file.write_text("\n---\n".join(documents), encoding="utf-8")
    return CliRunner().invoke(cli, ["lint", "-f", str(file), *options])


class TestFindings:
    """What is told, and how."""

    def test_text_has_file_and_line(self, tmp_path: Path) -> None:
        """An editor jumps there."""
        result = lint(tmp_path, POD, FAULTY)
        assert result.exit_code == 0
        assert result.stdout.startswith(f"{tmp_path}/shop.yaml:3: error: Service default/web: no pod")
        assert (
            "[service-selects-nothing]\n    select labels that pods have: there are app=web\n"
            in result.stdout
        )

    def test_json_is_a_list(self, tmp_path: Path) -> None:
        """A machine reads every part."""
        (finding,) = json.loads(lint(tmp_path, POD, FAULTY, options=("-o", "json")).stdout)
        assert finding["code"] == "service-selects-nothing"
        assert (finding["line"], finding["path"], finding["severity"]) == (3, "$.spec.selector", "error")

    def test_json_without_findings_is_an_empty_list(self, tmp_path: Path) -> None:
        """A machine need not look at the exit status."""
        assert json.loads(lint(tmp_path, POD, SOUND, options=("-o", "json")).stdout) == []

    def test_github_gets_an_annotation(self, tmp_path: Path) -> None:
        """It stands beside the line in a pull request."""
        result = lint(tmp_path, POD, FAULTY, options=("-o", "github"))
        assert result.stdout.startswith(
            f"::error file={tmp_path}/shop.yaml,line=3,title=service-selects-nothing::"
        )

    def test_nothing_found_is_said(self, tmp_path: Path) -> None:
        """Silence on standard output has a word on standard error."""
        result = lint(tmp_path, POD, SOUND)
        assert result.stdout == ""
        assert "nothing found by" in result.stderr

    def test_overlapping_ranges_are_a_finding_here_and_a_warning_elsewhere(self, tmp_path: Path) -> None:
        """They load: what comes of it is to be seen."""
        result = lint(tmp_path, CLUSTER, POD)
        assert "[ranges-overlap]" in result.stdout
        assert "CIDR_OVERLAP" not in result.stderr
        other = CliRunner().invoke(cli, ["get", "pods", "-f", str(tmp_path / "shop.yaml")])
        assert other.exit_code == 0
        assert (
            "CIDR_OVERLAP: the pods' range 172.18.0.0/16 and the nodes' network 172.18.0.0/16 overlap"
            in other.stderr
        )


class TestExitStatus:
    """0 whenever the question was answered."""

    @pytest.mark.parametrize(
        ("service", "options", "status"),
        [
            (FAULTY, (), 0),
            (FAULTY, ("--exit-code",), 1),
            (SOUND, ("--exit-code",), 0),
            ("{kind: Service}", ("--exit-code",), 2),
        ],
    )
    def test_it_tells_findings_if_asked_to(
        self, tmp_path: Path, service: str, options: tuple[str, ...], status: int
    ) -> None:
        """Wrong input is 2, findings are 1 with `--exit-code`."""
        assert lint(tmp_path, POD, service, options=options).exit_code == status

    def test_what_is_not_told_does_not_count(self, tmp_path: Path) -> None:
        """`--severity error` passes over notes."""
        declared = POD.replace("image: i", "image: i, ports: [{containerPort: 8080}]")
        options = ("--severity", "error", "--exit-code")
        assert lint(tmp_path, declared, SOUND, options=("--exit-code",)).exit_code == 1
        assert lint(tmp_path, declared, SOUND, options=options).exit_code == 0

    def test_a_network_document_has_no_objects(self) -> None:
        """It is said, with status 2."""
        result = CliRunner().invoke(cli, ["lint", "-f", str(NETWORK)])
        assert result.exit_code == 2
        assert "this verb needs a cluster" in result.stderr
