# SPDX-License-Identifier: GPL-2.0-only
"""What `-f` names, to documents: files, folders, standard input."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from emu import document
from emu.document import MAX_OCTETS
from emu.errors import DocumentError, Fault

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from emu.document import Document

STDIN: Final = "-"
_SUFFIXES: Final = frozenset((".yaml", ".yml", ".json"))
_MOST_FILES: Final = 10_000


def read_all(names: Iterable[str], *, recursive: bool = False) -> list[Document]:
    """Return the documents of all that `names` mean, in order.

    Args:
        names: files; folders, whose `.yaml`, `.yml` and `.json` files are taken
            by name; `-` for standard input.
        recursive: folders within folders, too.

    Raises:
        DocumentError: something cannot be read or is no YAML; all faults are told.
    """
    documents: list[Document] = []
    faults: list[Fault] = []
    for name in names:
        try:
            for each in _files(name, recursive=recursive):
                try:
                    documents += _read(each)
                except DocumentError as error:
                    faults += error.faults
        except DocumentError as error:
            faults += error.faults
    if faults:
        faults += [fault for each in documents for fault in each.faults]
        raise DocumentError(faults)
    return documents


def _files(name: str, *, recursive: bool) -> Iterator[str]:
    path = Path(name)
    if name == STDIN or not path.is_dir():
        yield name
        return
    found = path.rglob("*") if recursive else path.iterdir()
    files = sorted(each for each in found if each.suffix in _SUFFIXES and each.is_file())
    if not files:
        message = "holds no .yaml, .yml or .json file" + (
            "" if recursive else " (-R looks into folders, too)"
        )
        raise DocumentError([Fault(name, 1, "$", message)])
    if len(files) > _MOST_FILES:
        raise DocumentError([Fault(name, 1, "$", f"holds more than {_MOST_FILES} files")])
    yield from map(str, files)


def _read(name: str) -> tuple[Document, ...]:
    if name != STDIN:
        return document.load(Path(name))
    return document.scan(sys.stdin.buffer.read(MAX_OCTETS + 1), "<stdin>")
