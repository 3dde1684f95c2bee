# SPDX-License-Identifier: GPL-2.0-only
"""`sysctl`: settings read and written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu.errors import CommandError, SysctlError
from emu.tools import sysctl

if TYPE_CHECKING:
    from emu.kernel.namespace import Namespace


def run(net: Namespace, argv: list[str]) -> str:
    """Run `sysctl` with the words of `argv` behind its name."""
    asked = sysctl.parse(argv)
    lines: list[str] = []
    complaints: list[str] = []
    for request in asked.requests:
        try:
            match request:
                case sysctl.Read(name):
                    lines.append(sysctl.render(name, net.sysctl.get(name), asked.form))
                case sysctl.Write(name, value):
                    net.sysctl.set(name, value)
                    if not asked.quiet:
                        lines.append(sysctl.render(name, value, asked.form))
                case sysctl.Malformed(message):
                    complaints.append(f"sysctl: {message}")
        except SysctlError as error:
            if not (asked.ignore_unknown and "cannot stat" in str(error)):
                complaints.append(f"sysctl: {error}")
    if complaints:
        raise CommandError("\n".join(complaints), 1)
    return "".join(f"{line}\n" for line in lines)
