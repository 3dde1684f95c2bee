# SPDX-License-Identifier: GPL-2.0-only
"""A network to give commands in."""

from __future__ import annotations

import shlex
from functools import partial
from typing import TYPE_CHECKING

import attrs
import pytest

from emu.apps import commands
from emu.cluster.network.build import build
from emu.cluster.network.reader import load_network
from tests.unit.apps.commands.recording import FOLDER

if TYPE_CHECKING:
    from emu.fabric.driver import Fabric
    from emu.kernel.namespace import Namespace


@attrs.frozen
class Machines:
    """The network of the recordings, to be worked on by commands."""

    fabric: Fabric

    def net(self, name: str = "node") -> Namespace:
        """Return a namespace."""
        return self.fabric.namespace(name)

    def run(self, command: str, name: str = "node") -> str:
        """Run a command and return what it prints."""
        return self.fabric.call(self.net(name), partial(commands.execute, argv=shlex.split(command)))


@pytest.fixture
def machines() -> Machines:
    """Return the network of the recordings, fresh."""
    return Machines(build(load_network(FOLDER / "node.yaml")))
