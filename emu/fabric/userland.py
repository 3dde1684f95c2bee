# SPDX-License-Identifier: GPL-2.0-only
"""What a program sees beside its network namespace: a host name, files, an environment.

Programs in one namespace need not share these: a pod on its node's network has
the node's devices and addresses, and a resolv.conf of its own.
"""

from __future__ import annotations

from typing import Literal

import attrs


@attrs.define(eq=False)
class Userland:
    """The surroundings of a program.

    Attributes:
        hostname: of the UTS namespace; empty for that of the network namespace's name.
        files: text by absolute path.
        environment: variables by name.
        libc: whose resolver the programs have.
    """

    hostname: str = ""
    files: dict[str, str] = attrs.field(factory=dict)
    environment: dict[str, str] = attrs.field(factory=dict)
    libc: Literal["glibc", "musl"] = "glibc"

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
