# SPDX-License-Identifier: GPL-2.0-only
"""Numbers that spread packets: drawn, counted, or made from their octets.

Source: net/netfilter/nft_numgen.c, nft_hash.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from emu.kernel.netfilter.jhash import jhash, scale
from emu.kernel.netfilter.nftables.states import Sequence
from emu.kernel.netfilter.nftables.typing_of import types_of
from emu.sim.choice import Uniform

if TYPE_CHECKING:
    from emu.kernel.netfilter.nftables.datatypes import DataType
    from emu.kernel.netfilter.nftables.evaluation import Evaluation, Load
    from emu.kernel.netfilter.nftables.expressions import Hash, Numgen

_REGISTER = 4  # octets; each part of a key begins in a new one


def _sequence(evaluation: Evaluation, expression: object) -> Sequence:
    """Return what the rule remembers of an expression."""
    return evaluation.rule.sequences.setdefault(expression, Sequence())


def _draw(evaluation: Evaluation, what: str, modulus: int) -> int:
    if modulus == 1:
        return 0
    return evaluation.packet.net.choice.pick(f"{what} mod {modulus}", Uniform(modulus))


def load_numgen(numgen: Numgen) -> Load:
    """Return the function that makes the next number."""
    modulus, offset = numgen.modulus, numgen.offset
    if numgen.mode == "random":

        def drawn(evaluation: Evaluation) -> int:
            return _draw(evaluation, "numgen random", modulus) + offset

        return drawn

    def counted(evaluation: Evaluation) -> int:
        sequence = _sequence(evaluation, numgen)
        number = sequence.next
        sequence.next = (number + 1) % modulus
        return number + offset

    return counted


def load_hash(found: Hash, key: Load | None) -> Load:
    """Return the function that makes a number of `key`, or of the flow.

    Where the kernel draws the seed, the number for each key is drawn once.
    """
    if key is None:
        return _load_drawn(found, _flow, "symhash")
    if found.seed is None:
        return _load_drawn(found, key, "jhash")
    assert found.key is not None
    types, seed = types_of(found.key), found.seed

    def hashed(evaluation: Evaluation) -> int | None:
        value = key(evaluation)
        if value is None:
            return None
        octets = b"".join(map(_octets, value if isinstance(value, tuple) else (value,), types))
        octets = octets if len(types) > 1 else octets[: types[0].octets]
        return scale(jhash(octets, seed), found.modulus) + found.offset

    return hashed


def _octets(value: int | str, datatype: DataType) -> bytes:
    width = -datatype.octets % _REGISTER + datatype.octets
    if isinstance(value, str):
        return value.encode().ljust(width, b"\0")
    return value.to_bytes(datatype.octets, "little" if datatype.host else "big").ljust(width, b"\0")


def _load_drawn(found: Hash, key: Load, what: str) -> Load:
    def drawn(evaluation: Evaluation) -> int | None:
        value = key(evaluation)
        if value is None:
            return None
        known = _sequence(evaluation, found).drawn
        if value not in known:
            known[value] = _draw(evaluation, what, found.modulus)
        return known[value] + found.offset

    return drawn


def _flow(evaluation: Evaluation) -> tuple[Any, ...]:
    """Return what is the same for both directions of a flow."""
    header, ports = evaluation.skb.header, evaluation.packet.ports or (0, 0)
    ends = sorted(((header.src, ports[0]), (header.dst, ports[1])))
    return header.protocol, *ends
