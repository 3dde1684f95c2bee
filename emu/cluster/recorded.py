# SPDX-License-Identifier: GPL-2.0-only
"""What a capture recorded, as people take it from Python."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from emu.observe.output import write_capture, writing
from emu.wire import craft

if TYPE_CHECKING:
    from emu.cluster.emulation import Emulation
    from emu.observe.capture import Capture
    from emu.wire.craft import ScapyPacket


@attrs.define(eq=False)
class Recorded:
    """What a capture recorded."""

    capture: Capture
    _emulation: Emulation

    @property
    def frames(self) -> list[bytes]:
        """The octets of all frames, in order."""
        return [frame.octets for frame in self.capture.frames]

    def __len__(self) -> int:
        return len(self.capture.frames)

    def packets(self) -> list[ScapyPacket]:
        """Return all frames as Scapy packets."""
        return [craft.dissect(octets) for octets in self.frames]

    def write(self, path: str | Path) -> None:
        """Write a capture file: classic pcap if it is called so, else pcapng.

        Raises:
            OutputError: it cannot be written; what was there before still is.
        """
        with writing(Path(path)) as stream:
            write_capture(Path(path), stream, self.capture, self._emulation.fabric, self._emulation.names())
