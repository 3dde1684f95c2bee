# SPDX-License-Identifier: GPL-2.0-only
"""What a rule reads from a packet, as values that can be compared and hashed.

A constant is an `int`, or a `str` for the name of a device; behind a
concatenation it is a tuple of these.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

import attrs

if TYPE_CHECKING:
    from emu.kernel.netfilter.nftables.payload import Base

Atom: TypeAlias = int | str


# --- constants ---


@attrs.frozen
class Range:
    """All values from `low` to `high`, both included."""

    low: int
    high: int


@attrs.frozen
class Prefix:
    """All values whose first `length` bits are those of `value`."""

    value: int
    length: int


@attrs.frozen
class Wildcard:
    """All names that begin with `start`: `eth*`."""

    start: str


@attrs.frozen
class CatchAll:
    """The element `*`: what no other element is for."""


CATCH_ALL: Final = CatchAll()

Single: TypeAlias = Atom | Range | Prefix | Wildcard
Key: TypeAlias = Single | CatchAll | tuple[Single, ...]


# --- verdicts ---


@attrs.frozen
class Decision:
    """What a rule, or an element of a verdict map, decides.

    Attributes:
        code: `accept`, `drop`, `continue`, `return`, `jump` or `goto`.
        chain: where a jump leads.
    """

    code: str
    chain: str = ""


Data: TypeAlias = Single | Decision | tuple[Single, ...]


# --- expressions ---


@attrs.frozen
class Payload:
    """A field of a header, as in `emu.kernel.netfilter.nftables.payload`."""

    protocol: str
    field: str


@attrs.frozen
class RawPayload:
    """Bits of a header: `@th,16,16`."""

    base: Base
    offset: int
    bits: int


@attrs.frozen
class Meta:
    """What is known of a packet beside its octets: `meta mark`."""

    key: str


@attrs.frozen
class Ct:
    """What is known of its connection.

    Attributes:
        key: like `state` or `ip saddr`.
        direction: `original` or `reply` where it is asked for.
    """

    key: str
    direction: str = ""


@attrs.frozen
class Fib:
    """What the routing tables say.

    Attributes:
        keys: what they are asked with, like `daddr` and `iif`.
        result: `type`, `oif` or `oifname`.
        present: it is only asked whether there is such a device.
    """

    keys: tuple[str, ...]
    result: str
    present: bool = False


@attrs.frozen
class Numgen:
    """A number from `offset` on, less than `offset + modulus`: at `random`, or the next one (`inc`)."""

    mode: str
    modulus: int
    offset: int = 0


@attrs.frozen
class Hash:
    """A number made from the packet.

    Attributes:
        key: what is hashed (`jhash`); None for the flow (`symhash`).
        modulus: how many numbers there are.
        seed: None for one that is drawn.
        offset: the first number.
    """

    key: Expression | None
    modulus: int
    seed: int | None = None
    offset: int = 0


@attrs.frozen
class TcpOption:
    """A TCP option: its size (`maxseg`), or whether it is there (`field` is empty)."""

    name: str
    field: str = ""


@attrs.frozen
class Bitwise:
    """`of` AND `mask`, and then XOR `xor`: all that bit operations with constants come to."""

    of: Expression
    mask: int
    xor: int = 0


@attrs.frozen
class Concat:
    """Several values as one key."""

    parts: tuple[Expression, ...]


@attrs.frozen
class Joined:
    """Neighbouring fields read as one, as nft does with `!=` for two of them."""

    parts: tuple[Payload, ...]


@attrs.frozen
class SetName:
    """A set or map of the table: `@name`."""

    name: str


@attrs.frozen
class Member:
    """An element of a set in braces.

    Attributes:
        key: what it is for.
        data: what a map makes of it; None in a set.
        comment: empty for none.
    """

    key: Key
    data: Data | None = None
    comment: str = ""


@attrs.frozen
class Members:
    """A set or map in braces.

    Attributes:
        members: sorted as nft lists them, no two for one packet.
        interval: keys may be ranges.
    """

    members: tuple[Member, ...]
    interval: bool = False


SetRef: TypeAlias = SetName | Members


@attrs.frozen
class Mapped:
    """What a map makes of `key`."""

    key: Expression
    map: SetRef


Expression: TypeAlias = (
    Payload | RawPayload | Meta | Ct | Fib | Numgen | Hash | TcpOption | Bitwise | Concat | Joined | Mapped
)
