# SPDX-License-Identifier: GPL-2.0-only
"""Writing capture files: whole or not at all."""

from __future__ import annotations

import io
import os
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from emu.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.fabric.driver import Fabric
    from emu.observe.capture import Capture


@contextmanager
def writing(name: str) -> Iterator[BinaryIO]:
    """Give a stream that becomes the file `name` (`-`: standard output) when all went well.

    Raises:
        OutputError: the file cannot be written; what was there before still is.
    """
    if name == "-":
        held = io.BytesIO()
        yield held
        sys.stdout.buffer.write(held.getvalue())
        sys.stdout.buffer.flush()
        return
    path = Path(name)
    try:
        handle, scratch = tempfile.mkstemp(prefix=".emu-", dir=path.parent)
    except OSError as error:
        raise OutputError(f"{name}: {error.strerror}") from None
    try:
        with os.fdopen(handle, "wb") as stream:
            yield stream
        Path(scratch).chmod(0o666 & ~_umask())
        Path(scratch).replace(path)
    except OSError as error:
        Path(scratch).unlink(missing_ok=True)
        raise OutputError(f"{name}: {error.strerror}") from None
    except BaseException:
        Path(scratch).unlink(missing_ok=True)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_capture(name: str, capture: Capture, fabric: Fabric) -> None:
    """Write `capture` to the file `name`: classic pcap if it is called so, else pcapng."""
    from emu.observe.capture import describe, name_table

    with writing(name) as stream:
        if name.endswith(".pcap"):
            capture.write_pcap(stream)
        else:
            capture.write_pcapng(stream, describe(fabric, capture.points), name_table(fabric))
