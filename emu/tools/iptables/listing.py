# SPDX-License-Identifier: GPL-2.0-only
"""What `iptables -L` shows. Source: iptables/xshared.c `print_header`, `print_rule_details`.

Unlike the real tool it never looks up names of hosts and ports: without `-n`
only protocols and `anywhere` are in words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from emu.kernel.netfilter.matches.ip import (
    Destination,
    Fragment,
    InInterface,
    OutInterface,
    Protocol,
    Source,
)
from emu.kernel.netfilter.ruleset import Decide, Goto, Jump, Return, UnknownMatch, UnknownTarget
from emu.tools.iptables.addresses import dotted, prefix_length
from emu.tools.iptables.check import jumps
from emu.tools.iptables.extensions import of_type
from emu.tools.iptables.names import PROTOCOL_NAMES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.kernel.netfilter.ruleset import Chain, Rule, Target
    from emu.kernel.netfilter.xtables import Count
    from emu.tools.iptables.command import Command
    from emu.tools.iptables.snapshot import Counted, Snapshot


class _Look(NamedTuple):
    """How it is shown: the options of those names."""

    numeric: bool
    verbose: bool
    exact: bool
    numbered: bool


def listing(snapshot: Snapshot, command: Command) -> str:
    """Return what `iptables -L` with the options in `command` shows of a table; its chain has to exist."""
    look = _Look(command.numeric, command.verbose, command.exact, command.numbered)
    table = snapshot.table
    if command.number:
        rules, counted = table.by_name[command.chain].rules, snapshot.of(command.chain)
        at = command.number - 1
        return f"{_row(rules[at], at, counted, look)}\n" if at < len(rules) else ""
    chains = [table.by_name[command.chain]] if command.chain else table.chains
    references: dict[str, int] = {}
    for chain in table.chains:
        for edge in jumps(chain):
            references[edge.chain] = references.get(edge.chain, 0) + 1
    return "\n".join(
        "".join(f"{line}\n" for line in _chain(chain, snapshot.of(chain.name), references, look))
        for chain in chains
    )


def _chain(chain: Chain, counted: Counted, references: dict[str, int], look: _Look) -> Iterator[str]:
    if chain.policy is None:
        yield f"Chain {chain.name} ({references.get(chain.name, 0)} references)"
    else:
        policy = counted.policy
        seen = f" {_short(policy.packets, look)} packets, {_short(policy.octets, look)} bytes"
        yield f"Chain {chain.name} (policy {chain.policy.name}{seen if look.verbose else ''})"
    yield "".join(
        (
            "num  " if look.numbered else "",
            ("    pkts      bytes " if look.exact else " pkts bytes ") if look.verbose else "",
            "target     prot opt ",
            "in     out     " if look.verbose else "",
            "source               destination         ",
        )
    )
    for number, rule in enumerate(chain.rules):
        yield _row(rule, number, counted, look)


def _short(number: int, look: _Look) -> str:
    """Return a count, in thousands, millions and so on where it is long. Source: `xtables_print_num`."""
    if look.exact or number <= 99_999:
        return str(number)
    for unit in "KMG":
        number = (number + 500) // 1000
        if number <= 9_999:
            return f"{number}{unit}"
    return f"{(number + 500) // 1000}T"


def _row(rule: Rule, number: int, counted: Counted, look: _Look) -> str:
    own: dict[type, object] = {type(match): match for match in rule.matches if type(match) in _OWN}
    count, width = counted.rules[number], 8 if look.exact else 5
    return "".join(
        (
            f"{number + 1:<4} " if look.numbered else "",
            _counts(count, look, width) if look.verbose else "",
            f"{_target_name(rule.target):<9} ",
            _protocol(own.get(Protocol), look),
            _fragment(own.get(Fragment)),
            _interfaces(own, look) if look.verbose else "",
            _address(own.get(Source), look),
            _address(own.get(Destination), look),
            "[goto] " if isinstance(rule.target, Goto) else "",
            *_details(rule),
        )
    )


_OWN: Final = frozenset({Source, Destination, InInterface, OutInterface, Protocol, Fragment})


def _counts(count: Count, look: _Look, width: int) -> str:
    return f"{_short(count.packets, look):>{width}} {_short(count.octets, look):>{width}} "


def _target_name(target: Target | None) -> str:
    match target:
        case None:
            return ""
        case Jump(chain) | Goto(chain):
            return chain
        case Return():
            return "RETURN"
        case Decide(verdict):
            return verdict.name
        case UnknownTarget(name):
            return name
        case _:
            return of_type(type(target)).name


def _protocol(match: object, look: _Look) -> str:
    number, inverted = (match.number, match.inverted) if isinstance(match, Protocol) else (0, False)
    text = str(number) if look.numeric else PROTOCOL_NAMES.get(number, str(number) if number else "all")
    return f"{'!' if inverted else ' '}{text:<4} "


def _fragment(match: object) -> str:
    if not isinstance(match, Fragment):
        return "-- "
    return "!f " if match.inverted else "-f "


def _interfaces(own: dict[type, object], look: _Look) -> str:
    names = []
    for kind in (InInterface, OutInterface):
        match = own.get(kind)
        if isinstance(match, (InInterface, OutInterface)):
            names.append(f"!{match.name}" if match.inverted else match.name)
        else:
            names.append("*" if look.numeric else "any")
    return f" {names[0]:<6} {names[1]:<6} "


def _address(match: object, look: _Look) -> str:
    if not isinstance(match, (Source, Destination)):
        return f" {'0.0.0.0/0' if look.numeric else 'anywhere':<19} "
    length = prefix_length(match.mask)
    text = dotted(match.address)
    if length is None:
        text += f"/{dotted(match.mask)}"
    elif length == 0 and not look.numeric:
        text = "anywhere"
    elif length != 32:
        text += f"/{length}"
    return f"{'!' if match.inverted else ' '}{text:<19} "


def _details(rule: Rule) -> Iterator[str]:
    for value in (*rule.matches, rule.target):
        if type(value) in _OWN or isinstance(value, (Jump, Goto, Return, Decide)) or value is None:
            continue
        if isinstance(value, (UnknownMatch, UnknownTarget)):
            yield f" {' '.join((value.name, *value.words))}"
        elif text := of_type(type(value)).describe(value):
            yield f" {text}"


def rule_listing(rule: Rule) -> str:
    """Return what `iptables -v -A` shows of the rule that it enters."""
    look = _Look(numeric=False, verbose=True, exact=False, numbered=False)
    own: dict[type, object] = {type(match): match for match in rule.matches if type(match) in _OWN}
    numeric = look._replace(numeric=True)
    iif, oif = _interfaces(own, numeric).split()
    source, destination = (_address(own.get(kind), numeric) for kind in (Source, Destination))
    return "".join(
        (
            f"{_target_name(rule.target)} " if rule.target is not None else "",
            f"{_protocol(own.get(Protocol), look).rstrip()} opt {_fragment(own.get(Fragment))}",
            f"in {iif} out {oif} {source[0]}{source[1:].strip()} ",
            f"{destination[0]}-> {destination[1:].strip()}  ",
            "[goto] " if isinstance(rule.target, Goto) else "",
            *_details(rule),
        )
    )
