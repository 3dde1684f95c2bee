# SPDX-License-Identifier: GPL-2.0-only
"""`hostname`: of the userland, or of its namespace if it has none."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from emu.apps import commands
from emu.apps.resolver.lookup import Unresolved, look_up
from emu.apps.tools.finished import Finished
from emu.fabric import program

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.fabric.program import Program
    from emu.fabric.userland import Userland


def run(argv: Sequence[str], userland: Userland) -> Program[Finished]:
    """Print the host name, its canonical form, or addresses."""
    name = userland.hostname
    match [*argv]:
        case [] if name:
            return Finished(f"{name}\n")
        case ["-s" | "--short"] if name:
            return Finished(f"{name.partition('.')[0]}\n")
        case ["-f" | "--fqdn" | "--long" | "-d" | "--domain" | "-i" | "--ip-address" as option]:
            return (yield from _resolved(option, name, userland))
        case _:
            text = yield from program.call(partial(commands.execute, argv=["hostname", *argv]))
            return Finished(text)


def _resolved(option: str, name: str, userland: Userland) -> Program[Finished]:
    """Print what the resolver makes of the host name."""
    if not name:
        name = yield from program.call(lambda net: net.name)
    found = yield from look_up(name, userland)
    if isinstance(found, Unresolved):
        return Finished(stderr=f"hostname: {found}\n", status=1)
    if option in {"-i", "--ip-address"}:
        return Finished(" ".join(map(str, found.addresses)) + "\n")
    if option in {"-d", "--domain"}:
        return Finished(f"{found.canonical.partition('.')[2]}\n")
    return Finished(f"{found.canonical}\n")
