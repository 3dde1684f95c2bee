# SPDX-License-Identifier: GPL-2.0-only
"""What a command imports: its start-up time, told without a clock."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from pathlib import Path

SCRIPT: Final = """
import json, sys
from emu.cli import main
sys.argv = ["emu", *sys.argv[1:]]
try:
    main()
finally:
    print(json.dumps(sorted(sys.modules)))
"""
SILENT: Final = """\
name: silent
title: two namespaces that say nothing
namespaces: {a: {}, b: {}}
links:
  - a: {ns: a, if: eth0, mac: "02:00:00:00:00:01", addr: [10.0.0.1/24]}
    b: {ns: b, if: eth0, mac: "02:00:00:00:00:02", addr: [10.0.0.2/24]}
captures: [a/eth0]
actions:
  - sleep: {seconds: 1}
"""


def imported(*argv: str) -> set[str]:
    """Return the modules that are imported when `emu` has run with `argv`."""
    done = subprocess.run([sys.executable, "-c", SCRIPT, *argv], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def packages(modules: set[str]) -> set[str]:
    """Return the outermost packages of `modules`."""
    return {name.partition(".")[0] for name in modules}


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_imports_the_command_line_alone(option: str) -> None:
    """No verb's module, and of what others wrote only click."""
    modules = imported(option)
    assert {name for name in modules if name.startswith("emu")} == {"emu", "emu.cli", "emu.errors"}
    assert not packages(modules) & {"attr", "attrs", "cattrs", "rich", "scapy", "yaml"}


def test_a_run_without_frames_does_not_import_scapy(tmp_path: Path) -> None:
    """Scapy costs more than all else together; whoever needs no template does not wait for it."""
    document = tmp_path / "silent.yaml"
    document.write_text(SILENT, encoding="utf-8")
    modules = imported("run", str(document), "-w", str(tmp_path / "silent.pcapng"))
    assert not packages(modules) & {"cattrs", "rich", "scapy"}


def test_a_run_imports_no_command_that_it_does_not_use(tmp_path: Path) -> None:
    """Nor what reads and prints the text of `ip` and its like, nor the verbs beside it."""
    document = tmp_path / "silent.yaml"
    document.write_text(SILENT, encoding="utf-8")
    modules = imported("run", str(document))
    assert not [name for name in modules if name.startswith(("emu.tools.", "emu.verify", "emu.apps.console"))]
    found = {name for name in modules if name.startswith("emu.apps.commands.")}
    assert found <= {"emu.apps.commands.action"}


def test_scapy_is_imported_without_the_routes_of_the_machine() -> None:
    """They are nobody's business here, and reading them takes time."""
    made = "from emu.wire import craft; craft.template('udp')"
    script = f"{made}; from scapy.config import conf; print(conf.route.routes)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
