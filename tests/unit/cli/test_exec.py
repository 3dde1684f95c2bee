# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from emu.apps import commands, console
from emu.cli import cli

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LAB = """
namespaces:
  a:
  b:
links:
- a: {ns: a, if: eth0, mac: 02:00:00:00:00:0a, addr: [10.0.0.1/24]}
  b: {ns: b, if: eth0, mac: 02:00:00:00:00:0b, addr: [10.0.0.2/24]}
captures: []
actions:
- exec: {ns: a, argv: [ip, route, add, 10.9.0.0/16, via, 10.0.0.2]}
- sleep: {seconds: 3}
"""


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """A file with two hosts on a cable, one of which gets a route."""
    path = tmp_path / "lab.yaml"
    path.write_text(LAB)
    return path


@pytest.fixture
def emu(lab: Path) -> Callable[..., Result]:
    """Runs `emu exec -f LAB` with more words."""
    return lambda *words: CliRunner().invoke(cli, ["exec", "-f", str(lab), *words])


class TestCommand:
    """What follows the namespace is run there."""

    def test_sees_the_network_after_the_last_step(self, emu: Callable[..., Result]) -> None:
        """The route of the document's step is there."""
        assert "10.9.0.0/16 via 10.0.0.2 dev eth0" in emu("a", "--", "ip", "route").stdout

    def test_output_is_the_tools_own(self, emu: Callable[..., Result]) -> None:
        """Nothing is said beside it."""
        result = emu("b", "--", "hostname", "-I")
        assert (result.exit_code, result.stdout, result.stderr) == (0, "10.0.0.2 \n", "")

    @pytest.mark.parametrize("dashes", [["--"], []])
    def test_its_options_are_its_own(self, emu: Callable[..., Result], dashes: list[str]) -> None:
        """`--` may be left out where no option is one of emu's, too."""
        result = emu("a", *dashes, "ping", "-c", "2", "-i", "0.5", "10.0.0.2")
        assert result.exit_code == 0
        assert "2 packets transmitted, 2 received, 0% packet loss, time 500ms" in result.stdout

    def test_a_command_may_be_called_like_an_option_of_ours(self, emu: Callable[..., Result]) -> None:
        """Behind `--` everything belongs to the command."""
        result = emu("a", "--", "--help")
        assert result.exit_code == 127
        assert "--help is not modelled" in result.stderr

    def test_the_clock_goes_on_where_the_steps_ended(self, emu: Callable[..., Result]) -> None:
        """And nothing is left of a run for the next one."""
        first = emu("a", "--", "ip", "neigh")
        assert first.stdout == emu("a", "--", "ip", "neigh").stdout == ""


class TestStatus:
    """The exit status is the command's."""

    @pytest.mark.parametrize(
        ("words", "status", "said"),
        [
            (["ping", "-c", "1", "10.0.0.2"], 0, ""),
            (["ping", "-c", "1", "10.0.0.9"], 1, ""),
            (["ip", "link", "show", "eth9"], 1, 'Device "eth9" does not exist.\n'),
            (["ip", "frobnicate"], 1, 'Object "frobnicate" is unknown, try "ip help".\n'),
            (["ip", "route", "del", "10.77.0.0/16"], 2, "RTNETLINK answers: No such process\n"),
            (["ping", "-c", "none", "10.0.0.2"], 2, "ping: argument -c: 'none' is no number"),
            (["ping", "nowhere"], 2, "ping: nowhere: Temporary failure in name resolution"),
            (["traceroute", "192.0.2.1"], 1, "traceroute: Network is unreachable\n"),
            (["sysctl", "net.ipv4.nothing"], 1, "sysctl: cannot stat /proc/sys/net/ipv4/nothing"),
        ],
    )
    def test_is_what_the_real_tool_gives(
        self, emu: Callable[..., Result], words: list[str], status: int, said: str
    ) -> None:
        """With its words on standard error."""
        result = emu("a", "--", *words)
        assert (result.exit_code, result.stderr[: len(said)]) == (status, said)

    @pytest.mark.parametrize("name", ["frobnicate", "", "tc", "/bin/ip"])
    def test_a_command_that_is_not_modelled_is_not_found(self, emu: Callable[..., Result], name: str) -> None:
        """As a shell says it, with status 127."""
        result = emu("a", "--", name)
        assert result.exit_code == 127
        assert result.stdout == ""
        assert result.stderr.startswith(f"{name} is not modelled")

    def test_an_unknown_command_gets_a_list_of_those_that_are(self, emu: Callable[..., Result]) -> None:
        """Those that take time among them."""
        said = emu("a", "--", "frobnicate").stderr
        assert all(name in said for name in (*commands.COMMANDS, *console.TOOLS))


class TestTarget:
    """The namespace that a command is run in."""

    def test_unknown_one_is_wrong_input(self, emu: Callable[..., Result]) -> None:
        """Those that are there are named."""
        result = emu("c", "--", "ip", "route")
        assert result.exit_code == 2
        assert result.stderr == "no namespace c (there are a, b)\n"

    @pytest.mark.parametrize(
        ("words", "missing"), [([], "TARGET"), (["a"], "COMMAND..."), (["a", "--"], "COMMAND...")]
    )
    def test_command_and_target_are_asked_for(
        self, emu: Callable[..., Result], words: list[str], missing: str
    ) -> None:
        """Neither is guessed."""
        result = emu(*words)
        assert result.exit_code == 2
        assert f"Missing argument '{missing}'" in result.stderr


def test_a_step_that_went_wrong_is_told(lab: Path) -> None:
    """Else the command would be run in another network than the document describes."""
    lab.write_text(LAB.replace("via, 10.0.0.2", "via, 10.77.0.2"))
    result = CliRunner().invoke(cli, ["exec", "-f", str(lab), "a", "--", "hostname"])
    assert result.exit_code == 0
    assert result.stdout == "a\n"
    assert result.stderr.startswith("not as expected: action 0 (exec, line 10): failed: ")
