# SPDX-License-Identifier: GPL-2.0-only
"""Files that are written whole or not at all."""

from __future__ import annotations

import errno
import os
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from emu.errors import OutputError
from emu.observe.capture import describe, name_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from emu.fabric.driver import Fabric
    from emu.observe.capture import Capture
    from emu.wire.addresses import IpAddress


@contextmanager
def writing(path: Path) -> Iterator[BinaryIO]:
    """Give a stream that becomes the file at `path` when the block is left without an exception.

    Whether a file can be made there is found out at once, before the block
    runs. A device or pipe is written to as it is.

    Raises:
        OutputError: the file cannot be written; what was there before still is.
    """
    with _failures(path):
        stream, target = _open(path)
    try:
        yield stream
        with _failures(path):
            stream.close()
            if target is not None:
                Path(stream.name).chmod(_mode(target))
                Path(stream.name).replace(target)
    except BaseException:
        with suppress(OSError):
            stream.close()
        if target is not None:
            Path(stream.name).unlink(missing_ok=True)
        raise


@contextmanager
def _failures(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(f"{path}: {error.strerror}") from None


def _open(path: Path) -> tuple[BinaryIO, Path | None]:
    """Return a stream to write to, and the file whose place it is to take; None for devices and pipes."""
    if "\0" in str(path):
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    if path.is_dir():
        raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
    if path.exists() and not path.is_file():
        return path.open("wb"), None
    target = path.resolve()  # a link stays a link
    if target.exists() and not os.access(target, os.W_OK):
        raise OSError(errno.EACCES, os.strerror(errno.EACCES))
    handle, name = tempfile.mkstemp(prefix=".emu-", dir=target.parent)
    os.close(handle)
    return Path(name).open("wb"), target


def _mode(target: Path) -> int:
    """Return the permissions of the file that is replaced, or those of a new one."""
    if target.exists():
        return target.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def write_capture(
    path: Path,
    stream: BinaryIO,
    capture: Capture,
    fabric: Fabric,
    names: Mapping[IpAddress, str] | None = None,
) -> None:
    """Write `capture` to `stream`, as the name of the file at `path` says: classic pcap, or else pcapng.

    Args:
        path: the file.
        stream: where the octets go.
        capture: what was recorded.
        fabric: where.
        names: whose each address is; None for the names of namespaces.

    Raises:
        OutputError: it cannot be written.
    """
    with _failures(path):
        if path.name.endswith(".pcap"):
            capture.write_pcap(stream)
        else:
            capture.write_pcapng(
                stream, describe(fabric, capture.points), name_table(fabric) if names is None else names
            )
