# SPDX-License-Identifier: GPL-2.0-only
"""Rulesets as `nft list` prints them. Source: nftables, src/rule.c."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.kernel.netfilter.nftables.statements import Counter, Limit
from emu.tools.nft import phrases, priorities, sentences
from emu.tools.nft.constants import render_time
from emu.tools.nft.limits import render_limit

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from emu.kernel.netfilter.nftables.datatypes import DataType
    from emu.kernel.netfilter.nftables.ruleset import Chain, Element, Object, Ruleset, Set, Table

_FIVE_A_LINE: Final = frozenset(
    """
    integer inet_proto inet_service mark iface_index uid gid ct_dir nf_proto tcp_flag
    """.split()  # noqa: SIM905 - as they are spelled elsewhere
)
_TWO_A_LINE: Final = frozenset(("ipv4_addr", "ct_state", "ct_status", "pkt_type"))


@attrs.frozen
class Options:
    """How the answer is to look.

    Attributes:
        handles: with the number of everything (`-a`).
        numeric: protocols as numbers (`-n`).
        stateless: without counters (`-s`).
    """

    handles: bool = False
    numeric: bool = False
    stateless: bool = False


PLAIN: Final = Options()


def render(ruleset: Ruleset, options: Options = PLAIN) -> str:
    """Return all tables."""
    return "".join(render_table(table, options) for table in ruleset.tables)


def render_table(table: Table, options: Options = PLAIN) -> str:
    """Return a table with all in it."""
    head = [f'\tcomment "{table.comment}"\n'] if table.comment else []
    head += ["\tflags dormant\n"] if table.dormant else []
    blocks = [_object(found, options) for found in table.objects]
    blocks += [_set(found, options) for found in table.sets]
    blocks += [_chain(found, table.family, options) for found in table.chains]
    return _table(table, options, "".join(head) + "\n".join(blocks))


def render_some(table: Table, blocks: Iterable[str], options: Options = PLAIN) -> str:
    """Return a table with nothing but `blocks` in it."""
    return _table(table, attrs.evolve(options, handles=False), "".join(blocks))


def _table(table: Table, options: Options, body: str) -> str:
    handle = f" # handle {table.handle}" if options.handles else ""
    return f"table {table.family} {table.name} {{{handle}\n{body}}}\n"


def chain(found: Chain, family: str, options: Options = PLAIN) -> str:
    """Return a chain as it stands in its table."""
    return _chain(found, family, options)


def chain_head(found: Chain, family: str, options: Options = PLAIN) -> str:
    """Return a chain without its rules."""
    return _chain(attrs.evolve(found, rules=()), family, options)


def named_set(found: Set, options: Options = PLAIN) -> str:
    """Return a set or map as it stands in its table."""
    return _set(found, options)


def named_object(found: Object, options: Options = PLAIN) -> str:
    """Return a counter or limit as it stands in its table."""
    return _object(found, options)


# --- chains ---


def _chain(found: Chain, family: str, options: Options) -> str:
    lines = [f'comment "{found.comment}"'] if found.comment else []
    if found.hooked is not None:
        hooked = found.hooked
        device = f' device "{hooked.device}"' if hooked.device else ""
        priority = priorities.render(hooked.priority, family, hooked.hook)
        priority = str(hooked.priority) if options.numeric else priority
        lines.append(
            f"type {hooked.type} hook {hooked.hook}{device} priority {priority}; policy {hooked.policy};"
        )
    for rule in found.rules:
        text = sentences.rule(rule, family, stateless=options.stateless, numeric=options.numeric)
        lines.append(f"{text} # handle {rule.handle}" if options.handles else text)
    return _block(f"chain {found.name}", found.handle, lines, options)


def _block(title: str, handle: int, lines: Iterable[str], options: Options) -> str:
    shown = f" # handle {handle}" if options.handles else ""
    body = "".join(f"\t\t{line}\n" for line in lines)
    return f"\t{title} {{{shown}\n{body}\t}}\n"


# --- objects ---


def _object(found: Object, options: Options) -> str:
    lines = [f'comment "{found.comment}"'] if found.comment else []
    match found.state:
        case Counter(packets, octets):
            lines += [] if options.stateless else [f"packets {packets} bytes {octets}"]
        case Limit():
            lines.append(render_limit(found.state).removeprefix("limit "))
        case text:
            lines += text.split("\n") if text else []
    return _block(f"{found.kind} {found.name}", found.handle, lines, options)


# --- sets ---


def _set(found: Set, options: Options) -> str:
    lines = [_types(found)]
    if found.policy:
        lines.append(f"policy {found.policy}")
    if found.size:
        lines.append(f"size {found.size}")
    if found.flags and (found.flags != ("timeout",) or not found.timeout):
        lines.append(f"flags {','.join(found.flags)}")
    if found.statements:
        lines.append(sentences.attached(found.statements, counts=False).strip())
    if found.auto_merge:
        lines.append("auto-merge")
    if found.timeout:
        lines.append(f"timeout {render_time(found.timeout)}")
    if found.gc_interval:
        lines.append(f"gc-interval {render_time(found.gc_interval)}")
    if found.comment:
        lines.append(f'comment "{found.comment}"')
    if found.elements:
        texts = [element(one, found, options) for one in found.elements]
        lines.append(f"elements = {{ {''.join(_wrapped(texts, found.key))} }}")
    return _block(f"{'map' if found.is_map else 'set'} {found.name}", found.handle, lines, options)


def _types(found: Set) -> str:
    if found.key_of is not None:
        text = f"typeof {phrases.expression(found.key_of)}"
    else:
        text = f"type {' . '.join(known.name for known in found.key)}"
    if not found.is_map:
        return text
    interval = "interval " if found.data_interval else ""
    if found.object:
        return f"{text} : {found.object}"
    if found.data_of is not None:
        return f"{text} : {interval}{phrases.expression(found.data_of)}"
    return f"{text} : {interval}{' . '.join(known.name for known in found.data)}"


def element(one: Element, found: Set, options: Options = PLAIN) -> str:
    """Return an element of a set with a name."""
    text = phrases.key(one.key, found.key, numeric=options.numeric)
    text += sentences.attached(one.statements, stateless=options.stateless)
    text += f" timeout {render_time(one.timeout)}" if one.timeout else ""
    if one.expires is not None and not options.stateless:
        text += f" expires {render_time(one.expires)}"
    text += f' comment "{one.comment}"' if one.comment else ""
    return text if one.data is None else f"{text} : {phrases.data(one.data, found.data)}"


def _wrapped(texts: list[str], types: tuple[DataType, ...]) -> Iterator[str]:
    """Yield elements with what stands between them: some types have several a line."""
    name = types[0].name if len(types) == 1 else ""
    most = 5 if name in _FIVE_A_LINE else 2 if name in _TWO_A_LINE else 1
    for at, text in enumerate(texts):
        if at:
            yield ", " if at % most else ",\n\t\t\t     "
        yield text
