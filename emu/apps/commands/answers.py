# SPDX-License-Identifier: GPL-2.0-only
"""What the kernel refuses, in the words of the tools, and devices looked up by name."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from emu.errors import CommandError
from emu.kernel.route import RouteError
from emu.tools.ip.words import no_device

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from emu.kernel.link.device import Device
    from emu.kernel.namespace import Namespace


@contextmanager
def refusals(status: int = 2, extacks: Mapping[int, str] | None = None) -> Iterator[None]:
    """Make a `CommandError` of what the kernel refuses within.

    Args:
        status: the tool's exit status then.
        extacks: the kernel's own words, by errno, where an `OSError` does not carry them.
    """
    try:
        yield
    except RouteError as error:
        raise refusal(error.errno, error.extack, status) from None
    except OSError as error:
        number = error.errno or 0
        raise refusal(number, (extacks or {}).get(number, ""), status) from None


def refusal(number: int, extack: str = "", status: int = 2) -> CommandError:
    """Return what the tools print when the kernel answers with errno `number`."""
    return CommandError(
        f"Error: {extack}." if extack else f"RTNETLINK answers: {os.strerror(number)}", status
    )


def find_device(net: Namespace, name: str, status: int = 1) -> Device:
    """Return the device `name`.

    Raises:
        CommandError: there is none.
    """
    device = net.devices.get(name)
    if device is None:
        raise no_device(name, status)
    return device
