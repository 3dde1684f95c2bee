# SPDX-License-Identifier: GPL-2.0-only
"""The mode nftables: what one sync asks of the kernel, worked out once for all nodes that see the same.

A full sync makes base chains anew and writes everything; others write what has
changed. Chains that are no longer wanted are emptied at once, and deleted by a
sync at least a second later. What sets remember of clients stays.

Known difference: there is no full sync by the hour, and a Service that changed
and whose rules did not is not written again.

Source: pkg/proxy/nftables/proxier.go `syncProxyRules`, cleanup.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from emu.errors import CommandError
from emu.kernel.netfilter.nftables import requests as ask
from emu.kernel.netfilter.nftables import ruleset as kernel
from emu.kube.proxy.nft.base import (
    BASE_CHAINS,
    HOLDERS,
    NODE_PORT_IPS,
    TABLE_VALUE,
    Base,
    Ruleset,
    base_of,
    render,
)
from emu.kube.proxy.nft.names import AFFINITY, TABLE, is_of_port
from emu.kube.proxy.nft.ports import PortWriter
from emu.kube.proxy.nft.values import FAMILY
from emu.sim.time import SECOND, Instant

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from emu.kernel.namespace import Namespace
    from emu.kernel.netfilter.nftables.expressions import Key
    from emu.kernel.netfilter.nftables.live import LiveTable
    from emu.kernel.netfilter.nftables.requests import Request
    from emu.kube.proxy.config import Options, Place
    from emu.kube.proxy.nft.ports import PortRules
    from emu.kube.proxy.nft.values import Chain
    from emu.kube.proxy.node import Proxy
    from emu.kube.proxy.proxy import Fleet

_STALE_FOR: Final = SECOND
_WHERE: Final = FAMILY, TABLE

Wanted = dict[str, dict["Key", kernel.Element]]
"""Elements by their sets and keys."""


class Delta(NamedTuple):
    """What one sync asks for that leads from rules to others.

    Attributes:
        requests: in order.
        emptied: chains that are no longer wanted.
        used: chains that are written.
    """

    requests: tuple[Request, ...]
    emptied: tuple[str, ...] = ()
    used: tuple[str, ...] = ()


class NftablesMode:
    """The rules of all nodes, the same object for nodes that see the same."""

    def __init__(self, fleet: Fleet) -> None:
        self._catalogue = fleet.catalogue
        self._generation = 0
        self._bases: dict[tuple[Options, tuple[str, ...] | None], Base] = {}
        self._uniform: dict[Options, tuple[list[PortRules | None], list[int]]] = {}
        self._rulesets: dict[tuple[int, tuple[PortRules, ...]], Ruleset] = {}
        self._wanted: dict[int, tuple[Ruleset, Wanted]] = {}
        self._deltas: dict[tuple[int, int], tuple[Ruleset, Ruleset, Delta]] = {}

    def begin(self, proxy: Proxy) -> NftablesPlane:
        """Return the plane of a node."""
        return NftablesPlane(self, proxy)

    def ruleset(self, options: Options, place: Place, served: tuple[str, ...] | None) -> Ruleset:
        """Return the rules of a node, the same object for nodes that see the same.

        Args:
            options: what its proxy is told.
            place: where it is.
            served: its addresses that serve node ports; None for all.
        """
        entries = self._catalogue.entries
        if self._catalogue.generation != self._generation:
            self._generation = self._catalogue.generation
            self._rulesets.clear()
            self._uniform.clear()
            self._wanted.clear()
            self._deltas.clear()
        base = self._bases.get((options, served))
        if base is None:
            base = self._bases[options, served] = base_of(options, served)
        uniform = self._uniform.get(options)
        if uniform is None:
            rules = [
                entry.rules(PortWriter, options, place, is_large=False) if entry.is_uniform else None
                for entry in entries
            ]
            uniform = rules, [at for at, each in enumerate(rules) if each is None]
            self._uniform[options] = uniform
        rules, gaps = uniform
        others = tuple([entries[at].rules(PortWriter, options, place, is_large=False) for at in gaps])
        key = id(base), others
        found = self._rulesets.get(key)
        if found is None:
            rest = iter(others)
            ports = tuple([each if each is not None else next(rest) for each in rules])
            found = self._rulesets[key] = Ruleset(base, ports)
        return found

    def wanted(self, ruleset: Ruleset) -> Wanted:
        """Return the elements of a node's sets; of two for the same packets the last."""
        found = self._wanted.get(id(ruleset))
        if found is None:
            wanted: Wanted = {name: {} for name in HOLDERS}
            for element in ruleset.base.elements:
                wanted[element.holder][element.value.key] = element.value
            for port in ruleset.ports:
                for holder, value in port.values:
                    wanted[holder][value.key] = value
            found = self._wanted[id(ruleset)] = ruleset, wanted
        return found[1]

    def delta(self, before: Ruleset, after: Ruleset) -> Delta:
        """Return what leads from the rules of a node to those that it is to have."""
        found = self._deltas.get((id(before), id(after)))
        if found is None:
            made = self._delta(before, after)
            found = self._deltas[id(before), id(after)] = before, after, made
        return found[2]

    def _delta(self, before: Ruleset, after: Ruleset) -> Delta:
        new = [port for port in after.ports if id(port) not in before.identities]
        old = [port for port in before.ports if id(port) not in after.identities]
        used = _names(new)
        emptied = [name for name in _names(old) if name not in used]
        sets = {each.name for port in new for each in port.sets}
        gone = [each.name for port in old for each in port.sets if each.name not in sets]
        requests = [
            *_written([chain for port in new for chain in port.chains], new),
            *(ask.FlushChain(*_WHERE, name) for name in emptied),
            *(ask.DeleteSet(*_WHERE, name) for name in gone),
            *_elements(self.wanted(before), self.wanted(after)),
        ]
        return Delta(tuple(requests), tuple(emptied), tuple(used))

    def full(self, ruleset: Ruleset, present: LiveTable | None, *, anew: bool) -> Delta:
        """Return what a full sync asks for, whatever is there.

        Args:
            ruleset: the rules of the node.
            present: its table, None if there is none.
            anew: base chains are deleted before they are made.
        """
        base = ruleset.base
        requests: list[Request] = [ask.AddTable(TABLE_VALUE)]
        for name in BASE_CHAINS if anew else ():
            requests += [ask.AddChain(*_WHERE, kernel.Chain(name)), ask.DeleteChain(*_WHERE, name)]
        requests += _prepared(base.chains)
        requests += [ask.AddSet(*_WHERE, each.value) for each in base.holders]
        if NODE_PORT_IPS not in {each.name for each in base.holders}:
            requests.append(ask.DeleteSet(*_WHERE, NODE_PORT_IPS, if_there=True))
        requests += _rules(base.chains)
        chains = [chain for port in ruleset.ports for chain in port.chains]
        requests += _written(chains, ruleset.ports)
        used = dict.fromkeys(chain.name for chain in chains)
        known = present.chains if present is not None else ()
        emptied = [name for name in known if is_of_port(name) and name not in used]
        requests += [ask.FlushChain(*_WHERE, name) for name in emptied]
        sets = {each.name for port in ruleset.ports for each in port.sets}
        there = present.sets if present is not None else {}
        requests += [
            ask.DeleteSet(*_WHERE, name) for name in there if name.startswith(AFFINITY) and name not in sets
        ]
        held = {name: {key: slot.element for key, slot in each.slots.items()} for name, each in there.items()}
        requests += _elements(held, self.wanted(ruleset))
        return Delta(tuple(requests), tuple(emptied), tuple(used))


def _names(ports: Iterable[PortRules]) -> dict[str, None]:
    return dict.fromkeys(chain.name for port in ports for chain in port.chains)


def _written(chains: Iterable[Chain], ports: Iterable[PortRules]) -> Iterator[Request]:
    """Yield what makes the chains of ports what they should be, and the sets that they name."""
    chains = list(chains)
    yield from _prepared(chains)
    for port in ports:
        for each in port.sets:
            yield ask.AddSet(*_WHERE, each.value)
    yield from _rules(chains)


def _prepared(chains: Iterable[Chain]) -> Iterator[Request]:
    """Yield what makes chains, and empties those that were there."""
    for chain in chains:
        yield ask.AddChain(*_WHERE, chain.value)
        yield ask.FlushChain(*_WHERE, chain.name)


def _rules(chains: Iterable[Chain]) -> Iterator[Request]:
    for chain in chains:
        for rule in chain.rules:
            yield ask.AddRule(*_WHERE, chain.name, rule)


def _elements(
    before: Mapping[str, Mapping[Key, kernel.Element]], after: Wanted
) -> Iterator[ask.AddElements | ask.DeleteElements]:
    """Yield what makes the shared sets hold what they should, and nothing else."""
    for holder, wanted in after.items():
        known = before.get(holder, {})
        if known is wanted:
            continue
        changed = [each for key, each in known.items() if key in wanted and wanted[key].data != each.data]
        added = [each for key, each in wanted.items() if key not in known]
        added += [wanted[each.key] for each in changed]
        removed = [each for key, each in known.items() if key not in wanted] + changed
        if removed:
            yield ask.DeleteElements(*_WHERE, holder, tuple(removed))
        if added:
            yield ask.AddElements(*_WHERE, holder, tuple(added))


class NftablesPlane:
    """The rules of one node, as they are in its kernel."""

    def __init__(self, mode: NftablesMode, proxy: Proxy) -> None:
        self._mode = mode
        self._proxy = proxy
        self._written: Ruleset | None = None
        self._stale: dict[str, Instant] = {}

    @property
    def ruleset(self) -> Ruleset:
        """The rules that the node should have now."""
        proxy = self._proxy
        return self._mode.ruleset(proxy.options, proxy.place, proxy.served)

    def sync(self, now: Instant, *, full: bool) -> bool:
        """Make the rules of the node what they should be; see `Plane`."""
        ruleset, written = self.ruleset, self._written
        due = [name for name, since in self._stale.items() if since < now - _STALE_FOR]
        if not (full or due or ruleset is not written):
            return False
        nft = self._proxy.net.netfilter.nft
        if due:
            for name in due:
                del self._stale[name]
            try:
                nft.load([ask.DeleteChain(*_WHERE, name) for name in due], now)
            except OSError:
                full = True
        if full or written is None:
            delta = self._mode.full(ruleset, nft.tables.get(_WHERE), anew=written is None)
        else:
            delta = self._mode.delta(written, ruleset)
        if delta.requests:
            try:
                nft.load(list(delta.requests), now)
            except OSError as error:
                self._stale.clear()
                raise CommandError(f"nft: {error.strerror}", 1) from error
        for name in delta.used:
            self._stale.pop(name, None)
        self._stale |= dict.fromkeys([*self._stale, *delta.emptied], now)
        self._written = ruleset
        return True

    def is_intact(self) -> bool:
        """Return True: nobody looks after the table until a sync fails."""
        return True

    def is_unfinished(self) -> bool:
        """Return whether chains are left that are to be deleted."""
        return bool(self._stale)

    def stop(self) -> None:
        """Do nothing: rules stay where they are."""

    def text(self) -> str:
        """Return what `nft -f -` is given by the first sync."""
        return render(self.ruleset)


def clean_up(net: Namespace) -> None:
    """Delete the table of the mode nftables."""
    netfilter = net.used_netfilter
    if netfilter is not None and _WHERE in netfilter.nft.tables:
        netfilter.nft.load([ask.DeleteTable(*_WHERE)], net.now)
