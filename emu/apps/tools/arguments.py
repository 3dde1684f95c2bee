# SPDX-License-Identifier: GPL-2.0-only
"""Arguments of a modelled tool, read by argparse."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, NoReturn

from emu.errors import AddressError, CommandError
from emu.sim.time import Duration, from_seconds
from emu.wire.addresses import IpAddress

if TYPE_CHECKING:
    from collections.abc import Callable


class Arguments(argparse.ArgumentParser):
    """Arguments of a modelled tool; what is wrong with them becomes a `CommandError` of `status`."""

    def __init__(self, prog: str, *, status: int = 2) -> None:
        super().__init__(prog, add_help=False, allow_abbrev=False)
        self._status = status

    def error(self, message: str) -> NoReturn:
        """Refuse the arguments."""
        raise CommandError(f"{self.prog}: {message}", self._status)


def address(text: str) -> IpAddress:
    """Read an IPv4 address."""
    try:
        found = IpAddress.parse(text)
    except AddressError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if found.family != 4:
        raise argparse.ArgumentTypeError(f"{text}: only IPv4 is modelled")
    return found


def number(least: int, most: int) -> Callable[[str], int]:
    """Return what reads a number from `least` to `most`, decimal or 0x hexadecimal."""

    def parse(text: str) -> int:
        try:
            found = int(text, 16 if text.startswith("0x") else 10)
        except ValueError:
            found = least - 1
        if not least <= found <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is no number from {least} to {most}")
        return found

    return parse


def seconds(text: str) -> Duration:
    """Read a number of seconds, up to a day."""
    try:
        duration = from_seconds(float(text))
    except (ValueError, OverflowError):
        duration = -1
    if not 0 <= duration <= from_seconds(86400):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds up to a day")
    return duration
