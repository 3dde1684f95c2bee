# SPDX-License-Identifier: GPL-2.0-only
"""Who wants to know of changes in a fabric before they come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from emu.fabric.cable import Cable
    from emu.fabric.process import Process
    from emu.kernel.namespace import Namespace


class Observer(Protocol):
    """Is told before something changes."""

    def enters(self, net: Namespace) -> None:
        """Something is about to happen in `net`."""

    def wakes(self, process: Process[Any]) -> None:
        """`process` is about to go on."""

    def strains(self, cable: Cable) -> None:
        """A frame is about to be put on `cable`."""
