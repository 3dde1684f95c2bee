# SPDX-License-Identifier: GPL-2.0-only
"""The options of the IP layer that programs let their users set."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from emu.fabric import program
from emu.kernel.sockets import PathMtuDiscovery

if TYPE_CHECKING:
    from emu.fabric.program import Program
    from emu.kernel.sockets import Socket


@attrs.frozen
class IpOptions:
    """What is set on the socket; None leaves it to the kernel.

    `df` True sets DF and never fragments, False clears it.
    """

    ttl: int | None = None
    tos: int | None = None
    df: bool | None = None

    def apply(self, socket: Socket) -> Program[None]:
        """Set them on `socket`."""
        discovery = {None: None, True: PathMtuDiscovery.DO, False: PathMtuDiscovery.DONT}[self.df]
        yield from program.configure(socket, ttl=self.ttl, tos=self.tos, pmtu_discovery=discovery)


KERNELS = IpOptions()
