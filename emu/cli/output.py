# SPDX-License-Identifier: GPL-2.0-only
"""Where captures go: a file that is written whole or not at all, or standard output."""

from __future__ import annotations

import io
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from emu.fabric.driver import Fabric
    from emu.observe.capture import Capture
    from emu.wire.addresses import IpAddress

STDOUT: Final = "-"


@attrs.frozen
class Sink:
    """A file, or standard output, that is there and to be filled.

    Attributes:
        name: what the user called it.
        stream: where the octets go.
    """

    name: str
    stream: BinaryIO

    def write(self, capture: Capture, fabric: Fabric, names: Mapping[IpAddress, str] | None = None) -> None:
        """Write `capture`: classic pcap if the file is called so, else pcapng, with `names` for addresses."""
        from emu.observe.output import write_capture

        write_capture(Path(self.name), self.stream, capture, fabric, names)


@contextmanager
def opened(name: str | None) -> Iterator[Sink | None]:
    """Give a place for a capture, None for none, that takes the name `name` when the block is left.

    Raises:
        OutputError: there can be no such file, which is found out before the
            block runs; what was there before still is.
    """
    from emu.observe.output import writing

    if name is None:
        yield None
    elif name == STDOUT:
        held = io.BytesIO()
        yield Sink(name, held)
        rest = held.getbuffer()
        while rest:  # an unbuffered stream may take less than all
            rest = rest[sys.stdout.buffer.write(rest) :]
        sys.stdout.buffer.flush()
    else:
        with writing(Path(name)) as stream:
            yield Sink(name, stream)
