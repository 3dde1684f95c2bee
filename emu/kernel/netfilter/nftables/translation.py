# SPDX-License-Identifier: GPL-2.0-only
"""`dnat`, `snat`, `masquerade` and `redirect` turned into functions.

Source: net/netfilter/nft_nat.c, nft_masq.c, nft_redir.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from emu.kernel.netfilter import nat
from emu.kernel.netfilter.hooks import Hook
from emu.kernel.netfilter.nat import Manip
from emu.kernel.netfilter.nat_range import NatRange
from emu.kernel.netfilter.nftables import expressions as ex
from emu.kernel.netfilter.nftables.evaluation import BREAK, NotModelledError
from emu.kernel.netfilter.nftables.loads import load
from emu.kernel.netfilter.targets.nat import Masquerade, Redirect
from emu.wire.addresses import IpAddress

if TYPE_CHECKING:
    from emu.kernel.netfilter.nftables.evaluation import Evaluation, Load, Outcome, Step
    from emu.kernel.netfilter.nftables.statements import Nat

_DESTINATION = (Hook.PREROUTING, Hook.OUTPUT)
_ALL = 0xFFFFFFFF


def compile_nat(statement: Nat) -> Step:
    """Return the statement that binds the connection to other ends.

    Raises:
        NotModelledError: it asks for what is not modelled.
    """
    if statement.family == 6:
        raise NotModelledError(f"{statement.kind} ip6")
    if statement.kind in ("masquerade", "redirect"):
        return _compile_own(statement)
    manip = Manip.DST if statement.kind == "dnat" else Manip.SRC
    addresses = _load_bounds(statement.to.low, statement.to.high)
    ports = _load_bounds(statement.to.port, statement.to.last_port)
    is_prefix, flags = statement.form == "prefix", _flags(statement)

    def step(evaluation: Evaluation) -> Outcome:
        found, port = addresses(evaluation), ports(evaluation)
        if found is None or port is None:
            return BREAK
        if isinstance(found[0], tuple):
            found, port = _bounds(found[0][0]), _bounds(found[0][1])
        low, high = found
        if is_prefix:
            low = high = _mapped(evaluation, low, high)
        return nat.setup(evaluation.packet, _range(low, high, *port, **flags), manip)

    return step


def _compile_own(statement: Nat) -> Step:
    """Return `masquerade` or `redirect`: only ports are said."""
    ports, flags = _load_bounds(statement.to.port, statement.to.last_port), _flags(statement)
    kind = Masquerade if statement.kind == "masquerade" else Redirect

    def step(evaluation: Evaluation) -> Outcome:
        port = ports(evaluation)
        if port is None:
            return BREAK
        return kind(_range(None, None, *port, **flags)).apply(evaluation.packet)

    return step


def _flags(statement: Nat) -> dict[str, bool]:
    return {
        "random": "random" in statement.flags,
        "random_fully": "fully-random" in statement.flags,
        "persistent": "persistent" in statement.flags,
    }


def _range(low: int | None, high: int | None, port: int | None, last: int | None, **flags: bool) -> NatRange:
    return NatRange(
        None if low is None else IpAddress.from_int(low),
        None if high is None else IpAddress.from_int(high),
        port,
        last,
        **flags,
    )


def _load_bounds(low: int | ex.Expression | None, high: int | None) -> Load:
    """Return a reader of the first and the last of some values; None where a map has nothing."""
    if low is None or isinstance(low, int):
        constant = (low, low if high is None else high)
        return lambda _: constant
    read = load(low)

    def bounds(evaluation: Evaluation) -> tuple[Any, Any] | None:
        value = read(evaluation)
        return None if value is None else _bounds(value)

    return bounds


def _bounds(value: Any) -> tuple[Any, Any]:  # noqa: ANN401 - what a map returns
    return (value.low, value.high) if isinstance(value, ex.Range) else (value, value)


def _mapped(evaluation: Evaluation, low: int, high: int) -> int:
    """Return the same host of another network. Source: `nft_nat_setup_netmap`."""
    packet = evaluation.packet
    header = packet.skb.header
    old = int.from_bytes(header.dst if packet.hook in _DESTINATION else header.src, "big")
    mask = ~(low ^ high) & _ALL
    return old & ~mask & _ALL | low & mask
