# SPDX-License-Identifier: GPL-2.0-only
"""`emu test`, and `emu run` of what expects something."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner, Result

from emu.cli import cli

if TYPE_CHECKING:
    from collections.abc import Callable

MANIFESTS = """
apiVersion: v1
kind: Pod
metadata: {name: client, labels: {app: client}}
spec: {containers: [{name: c, image: busybox}]}
---
apiVersion: v1
kind: Pod
metadata: {name: db, labels: {app: db}}
spec: {containers: [{name: c, image: example/db, ports: [{containerPort: 6379}]}]}
"""
POLICY = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: db}
spec:
  podSelector: {matchLabels: {app: db}}
  ingress: [{from: [{podSelector: {matchLabels: {role: frontend}}}], ports: [{port: 6379}]}]
"""
ROOT = Path(__file__).parents[3]
HEAD = "apiVersion: emu/v1\nkind: Scenario\nspec:\n"


@pytest.fixture
def emu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Run emu in a folder with manifests, a policy beside them, and a Scenario with some lines."""
    monkeypatch.chdir(tmp_path)
    Path("manifests").mkdir()
    Path("manifests/shop.yaml").write_text(MANIFESTS)
    Path("policy.yaml").write_text(POLICY)

    def run(spec: str, *arguments: str) -> Result:
        Path("reach.yaml").write_text(HEAD + spec)
        return CliRunner().invoke(cli, arguments)

    return run


def expect(*lines: str, steps: tuple[str, ...] = ()) -> str:
    """Return the spec of a Scenario."""
    done = "".join(f"  - {{run: '{step}'}}\n" for step in steps)
    return f"  steps:\n{done}  expect:\n" + "".join(f"  - {line}\n" for line in lines)


REAL = expect(
    "client -> db:6379 NEVER because NETPOL_INGRESS",
    steps=("apply -f policy.yaml",),
)


class TestStatus:
    """0 if all is met, 1 if not, 2 if the input is wrong."""

    def test_all_met(self, emu: Callable[..., Result]) -> None:
        """Lines and a summary on standard output."""
        result = emu(REAL, "test", "-f", "manifests", "reach.yaml")
        assert result.exit_code == 0, result.output
        assert result.stdout == (
            "PASS  client -> db:6379 NEVER because NETPOL_INGRESS   (passes without the policies)\n"
            "1 expectation: 1 met, 0 not\n"
        )

    def test_one_not_met(self, emu: Callable[..., Result]) -> None:
        """With what came, why, and where the line stands."""
        result = emu(
            expect("client -> db:6379 ALWAYS", "client -> db:81 ALWAYS"),
            "test",
            "-f",
            "manifests",
            "-f",
            "reach.yaml",
        )
        assert result.exit_code == 1
        passed, failed, *_, summary = result.stdout.splitlines()
        assert passed == "PASS  client -> db:6379 ALWAYS"
        assert failed == (
            "FAIL  client -> db:81 expected ALWAYS got NEVER   NO_SOCKET at default/db/eth0   reach.yaml:7"
        )
        assert summary == "2 expectations: 1 met, 1 not"

    @pytest.mark.parametrize(
        ("spec", "words"),
        [
            (expect("client -> db:6379 ALLWAYS"), "reach.yaml:6: $.spec.expect[0]: 'ALLWAYS' is no verdict"),
            (expect("clint -> db:6379 ALWAYS"), "reach.yaml:6: $.spec.expect[0]: no pod clint"),
            (expect("client -> db:htpp ALWAYS"), "reach.yaml:6: $.spec.expect[0]: 'db:htpp'"),
            (expect(steps=("apply -f no.yaml",)), "reach.yaml:5: $.spec.steps[0].run: no.yaml: no such file"),
            ("  steps: []\n", "nothing is expected"),
        ],
    )
    def test_wrong_input(self, emu: Callable[..., Result], spec: str, words: str) -> None:
        """Nothing else is printed."""
        result = emu(spec, "test", "-f", "manifests", "reach.yaml")
        assert (result.exit_code, result.stdout) == (2, "")
        assert words in result.stderr

    def test_no_file(self, emu: Callable[..., Result]) -> None:
        """There has to be something to test."""
        assert emu("", "test").exit_code == 2

    def test_a_step_that_is_refused(self, emu: Callable[..., Result]) -> None:
        """The lines are checked all the same, and it is no success."""
        result = emu(
            expect("client -> db:6379 ALWAYS", steps=("scale deploy/web --replicas=1",)),
            "test",
            "-f",
            "manifests",
            "reach.yaml",
        )
        assert result.exit_code == 1
        assert result.stdout.startswith(
            "FAIL  step scale deploy/web --replicas=1   reach.yaml:5\n      error: no deployment web"
        )
        assert "1 expectation: 1 met, 0 not, 1 step refused" in result.stdout

    def test_a_program_that_fails_is_no_refusal(self, emu: Callable[..., Result]) -> None:
        """It may be what the scenario shows."""
        steps = ("apply -f policy.yaml", "exec client -- nc -z -w 1 db 6379")
        assert (
            emu(
                expect("client -> db:6379 NEVER", steps=steps), "test", "-f", "manifests", "reach.yaml"
            ).exit_code
            == 0
        )


def test_names_without_a_namespace_are_in_that_of_n(emu: Callable[..., Result]) -> None:
    """As with every verb."""
    result = emu(expect("client -> db:6379 ALWAYS"), "test", "-n", "other", "-f", "manifests", "reach.yaml")
    assert result.exit_code == 2
    assert "no pod client in namespace other" in result.stderr


def test_reports_for_other_programs(emu: Callable[..., Result]) -> None:
    """A file for CI servers, and marks for GitHub behind the lines for people."""
    result = emu(
        expect("client -> db:81 ALWAYS"),
        "test",
        "-f",
        "manifests",
        "reach.yaml",
        "--junit",
        "out.xml",
        "--github",
    )
    assert result.exit_code == 1
    assert "::error file=reach.yaml,line=6,title=expectation not met::client -> db:81 ALWAYS" in result.stdout
    assert ET.parse("out.xml").getroot().get("failures") == "1"  # noqa: S314 - it is our own


def test_github_marks_wrong_input_too(emu: Callable[..., Result]) -> None:
    """It still ends with status 2, and the faults on standard error."""
    result = emu(expect("client -> db:81 ALLWAYS"), "test", "-f", "manifests", "reach.yaml", "--github")
    assert result.exit_code == 2
    assert result.stdout.startswith(
        "::error file=reach.yaml,line=6,title=wrong input::$.spec.expect[0]: 'ALLWAYS'"
    )
    assert "reach.yaml:6: $.spec.expect[0]" in result.stderr


class TestRun:
    """`emu run` takes the steps, tells them, and checks then."""

    def test_tells_steps_and_lines(self, emu: Callable[..., Result]) -> None:
        """In their order; the status is that of the lines."""
        result = emu(REAL, "run", "-f", "manifests", "reach.yaml")
        assert result.exit_code == 0, result.output
        lines = result.stdout.splitlines()
        assert lines[0].endswith("s $ apply -f policy.yaml")
        assert lines[1] == "networkpolicy.networking.k8s.io/db created"
        assert lines[-2].startswith("PASS  client -> db:6379 NEVER")
        assert lines[-1] == "1 expectation: 1 met, 0 not"

    def test_status_1_where_a_line_is_not_met(self, emu: Callable[..., Result]) -> None:
        """Whatever the steps said."""
        assert emu(expect("client -> db:6379 NEVER"), "run", "-f", "manifests", "reach.yaml").exit_code == 1

    def test_a_label_opens_the_way(self, emu: Callable[..., Result]) -> None:
        """What steps change is in force when the lines are checked."""
        steps = ("apply -f policy.yaml", "label pod/client role=frontend")
        assert (
            emu(
                expect("client -> db:6379 ALWAYS", steps=steps), "run", "-f", "manifests", "reach.yaml"
            ).exit_code
            == 0
        )
        closed = (*steps, "delete netpol/db", "label pod/client role-")
        assert (
            emu(
                expect("client -> db:6379 ALWAYS", steps=closed), "run", "-f", "manifests", "reach.yaml"
            ).exit_code
            == 0
        )


def test_the_reference_shows_what_is_printed(emu: Callable[..., Result]) -> None:
    """The example of docs/reference, run."""
    page = (ROOT / "docs/reference/cluster-document.md").read_text(encoding="utf-8")
    _, _, example = page.partition("checks the lines alone:")
    document, shown = example.split("```yaml\n")[1].split("```")[0], example.split("```\n")[2].split("```")[0]
    command, _, printed = shown.partition("\n")
    Path("topologies").symlink_to(ROOT / "topologies")
    result = emu(document.removeprefix(HEAD), *command.removeprefix("$ emu ").split())
    assert result.stdout == printed
