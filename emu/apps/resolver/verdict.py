# SPDX-License-Identifier: GPL-2.0-only
"""What a resolver comes to."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final

import attrs

from emu.apps.resolver.configuration import Flavour

if TYPE_CHECKING:
    from emu.apps.resolver.message import Reply
    from emu.wire.addresses import IpAddress


class Reason(enum.Enum):
    """Why a name has no address: the errors of getaddrinfo(3)."""

    NONAME = "EAI_NONAME"
    NODATA = "EAI_NODATA"
    AGAIN = "EAI_AGAIN"
    FAIL = "EAI_FAIL"


_TEXTS: Final = {
    Flavour.GLIBC: {
        Reason.NONAME: "Name or service not known",
        Reason.NODATA: "No address associated with hostname",
        Reason.AGAIN: "Temporary failure in name resolution",
        Reason.FAIL: "Non-recoverable failure in name resolution",
    },
    Flavour.MUSL: {
        Reason.NONAME: "Name does not resolve",
        Reason.NODATA: "Name has no usable address",
        Reason.AGAIN: "Try again",
        Reason.FAIL: "Non-recoverable error",
    },
}


@attrs.frozen
class Resolved:
    """The addresses of a name, the one to try first in front, and its canonical name."""

    addresses: tuple[IpAddress, ...]
    canonical: str

    @property
    def ipv4(self) -> tuple[IpAddress, ...]:
        """Those that can be connected to: the stack has no IPv6 yet."""
        return tuple(address for address in self.addresses if address.family == 4)


@attrs.frozen
class Unresolved:
    """A name without an address."""

    reason: Reason
    flavour: Flavour = Flavour.GLIBC

    def __str__(self) -> str:
        """Return what gai_strerror(3) says."""
        return _TEXTS[self.flavour][self.reason]


def collect(replies: tuple[Reply, ...]) -> Resolved | Reason:
    """Return the addresses that the replies hold, IPv4 first."""
    addresses = tuple(address for reply in replies for address in reply.addresses)
    if not addresses:
        return Reason.NODATA
    canonical = next(reply.canonical for reply in replies if reply.addresses)
    return Resolved(addresses, canonical)
