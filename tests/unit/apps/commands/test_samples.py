# SPDX-License-Identifier: GPL-2.0-only
"""What Linux 6.18 (iproute2 6.1.0, procps-ng 4.0.2) printed, command after command, and what we print.

The files in `tests/unit/tools/samples` were recorded by
`tests/kernel/test_samples_on_linux.py` in the network of `node.yaml`.
"""

from __future__ import annotations

import shlex
from functools import partial
from typing import TYPE_CHECKING

import pytest

from emu.apps import commands
from emu.cluster.network.build import build
from emu.cluster.network.reader import load_network
from emu.errors import CommandError
from emu.sim.time import later
from tests.unit.apps.commands.recording import CARRIER_DELAY, FOLDER, NAMES, Answer, recorded

if TYPE_CHECKING:
    from emu.fabric.driver import Fabric


def ours(fabric: Fabric, asked: Answer) -> Answer:
    """Return what we answer, in the form of the recordings."""
    argv = shlex.split(asked.command)
    stderr, status = "", 0
    try:
        text = fabric.call(fabric.namespace(asked.namespace), partial(commands.execute, argv=argv))
    except CommandError as error:
        text, stderr, status = error.stdout, f"{error}\n", error.status
    if asked.changes_carrier:
        fabric.loop.run_until(later(fabric.loop.now, CARRIER_DELAY))
    lines = text.splitlines() + [f"stderr: {line}" for line in stderr.splitlines()]
    return asked._replace(lines=lines + ([f"status {status}"] if status else []))


@pytest.mark.parametrize("name", NAMES)
def test_every_command_prints_what_linux_printed(name: str) -> None:
    """Output, error and status are those of the real tool, letter by letter."""
    fabric = build(load_network(FOLDER / "node.yaml"))
    differences = []
    for answer in recorded(name):
        got = ours(fabric, answer)
        if got.comparable() != answer.comparable():
            differences += [f"{answer.namespace}$ {answer.command}", *answer.lines, "--- we say", *got.lines]
    assert not differences, "\n".join(differences)


@pytest.mark.parametrize("name", NAMES)
def test_what_linux_takes_is_not_complained_of_beforehand(name: str) -> None:
    """`check` accepts every command that succeeded."""
    for answer in recorded(name):
        if not any(line.startswith("status ") for line in answer.lines):
            assert commands.check(shlex.split(answer.command)) is None, answer.command
