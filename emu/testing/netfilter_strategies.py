# SPDX-License-Identifier: GPL-2.0-only
"""Hypothesis strategies for rules and tables of iptables.

Rules are drawn as words and read as iptables reads them, so that nothing is
drawn that iptables would refuse. Addresses, ports and devices come from small
pools (`emu.testing.netfilter_options`), to which packets can be made that fit.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

from hypothesis import strategies as st

from emu.kernel.netfilter.ruleset import BUILTIN, Chain, Rule, Table
from emu.kernel.netfilter.verdict import Verdict
from emu.kernel.netfilter.xtables import Count
from emu.testing.netfilter_options import (
    MATCHES,
    NETWORKS,
    PROTOCOLS,
    TARGETS,
    Words,
    flag,
    joined,
    maybe,
    option,
)
from emu.tools.iptables import command
from emu.tools.iptables.check import problems
from emu.tools.iptables.snapshot import NOTHING, Counted, Snapshot

if TYPE_CHECKING:
    from collections.abc import Iterable

DEVICES: Final = ("eth0", "eth1", "cni0", "veth+", "lo")
"""Devices that rules name."""

EXTENSIONS: Final = frozenset(MATCHES) | frozenset(TARGETS)
"""The matches and targets that are drawn."""

_USERS: Final = ("A", "B", "Z-9", "kube-c")  # in the order in which they are printed
_COUNTS: Final = st.one_of(st.just(NOTHING), st.builds(Count, st.integers(0, 2**40), st.integers(0, 2**60)))
_WITHOUT: Final = {"-i": frozenset({"OUTPUT", "POSTROUTING"}), "-o": frozenset({"INPUT", "PREROUTING"})}


def rules(
    table: str, chain: str = "", *, jumps: Iterable[str] = (), names: frozenset[str] = EXTENSIONS
) -> st.SearchStrategy[Rule]:
    """Rules of `table` as iptables reads them; in some places the kernel may refuse one.

    Args:
        table: name of the table.
        chain: the built-in chain it is for; empty for a user's.
        jumps: chains that it may lead to.
        names: the matches and targets that it may have.
    """
    return _rule_words(table, chain, tuple(jumps), names).map(_read)


def _read(words: Words) -> Rule:
    (rule,) = command.parse(["-A", "chain", *words]).rules
    return rule


@cache
def _rule_words(
    table: str, chain: str, jumps: tuple[str, ...], names: frozenset[str]
) -> st.SearchStrategy[Words]:
    return st.one_of(
        [
            joined(_conditions(chain, protocol, names), _targets(table, protocol, jumps, names))
            for protocol in ("", "icmp", "tcp", "udp", "sctp")
        ]
    )


def _conditions(chain: str, protocol: str, names: frozenset[str]) -> st.SearchStrategy[Words]:
    fitting = [
        joined(st.just(["-m", name]), words)
        for name, words in MATCHES.items()
        if name in names and protocol in PROTOCOLS.get(name, {protocol})
    ]
    devices = [
        maybe(option(letter, st.sampled_from(DEVICES), invertible=True))
        for letter, without in _WITHOUT.items()
        if chain not in without
    ]
    return joined(
        maybe(option("-s", NETWORKS, invertible=True)),
        maybe(option("-d", NETWORKS, invertible=True)),
        *devices,
        st.just(["-p", protocol] if protocol else []),
        st.just([]) if protocol else maybe(flag("-f", invertible=True)),
        *([maybe(st.one_of(fitting)), maybe(st.one_of(fitting))] if fitting else []),
    )


def _targets(
    table: str, protocol: str, jumps: tuple[str, ...], names: frozenset[str]
) -> st.SearchStrategy[Words]:
    acting = [
        joined(st.just([*target.before, "-j", name]), target.words)
        for name, target in TARGETS.items()
        if name in names and table in target.tables and (not target.protocols or protocol in target.protocols)
    ]
    plain = [
        [],
        *(["-j", name] for name in ("ACCEPT", "DROP", "RETURN") if (table, name) != ("nat", "DROP")),
        *([letter, chain] for chain in jumps for letter in ("-j", "-g")),
    ]
    return st.one_of(st.sampled_from(plain), *acting)


@st.composite
def tables(
    draw: st.DrawFn, name: str | None = None, *, names: frozenset[str] = EXTENSIONS, most: int = 4
) -> Table:
    """Tables that the kernel takes, with up to four users' chains.

    Args:
        draw: Hypothesis' own.
        name: of the table; any if it is None.
        names: the matches and targets that rules may have.
        most: rules of a chain.
    """
    table = draw(st.sampled_from(sorted(BUILTIN))) if name is None else name
    users = _USERS[: draw(st.integers(0, len(_USERS)))]
    chains = []
    for hook in BUILTIN[table]:
        policy = Verdict.ACCEPT if table == "nat" else draw(st.sampled_from((Verdict.ACCEPT, Verdict.DROP)))
        rule = rules(table, hook.name, jumps=users, names=names)
        chains.append(Chain(hook.name, tuple(draw(st.lists(rule, max_size=most))), policy))
    for number, user in enumerate(users, 1):
        rule = rules(table, jumps=users[number:], names=names)
        chains.append(Chain(user, tuple(draw(st.lists(rule, max_size=most)))))
    return _accepted(Table(table, tuple(chains)))


def _accepted(table: Table) -> Table:
    """Return `table` without the rules that the kernel would refuse where they are."""
    refused = {(problem.chain, problem.position) for problem in problems(table)}
    chains = tuple(
        Chain(
            chain.name,
            tuple(rule for number, rule in enumerate(chain.rules) if (chain.name, number) not in refused),
            chain.policy,
        )
        for chain in table.chains
    )
    return Table(table.name, chains)


@st.composite
def snapshots(draw: st.DrawFn, name: str | None = None, *, names: frozenset[str] = EXTENSIONS) -> Snapshot:
    """Tables with counters; the arguments are those of `tables`."""
    table = draw(tables(name, names=names))
    counted = {}
    for chain in table.chains:
        counts = tuple(draw(_COUNTS) for _ in chain.rules)
        policy = draw(_COUNTS) if chain.policy is not None else NOTHING
        if policy != NOTHING or any(count != NOTHING for count in counts):
            counted[chain.name] = Counted(counts, policy)
    return Snapshot(table, counted)
