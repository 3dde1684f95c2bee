# SPDX-License-Identifier: GPL-2.0-only
"""The text of a rule, as `iptables -S` and iptables-save print it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from emu.kernel.netfilter.matches.ip import (
    Destination,
    Fragment,
    InInterface,
    OutInterface,
    Protocol,
    Source,
)
from emu.kernel.netfilter.ruleset import Decide, Goto, Jump, Return, UnknownMatch, UnknownTarget
from emu.tools.iptables.addresses import text_of
from emu.tools.iptables.extensions import of_type
from emu.tools.iptables.names import PROTOCOL_NAMES
from emu.tools.iptables.values import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from emu.kernel.netfilter.ruleset import Match, Rule, Target
    from emu.kernel.netfilter.xtables import Count

_PLAIN: Final = re.compile(r"[^\s\"\\]+")


def rule_text(chain: str, rule: Rule, count: Count | None = None) -> str:
    """Return `-A CHAIN ...`; with `count` there is `-c PACKETS OCTETS` before the target."""
    words = ["-A", chain, *map(match_text, rule.matches)]
    if count is not None:
        words.append(f"-c {count.packets} {count.octets}")
    if rule.target is not None:
        words.append(target_text(rule.target))
    return " ".join(words)


def match_text(match: Match) -> str:
    """Return a condition with the option that begins it (`-s`, `-m`)."""
    match match:
        case Source(address, mask, inverted):
            return f"{_not(inverted)}-s {text_of(address, mask)}"
        case Destination(address, mask, inverted):
            return f"{_not(inverted)}-d {text_of(address, mask)}"
        case InInterface(name, inverted):
            return f"{_not(inverted)}-i {_word(name)}"
        case OutInterface(name, inverted):
            return f"{_not(inverted)}-o {_word(name)}"
        case Protocol(number, inverted):
            return f"{_not(inverted)}-p {PROTOCOL_NAMES.get(number, str(number))}"
        case Fragment(inverted):
            return f"{_not(inverted)}-f"
        case UnknownMatch(name, words):
            return " ".join(_unknown("-m", name, words))
        case _:
            extension = of_type(type(match))
            return _options(f"-m {extension.name}", extension.render(match))


def target_text(target: Target) -> str:
    """Return `-j TARGET ...` or `-g CHAIN`."""
    match target:
        case Jump(chain):
            return f"-j {chain}"
        case Goto(chain):
            return f"-g {chain}"
        case Return():
            return "-j RETURN"
        case Decide(verdict):
            return f"-j {verdict.name}"
        case UnknownTarget(name, words):
            return " ".join(_unknown("-j", name, words))
        case _:
            extension = of_type(type(target))
            return _options(f"-j {extension.name}", extension.render(target))


def _not(inverted: bool) -> str:  # noqa: FBT001 - a word of the text
    return "! " if inverted else ""


def _options(name: str, options: str) -> str:
    return f"{name} {options}" if options else name


def _unknown(option: str, name: str, words: Sequence[str]) -> Iterator[str]:
    yield option
    yield name
    yield from map(_word, words)


def _word(text: str) -> str:
    """Return a word as it has to be written for restore: quoted where it has to be."""
    return text if _PLAIN.fullmatch(text) else quoted(text)
