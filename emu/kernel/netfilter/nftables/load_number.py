# SPDX-License-Identifier: GPL-2.0-only
"""Numbers that spread packets: drawn, counted, or made from their octets.

Source: net/netfilter/nft_numgen.c, nft_hash.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kernel.netfilter.jhash import jhash, scale
from emu.kernel.netfilter.nftables.states import Sequence as Remembered
from emu.kernel.netfilter.nftables.typing_of import types_of
from emu.sim.choice import DrawnChoice, Uniform

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from emu.kernel.netfilter.nftables.datatypes import DataType
    from emu.kernel.netfilter.nftables.evaluation import Evaluation, Load
    from emu.kernel.netfilter.nftables.expressions import Hash, Numgen

_REGISTER = 4  # octets; each part of a key begins in a new one
_SEEDS: Final = Uniform(1 << 32)


def _sequence(evaluation: Evaluation, expression: object) -> Remembered:
    """Return what the rule remembers of an expression."""
    return evaluation.rule.sequences.setdefault(expression, Remembered())


def _draw(evaluation: Evaluation, what: str, modulus: int) -> int:
    if modulus == 1:
        return 0
    return evaluation.packet.net.choice.pick(f"{what} mod {modulus}", Uniform(modulus))


def load_numgen(numgen: Numgen, ways: Sequence[str] = ()) -> Load:
    """Return the function that makes the next number; `ways` are the chains that the numbers lead to."""
    modulus, offset = numgen.modulus, numgen.offset
    if numgen.mode == "random" and ways and modulus > 1:
        odds = Uniform(modulus)

        def led(evaluation: Evaluation) -> int:
            packet = evaluation.packet
            return packet.net.choice.pick(packet.chain, odds, ways) + offset

        return led
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

    Where the kernel draws the seed, it is drawn when the first packet comes; an
    exploration, which cannot follow four thousand million seeds, decides about
    the number of each key instead.

    Known difference: each `symhash` has a seed, in Linux all of them have one.
    """
    if key is None or found.key is None:
        return _seeded(found, _flow, "symhash")
    types = types_of(found.key)

    def octets_of(evaluation: Evaluation) -> bytes | None:
        value = key(evaluation)
        if value is None:
            return None
        octets = b"".join(map(_octets, value if isinstance(value, tuple) else (value,), types))
        return octets if len(types) > 1 else octets[: types[0].octets]

    return _seeded(found, octets_of, "jhash")


def _octets(value: int | str, datatype: DataType) -> bytes:
    width = -datatype.octets % _REGISTER + datatype.octets
    if isinstance(value, str):
        return value.encode().ljust(width, b"\0")
    return value.to_bytes(datatype.octets, "little" if datatype.host else "big").ljust(width, b"\0")


def _seeded(found: Hash, octets_of: Callable[[Evaluation], bytes | None], what: str) -> Load:
    modulus, offset = found.modulus, found.offset

    def hashed(evaluation: Evaluation) -> int | None:
        octets = octets_of(evaluation)
        if octets is None:
            return None
        seed = found.seed
        if seed is None:
            choice, sequence = evaluation.packet.net.choice, _sequence(evaluation, found)
            if not isinstance(choice, DrawnChoice):
                if octets not in sequence.decided:
                    sequence.decided[octets] = _draw(evaluation, what, modulus)
                return sequence.decided[octets] + offset
            if sequence.seed is None:
                sequence.seed = choice.pick(f"seed of {what}", _SEEDS)
            seed = sequence.seed
        return scale(jhash(octets, seed), modulus) + offset

    return hashed


def _flow(evaluation: Evaluation) -> bytes:
    """Return what is the same for both directions of a flow."""
    header, (sport, dport) = evaluation.skb.header, evaluation.packet.ports or (0, 0)
    ends = sorted(((header.src, sport), (header.dst, dport)))
    return bytes((header.protocol,)) + b"".join(address + port.to_bytes(2, "big") for address, port in ends)
