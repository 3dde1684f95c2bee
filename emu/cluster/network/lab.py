# SPDX-License-Identifier: GPL-2.0-only
"""The network of a low-level document, to work with from Python."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from emu.cluster.emulation import Emulation
from emu.cluster.network.modelled import CHECKS, unobeyed
from emu.cluster.network.reader import load_network
from emu.cluster.network.run import NetworkRun

if TYPE_CHECKING:
    from emu.cluster.network.model import NetworkDocument


def load(path: str | Path, *, seed: int = 0, steps: bool = True) -> Network:
    """Return the network in the document at `path`, after its last step.

    Args:
        path: a network document.
        seed: decides all that is random.
        steps: False leaves the document's actions undone.

    Raises:
        DocumentError: the document cannot be read or has faults; all are told.
    """
    network = Network(NetworkRun(load_network(Path(path), CHECKS), seed=seed))
    if steps:
        network.take_steps()
    return network


class Network(Emulation):
    """A network that lives.

    Attributes:
        unexpected: a line for each action whose outcome was not what the document expects.
    """

    def __init__(self, run: NetworkRun) -> None:
        super().__init__(run.fabric, run.recording)
        self._run = run
        self.unexpected: list[str] = []

    def _rebuilt(self) -> Network:
        made = type(self)(NetworkRun(self._run.document, seed=self.fabric.streams.seed))
        made.epoch = self.epoch
        return made

    def take_steps(self) -> None:
        """Carry out the actions of the document.

        Raises:
            DocumentError: an action that reports no outcome could not be carried out.
            StormError: frames go round in circles.
        """
        self.remember(lambda other: other.take_steps() if isinstance(other, Network) else None)
        self.unexpected = self._run.run().unexpected

    @property
    def document(self) -> NetworkDocument:
        """What it was built from."""
        return self._run.document

    @property
    def unobeyed(self) -> list[str]:
        """The settings that were changed though the stack does not obey them, as `sysctl` names them."""
        return unobeyed(self.fabric)
