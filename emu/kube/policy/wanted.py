# SPDX-License-Identifier: GPL-2.0-only
"""What a node is to have for policies, as values: nothing here is done yet.

`render` writes it as text for `ipset restore` and `iptables-restore --noflush`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import attrs

from emu.kube.policy.names import PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterator


class WantedSet(NamedTuple):
    """A set of addresses that rules ask.

    Attributes:
        name: what it is called.
        type: `hash:ip`, `hash:ip,port` or `hash:net`.
        elements: as `ipset add` takes them.
    """

    name: str
    type: str
    elements: frozenset[str]


class WantedChain(NamedTuple):
    """A chain of policies.

    Attributes:
        name: what it is called.
        lines: its rules, as they stand behind `-A CHAIN`.
    """

    name: str
    lines: tuple[str, ...]


class Hook(NamedTuple):
    """A rule in a built-in chain, kept at its top.

    Attributes:
        chain: the built-in chain.
        line: the rule, as it stands behind `-A CHAIN`.
        at_end: it is kept at the chain's end instead.
    """

    chain: str
    line: str
    at_end: bool = False


@attrs.frozen
class Wanted:
    """All that a node is to have. Nothing, where none of its pods is isolated.

    Attributes:
        table: of iptables.
        sets: sorted by name.
        chains: those that others jump to last.
        hooks: where packets come in.
        prefixes: how the names of all chains begin that are looked after together.
        ensured: chains of others, made empty if they are not there.
    """

    table: str
    sets: tuple[WantedSet, ...] = ()
    chains: tuple[WantedChain, ...] = ()
    hooks: tuple[Hook, ...] = ()
    prefixes: tuple[str, ...] = (PREFIX,)
    ensured: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to judge."""
        return not self.chains


def render_sets(wanted: Wanted) -> str:
    """Return what `ipset restore` is given."""
    return "".join(f"{line}\n" for line in _set_lines(wanted))


def _set_lines(wanted: Wanted) -> Iterator[str]:
    for each in wanted.sets:
        yield f"create {each.name} {each.type} family inet"
        yield from (f"add {each.name} {element}" for element in sorted(each.elements))


def render_rules(wanted: Wanted) -> str:
    """Return what `iptables-restore --noflush` is given."""
    lines = [f"*{wanted.table}"]
    lines += [f":{chain.name} - [0:0]" for chain in wanted.chains]
    lines += [f"-A {chain.name} {line}" for chain in wanted.chains for line in chain.lines]
    lines += [f"-I {hook.chain} 1 {hook.line}" for hook in wanted.hooks]
    return "".join(f"{line}\n" for line in (*lines, "COMMIT"))
