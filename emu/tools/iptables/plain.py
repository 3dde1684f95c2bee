# SPDX-License-Identifier: GPL-2.0-only
"""Rules as programs write them by the ten thousand: a short way to what `command` makes of them.

Only lines `-A CHAIN ...` whose options are modelled, written in full, and each
there once; for all else, and for all that is wrong, it gives up. Without this
module the same rules come out, half as fast.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from emu.errors import CommandError
from emu.kernel.netfilter.matches.ip import InInterface, OutInterface, Protocol
from emu.kernel.netfilter.ruleset import ACCEPT, DROP, RETURN, Jump, Rule
from emu.tools.iptables import names
from emu.tools.iptables.addresses import destinations, sources
from emu.tools.iptables.extension import Written
from emu.tools.iptables.extensions import find_match, find_target
from emu.tools.iptables.reading import built
from emu.tools.iptables.rule import interface

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from emu.kernel.netfilter.ruleset import Match, Target
    from emu.tools.iptables.extension import AnyExtension

    _Loaded = tuple[AnyExtension, list[tuple[str, Written]]]


class _GivenUp(Exception):  # noqa: N818 - never seen by anybody
    """The line is not plain."""


def _source(text: str, inverted: bool) -> Match:  # noqa: FBT001 - part of a key
    return _only(sources(text, inverted=inverted))


def _destination(text: str, inverted: bool) -> Match:  # noqa: FBT001 - part of a key
    return _only(destinations(text, inverted=inverted))


def _only(found: Sequence[Match | None]) -> Match:
    if len(found) != 1 or found[0] is None:
        raise _GivenUp
    return found[0]


def _in_interface(text: str, inverted: bool) -> Match:  # noqa: FBT001 - part of a key
    return InInterface(_named(text), inverted)


def _out_interface(text: str, inverted: bool) -> Match:  # noqa: FBT001 - part of a key
    return OutInterface(_named(text), inverted)


def _named(text: str) -> str:
    if text == "+":
        raise _GivenUp
    return interface(text)


def _protocol(text: str, inverted: bool) -> Protocol:  # noqa: FBT001 - part of a key
    found = names.protocol(text)
    if not found:
        raise _GivenUp
    return Protocol(found, inverted)


class _Option(NamedTuple):
    """One of iptables' own options: its place among the conditions, and how its value is read."""

    place: int
    read: Callable[[str, bool], Match]


_SOURCE, _DESTINATION, _IN, _OUT, _PROTOCOL = range(5)
_OPTIONS: Final[Mapping[str, _Option]] = {
    spelling: _Option(place, lru_cache(maxsize=1 << 16)(read))
    for place, read, spellings in (
        (_SOURCE, _source, ("-s", "--source", "--src")),
        (_DESTINATION, _destination, ("-d", "--destination", "--dst")),
        (_IN, _in_interface, ("-i", "--in-interface")),
        (_OUT, _out_interface, ("-o", "--out-interface")),
        (_PROTOCOL, _protocol, ("-p", "--protocol")),
    )
    for spelling in spellings
}
_DECISIONS: Final[Mapping[str, Target]] = {"ACCEPT": ACCEPT, "DROP": DROP, "RETURN": RETURN}
_NO_IN: Final = frozenset({"OUTPUT", "POSTROUTING"})
_NO_OUT: Final = frozenset({"INPUT", "PREROUTING"})


def read(words: Sequence[str]) -> Rule | None:
    """Return the rule that `-A CHAIN ...` writes, None if it has to be read by `command`."""
    try:
        return _read(words)
    except (_GivenUp, CommandError, IndexError):
        return None


def _read(words: Sequence[str]) -> Rule:
    own: list[Match | None] = [None] * 5
    loaded: list[_Loaded] = []
    target: Target | None = None
    acts = False  # the last of `loaded` is the target
    at, end = 2, len(words)
    while at < end:
        word = words[at]
        inverted = word == "!"
        if inverted:
            at += 1
            word = words[at]
        at += 1
        option = _OPTIONS.get(word)
        if option is not None:
            if own[option.place] is not None:
                raise _GivenUp
            own[option.place] = option.read(words[at], inverted)
            at += 1
        elif inverted or word not in {"-m", "-j"}:
            at = _read_option(loaded, words, at, inverted=inverted)
        elif acts or target is not None:
            raise _GivenUp
        elif word == "-m":
            loaded.append((_extension(find_match(words[at])), []))
            at += 1
        else:
            target = _target(words[at], is_last=at + 1 == end)
            acts = target is None
            if acts:
                loaded.append((_extension(find_target(words[at])), []))
            at += 1
    return _rule(words[1], own, loaded, target, acts=acts)


def _extension(found: AnyExtension | None) -> AnyExtension:
    if found is None:
        raise _GivenUp
    return found


def _target(name: str, *, is_last: bool) -> Target | None:
    """Return a decision or a jump, None for what an extension may do."""
    if name in _DECISIONS:
        return _DECISIONS[name]
    if find_target(name) is not None:
        return None
    if not is_last or name in names.UNMODELLED_TARGETS:
        raise _GivenUp
    return _jump(name)


_jump: Final = lru_cache(maxsize=1 << 16)(Jump)


def _read_option(
    loaded: list[_Loaded],
    words: Sequence[str],
    at: int,
    *,
    inverted: bool,
) -> int:
    """Read the option of an extension before `at`; return where the next word is."""
    word = words[at - 1]
    if word[:2] != "--":
        raise _GivenUp
    for extension, given in reversed(loaded):
        option = extension.by_option.get(word[2:])
        if option is None:
            continue
        end = at + option.arguments
        if option.arguments > 1 or end > len(words) or (inverted and not option.invertible):
            raise _GivenUp
        given.append((option.name, Written(tuple(words[at:end]), inverted)))
        return end
    raise _GivenUp


def _rule(
    chain: str,
    own: list[Match | None],
    loaded: list[_Loaded],
    target: Target | None,
    *,
    acts: bool,
) -> Rule:
    if (own[_IN] is not None and chain in _NO_IN) or (own[_OUT] is not None and chain in _NO_OUT):
        raise _GivenUp
    number, inverted = 0, False
    if own[_PROTOCOL] is not None:
        asked = own[_PROTOCOL]
        assert isinstance(asked, Protocol)
        number, inverted = asked.number, asked.inverted
    matches: list[Any] = [match for match in own if match is not None]
    for extension, given in loaded:
        if len(given) > 1 and len({name for name, _ in given}) < len(given):
            raise _GivenUp
        matches.append(built(extension, tuple(given), number, inverted))
    if acts:
        return Rule(tuple(matches[:-1]), matches[-1])
    return Rule(tuple(matches), target)
