# SPDX-License-Identifier: GPL-2.0-only
"""The rules of a node in iptables mode: what iptables-restore reads, and the chains it makes.

All of it follows from the service ports and the node's place; nothing here
looks at what a node has. Source: pkg/proxy/iptables/proxier.go.
"""

from __future__ import annotations

from bisect import bisect_left
from functools import cached_property
from typing import TYPE_CHECKING, Final, NamedTuple

import attrs

from emu.kube.proxy.lines import Written
from emu.kube.proxy.port_rules import BY_NAME, Shared

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from emu.kernel.netfilter.ruleset import Chain
    from emu.kube.proxy.config import Options
    from emu.kube.proxy.port_rules import PortRules

CANARY: Final = "KUBE-PROXY-CANARY"
"""An empty chain in each of `TABLES`: where it is missing, somebody has taken all rules away."""

TABLES: Final = ("filter", "nat", "mangle")

_PORTALS: Final = '-m comment --comment "kubernetes service portals"'
_VISIBLE: Final = '-m comment --comment "kubernetes externally-visible service portals"'
_BALANCED: Final = '-m comment --comment "kubernetes load balancer firewall"'
_NEW: Final = "-m conntrack --ctstate NEW"

JUMPS: Final = (
    ("filter", "INPUT", f"{_NEW} {_VISIBLE} -j KUBE-EXTERNAL-SERVICES"),
    ("filter", "FORWARD", f"{_NEW} {_VISIBLE} -j KUBE-EXTERNAL-SERVICES"),
    ("filter", "INPUT", '-m comment --comment "kubernetes health check service ports" -j KUBE-NODEPORTS'),
    ("filter", "FORWARD", f"{_NEW} {_PORTALS} -j KUBE-SERVICES"),
    ("filter", "OUTPUT", f"{_NEW} {_PORTALS} -j KUBE-SERVICES"),
    ("filter", "FORWARD", '-m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD'),
    ("filter", "INPUT", f"{_NEW} {_BALANCED} -j KUBE-PROXY-FIREWALL"),
    ("filter", "OUTPUT", f"{_NEW} {_BALANCED} -j KUBE-PROXY-FIREWALL"),
    ("filter", "FORWARD", f"{_NEW} {_BALANCED} -j KUBE-PROXY-FIREWALL"),
    ("nat", "OUTPUT", f"{_PORTALS} -j KUBE-SERVICES"),
    ("nat", "PREROUTING", f"{_PORTALS} -j KUBE-SERVICES"),
    ("nat", "POSTROUTING", '-m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING'),
    ("filter", "INPUT", "-j KUBE-FIREWALL"),
    ("filter", "OUTPUT", "-j KUBE-FIREWALL"),
)
"""Table, built-in chain and rule; each is put before all others there if it is missing, in this order."""

ENSURED: Final = {
    "mangle": (CANARY,),
    "nat": (CANARY, "KUBE-SERVICES", "KUBE-POSTROUTING"),
    "filter": (
        CANARY,
        "KUBE-EXTERNAL-SERVICES",
        "KUBE-NODEPORTS",
        "KUBE-SERVICES",
        "KUBE-FORWARD",
        "KUBE-PROXY-FIREWALL",
        "KUBE-FIREWALL",
    ),
}
"""Chains that are made where they are missing, and are otherwise left alone."""

_KNOWN: Final = (
    '-m comment --comment "kubernetes forwarding conntrack rule" '
    "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"
)
_FROM_OUTSIDE: Final = (
    '-m comment --comment "block incoming localnet connections" -d 127.0.0.0/8 ! -s 127.0.0.0/8 '
    "-m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP"
)
_LAST: Final = (
    '-m comment --comment "kubernetes service nodeports; NOTE: this must be the last rule in this chain"'
)


class Placed(NamedTuple):
    """A chain, and how many others have names before its own; no two have the same name."""

    at: int
    name: str
    chain: Chain


@attrs.frozen(eq=False)
class UniformChains:
    """The chains of those service ports that are the same on all nodes.

    Attributes:
        chains: sorted by name.
    """

    chains: tuple[Chain, ...] = ()

    @classmethod
    def of(cls, ports: Iterable[PortRules]) -> UniformChains:
        """Return the chains of these ports."""
        return cls(tuple(sorted([written.chain for port in ports for written in port.own], key=BY_NAME)))

    @cached_property
    def by_name(self) -> dict[str, Chain]:
        """The chains by their names, in that order."""
        return {chain.name: chain for chain in self.chains}

    @cached_property
    def _names(self) -> list[str]:
        return [chain.name for chain in self.chains]

    @cached_property
    def _of_ports(self) -> dict[int, tuple[PortRules, list[Placed]]]:
        """Where the chains of other ports belong: it is the same for all nodes that have them."""
        return {}

    def placed(self, chains: Iterable[Chain]) -> list[Placed]:
        """Return `chains` with their places among these."""
        return [Placed(bisect_left(self._names, chain.name), chain.name, chain) for chain in chains]

    def placed_of(self, port: PortRules) -> list[Placed]:
        """Return the chains of a port with their places among these."""
        found = self._of_ports.get(id(port))
        if found is None:
            found = self._of_ports[id(port)] = port, self.placed(port.by_name.values())
        return found[1]

    def merged(self, others: Sequence[Placed]) -> list[Chain]:
        """Return all chains, sorted by name."""
        merged: list[Chain] = []
        done = 0
        for at, _, chain in sorted(others):
            merged += self.chains[done:at]
            merged.append(chain)
            done = at
        merged += self.chains[done:]
        return merged


@attrs.frozen(eq=False)
class PortSet:
    """The service ports of a node, in order.

    Attributes:
        ports: the rules of each.
        uniform: the chains of those that are the same on all nodes.
        others: the rules of those that are not.
    """

    ports: tuple[PortRules, ...] = ()
    uniform: UniformChains = UniformChains()
    others: tuple[PortRules, ...] = ()

    @property
    def own(self) -> Iterator[Written]:
        """The ports' own chains, as they are written."""
        return (written for port in self.ports for written in port.own)

    def merged(self, beside: Iterable[Chain]) -> list[Chain]:
        """Return the ports' own chains and those `beside` them, sorted by name."""
        placed = self.uniform.placed(beside)
        for port in self.others:
            placed += self.uniform.placed_of(port)
        return self.uniform.merged(placed)

    def shared(self, place: Shared) -> Written:
        """Return the rules of all ports in a chain that they share."""
        at = _PLACES[place]
        return Written(place.chain, (), tuple([each for port in self.ports if (each := port.shared[at])]))


_PLACES: Final = {place: number for number, place in enumerate(Shared)}


@attrs.frozen(eq=False)
class TableRules:
    """What kube-proxy wants of one table.

    Attributes:
        name: of the table.
        common: chains that are written anew with every sync.
        ports: the service ports, whose own chains follow.
    """

    name: str
    common: tuple[Written, ...]
    ports: PortSet = PortSet()

    @property
    def written(self) -> Iterator[Written]:
        """All chains, in the order in which they are written."""
        yield from self.common
        yield from self.ports.own

    @cached_property
    def common_chains(self) -> tuple[Chain, ...]:
        """The chains that are written anew with every sync."""
        return tuple([written.chain for written in self.common])

    @cached_property
    def common_names(self) -> frozenset[str]:
        """Their names."""
        return frozenset(written.name for written in self.common)


@attrs.frozen(eq=False)
class Ruleset:
    """The rules of a node; nodes whose rules are the same have the same object.

    Attributes:
        filter: the table filter.
        nat: the table nat.
    """

    filter: TableRules
    nat: TableRules

    @property
    def tables(self) -> tuple[TableRules, TableRules]:
        """The tables, in the order in which they are written."""
        return self.filter, self.nat

    def lines(self, table: str, chain: str) -> tuple[str, ...]:
        """Return the rules of a chain as they are written; none for a chain that there is not."""
        tables = {each.name: each for each in self.tables}
        return next((each.lines for each in tables[table].written if each.name == chain), ())


def assemble(options: Options, ports: PortSet, served: Sequence[str] | None) -> Ruleset:
    """Return the rules of a node.

    Args:
        options: what its kube-proxy is told.
        ports: the rules of the service ports.
        served: the node's addresses that serve node ports; None for all.
    """
    filter_ = (
        ports.shared(Shared.SERVICES),
        ports.shared(Shared.EXTERNAL_SERVICES),
        _forward(options),
        ports.shared(Shared.NODE_PORTS),
        ports.shared(Shared.FIREWALL),
        *_localnet(options),
    )
    own = ports.shared(Shared.NAT_SERVICES)
    services = attrs.evolve(own, parts=(*own.parts, _node_port_dispatch(options, served)))
    nat = services, ports.shared(Shared.NAT_NODE_PORTS), _postrouting(options), _mark(options)
    return Ruleset(TableRules("filter", filter_), TableRules("nat", nat, ports))


def _node_port_dispatch(options: Options, addresses: Sequence[str] | None) -> Written:
    """Return the rules that lead to node ports: the last ones of KUBE-SERVICES."""
    if addresses is not None:
        return Written("KUBE-SERVICES", tuple([f"{_LAST} -d {each} -j KUBE-NODEPORTS" for each in addresses]))
    but = "" if options.localhost_node_ports else "! -d 127.0.0.0/8 "
    return Written("KUBE-SERVICES", (f"{_LAST} -m addrtype --dst-type LOCAL {but}-j KUBE-NODEPORTS",))


def _forward(options: Options) -> Written:
    mark = f"-m mark --mark {options.mark}/{options.mark}"
    counted = "-m nfacct --nfacct-name ct_state_invalid_dropped_pkts " if options.features.nfacct else ""
    lines = [] if options.tcp_be_liberal else [f"-m conntrack --ctstate INVALID {counted}-j DROP"]
    lines += [f'-m comment --comment "kubernetes forwarding rules" {mark} -j ACCEPT', _KNOWN]
    return Written("KUBE-FORWARD", tuple(lines))


def _localnet(options: Options) -> Iterator[Written]:
    """Yield what makes up for `route_localnet`, which loopback node ports need."""
    if options.localhost_node_ports:
        yield Written("KUBE-FIREWALL", (_FROM_OUTSIDE,))


def _postrouting(options: Options) -> Written:
    fully = " --random-fully" if options.features.random_fully else ""
    return Written(
        "KUBE-POSTROUTING",
        (
            f"-m mark ! --mark {options.mark}/{options.mark} -j RETURN",
            f"-j MARK --xor-mark {options.mark}",
            f'-m comment --comment "kubernetes service traffic requiring SNAT" -j MASQUERADE{fully}',
        ),
    )


def _mark(options: Options) -> Written:
    return Written("KUBE-MARK-MASQ", (f"-j MARK --or-mark {options.mark}",))


def render(ruleset: Ruleset, stale: Mapping[str, Sequence[str]] | None = None) -> str:
    """Return what a full sync gives to `iptables-restore --noflush --counters`.

    Args:
        ruleset: the rules.
        stale: chains to be deleted, by table.
    """
    words: list[str] = []
    for table in ruleset.tables:
        gone = (stale or {}).get(table.name, ())
        words.append(f"*{table.name}")
        words += [f":{each.name} - [0:0]" for each in table.written]
        words += [f":{name} - [0:0]" for name in gone]
        words += [f"-A {each.name} {line}" for each in table.written for line in each.lines]
        words += [f"-X {name}" for name in gone]
        words.append("COMMIT")
    return "\n".join(words) + "\n"
