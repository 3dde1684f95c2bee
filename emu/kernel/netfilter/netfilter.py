# SPDX-License-Identifier: GPL-2.0-only
"""Netfilter in one namespace: what stands at each hook, in its order.

              PREROUTING   INPUT   FORWARD   OUTPUT   POSTROUTING
    -400      defragment                     defragment
    -300      raw                            raw
    -200      track                          track
    -150      mangle       mangle  mangle    mangle   mangle
    -100      nat                            nat
       0                   filter  filter    filter
      50                   security security security
     100                   nat                        nat
    last                   confirm                    confirm

iptables-nft puts `security` at 150, in INPUT behind `nat`.

nftables' chains stand between these, by their own priorities, and IPVS, while
there are virtual services (`ipvs/hooks.py`). Connection
tracking is there only while some rule needs it, as in Linux; the four NAT hooks
while there is any chain of type nat.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from emu.kernel.drops import DropReason
from emu.kernel.netfilter import nat
from emu.kernel.netfilter.conntrack import tracking
from emu.kernel.netfilter.conntrack.table import ConnectionTable
from emu.kernel.netfilter.hooks import Hook, Priority
from emu.kernel.netfilter.ipset.sets import IpSets
from emu.kernel.netfilter.ipset.users import count_uses, fills_sets
from emu.kernel.netfilter.ipvs.hooks import FUNCTIONS as BALANCING
from emu.kernel.netfilter.ipvs.ipvs import Ipvs
from emu.kernel.netfilter.named import forget_unnamed
from emu.kernel.netfilter.needs import needs_conntrack
from emu.kernel.netfilter.nftables.tables import NfTables
from emu.kernel.netfilter.packet import Packet
from emu.kernel.netfilter.recent import RecentLists
from emu.kernel.netfilter.ruleset import BUILTIN, empty
from emu.kernel.netfilter.verdict import Verdict
from emu.kernel.netfilter.xtables import XTable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from emu.kernel.link.device import Device
    from emu.kernel.namespace import Namespace
    from emu.kernel.netfilter.matches.hashlimit import Buckets
    from emu.kernel.netfilter.ruleset import Table
    from emu.kernel.netfilter.xtables import ChainCounts
    from emu.kernel.skb import Skb

    HookFunction = Callable[[Packet], Verdict]

_ACCEPT: Final = Verdict.ACCEPT
_STOLEN: Final = Verdict.STOLEN
_PRIORITIES: Final = {
    "raw": Priority.RAW,
    "mangle": Priority.MANGLE,
    "filter": Priority.FILTER,
    "security": Priority.SECURITY,
}
_NFT_SECURITY: Final = 150
_NAT_PRIORITIES: Final = {
    Hook.PREROUTING: Priority.NAT_DST,
    Hook.OUTPUT: Priority.NAT_DST,
    Hook.INPUT: Priority.NAT_SRC,
    Hook.POSTROUTING: Priority.NAT_SRC,
}
_TRACKING: Final = (Hook.PREROUTING, Hook.OUTPUT)
_CONFIRMING: Final = (Hook.INPUT, Hook.POSTROUTING)


class Netfilter:
    """The rules and connections of a namespace.

    Attributes:
        net: the namespace.
        tables: iptables' tables that somebody has used, by name.
        conntrack: the connections.
        nft: nftables' tables.
        ipsets: the sets that rules ask.
        ipvs: virtual services.
        recent: the lists of addresses of `-m recent`.
        hashlimits: the tables of `-m hashlimit`, by name.
        tracks: connection tracking is on: some rule needs it.
        is_legacy: the tables are those of iptables-legacy, not of iptables-nft:
            a few matches differ for headers that are cut short.
    """

    def __init__(self, net: Namespace) -> None:
        self.net = net
        self.tables: dict[str, XTable] = {}
        self.conntrack = ConnectionTable()
        self.nft = NfTables(self.changed)
        self.ipsets = IpSets()
        self.ipsets.users = self._count_uses
        self.ipvs = Ipvs(net, self.changed)
        self.recent = RecentLists()
        self.hashlimits: dict[str, Buckets] = {}
        self.tracks = False
        self.is_legacy = False
        self._fills_sets = False
        self._functions: dict[Hook, tuple[HookFunction, ...]] = dict.fromkeys(Hook, ())

    # --- rules ---

    def table(self, name: str) -> XTable:
        """Return one of iptables' tables; it is made when it is asked for the first time.

        Raises:
            KeyError: there is no table of that name.
        """
        found = self.tables.get(name)
        if found is None:
            found = self.tables[name] = XTable(empty(name))
            self.changed()
        return found

    def replace(
        self,
        table: Table,
        counts: Mapping[str, ChainCounts],
        memories: Mapping[tuple[str, int], dict[Any, Any]] | None = None,
    ) -> None:
        """Have the rules of `table` in the table of its name; the others are `XTable.replace`'s.

        Raises:
            KeyError: there is no table of that name.
        """
        if table.name not in self.tables:
            self.tables[table.name] = XTable(empty(table.name))
        self.tables[table.name].replace(table, counts, memories)
        self.changed()

    @property
    def remembers(self) -> bool:
        """Whether rules keep something of a packet, so that the next one like it may fare otherwise."""
        return bool(
            self.recent
            or self.hashlimits
            or self.nft.tables
            or self._fills_sets
            or self.ipvs.is_enabled
            or any(each.memories for each in self.tables.values())
        )

    def _count_uses(self, name: str) -> int:
        """Return how often rules name the ipset `name`."""
        return count_uses((table.table for table in self.tables.values()), name)

    def changed(self) -> None:
        """Put in place what stands at each hook: to be called after rules changed."""
        self.tracks = self.nft.needs_conntrack or any(
            needs_conntrack(table.table) for table in self.tables.values()
        )
        self._fills_sets = any(fills_sets(each.table) for each in self.tables.values())
        self._functions = {hook: self._arrange(hook) for hook in Hook}
        self.net.unseen = self.nft.unseen()
        forget_unnamed((table.table for table in self.tables.values()), self.recent, self.hashlimits)

    def _arrange(self, hook: Hook) -> tuple[HookFunction, ...]:
        """Return the functions at `hook`, first those of the least priority."""
        placed: list[tuple[int, HookFunction]] = []
        if self.tracks and hook in _TRACKING:
            placed += [
                (Priority.CONNTRACK_DEFRAG, tracking.defragment),
                (Priority.CONNTRACK, tracking.track),
            ]
        if self.tracks and hook in _CONFIRMING:
            placed.append((Priority.CONNTRACK_CONFIRM, tracking.confirm))
        for name, priority in _PRIORITIES.items():
            table = self.tables.get(name)
            if table is not None and hook in BUILTIN[name]:
                place = _NFT_SECURITY if name == "security" and not self.is_legacy else priority
                reroutes = name == "mangle" and hook is Hook.OUTPUT
                placed.append((place, _rerouting(table.run) if reroutes else table.run))
        for place, chain in self.nft.hook_functions(hook):
            reroutes = chain.kind == "route" and hook is Hook.OUTPUT
            placed.append((place, _rerouting(chain) if reroutes else chain))
        if self.ipvs.is_enabled:
            placed += BALANCING.get(hook, ())
        translate = self._translation(hook)
        if translate is not None:
            placed.append((_NAT_PRIORITIES[hook], translate))
        return tuple([function for _, function in sorted(placed, key=lambda pair: pair[0])])

    def _translation(self, hook: Hook) -> HookFunction | None:
        """Return what NAT does at `hook`; None if there is no NAT."""
        table = self.tables.get("nat")
        if hook not in _NAT_PRIORITIES or (table is None and not self._has_nft_nat()):
            return None
        placed: list[tuple[int, HookFunction]] = [*self.nft.nat_functions(hook)]
        if table is not None:
            placed.append((_NAT_PRIORITIES[hook], table.run))
        chains = tuple([function for _, function in sorted(placed, key=lambda pair: pair[0])])

        translate = partial(nat.translate, chains=chains)
        return nat.rerouting(translate) if hook is Hook.OUTPUT else translate

    def _has_nft_nat(self) -> bool:
        return any(self.nft.nat_functions(hook) for hook in _NAT_PRIORITIES)

    # --- packets ---

    def passes(self, hook: Hook, skb: Skb, in_device: Device | None, out_device: Device | None) -> bool:
        """Return whether `skb` goes on behind `hook`; if not, it has ended or somebody keeps it."""
        net = self.net
        functions = self._functions[hook]
        if not functions:
            return True
        packet = Packet(net, skb, hook, in_device=in_device, out_device=out_device)
        if skb.bridged is not None:
            packet.physin, packet.physout = skb.bridged.physin, skb.bridged.physout
        for function in functions:
            verdict = function(packet)
            if verdict is not _ACCEPT:
                if verdict is not _STOLEN:
                    skb.refused = True
                    reason = DropReason.NETFILTER_DROP if verdict is Verdict.DROP else DropReason.NOT_MODELLED
                    net.drop(skb, reason, packet.because)
                return False
        return True

    def is_empty(self, hook: Hook) -> bool:
        """Return whether nothing stands at `hook`."""
        return not self._functions[hook]


def _rerouting(run: HookFunction) -> HookFunction:
    """Return `run`, then a new route where it changed what routing asks. Source: `ipt_mangle_out`."""

    def function(packet: Packet) -> Verdict:
        skb = packet.skb
        header, mark = skb.header, skb.mark
        verdict = run(packet)
        after = skb.header
        is_changed = (header.src, header.dst, header.tos, mark) != (after.src, after.dst, after.tos, skb.mark)
        if verdict is _ACCEPT and is_changed and not nat.reroute(packet):
            packet.because = "no route for the packet as it was changed"
            return Verdict.DROP
        return verdict

    return function
