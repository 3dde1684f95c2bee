# SPDX-License-Identifier: GPL-2.0-only
"""Port numbers, their names and protocols, wherever they stand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kube.api.validation import names

if TYPE_CHECKING:
    from emu.kube.api.validation.field import Field

RANGE: Final = "must be between 1 and 65535, inclusive"
PROTOCOLS: Final = ("SCTP", "TCP", "UDP")


def check_number(port: Field) -> None:
    """Check a port number; a missing one is 0."""
    value = 0 if port.value is None else port.value
    if type(value) is int and not 1 <= value <= 65535:
        port.invalid(RANGE, value=value)


def check_number_or_name(port: Field) -> None:
    """Check a port number or name."""
    if isinstance(port.value, str):
        port.each_invalid(names.port_name(port.value))
    else:
        check_number(port)
