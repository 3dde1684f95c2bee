# SPDX-License-Identifier: GPL-2.0-only
"""The mode iptables: nodes that see the same hold the same tables, chains of service ports included.

Source: pkg/proxy/iptables/proxier.go, cleanup.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.kernel.netfilter.ruleset import Goto, Jump, Table
from emu.kernel.netfilter.xtables import ChainCounts
from emu.kube.proxy.iptables import CANARY, JUMPS, TABLES, PortSet, UniformChains, assemble, render
from emu.kube.proxy.lines import read_rule
from emu.kube.proxy.load import Loader, is_intact
from emu.kube.proxy.names import PER_SERVICE
from emu.kube.proxy.port_rules import PortWriter
from emu.sim.time import Instant

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from emu.kernel.namespace import Namespace
    from emu.kernel.netfilter.ruleset import Chain
    from emu.kernel.netfilter.xtables import XTable
    from emu.kube.proxy.config import Options, Place
    from emu.kube.proxy.iptables import Ruleset
    from emu.kube.proxy.load import Loaded
    from emu.kube.proxy.node import Proxy
    from emu.kube.proxy.port_rules import PortRules
    from emu.kube.proxy.proxy import Fleet

_NEVER: Final = Instant(-1 << 62)
_KUBELETS: Final = "KUBE-FIREWALL"
"""A chain that the kubelet writes, too: clean-up leaves it and the jumps to it alone."""

_CLEANED: Final = {
    "nat": ("KUBE-SERVICES", "KUBE-NODEPORTS", "KUBE-POSTROUTING", "KUBE-MARK-MASQ", CANARY),
    "filter": (
        "KUBE-SERVICES",
        "KUBE-EXTERNAL-SERVICES",
        "KUBE-FORWARD",
        "KUBE-NODEPORTS",
        "KUBE-PROXY-FIREWALL",
        CANARY,
    ),
    "mangle": (CANARY,),
}


class IptablesMode:
    """The rules of all nodes, the same object for nodes that see the same."""

    def __init__(self, fleet: Fleet) -> None:
        self.loader = Loader()
        self._catalogue = fleet.catalogue
        self._rulesets: dict[tuple[Options, tuple[str, ...] | None, tuple[PortRules, ...]], Ruleset] = {}
        self._generation = 0
        self._uniform: dict[Options, _Uniform] = {}

    def begin(self, proxy: Proxy) -> IptablesPlane:
        """Return the plane of a node; loopback addresses are routed if node ports are served there."""
        if proxy.options.localhost_node_ports:
            proxy.net.sysctl.set("net.ipv4.conf.all.route_localnet", 1)
        return IptablesPlane(self, proxy)

    @property
    def is_large(self) -> bool:
        """Whether there are so many endpoints that most comments are left out."""
        return self._catalogue.is_large

    def ruleset(self, options: Options, place: Place, served: tuple[str, ...] | None) -> Ruleset:
        """Return the rules of a node, the same object for nodes that see the same.

        Args:
            options: what its proxy is told.
            place: where it is.
            served: its addresses that serve node ports; None for all.
        """
        entries, is_large = self._catalogue.entries, self._catalogue.is_large
        if self._catalogue.generation != self._generation:
            self._generation = self._catalogue.generation
            self._rulesets.clear()
            self._uniform.clear()
            self.loader.forget()
        uniform = self._uniform.get(options)
        if uniform is None:
            uniform = self._uniform[options] = _Uniform(
                [
                    entry.rules(PortWriter, options, place, is_large=is_large) if entry.is_uniform else None
                    for entry in entries
                ]
            )
        others = tuple(
            [entries[at].rules(PortWriter, options, place, is_large=is_large) for at in uniform.gaps]
        )
        key = options, served, others
        found = self._rulesets.get(key)
        if found is None:
            found = self._rulesets[key] = assemble(options, uniform.filled(others), served)
        return found


class IptablesPlane:
    """The rules of one node, as they are in its kernel."""

    def __init__(self, mode: IptablesMode, proxy: Proxy) -> None:
        self._mode = mode
        self._proxy = proxy
        self._loaded: Mapping[str, Loaded] = {}
        self._written: Ruleset | None = None
        self._last_deletion = _NEVER

    @property
    def ruleset(self) -> Ruleset:
        """The rules that the node should have now."""
        proxy = self._proxy
        return self._mode.ruleset(proxy.options, proxy.place, proxy.served)

    def sync(self, now: Instant, *, full: bool) -> bool:
        """Make the rules of the node what they should be; see `Plane`."""
        ruleset = self.ruleset
        deletes = not self._mode.is_large or now - self._last_deletion > self._proxy.config.sync_period
        if not (full or ruleset is not self._written or (deletes and self.is_unfinished())):
            return False
        self._loaded = self._mode.loader.load(
            self._proxy.net, ruleset, self._loaded, full=full, deletes=deletes
        )
        self._written = ruleset
        if deletes:
            self._last_deletion = now
        return True

    def is_intact(self) -> bool:
        """Return whether the canaries are all there."""
        return is_intact(self._proxy.net)

    def is_unfinished(self) -> bool:
        """Return whether chains are left that are to be deleted."""
        return any(each.strangers.stale for each in self._loaded.values())

    def stop(self) -> None:
        """Do nothing: rules stay where they are."""

    def text(self) -> str:
        """Return what iptables-restore is given by a full sync."""
        return render(self.ruleset)


class _Uniform:
    """The rules of those service ports that are the same on all nodes, with gaps for the others."""

    def __init__(self, rules: Sequence[PortRules | None]) -> None:
        self.gaps = [at for at, each in enumerate(rules) if each is None]
        self._rules = rules
        self._chains = UniformChains.of(each for each in rules if each is not None)

    def filled(self, others: tuple[PortRules, ...]) -> PortSet:
        """Return the rules of all service ports, the gaps filled by `others`."""
        rest = iter(others)
        ports = tuple([each if each is not None else next(rest) for each in self._rules])
        return PortSet(ports, self._chains, others)


def clean_up(net: Namespace) -> None:
    """Take away the rules and chains of the mode iptables; a table where others lead to them keeps them."""
    if net.used_netfilter is None:
        return
    for name in TABLES:
        found = net.netfilter.tables.get(name)
        if found is not None and any(chain.name in _CLEANED[name] for chain in found.table.chains):
            _clean(net, found)


def _clean(net: Namespace, xtable: XTable) -> None:
    """Take away from a table what is kube-proxy's; what stays has counted what it has counted."""
    table = xtable.table
    jumps = [
        (chain, read_rule(chain, line))
        for name, chain, line in JUMPS
        if name == table.name and _KUBELETS not in line
    ]
    chains: list[Chain] = []
    counts, memories = dict(xtable.known_counts()), dict(xtable.memories)
    for chain in table.chains:
        if _is_ours(table.name, chain.name):
            counts.pop(chain.name, None)
            memories = {key: each for key, each in memories.items() if key[0] != chain.name}
            continue
        stay = [at for at, rule in enumerate(chain.rules) if (chain.name, rule) not in jumps]
        chains.append(attrs.evolve(chain, rules=tuple([chain.rules[at] for at in stay])))
        known = counts.get(chain.name)
        if known is not None:
            seen = list(known.rules)
            counts[chain.name] = ChainCounts([seen[at] for at in stay], known.policy)
        places = {at: number for number, at in enumerate(stay)}
        memories = {
            (name, places[at] if name == chain.name else at): each
            for (name, at), each in memories.items()
            if name != chain.name or at in places
        }
    names = {chain.name for chain in chains}
    targets = [rule.target for chain in chains for rule in chain.rules]
    if all(target.chain in names for target in targets if isinstance(target, (Jump, Goto))):
        net.netfilter.replace(Table(table.name, tuple(chains), table.family), counts, memories)


def _is_ours(table: str, chain: str) -> bool:
    return chain in _CLEANED[table] or (table == "nat" and chain.startswith(PER_SERVICE))
