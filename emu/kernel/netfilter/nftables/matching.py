# SPDX-License-Identifier: GPL-2.0-only
"""Conditions turned into functions. Source: net/netfilter/nft_cmp.c, nft_range.c, nft_lookup.c."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Final, assert_never

from emu.kernel.netfilter.nftables import expressions as ex
from emu.kernel.netfilter.nftables.evaluation import BREAK, outcome
from emu.kernel.netfilter.nftables.joining import as_number
from emu.kernel.netfilter.nftables.load_number import load_numgen
from emu.kernel.netfilter.nftables.loads import index_of, load, load_mapped
from emu.kernel.netfilter.nftables.lookup import meets
from emu.kernel.netfilter.nftables.typing_of import type_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from emu.kernel.netfilter.nftables.evaluation import Evaluation, Load, Outcome, Step
    from emu.kernel.netfilter.nftables.statements import Match, Vmap
    from emu.kernel.netfilter.packet import Packet

_ORDERS: Final[dict[str, Callable[[int, int], bool]]] = {
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}
_DEVICES: Final = ("iif", "oif")


def compile_match(match: Match) -> Step:
    """Return the function that goes on, or breaks.

    Raises:
        NotModelledError: it asks for what is not modelled.
    """
    read, right, is_wanted = load(match.left), match.right, match.operator != "!="
    match right:
        case ex.SetName(name):
            return _named(read, name, is_wanted=is_wanted)
        case ex.Members():
            return _members(read, right, is_wanted=is_wanted)
        case ex.Range() | ex.Prefix() | ex.Wildcard():
            return _wide(read, _as_range(right, match.left), is_wanted=is_wanted)
        case int() | str() | tuple():
            return _constant(match, read)
        case _:
            assert_never(right)


def _as_range(right: ex.Single, left: ex.Expression) -> ex.Single:
    if not isinstance(right, ex.Prefix):
        return right
    bits = type_of(left).bits
    return ex.Range(right.value, right.value | (1 << bits - right.length) - 1)


def _constant(match: Match, read: Load) -> Step:
    right = match.right
    if isinstance(match.left, ex.Joined) and isinstance(right, tuple):
        right = as_number(match.left, right)
    if isinstance(right, int):
        if match.operator in _ORDERS:
            return _ordered(read, _ORDERS[match.operator], right)
        if match.operator in ("any", "none"):
            return _flags(read, right, any_set=match.operator == "any")
        if _is_device(match.left):
            read = _load_index(read)
    if match.operator == "!=":

        def differs(evaluation: Evaluation) -> Outcome:
            value = read(evaluation)
            return BREAK if value is None or value == right else None

        return differs

    def equals(evaluation: Evaluation) -> Outcome:
        return None if read(evaluation) == right else BREAK

    return equals


def _is_device(left: ex.Expression) -> bool:
    if isinstance(left, ex.Meta):
        return left.key in _DEVICES
    return isinstance(left, ex.Fib) and left.result == "oif" and not left.present


def _load_index(read: Load) -> Load:
    """Return a reader of the number of the device that `read` names, 0 for none."""

    def index(evaluation: Evaluation) -> int:
        return _index(evaluation.packet, read(evaluation))

    return index


def _index(packet: Packet, name: str) -> int:
    device = packet.net.devices.get(name)
    return 0 if device is None else device.index


def _ordered(read: Load, compare: Callable[[int, int], bool], right: int) -> Step:
    def ordered(evaluation: Evaluation) -> Outcome:
        value = read(evaluation)
        return None if value is not None and compare(value, right) else BREAK

    return ordered


def _flags(read: Load, mask: int, *, any_set: bool) -> Step:
    def flags(evaluation: Evaluation) -> Outcome:
        value = read(evaluation)
        return None if value is not None and bool(value & mask) is any_set else BREAK

    return flags


def _wide(read: Load, right: ex.Single, *, is_wanted: bool) -> Step:
    def wide(evaluation: Evaluation) -> Outcome:
        value = read(evaluation)
        return None if value is not None and meets(value, right) is is_wanted else BREAK

    return wide


def _members(read: Load, members: ex.Members, *, is_wanted: bool) -> Step:
    index = index_of(members)

    def member(evaluation: Evaluation) -> Outcome:
        value = read(evaluation)
        if value is None:
            return BREAK
        is_there = index.find(value, evaluation.now) is not None
        return None if is_there is is_wanted else BREAK

    return member


def _named(read: Load, name: str, *, is_wanted: bool) -> Step:
    def named(evaluation: Evaluation) -> Outcome:
        value = read(evaluation)
        if value is None:
            return BREAK
        slot = evaluation.table.sets[name].index.find(value, evaluation.now)
        if slot is None:
            return BREAK if is_wanted else None
        if not is_wanted or not slot.passes(evaluation.now, len(evaluation.skb.packet)):
            return BREAK
        return None

    return named


def compile_vmap(vmap: Vmap) -> Step:
    """Return the function that looks a verdict up; without an element the rule breaks.

    Raises:
        NotModelledError: it asks for what is not modelled.
    """
    key = vmap.key
    ways = _ways(key, vmap.map) if isinstance(key, ex.Numgen) and isinstance(vmap.map, ex.Members) else ()
    read = load_mapped(load_numgen(key, ways) if ways and isinstance(key, ex.Numgen) else load(key), vmap.map)

    def verdict(evaluation: Evaluation) -> Outcome:
        found = read(evaluation)
        return BREAK if found is None else outcome(found)

    return verdict


def _ways(key: ex.Numgen, members: ex.Members) -> tuple[str, ...]:
    """Return where each number leads to, in order; nothing where one of them leads to no chain."""
    chains = {each.key: getattr(each.data, "chain", "") for each in members.members}
    ways = tuple([chains.get(number + key.offset, "") for number in range(key.modulus)])
    return ways if all(ways) else ()
