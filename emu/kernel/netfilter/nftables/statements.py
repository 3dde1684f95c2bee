# SPDX-License-Identifier: GPL-2.0-only
"""What a rule does, as values that can be compared and hashed."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import attrs

from emu.kernel.netfilter.nftables.expressions import Decision

if TYPE_CHECKING:
    from emu.kernel.netfilter.nftables.expressions import (
        Atom,
        Expression,
        Payload,
        SetRef,
        Single,
        TcpOption,
    )


@attrs.frozen
class Match:
    """Go on only if it holds.

    Attributes:
        left: what is read.
        operator: `==`, `!=`, `<`, `>`, `<=` or `>=`; `any` (one of these bits is
            set: what flags without an operator mean) or `none` (no bit is, `!`).
        right: what it is compared with.
    """

    left: Expression
    operator: str
    right: Single | SetRef | tuple[Atom, ...]


@attrs.frozen
class Vmap:
    """Do what the map says for `key`; without an element the rule ends."""

    key: Expression
    map: SetRef


@attrs.frozen
class Counter:
    """Count; packets and octets are what it begins with."""

    packets: int = 0
    octets: int = 0


@attrs.frozen
class NamedObject:
    """Use an object of the table.

    Attributes:
        kind: `counter`, `limit` or `quota`.
        name: of the object, or what is looked up for it.
    """

    kind: str
    name: str | Mapped


@attrs.frozen
class Limit:
    """Hold as long as no more than `rate` come in a `unit`.

    Attributes:
        rate: packets, or octets, in a `unit`.
        unit: `second`, `minute`, `hour`, `day` or `week`.
        burst: how many more at once; 0 of octets for none.
        over: hold beyond it instead.
        octets: octets are counted, not packets.
    """

    rate: int
    unit: str
    burst: int = 5
    over: bool = False
    octets: bool = False


@attrs.frozen
class Log:
    """Write a line to the log.

    Attributes:
        prefix: what it begins with.
        level: its severity; `warn` is the default.
        flags: what else is written, sorted as nft lists it.
        group: for nfnetlink_log, None for the kernel's log.
        snaplen: octets handed over, 0 for all.
        threshold: how many wait for each other, 0 for none.
    """

    prefix: str = ""
    level: str = "warn"
    flags: tuple[str, ...] = ()
    group: int | None = None
    snaplen: int = 0
    threshold: int = 0


@attrs.frozen
class Reject:
    """Drop, and say so.

    Attributes:
        kind: `icmp`, `icmpv6`, `icmpx` or `tcp`.
        code: the code of the ICMP error.
    """

    kind: str
    code: int = 0


@attrs.frozen
class Address:
    """Where NAT leads: constants, or what is computed.

    Attributes:
        low: the (first) address, None to keep the packet's.
        high: the last address, None for one.
        port: the (first) port, None to keep the packet's.
        last_port: the last port, None for one.
    """

    low: int | Expression | None = None
    high: int | None = None
    port: int | Expression | None = None
    last_port: int | None = None


@attrs.frozen
class Nat:
    """Translate an address.

    Attributes:
        kind: `dnat`, `snat`, `masquerade` or `redirect`.
        to: where to.
        flags: of `random`, `fully-random` and `persistent`, in this order.
        family: 4 or 6; 0 for masquerade and redirect.
        form: `concat` for a map to addresses with ports, `interval` for one to
            ranges, `prefix` for one to networks, empty for the others.
    """

    kind: str
    to: Address = Address()
    flags: tuple[str, ...] = ()
    family: int = 0
    form: str = ""


@attrs.frozen
class SetMeta:
    """Change what is known of a packet: `meta mark set`."""

    key: str
    value: Atom | Expression


@attrs.frozen
class SetCt:
    """Change what is known of a connection: `ct mark set`."""

    key: str
    value: Atom | Expression
    direction: str = ""


@attrs.frozen
class SetPayload:
    """Change a field of a header."""

    field: Payload
    value: Atom | Expression


@attrs.frozen
class SetOption:
    """Change a TCP option."""

    option: TcpOption
    value: Atom | Expression


@attrs.frozen
class Notrack:
    """Have no connection looked up for it."""


@attrs.frozen
class Update:
    """Change a set of the table.

    Attributes:
        verb: `add`, `update` or `delete`.
        set: its name.
        key: the element.
        timeout: ns; 0 for that of the set.
        statements: what the element gets: a counter or a limit.
        data: what a map makes of it.
    """

    verb: str
    set: str
    key: Expression
    timeout: int = 0
    statements: tuple[Counter | Limit, ...] = ()
    data: Atom | Expression | None = None


@attrs.frozen
class Unmodelled:
    """The rest of a rule from something that emu does not know.

    Attributes:
        name: what it is.
        text: as it was written.
    """

    name: str
    text: str


Statement: TypeAlias = (
    Match
    | Vmap
    | Decision
    | Counter
    | NamedObject
    | Limit
    | Log
    | Reject
    | Nat
    | SetMeta
    | SetCt
    | SetPayload
    | SetOption
    | Notrack
    | Update
    | Unmodelled
)

if TYPE_CHECKING:
    from emu.kernel.netfilter.nftables.expressions import Mapped
