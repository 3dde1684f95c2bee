# SPDX-License-Identifier: GPL-2.0-only
"""What rules need of others: connection tracking (who calls `nf_ct_netns_get`), and a memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kernel.netfilter.nftables import expressions as ex
from emu.kernel.netfilter.nftables import statements as st

if TYPE_CHECKING:
    from emu.kernel.netfilter.nftables.ruleset import Rule

_LEAVES: Final = (int, str, ex.Decision, ex.Members, type(None))
_TRACKED: Final = (st.Nat, st.SetCt)
_COUNTING: Final = (st.Counter, st.Limit)


def needs_conntrack(rule: Rule) -> bool:
    """Return whether a rule asks for connections."""
    return any(isinstance(one, _TRACKED) or _asks(one) for one in rule.statements)


def _asks(value: object) -> bool:
    if isinstance(value, _LEAVES):
        return False
    if isinstance(value, tuple):
        return any(map(_asks, value))
    if isinstance(value, ex.Ct):
        return True
    return any(_asks(getattr(value, name)) for name in getattr(type(value), "__match_args__", ()))


def remembers(rule: Rule) -> bool:
    """Return whether a rule remembers something from one packet to the next."""
    return any(isinstance(one, _COUNTING) or _in_turn(one) for one in rule.statements)


def _in_turn(value: object) -> bool:
    """Return whether an expression in `value` goes by those before, or by a seed that is drawn once."""
    if isinstance(value, _LEAVES):
        return False
    if isinstance(value, tuple):
        return any(map(_in_turn, value))
    if isinstance(value, ex.Hash) or (isinstance(value, ex.Numgen) and value.mode != "random"):
        return True
    return any(_in_turn(getattr(value, name)) for name in getattr(type(value), "__match_args__", ()))
