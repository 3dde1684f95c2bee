# SPDX-License-Identifier: GPL-2.0-only
"""`sysctl`: settings of the network read and written."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, assert_never

from emu.errors import CommandError, SysctlError
from emu.kernel.sysctl import dotted, path
from emu.tools import sysctl

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from emu.apps.commands.action import Action
    from emu.kernel.namespace import Namespace
    from emu.tools.sysctl import Arguments, Request


def prepare(argv: Sequence[str]) -> Action:
    """Read the arguments of `sysctl` and return what they ask for.

    Raises:
        CommandError: they make no sense.
    """
    asked = sysctl.parse(argv)
    try:
        pattern = re.compile(asked.pattern or "")
    except re.error as error:
        raise CommandError(f"sysctl: {asked.pattern}: {error}", 1) from None
    return partial(run, asked=asked, pattern=pattern)


def run(net: Namespace, asked: Arguments, pattern: re.Pattern[str]) -> str:
    """Do what is asked; what fails is told in the end, and the rest is done."""
    printed: list[str] = []
    complaints: list[str] = []
    if asked.everything:
        printed += _show(net, net.sysctl.files(), asked, pattern)
    for request in asked.requests:
        try:
            printed += _do(net, request, asked, pattern)
        except SysctlError as error:
            if not (asked.ignore_unknown and "cannot stat" in str(error)):
                complaints.append(f"sysctl: {error}")
    text = "".join(f"{line}\n" for line in printed)
    if complaints:
        raise CommandError("\n".join(complaints), 1, stdout=text)
    return text


def _do(net: Namespace, request: Request, asked: Arguments, pattern: re.Pattern[str]) -> list[str]:
    match request:
        case sysctl.Read(name):
            folder = path(name).rstrip("/") + "/"
            below = [file for file in net.sysctl.files() if file.startswith(folder)]
            return list(_show(net, below or [path(name)], asked, pattern))
        case sysctl.Write(name, value):
            net.sysctl.set(name, value)
            return [] if asked.quiet else [sysctl.render(name, value, asked.form)]
        case sysctl.Malformed(message):
            raise SysctlError(message)
        case _:
            assert_never(request)


def _show(net: Namespace, files: Sequence[str], asked: Arguments, pattern: re.Pattern[str]) -> Iterator[str]:
    for file in files:
        if pattern.search(dotted(file)):
            yield sysctl.render(file, net.sysctl.get(file), asked.form)
