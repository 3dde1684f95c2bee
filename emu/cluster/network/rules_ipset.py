# SPDX-License-Identifier: GPL-2.0-only
"""A file for `ipset restore`, loaded into a namespace."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from emu.apps.commands.ipset import restore_file
from emu.errors import CommandError, Complaint, RulesError
from emu.tools.ipset.restore import RestoreError, parse

if TYPE_CHECKING:
    from emu.kernel.namespace import Namespace

_LINE: Final = re.compile(r"Error in line (\d+)")


def load(net: Namespace | None, text: str) -> None:
    """Make the sets of `text` in `net`; with None only look for faults.

    Raises:
        RulesError: it has faults, or the kernel refuses some.
    """
    try:
        parse(text)
    except RestoreError as error:
        raise RulesError([Complaint(line, message.rstrip()) for line, message in error.faults]) from None
    if net is None:
        return
    try:
        restore_file(net, text)
    except CommandError as error:
        line = _LINE.search(str(error))
        raise RulesError([Complaint(int(line[1]) if line else 1, str(error).rstrip())]) from None
