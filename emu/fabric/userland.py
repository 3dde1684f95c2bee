# SPDX-License-Identifier: GPL-2.0-only
"""What a program sees beside its network namespace: a host name, files, an environment.

Programs in one namespace need not share these: a pod on its node's network has
the node's devices and addresses, and a resolv.conf of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

from emu.sim.time import EPOCH

if TYPE_CHECKING:
    from collections.abc import Callable


class Contents(NamedTuple):
    """Files by absolute path, variables by name."""

    files: dict[str, str]
    environment: dict[str, str]


class Userland:
    """The surroundings of a program.

    Args:
        hostname: of the UTS namespace; empty for that of the network namespace's name.
        files: text by absolute path.
        environment: variables by name.
        libc: whose resolver the programs have.
        epoch: ns since 1970 at the start of the run: what a clock shows is that and the virtual time.
        contents: gives files and environment when somebody first looks at one;
            most containers are never looked into.
    """

    is_still: ClassVar[bool] = True

    __slots__ = ("_contents", "_environment", "_files", "epoch", "hostname", "libc")

    def __init__(
        self,
        hostname: str = "",
        files: dict[str, str] | None = None,
        environment: dict[str, str] | None = None,
        libc: Literal["glibc", "musl"] = "glibc",
        *,
        epoch: int = EPOCH,
        contents: Callable[[], Contents] | None = None,
    ) -> None:
        self.hostname = hostname
        self.epoch = epoch
        self.libc: Literal["glibc", "musl"] = libc
        self._files = {} if files is None else files
        self._environment = {} if environment is None else environment
        self._contents = contents

    @property
    def files(self) -> dict[str, str]:
        """Text by absolute path."""
        self._unpack()
        return self._files

    @property
    def environment(self) -> dict[str, str]:
        """Variables by name."""
        self._unpack()
        return self._environment

    def _unpack(self) -> None:
        if self._contents is not None:
            contents, self._contents = self._contents, None
            self._files, self._environment = contents()

    def read(self, path: str) -> str:
        """Return the text of a file.

        Raises:
            FileNotFoundError: there is none.
        """
        try:
            return self.files[absolute(path)]
        except KeyError:
            raise FileNotFoundError(2, "No such file or directory", path) from None

    def write(self, path: str, text: str) -> None:
        """Make a file, or replace it."""
        self.files[absolute(path)] = text


def absolute(path: str) -> str:
    """Return `path` as seen from `/`, without `.`, `..` and empty parts."""
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            parts[-1:] = []
        elif part not in {"", "."}:
            parts.append(part)
    return "/" + "/".join(parts)
