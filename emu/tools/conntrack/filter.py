# SPDX-License-Identifier: GPL-2.0-only
"""Which connections are meant: all that is asked of one has to hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import attrs

from emu.kernel.netfilter.conntrack.entry import Direction
from emu.tools.conntrack import names

if TYPE_CHECKING:
    from collections.abc import Mapping

    from emu.kernel.netfilter.conntrack.entry import Connection

_ORIGINAL, _REPLY = Direction


class Masked(NamedTuple):
    """A number of which some bits count."""

    value: int
    mask: int = 0xFFFFFFFF

    def has(self, number: int) -> bool:
        """Return whether `number` agrees in the bits that count."""
        return number & self.mask == self.value

    def laid_on(self, number: int) -> int:
        """Return `number` with these bits."""
        return (number & ~self.mask | self.value) & 0xFFFFFFFF


@attrs.frozen
class Filter:
    """What is asked of a connection; None and empty ask nothing.

    Attributes:
        addresses: of `src`, `dst`, `reply-src` and `reply-dst`.
        protocol: its number.
        numbers: what `names.identification` tells of its tuples, by name;
            the reply's begin with `reply-`.
        state: of TCP or SCTP.
        status: the bits of its status.
        mark: its mark.
        zones: of both directions.
        number: its own.
        source_nat: its source is translated, to that address if one is given.
        destination_nat: likewise its destination.
        either_nat: one of both is.
        ipv6: it is of IPv6: none is.
    """

    addresses: Mapping[str, Masked] = attrs.field(factory=dict)
    protocol: int | None = None
    numbers: Mapping[str, int] = attrs.field(factory=dict)
    state: str = ""
    status: Masked | None = None
    mark: Masked | None = None
    zones: tuple[int | None, int | None] = (None, None)
    number: int | None = None
    source_nat: bytes | None = None
    destination_nat: bytes | None = None
    either_nat: bytes | None = None
    ipv6: bool = False

    def has(self, connection: Connection) -> bool:
        """Return whether `connection` is meant."""
        return (
            not self.ipv6
            and self.protocol in {None, connection.protocol}
            and self.number in {None, connection.number}
            and self.state in {"", names.state(connection)}
            and (self.status is None or self.status.has(connection.status))
            and (self.mark is None or self.mark.has(connection.mark))
            and all(asked in {None, zone} for asked, zone in zip(self.zones, connection.zones, strict=True))
            and self._has_tuples(connection)
            and self._has_translation(connection)
        )

    def _has_tuples(self, connection: Connection) -> bool:
        original, reply = connection.tuples
        found = {"src": original.src, "dst": original.dst, "reply-src": reply.src, "reply-dst": reply.dst}
        if not all(
            len(found[name]) == 4 and asked.has(int.from_bytes(found[name], "big"))
            for name, asked in self.addresses.items()
        ):
            return False
        numbers = dict(names.identification(original))
        numbers |= {f"reply-{name}": value for name, value in names.identification(reply)}
        return all(numbers.get(name) == value for name, value in self.numbers.items())

    def _has_translation(self, connection: Connection) -> bool:
        if self.source_nat is not None and not _source_is_translated(connection, self.source_nat):
            return False
        if self.destination_nat is not None and not _destination_is_translated(
            connection, self.destination_nat
        ):
            return False
        return (
            self.either_nat is None
            or _source_is_translated(connection, self.either_nat)
            or _destination_is_translated(connection, self.either_nat)
        )


def _source_is_translated(connection: Connection, to: bytes) -> bool:
    """Return whether the source is translated, to the address `to` if that is not empty."""
    original, reply = connection.tuples
    differs = (original.src, original.sport) != (reply.dst, reply.invert().sport)
    return differs and to in {b"", reply.dst}


def _destination_is_translated(connection: Connection, to: bytes) -> bool:
    original, reply = connection.tuples
    differs = (original.dst, original.dport) != (reply.src, reply.invert().dport)
    return differs and to in {b"", reply.src}
