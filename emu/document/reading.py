# SPDX-License-Identifier: GPL-2.0-only
"""YAML and JSON text, from files and otherwise, to documents."""

from __future__ import annotations

import gc
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import yaml

from emu.document.builder import Builder, TooBigError
from emu.errors import DocumentError, Fault

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from yaml.events import Event

    from emu.document.nodes import Document

MAX_OCTETS: Final = 64 * 1024 * 1024

_BIG: Final = 1_000_000  # characters from which collecting garbage costs more than all else


def load(path: Path) -> tuple[Document, ...]:
    """Return the documents in the file at `path`, as `scan` does; `path` is their name in faults.

    Raises:
        DocumentError: the file cannot be read, or `scan` refuses it.
    """
    try:
        with path.open("rb") as stream:
            octets = stream.read(MAX_OCTETS + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise _single_fault(str(path), 1, f"cannot be read: {reason}") from None
    return scan(octets, str(path))


def parse(text: str | bytes, file: str) -> tuple[Document, ...]:
    """Return the documents in `text`, as `scan` does, if none has a fault.

    Raises:
        DocumentError: `scan` refuses the text, or a document has faults.
    """
    documents = scan(text, file)
    if faults := [fault for document in documents for fault in document.faults]:
        raise DocumentError(faults)
    return documents


def scan(text: str | bytes, file: str) -> tuple[Document, ...]:
    """Return the documents in `text`, without the empty ones; each has its faults with it.

    Args:
        text: YAML or JSON, one or more documents; octets are UTF-8, or UTF-16
            with its byte order mark, as PowerShell writes it.
        file: name of the source, for faults.

    Raises:
        DocumentError: the text is no YAML or too big, so reading ended; with
            the faults found before.
    """
    characters = _decode(text, file)
    builder = Builder(file)
    with _garbage_kept(big=len(characters) > _BIG):
        try:
            builder.build(_events(characters))
        except yaml.YAMLError as error:
            raise builder.error(_syntax_fault(error, characters, file)) from None
        except TooBigError as error:
            raise builder.error(Fault(file, builder.line, "$", str(error))) from None
    return tuple(builder.documents)


def _decode(text: str | bytes, file: str) -> str:
    if len(text) > MAX_OCTETS:
        raise _single_fault(file, 1, f"is longer than {MAX_OCTETS // 1024 // 1024} MiB")
    if isinstance(text, bytes):
        encoding = "utf-16" if text[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8-sig"
        try:
            return text.decode(encoding)
        except UnicodeDecodeError as error:
            line = text.count(b"\n", 0, error.start) + 1
            raise _single_fault(file, line, f"is not {encoding[:6].upper().strip('-')} text") from None
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise _single_fault(file, text.count("\n", 0, error.start) + 1, "holds half a character") from None
    return text.removeprefix("\ufeff")


def _events(text: str) -> Iterator[Event]:
    if text.lstrip()[:1] in {"{", "["} and "\\u" in text:
        text = _SURROGATES.sub(_joined, text)
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    events: Iterator[Event] = yaml.parse(text, loader)
    return events


_SURROGATES: Final = re.compile(
    r"(?<!\\)((?:\\\\)*)((?:\\u[dD][89abAB][0-9a-fA-F]{2})(?:\\u[dD][c-fC-F][0-9a-fA-F]{2}))"
)


def _joined(pair: re.Match[str]) -> str:
    """Return the character that JSON writes as a pair of escapes, which YAML does not know."""
    high, low = (int(code, 16) for code in pair[2].split("\\u")[1:])
    return pair[1] + chr(0x10000 + ((high & 0x3FF) << 10) + (low & 0x3FF))


def _syntax_fault(error: yaml.YAMLError, text: str, file: str) -> Fault:
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        parts = (error.problem, error.context)
        line = mark.line + 1 if mark else 1
    else:  # the reader's own: a character that YAML does not allow
        position = getattr(error, "position", 0)
        parts = (getattr(error, "reason", str(error)), None)
        line = text.encode().count(b"\n", 0, position) + 1
    message = ", ".join(part for part in parts if part)
    return Fault(file, line, "$", f"is no YAML: {message}")


def _single_fault(file: str, line: int, message: str) -> DocumentError:
    return DocumentError([Fault(file, line, "$", message)])


@contextmanager
def _garbage_kept(*, big: bool) -> Iterator[None]:
    """Build without the cyclic garbage collector, which would walk the growing tree over and over."""
    pause = big and gc.isenabled()
    if pause:
        gc.disable()
    try:
        yield
    finally:
        if pause:
            gc.enable()
