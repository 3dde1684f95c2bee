# SPDX-License-Identifier: GPL-2.0-only
"""The rules of namespaces, as the files that `iptables-restore`, `nft -f` and `ipset restore` read.

What rules have counted is left behind.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.apps.commands.iptables_tables import take_all
from emu.cluster.network.model import RulesFile
from emu.kernel.netfilter.matches.nfacct import Accounting
from emu.tools.ipset import listing as sets
from emu.tools.iptables import save
from emu.tools.iptables.snapshot import Snapshot
from emu.tools.nft import listing as tables

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from emu.cluster.network.importing.draft import Draft
    from emu.kernel.namespace import Namespace
    from emu.kernel.netfilter.nftables.ruleset import Ruleset, Set
    from emu.kernel.netfilter.ruleset import Table
    from emu.sim.time import Instant

_ENDINGS: Final = {"ipset": "ipset", "iptables": "rules", "nft": "nft"}
_STATELESS: Final = tables.Options(stateless=True)


def write_rules(net: Namespace, ns: str, now: Instant, draft: Draft) -> None:
    """Write the rules of `net`, which is `ns` in the document."""
    if net.used_netfilter is None:
        return
    netfilter = net.netfilter
    snapshots = take_all(net).values()
    texts = {
        "ipset": sets.render_save(netfilter.ipsets, now),
        "iptables": save.render(Snapshot(each.table) for each in snapshots),
        "nft": tables.render(_in_order(netfilter.nft.snapshot(now)), _STATELESS),
    }
    for kind, text in texts.items():
        if text:
            draft.rules[kind][ns] = RulesFile(f"{ns}.{_ENDINGS[kind]}", text)
    if texts["iptables"]:
        backend = draft.backend or ("legacy" if netfilter.is_legacy else "nft")
        if netfilter.is_legacy != (backend == "legacy"):
            draft.left_out.append(f"{ns}: that its rules are of another iptables than {backend}")
        draft.backend = backend
    if netfilter.ipvs.is_enabled:
        draft.left_out.append(f"{ns}: its virtual services (ipvsadm -S)")
    objects = list(dict.fromkeys(_accounts(each.table for each in snapshots)))
    if objects:
        told = ", ".join(objects)
        draft.left_out.append(f"{ns}: the objects that its rules count in (nfacct add NAME): {told}")


def _in_order(ruleset: Ruleset) -> Ruleset:
    """Return a ruleset with the elements of its sets sorted: where the kernel has them is chance."""

    def sorted_set(found: Set) -> Set:
        elements = sorted(found.elements, key=lambda each: tables.element(each, found, _STATELESS))
        return attrs.evolve(found, elements=tuple(elements))

    found = (attrs.evolve(each, sets=tuple(map(sorted_set, each.sets))) for each in ruleset.tables)
    return attrs.evolve(ruleset, tables=tuple(found))


def _accounts(found: Iterable[Table]) -> Iterator[str]:
    """Yield the names of the objects of `-m nfacct`, without which Linux refuses the rules."""
    rules = (rule for table in found for chain in table.chains for rule in chain.rules)
    yield from (match.name for rule in rules for match in rule.matches if isinstance(match, Accounting))


def count_connections(namespaces: Iterable[Namespace], now: Instant) -> int:
    """Return how many connections are tracked, which no document can say."""
    used = (net for net in namespaces if net.used_netfilter is not None)
    return sum(len(net.netfilter.conntrack.entries(now)) for net in used)
