# SPDX-License-Identifier: GPL-2.0-only
"""The arguments of `ip rule`, and what it prints.

Who entered a rule (`proto`, with `-d`) is not kept: the three rules that every
namespace begins with are said to be the kernel's, also where somebody deleted
and added one. Source: iproute2 6.1, ip/iprule.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.errors import CommandError
from emu.kernel.route import TABLE_DEFAULT, TABLE_LOCAL, TABLE_MAIN
from emu.kernel.rules import EVERYWHERE, RoutingRule, RuleAction, RulePattern
from emu.tools.ip.names import TABLES, name_of
from emu.tools.ip.record import Record
from emu.tools.ip.values import MAX_U32, contains, count, next_prefix
from emu.tools.ip.words import Grammar, Option, Words, text, wrong, yes

if TYPE_CHECKING:
    from collections.abc import Container

    from emu.tools.ip.options import Options
    from emu.wire.addresses import Prefix

_ACTIONS: Final = {action.value: action for action in RuleAction if action is not RuleAction.LOOKUP}
_OF_THE_KERNEL: Final = {(0, TABLE_LOCAL), (32766, TABLE_MAIN), (32767, TABLE_DEFAULT)}


@attrs.define
class RuleSpec:
    """A routing rule as it is written down: one to add, to delete or to list."""

    priority: int | None = None
    action: RuleAction | None = None
    table: int = 0
    src: Prefix = EVERYWHERE
    dst: Prefix = EVERYWHERE
    iif: str = ""
    oif: str = ""
    mark: tuple[int, int] = (0, 0)  # value, mask
    tos: int = 0
    suppress_length: int = -1
    inverted: bool = False

    @property
    def pattern(self) -> RulePattern:
        """What `ip rule del` deletes."""
        return RulePattern(
            self.priority,
            self.action,
            self.table,
            self.src,
            self.dst,
            self.iif,
            self.oif,
            *self.mark,
            self.tos,
            self.suppress_length,
        )

    def rule(self, priority: int) -> RoutingRule:
        """Return the rule that `ip rule add` adds; `priority` where none was given."""
        action = self.action or RuleAction.LOOKUP
        mark, mask = self.mark
        return RoutingRule(
            priority if self.priority is None else self.priority,
            action,
            table=self.table or (TABLE_MAIN if action is RuleAction.LOOKUP else 0),
            src=self.src,
            dst=self.dst,
            iif=self.iif,
            oif=self.oif,
            mark=mark,
            mask=mask,
            tos=self.tos,
            inverted=self.inverted,
            suppress_length=self.suppress_length,
        )

    def selects(self, rule: RoutingRule) -> bool:
        """Return whether `ip rule show` with these words lists `rule`. Source: `filter_nlmsg`."""
        return (
            self.priority in {None, rule.priority}
            and self.table in {0, rule.table}
            and self.iif in {"", rule.iif}
            and self.oif in {"", rule.oif}
            and self.tos in {0, rule.tos}
            and (not self.mark[1] or (rule.mark, rule.mask) == self.mark)
            and _is_in(rule.src, self.src)
            and _is_in(rule.dst, self.dst)
        )


def _is_in(known: Prefix, wanted: Prefix) -> bool:
    return not wanted.length or (known.length > 0 and contains(wanted, known))


def _mark(words: Words) -> tuple[int, int]:
    mark, slash, mask = words.take().partition("/")
    value = count("fwmark value is invalid\n")(Words([mark]))
    return value, count("fwmask value is invalid\n")(Words([mask])) if slash else MAX_U32


def _action(spec: RuleSpec, word: str, words: Words) -> None:
    if word == "type":
        word = words.take()
    if word not in _ACTIONS:
        raise wrong(word, "Failed to parse rule type")
    spec.action = _ACTIONS[word]


_TABLE: Final = Option(("table", "lookup"), "table", count("invalid table ID\n", MAX_U32, TABLES), short=True)
_SPEC: Final = Grammar[RuleSpec](
    "a routing rule",
    (
        Option(("not",), "inverted", yes),
        Option(("from",), "src", next_prefix),
        Option(("to",), "dst", next_prefix),
        Option(
            ("preference", "order", "priority"),
            "priority",
            count("preference value is invalid\n"),
            short=True,
        ),
        Option(("tos",), "tos", count("TOS value is invalid\n", 255)),
        Option(("dsfield",), "tos", count("TOS value is invalid\n", 255), short=True),
        Option(("fwmark",), "mark", _mark),
        _TABLE,
        Option(
            ("suppress_prefixlength", "sup_pl"),
            "suppress_length",
            count("suppress_prefixlength value is invalid\n"),
        ),
        Option(("dev", "iif"), "iif", text),
        Option(("oif",), "oif", text),
    ),
    _action,
    (
        "dport",
        "goto",
        "ipproto",
        "l3mdev",
        "map-to",
        "nat",
        "protocol",
        "realms",
        "sport",
        "suppress_ifgroup",
        "tun_id",
        "uidrange",
    ),
)


def parse_spec(words: Words, *, deleting: bool = False) -> RuleSpec:
    """Return the rule, or the rules to list, that `words` describe.

    Raises:
        CommandError: they describe none.
    """
    if deleting and not words:
        raise CommandError('"ip rule del" requires arguments.', 1)
    return _SPEC.fill(RuleSpec(), words)


def render(rule: RoutingRule, options: Options, devices: Container[str]) -> Record:
    """Return what is printed of one rule.

    Args:
        rule: the rule.
        options: how it is to look.
        devices: the names of the devices that there are; others are `[detached]`.
    """
    record = Record()
    record.put("priority", rule.priority, f"{rule.priority}:\t")
    if rule.inverted:
        record.put("not", None, "not ")
    _put_prefix(record, "src", "from", rule.src)
    if rule.dst.length:
        _put_prefix(record, "dst", "to", rule.dst)
    if rule.tos:
        record.put("tos", f"{rule.tos:#x}", f"tos {rule.tos:#x} ")
    _put_mark(record, rule)
    for key, name in (("iif", rule.iif), ("oif", rule.oif)):
        if name:
            record.put(key, name, f"{key} {name} ")
            if name not in devices:
                record.put(f"{key}_detached", None, "[detached] ")
    if rule.table:
        table = name_of(rule.table, TABLES)
        record.put("table", table, f"lookup {table} ")
        if rule.suppress_length >= 0:
            record.put(
                "suppress_prefixlen", rule.suppress_length, f"suppress_prefixlength {rule.suppress_length} "
            )
    if rule.action is RuleAction.NOP:
        record.put("nop", None, "nop ")
    elif rule.action is not RuleAction.LOOKUP:
        record.put("action", rule.action.value, f"{rule.action.value} ")
    if options.details:
        origin = "kernel" if (rule.priority, rule.table) in _OF_THE_KERNEL else "unspec"
        record.put("protocol", origin, f"proto {origin} ")
    record.end()
    return record


def _put_prefix(record: Record, key: str, word: str, prefix: Prefix) -> None:
    if not prefix.length:
        record.put(key, "all", f"{word} all ")
        return
    shown = str(prefix.address)
    record.put(key, shown, f"{word} {shown}")
    if not prefix.is_host:
        record.put(f"{key}len", prefix.length, f"/{prefix.length}")
    record.show(" ")


def _put_mark(record: Record, rule: RoutingRule) -> None:
    if not rule.mask:
        return
    record.put("fwmark", f"{rule.mark:#x}", f"fwmark {rule.mark:#x}")
    if rule.mask != MAX_U32:
        record.put("fwmask", f"{rule.mask:#x}", f"/{rule.mask:#x}")
    record.show(" ")
