# SPDX-License-Identifier: GPL-2.0-only
"""`cat`: files of the userland, and those of /proc/sys."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from emu.apps.tools.finished import Finished
from emu.errors import CommandError, SysctlError
from emu.fabric import program
from emu.fabric.userland import absolute

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.fabric.program import Program
    from emu.fabric.userland import Userland
    from emu.kernel.namespace import Namespace

_SYSCTLS: Final = "/proc/sys/"


def run(argv: Sequence[str], userland: Userland) -> Program[Finished]:
    """Print files one after the other."""
    stdout, stderr = "", ""
    for name in argv:
        if name.startswith("-"):
            raise CommandError(f"cat: {name} is not modelled", 1)
        try:
            stdout += yield from read(name, userland)
        except OSError as error:
            stderr += f"cat: {name}: {error.strerror}\n"
    return Finished(stdout, stderr, 1 if stderr else 0)


def read(name: str, userland: Userland) -> Program[str]:
    """Return the text of a file.

    Raises:
        FileNotFoundError: there is none.
    """
    path = absolute(name)
    if path.startswith(_SYSCTLS):
        return (yield from program.call(partial(_sysctl, path=path)))
    if path == "/etc/hostname" and path not in userland.files and userland.hostname:
        return f"{userland.hostname}\n"
    return userland.read(path)


def _sysctl(net: Namespace, path: str) -> str:
    try:
        return f"{net.sysctl.get(path.removeprefix(_SYSCTLS))}\n"
    except SysctlError:
        raise FileNotFoundError(2, "No such file or directory", path) from None
