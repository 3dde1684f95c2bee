# SPDX-License-Identifier: GPL-2.0-only
"""`ip rule`: routing rules listed, entered and deleted."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from emu.apps.commands.answers import refusals
from emu.errors import CommandError
from emu.kernel.route import TABLE_LOCAL, TABLE_MAIN
from emu.kernel.rules import RoutingRule, RulePattern
from emu.tools.ip import rule
from emu.tools.ip.record import render
from emu.tools.ip.words import USAGE, choose, not_modelled

if TYPE_CHECKING:
    from emu.apps.commands.action import Action
    from emu.kernel.namespace import Namespace
    from emu.tools.ip.options import Options
    from emu.tools.ip.words import Words

_RULES6: Final = (RoutingRule(0, table=TABLE_LOCAL), RoutingRule(32766, table=TABLE_MAIN))
"""Those that every namespace has for IPv6, also where it is off."""

_UNMODELLED: Final = ("save", "restore")


def prepare(words: Words, options: Options) -> Action:
    """Return what the words behind `ip rule` ask for."""
    verb = words.take() if words else "list"
    match choose(verb, ("list", "lst", "show", *_UNMODELLED, "add", "delete", "flush")):
        case "list" | "lst" | "show":
            return partial(show, selection=rule.parse_spec(words), options=options)
        case "add":
            return partial(add, spec=rule.parse_spec(words))
        case "delete":
            return partial(delete, spec=rule.parse_spec(words, deleting=True))
        case "flush":
            return partial(flush, selection=rule.parse_spec(words))
        case str() as known:
            raise not_modelled(f"ip rule {known}")
        case None:
            raise CommandError(f'Command "{verb}" is unknown, try "ip rule help".', USAGE)


def add(net: Namespace, spec: rule.RuleSpec) -> str:
    """Do `ip rule add`."""
    with refusals():
        net.fib.add_rule(spec.rule(net.fib.next_rule_priority))
    return ""


def delete(net: Namespace, spec: rule.RuleSpec) -> str:
    """Do `ip rule del`."""
    with refusals():
        net.fib.delete_rule(spec.pattern)
    return ""


def flush(net: Namespace, selection: rule.RuleSpec) -> str:
    """Do `ip rule flush`: all but those of priority 0 go."""
    for known in net.fib.rules:
        if known.priority and selection.selects(known):
            net.fib.delete_rule(RulePattern(known.priority, known.action, known.table))
    return ""


def show(net: Namespace, selection: rule.RuleSpec, options: Options) -> str:
    """Do `ip rule show`."""
    rules = _RULES6 if options.family == 6 else net.fib.rules
    records = [rule.render(known, options, net.devices) for known in rules if selection.selects(known)]
    return render(records, options)
