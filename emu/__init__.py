# SPDX-License-Identifier: GPL-2.0-only
"""emu: a packet-level emulator of Kubernetes networking."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from emu.lab import Cluster, Network

__all__ = ["__version__", "load"]

__version__ = "0.1.0"


def load(
    *paths: str | Path, seed: int | None = None, steps: bool = True, validate: str = "strict"
) -> Cluster | Network:
    """Return the cluster or network that some files describe together, after its last step.

    Args:
        paths: manifests, `Cluster` documents, folders of them, or one network document.
        seed: decides all that is random, in the place of the document's own.
        steps: False leaves the document's actions undone.
        validate: `strict`, `warn` or `ignore` unknown fields of manifests.

    Raises:
        DocumentError: a file cannot be read or has faults; all are told.
    """
    from emu import lab  # noqa: PLC0415 - `import emu` alone stays cheap

    return lab.load(*map(str, paths), seed=seed, steps=steps, validate=validate)
