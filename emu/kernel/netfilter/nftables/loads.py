# SPDX-License-Identifier: GPL-2.0-only
"""Values read from a packet: expressions turned into functions.

Source: net/netfilter/nft_payload.c, nft_meta.c, nft_bitwise.c, nft_exthdr.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, assert_never

from emu.kernel.netfilter.nftables import expressions as ex
from emu.kernel.netfilter.nftables.evaluation import NotModelledError
from emu.kernel.netfilter.nftables.load_ct import load_ct
from emu.kernel.netfilter.nftables.load_fib import load_fib
from emu.kernel.netfilter.nftables.load_number import load_hash, load_numgen
from emu.kernel.netfilter.nftables.load_option import load_option
from emu.kernel.netfilter.nftables.lookup import Index
from emu.kernel.netfilter.nftables.payload import FIELDS, Base
from emu.kernel.netfilter.nftables.typing_of import type_of
from emu.kernel.skb import PacketType
from emu.wire.ipv4 import OFFSET_MASK

if TYPE_CHECKING:
    from emu.kernel.netfilter.nftables.evaluation import Evaluation, Load
    from emu.sim.time import Instant

_IPV4: Final = 2
_ETHERTYPE_IP: Final = 0x0800
_ROOT: Final = 0
_WORDS: Final = (1, 2, 4)  # octets
_PACKET_TYPES: Final = {
    PacketType.HOST: 0,
    PacketType.BROADCAST: 1,
    PacketType.MULTICAST: 2,
    PacketType.OTHERHOST: 3,
}


def load(expression: ex.Expression) -> Load:  # noqa: PLR0912 - one line a kind
    """Return the function that reads `expression`.

    Raises:
        NotModelledError: it asks for what is not modelled.
    """
    match expression:
        case ex.Payload(protocol, field):
            return _load_field(protocol, field)
        case ex.RawPayload(base, offset, bits):
            return _load_bits(base, offset, bits)
        case ex.Meta(key):
            return _META[key]
        case ex.Ct():
            return load_ct(expression)
        case ex.Fib():
            return load_fib(expression)
        case ex.Numgen():
            return load_numgen(expression)
        case ex.Hash(key):
            return load_hash(expression, None if key is None else load(key))
        case ex.TcpOption():
            return load_option(expression)
        case ex.Bitwise(inner, mask, xor):
            return _load_bitwise(load(inner), mask, xor)
        case ex.Concat(parts):
            return _load_tuple(tuple([load(part) for part in parts]))
        case ex.Joined(parts):
            first = FIELDS[parts[0].protocol][parts[0].field]
            return _load_bits(first.base, first.offset, sum(type_of(part).bits for part in parts))
        case ex.Mapped(key, found):
            return load_mapped(load(key), found)
        case _:
            assert_never(expression)


# --- headers ---


def _load_field(protocol: str, field: str) -> Load:
    if protocol == "ip":
        found = _IP.get(field)
        if found is not None:
            return found
    elif protocol == "ip6":
        return _nothing
    known = FIELDS[protocol][field]
    return _load_bits(known.base, known.offset, known.bits)


def _nothing(_evaluation: Evaluation) -> None:
    """Read nothing: no packet here has it."""


def _source(evaluation: Evaluation) -> int:
    return int.from_bytes(evaluation.skb.header.src, "big")


def _destination(evaluation: Evaluation) -> int:
    return int.from_bytes(evaluation.skb.header.dst, "big")


def _protocol(evaluation: Evaluation) -> int:
    return evaluation.skb.header.protocol


_IP: Final[dict[str, Load]] = {"saddr": _source, "daddr": _destination, "protocol": _protocol}


def _load_bits(base: Base, offset: int, bits: int) -> Load:
    """Return a function that reads bits of a header; None beyond the packet.

    In fragments but the first there is no transport header: Linux reads None
    there, too, unless it can load the octets as one word (`nft_payload_fast_eval`):
    then it takes whatever stands in the place.
    """
    if base is Base.LINK:
        raise NotModelledError(f"@ll,{offset},{bits}")
    first, last = offset // 8, (offset + bits + 7) // 8
    shift, mask = last * 8 - offset - bits, (1 << bits) - 1
    if base is Base.NETWORK:

        def network(evaluation: Evaluation) -> int | None:
            octets = evaluation.skb.packet
            if len(octets) < last:
                return None
            return int.from_bytes(octets[first:last], "big") >> shift & mask

        return network

    width = last - first
    refused = 0 if width in _WORDS and first % width == 0 else OFFSET_MASK

    def transport(evaluation: Evaluation) -> int | None:
        skb = evaluation.skb
        header, octets = skb.header, skb.packet
        begin = (header.version_ihl & 15) * 4
        if header.fragment & refused or len(octets) < begin + last:
            return None
        return int.from_bytes(octets[begin + first : begin + last], "big") >> shift & mask

    return transport


# --- metadata ---


def _mark(evaluation: Evaluation) -> int:
    return evaluation.skb.mark


def _family(_evaluation: Evaluation) -> int:
    return _IPV4


def _ether_type(_evaluation: Evaluation) -> int:
    return _ETHERTYPE_IP


def _iif(evaluation: Evaluation) -> str:
    return evaluation.packet.iif


def _oif(evaluation: Evaluation) -> str:
    return evaluation.packet.oif


def _length(evaluation: Evaluation) -> int:
    return len(evaluation.skb.packet)


def _packet_type(evaluation: Evaluation) -> int:
    return _PACKET_TYPES[evaluation.skb.packet_type]


def _owner(evaluation: Evaluation) -> int | None:
    return _ROOT if evaluation.skb.socket > 0 else None


_META: Final[dict[str, Load]] = {
    "mark": _mark,
    "l4proto": _protocol,
    "nfproto": _family,
    "protocol": _ether_type,
    "iif": _iif,
    "iifname": _iif,
    "oif": _oif,
    "oifname": _oif,
    "length": _length,
    "pkttype": _packet_type,
    "skuid": _owner,
    "skgid": _owner,
    "nftrace": _nothing,
}


# --- of several values ---


def _load_bitwise(inner: Load, mask: int, xor: int) -> Load:
    def bitwise(evaluation: Evaluation) -> int | None:
        value = inner(evaluation)
        return None if value is None else value & mask ^ xor

    return bitwise


def _load_tuple(parts: tuple[Load, ...]) -> Load:
    def concatenated(evaluation: Evaluation) -> tuple[Any, ...] | None:
        values = tuple([part(evaluation) for part in parts])
        return None if None in values else values

    return concatenated


class _Item:
    """An element of a map in braces: it lives as long as its rule."""

    __slots__ = ("data",)

    def __init__(self, data: ex.Data | None) -> None:
        self.data = data

    def lives(self, _now: Instant) -> bool:
        """Return that it does."""
        return True


def index_of(members: ex.Members) -> Index[_Item]:
    """Return an index of the elements of a set or map in braces."""
    items = {member.key: _Item(member.data) for member in members.members}
    return Index(items, interval=members.interval, concat=False)


def load_mapped(key: Load, found: ex.SetRef) -> Load:
    """Return a function that reads what a map makes of a value: a constant, range, verdict or name."""
    if isinstance(found, ex.Members):
        index = index_of(found)

        def constant(evaluation: Evaluation) -> ex.Data | None:
            value = key(evaluation)
            item = None if value is None else index.find(value, evaluation.now)
            return None if item is None else item.data

        return constant
    name = found.name

    def named(evaluation: Evaluation) -> ex.Data | None:
        value = key(evaluation)
        if value is None:
            return None
        slot = evaluation.table.sets[name].index.find(value, evaluation.now)
        if slot is None or not slot.passes(evaluation.now, len(evaluation.skb.packet)):
            return None
        return slot.element.data

    return named
