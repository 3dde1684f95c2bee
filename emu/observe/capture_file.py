# SPDX-License-Identifier: GPL-2.0-only
"""Open a capture file of either format by what it begins with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu.observe import pcap, pcapng
from emu.observe.pcapng_reader import read_pcapng
from emu.observe.record import CapturedFrame
from emu.observe.source import OctetSource, fault

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO


def read_capture(stream: BinaryIO) -> Iterator[CapturedFrame]:
    """Yield the frames of a pcap or pcapng file, in the order of the file.

    Args:
        stream: the file from its first octet on; a pipe will do.

    Raises:
        CaptureFileError: (on the way) the file is of another kind, truncated or
            corrupt, or holds frames that are not Ethernet.
    """
    source = OctetSource(stream)
    magic = source.peek(4)
    if magic in pcap.MAGICS:
        yield from pcap.read_pcap(source)
    elif magic == pcapng.MAGIC:
        for record in read_pcapng(source):
            if isinstance(record, CapturedFrame):
                yield record
    else:
        raise fault(0, "the magic number of a pcap or pcapng file", magic.hex(" ") or "the end of the file")
