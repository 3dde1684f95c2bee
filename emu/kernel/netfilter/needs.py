# SPDX-License-Identifier: GPL-2.0-only
"""Which rules switch connection tracking on.

In Linux each match and target that asks for a connection takes a reference when
its rule is loaded (`nf_ct_netns_get`), and the hooks of connection tracking are
there while anybody holds one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kernel.netfilter.matches.connbytes import ConnBytes
from emu.kernel.netfilter.matches.connlimit import ConnLimit
from emu.kernel.netfilter.matches.connmark import Connmark
from emu.kernel.netfilter.matches.conntrack import Conntrack, State
from emu.kernel.netfilter.targets.connmark import RestoreMark, SaveMark, SetConnmark
from emu.kernel.netfilter.targets.ct import Track
from emu.kernel.netfilter.targets.nat import Dnat, Masquerade, Netmap, Redirect, Snat

if TYPE_CHECKING:
    from emu.kernel.netfilter.ruleset import Rule, Table

_MATCHES: Final = (Conntrack, State, Connmark, ConnBytes, ConnLimit)
_TARGETS: Final = (Dnat, Snat, Masquerade, Redirect, Netmap, SetConnmark, SaveMark, RestoreMark, Track)


def needs_conntrack(table: Table) -> bool:
    """Return whether some rule of `table` asks for connections."""
    return any(_asks(rule) for chain in table.chains for rule in chain.rules)


def _asks(rule: Rule) -> bool:
    if isinstance(rule.target, Track) and rule.target.untracked:
        return any(isinstance(match, _MATCHES) for match in rule.matches)
    return isinstance(rule.target, _TARGETS) or any(isinstance(match, _MATCHES) for match in rule.matches)
