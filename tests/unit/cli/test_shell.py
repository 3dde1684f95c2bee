# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner, Result

from emu.cli import cli

BRIDGE = str(Path(__file__).parents[3] / "topologies" / "two-pods-on-a-bridge.yaml")


def shell(*words: str, typed: str = "") -> Result:
    """Run `emu shell` with more words, and lines on its standard input."""
    return CliRunner().invoke(cli, ["shell", *words], input=typed)


class TestShell:
    """Where lines come from."""

    def test_from_an_option(self) -> None:
        """-c does its lines and ends, with the status of the last one."""
        result = shell(BRIDGE, "-c", "pod1 ping -c 1 pod2; pod1 -> pod2:80 ALWAYS")
        assert result.exit_code == 1
        assert "1 received" in result.stdout

    def test_from_a_pipe(self) -> None:
        """Lines of standard input, until `quit` or their end."""
        result = shell("-f", BRIDGE, typed="time\nquit\npingall\n")
        assert result.exit_code == 0
        assert "Ping" not in result.stdout

    def test_what_is_recorded_at_the_end_is_written(self, tmp_path: Path) -> None:
        """Who leaves without `record stop` keeps the file."""
        path = tmp_path / "lab.pcapng"
        result = shell(BRIDGE, "-c", f"record -w {path}; pod1 ping -c 1 pod2")
        assert result.exit_code == 0
        assert path.stat().st_size > 1000

    def test_needs_a_file(self) -> None:
        """As every verb."""
        result = shell()
        assert result.exit_code == 2
        assert "name a FILE" in result.stderr
