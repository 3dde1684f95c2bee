# SPDX-License-Identifier: GPL-2.0-only
"""emu: a packet-level emulator of Kubernetes networking."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from emu.cluster.network.lab import Network

__all__ = ["__version__", "load"]

__version__ = "0.1.0"


def load(path: str | Path, *, seed: int = 0, steps: bool = True) -> Network:
    """Return the network in the document at `path`, after its last step.

    Args:
        path: a network document.
        seed: decides all that is random.
        steps: False leaves the document's actions undone.

    Raises:
        DocumentError: the document cannot be read or has faults; all are told.
    """
    from emu.cluster.network import lab  # noqa: PLC0415 - `import emu` alone stays cheap

    return lab.load(path, seed=seed, steps=steps)
