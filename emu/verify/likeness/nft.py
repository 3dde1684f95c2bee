# SPDX-License-Identifier: GPL-2.0-only
"""What tables of nftables come to for the packets of the questions.

Only what those can get to is read. Of kube-proxy's tables that is next to
nothing: its maps are about the addresses of Services, which none of the packets
has. Of what is reached, only what changes nothing in a packet is understood.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kernel.netfilter.nftables.expressions import Decision
from emu.kernel.netfilter.nftables.ruleset import WALKED
from emu.kernel.netfilter.nftables.statements import Counter, Log, Match, Reject, Vmap
from emu.verify.likeness.doubt import Doubt
from emu.verify.likeness.nft_asked import Asker

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Sequence

    from emu.kernel.netfilter.nftables.live import LiveTable
    from emu.kernel.netfilter.nftables.ruleset import Rule
    from emu.kernel.netfilter.nftables.statements import Statement
    from emu.kernel.netfilter.nftables.tables import NfTables
    from emu.verify.likeness.conditions import Place
    from emu.verify.likeness.packets import Sort

_NAT: Final = "nat"
_ACCEPT: Final = "accept"
_ENDING: Final = frozenset((_ACCEPT, "drop", "return", "goto"))
_ENTERING: Final = frozenset(("jump", "goto"))


def read(
    tables: NfTables, sorts: Sequence[Sort], place: Place, marks: int
) -> tuple[list[Hashable], set[int]]:
    """Return what tables come to, as a value that can be compared, and the ports at which something changes.

    Args:
        tables: of a namespace.
        sorts: the packets that it may see.
        place: the namespace.
        marks: the bits of marks that others may set.

    Raises:
        Doubt: something that is reached is not understood.
    """
    text: list[Hashable] = []
    edges: set[int] = set()
    missing = tables.unmodelled()
    if missing:
        raise Doubt(f"nftables: {missing[0]}")
    for table in tables.tables.values():
        if table.value.family in WALKED and not table.value.dormant:
            text += _Walk(Asker(table, place, marks, edges)).hooked(sorts)
    return text, edges


class _Walk:
    """A walk of packets through a table."""

    def __init__(self, asker: Asker) -> None:
        self._asker = asker
        self._table: LiveTable = asker.table
        self._known: dict[tuple[str, Sort], tuple[Hashable, ...]] = {}

    def hooked(self, sorts: Sequence[Sort]) -> Iterator[Hashable]:
        """Yield what each chain at a hook comes to, those left out that come to nothing."""
        for name, chain in self._table.chains.items():
            hooked = chain.value.hooked
            if hooked is None:
                continue
            done = tuple(
                self._chain(name, sort)
                for sort in sorts
                if not (sort.complains and hooked.type == _NAT)  # it sees the first packets of connections
            )
            if any(done) or hooked.policy != _ACCEPT:
                yield hooked, done

    def _chain(self, name: str, sort: Sort) -> tuple[Hashable, ...]:
        key = name, sort
        if key not in self._known:
            self._known[key] = tuple(self._rules(name, sort))
        return self._known[key]

    def _rules(self, chain: str, sort: Sort) -> Iterator[Hashable]:
        for rule in self._table.chains[chain].rules:
            told, is_over = self._rule(rule.value, sort)
            if told:
                yield told
            if is_over:
                return

    def _rule(self, rule: Rule, sort: Sort) -> tuple[tuple[Hashable, ...], bool]:
        """Return what a rule comes to, empty for nothing, and whether no packet gets past it."""
        asked: list[Hashable] = []
        is_sure = True
        for statement in rule.statements:
            match statement:
                case Match():
                    held = self._asker.match(statement, sort)
                    if held is None:
                        return (), False
                    sort, is_sure = held.sort, is_sure and held.is_sure
                    asked += [held.text] if held.text is not None else []
                case Counter() | Log():
                    pass
                case _:
                    done, ends = self._verdict(statement, sort, rule.comment)
                    return (*asked, done) if done is not None else (), is_sure and ends
        return (), False

    def _verdict(self, statement: Statement, sort: Sort, comment: str) -> tuple[Hashable, bool]:
        """Return what a rule ends in, None for nothing, and whether no packet gets past it.

        Raises:
            Doubt: it does something else than to decide.
        """
        match statement:
            case Decision(code, chain) if code in _ENTERING:
                inner = self._chain(chain, sort)
                return (code, inner) if inner or code == "goto" else None, code == "goto"
            case Decision(code):
                return (code, comment if code == "drop" else ""), code in _ENDING
            case Reject():
                return (statement, comment), True
            case Vmap(key, found):
                told = [
                    (element, self._verdict(data, sort, comment)[0])
                    for element, data in self._asker.looked_up(key, found, sort)
                    if isinstance(data, Decision)
                ]
                return (key, *told) if told else None, False
            case _:
                raise Doubt(f"a rule of nftables does {type(statement).__name__}")
