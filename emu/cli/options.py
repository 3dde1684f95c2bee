# SPDX-License-Identifier: GPL-2.0-only
"""Options that several verbs have, and what they load."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from emu.cluster.network.lab import Network
    from emu.cluster.network.run import NetworkRun

filename = click.option(
    "-f",
    "--filename",
    required=True,
    envvar="EMU_TOPOLOGY",
    metavar="PATH",
    help="Network document; EMU_TOPOLOGY where absent.",
)
seed = click.option("--seed", type=int, default=0, show_default=True, help="Decides all that is random.")
write = click.option(
    "-w", "--write", "output", metavar="FILE", help="Write a capture: pcapng, or pcap by its name."
)


def load_run(path: str, seed: int) -> NetworkRun:
    """Return the network in the document at `path`, built and not yet run.

    Raises:
        DocumentError: it cannot be read, or has faults.
    """
    from emu.cluster.network.reader import load_network
    from emu.cluster.network.run import NetworkRun

    return NetworkRun(load_network(Path(path)), seed=seed)


def load(path: str, seed: int) -> Network:
    """Return the network in the document at `path`, after its last step.

    Raises:
        DocumentError: it cannot be read, or has faults.
    """
    from emu.cluster.network import lab

    return lab.load(path, seed=seed)
