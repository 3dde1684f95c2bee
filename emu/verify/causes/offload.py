# SPDX-License-Identifier: GPL-2.0-only
"""Wrong checksums: where they became wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.kernel.drops import DropReason
from emu.verify.causes.scene import called

if TYPE_CHECKING:
    from emu.verify.causes.cause import Cause
    from emu.verify.causes.scene import Scene

_WRONG: Final = frozenset((DropReason.UDP_CSUM, DropReason.TCP_CSUM))


def refine(scene: Scene, cause: Cause) -> Cause | None:
    """Return the cause if a card left a checksum unfinished that somebody else found wrong."""
    if scene.end.reason not in _WRONG:
        return None
    left = next((step for step in reversed(scene.steps) if step.stage == "offload"), None)
    if left is None:
        return None
    node = called(scene.network, left.net)
    words = f"{cause.words}: {left.detail}, on {node}, whose kernel left it to the card"
    fix = f"ethtool -K flannel.1 tx-checksum-ip-generic off on {node}"
    return attrs.evolve(cause, words=words, fix=fix)
