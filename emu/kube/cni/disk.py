# SPDX-License-Identifier: GPL-2.0-only
"""A node's file system, as far as plugins and daemons keep something in it.

A path stands for a text. What is kept as a value whose `str()` is the text
(a result, say) is turned into text only when somebody reads it.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping

import attrs


@attrs.define(eq=False)
class Directory:
    """The files of one directory.

    Attributes:
        files: by name.
        changes: how often something was written or removed here, so that who
            keeps a parsed view beside the files knows when it is out of date.
        view: that view; whose it is knows what it is.
    """

    files: dict[str, object] = attrs.field(factory=dict)
    changes: int = 0
    view: object = None


class Disk(MutableMapping[str, str]):
    """Files by absolute path."""

    __slots__ = ("_directories",)

    def __init__(self) -> None:
        self._directories: dict[str, Directory] = {}

    def directory(self, path: str) -> Directory:
        """Return the directory `path`; it is made if there is none."""
        found = self._directories.get(path)
        if found is None:
            found = self._directories[path] = Directory()
        return found

    def keep(self, path: str, value: object) -> None:
        """Write a file whose text is `str(value)`."""
        folder, _, name = path.rpartition("/")
        directory = self.directory(folder)
        directory.files[name] = value
        directory.changes += 1

    def kept(self, path: str) -> object:
        """Return the value of a file as it was kept, None if there is no such file."""
        folder, _, name = path.rpartition("/")
        directory = self._directories.get(folder)
        return None if directory is None else directory.files.get(name)

    def forget_below(self, path: str) -> None:
        """Remove every file below the directory `path`, as `rm -r` or a reboot does to `/run`."""
        for folder, directory in self._directories.items():
            if folder == path or folder.startswith(f"{path}/"):
                directory.files.clear()
                directory.changes += 1

    def __getitem__(self, path: str) -> str:
        folder, _, name = path.rpartition("/")
        return str(self._directories[folder].files[name])

    def __setitem__(self, path: str, text: str) -> None:
        self.keep(path, text)

    def __delitem__(self, path: str) -> None:
        folder, _, name = path.rpartition("/")
        directory = self._directories[folder]
        del directory.files[name]
        directory.changes += 1

    def __iter__(self) -> Iterator[str]:
        for folder in sorted(self._directories):
            for name in sorted(self._directories[folder].files):
                yield f"{folder}/{name}"

    def __len__(self) -> int:
        return sum(len(directory.files) for directory in self._directories.values())
