# SPDX-License-Identifier: GPL-2.0-only
"""What makes up a rule: `-s`, `-d`, `-i`, `-o`, `-p`, `-f`, `-m`, `-j`, `-g`, `-c`, and extensions."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from emu.kernel.netfilter.matches.ip import Fragment, InInterface, OutInterface, Protocol
from emu.kernel.netfilter.ruleset import ACCEPT, DROP, RETURN, Goto, Jump, Rule
from emu.kernel.netfilter.xtables import Count
from emu.tools.iptables import names
from emu.tools.iptables.addresses import destinations, sources
from emu.tools.iptables.extension import wrong
from emu.tools.iptables.extensions import find_match, find_target
from emu.tools.iptables.reading import Loaded

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from emu.kernel.netfilter.ruleset import Match, Target
    from emu.tools.iptables.reading import Reading

_LONGEST_NAME: Final = 15  # of an interface
_MOST_RULES: Final = 4096  # of one line with lists of addresses
_DECISIONS: Final[Mapping[str, Target]] = {"ACCEPT": ACCEPT, "DROP": DROP, "RETURN": RETURN}
_jump: Final = lru_cache(maxsize=1 << 16)(Jump)
_protocol_match: Final = lru_cache(maxsize=512)(Protocol)


def _once(reading: Reading, letter: str) -> None:
    if letter in reading.given:
        raise wrong(f"multiple -{letter} flags not allowed")
    reading.given.add(letter)


def _no_inversion(reading: Reading, letter: str) -> None:
    if reading.inverted:
        raise wrong(f"cannot have ! before -{letter}")


def _source(reading: Reading, word: str) -> None:
    _once(reading, "s")
    reading.sources = sources(reading.argument(word), inverted=reading.take_inversion())


def _destination(reading: Reading, word: str) -> None:
    _once(reading, "d")
    reading.destinations = destinations(reading.argument(word), inverted=reading.take_inversion())


def interface(name: str) -> str:
    """Return `name` if an interface can be called so.

    Raises:
        CommandError: it cannot.
    """
    if not name:
        raise wrong("Empty interface is likely to be undesired")
    if len(name.encode(errors="surrogateescape")) > _LONGEST_NAME:
        raise wrong(f"interface name `{name}' must be shorter than IFNAMSIZ ({_LONGEST_NAME})")
    return name


def _in_interface(reading: Reading, word: str) -> None:
    _once(reading, "i")
    name, inverted = interface(reading.argument(word)), reading.take_inversion()
    reading.iif = InInterface(name, inverted) if name != "+" or inverted else None


def _out_interface(reading: Reading, word: str) -> None:
    _once(reading, "o")
    name, inverted = interface(reading.argument(word)), reading.take_inversion()
    reading.oif = OutInterface(name, inverted) if name != "+" or inverted else None


def _protocol(reading: Reading, word: str) -> None:
    _once(reading, "p")
    reading.protocol = names.protocol(reading.argument(word))
    reading.protocol_inverted = reading.take_inversion()
    if reading.protocol_inverted and not reading.protocol:
        raise wrong("rule would never match protocol")


def _fragment(reading: Reading, word: str) -> None:
    del word
    _once(reading, "f")
    reading.fragment = Fragment(reading.take_inversion())


def _match(reading: Reading, word: str) -> None:
    if reading.inverted:
        raise wrong("unexpected ! flag before --match")
    name = reading.argument(word)
    reading.loaded.append(Loaded(name, find_match(name)))


def _target(reading: Reading, word: str) -> None:
    _no_inversion(reading, "j")
    _once(reading, "j")
    name = reading.argument(word)
    extension = find_target(name)
    if name in _DECISIONS:
        reading.target = _DECISIONS[name]
    elif extension is not None:
        reading.loaded.append(Loaded(name, extension, is_target=True))
    elif name in names.UNMODELLED_TARGETS or _words_follow(reading):
        reading.loaded.append(Loaded(name, None, is_target=True))
    else:
        reading.target = _jump(name)


def _words_follow(reading: Reading) -> bool:
    """Return whether the next word is an option that only a target could have brought along."""
    if reading.at >= len(reading.words):
        return False
    word = reading.words[reading.at]
    if word == "!" or word in LETTERS or not word.startswith("--") or _meant(word[2:], LONG_OPTIONS):
        return False
    return not any(one.extension is None or word[2:] in one.extension.by_option for one in reading.loaded)


def _goto(reading: Reading, word: str) -> None:
    _no_inversion(reading, "g")
    _once(reading, "j")
    reading.target = Goto(reading.argument(word))


def _counters(reading: Reading, word: str) -> None:
    _no_inversion(reading, "c")
    _once(reading, "c")
    packets, comma, octets = reading.argument(word).partition(",")
    if not comma:
        octets = reading.optional()
    if not octets:
        raise wrong("-c requires packet and byte counter")
    for kind, text in (("packet", packets), ("byte", octets)):
        if not (text.isascii() and text.isdigit() and len(text) <= 20):
            raise wrong(f"-c {kind} counter not numeric")
    reading.count = Count(int(packets), int(octets))


HANDLERS: Final[Mapping[str, Callable[[Reading, str], None]]] = {
    "s": _source,
    "d": _destination,
    "i": _in_interface,
    "o": _out_interface,
    "p": _protocol,
    "f": _fragment,
    "m": _match,
    "j": _target,
    "g": _goto,
    "c": _counters,
}
"""What is done with an option of iptables itself, by its letter; they are given its spelling."""

LONG_OPTIONS: Final[Mapping[str, str]] = {
    "append": "A",
    "delete": "D",
    "check": "C",
    "insert": "I",
    "replace": "R",
    "list": "L",
    "list-rules": "S",
    "flush": "F",
    "zero": "Z",
    "new-chain": "N",
    "delete-chain": "X",
    "rename-chain": "E",
    "policy": "P",
    "source": "s",
    "src": "s",
    "destination": "d",
    "dst": "d",
    "protocol": "p",
    "in-interface": "i",
    "out-interface": "o",
    "fragments": "f",
    "jump": "j",
    "goto": "g",
    "match": "m",
    "set-counters": "c",
    "table": "t",
    "numeric": "n",
    "verbose": "v",
    "exact": "x",
    "line-numbers": "0",
    "wait": "w",
    "wait-interval": "W",
    "modprobe": "M",
    "ipv4": "4",
    "ipv6": "6",
    "version": "V",
    "help": "h",
}
"""The letters of iptables' own options by their long names."""

LETTERS: Final[Mapping[str, str]] = {
    **{f"-{letter}": letter for letter in LONG_OPTIONS.values() if letter != "0"},
    **{f"--{name}": letter for name, letter in LONG_OPTIONS.items()},
}
"""The letters by every full spelling."""


def _meant(name: str, known: Mapping[str, object]) -> dict[int, str]:
    """Return the names among `known` that `name` shortens, one of those that mean the same thing."""
    if name in known:
        return {id(known[name]): name}
    return {id(known[other]): other for other in known if other.startswith(name)} if name else {}


def read_extension_option(reading: Reading, word: str) -> bool:
    """Take `word`, which is no option of iptables itself, if it is one of an extension that was named.

    The one named last is asked first; one that is not modelled takes all words.

    Raises:
        CommandError: the option makes no sense.
    """
    if not word.startswith("--"):
        if not reading.loaded or reading.loaded[-1].extension is not None:
            return False
        reading.loaded[-1].words += [*(["!"] if reading.take_inversion() else []), word]
        return True
    name = word[2:]
    for loaded in reversed(reading.loaded):
        if loaded.extension is None:
            loaded.words += [*(["!"] if reading.take_inversion() else []), word]
            return True
        option = loaded.extension.by_option.get(name)
        if option is not None:
            loaded.add(option, word, reading)
            return True
    return False


def load_implied(reading: Reading) -> bool:
    """Load the match of the rule's protocol, if it has one that is not there yet; return whether so."""
    implied = names.IMPLIED.get(reading.protocol)
    if implied is None or any(one.name == implied and not one.is_target for one in reading.loaded):
        return False
    reading.loaded.append(Loaded(implied, find_match(implied)))
    return True


def expand(reading: Reading, word: str) -> str:
    """Return the full spelling of the long option that `word` shortens, empty if that is not clear."""
    name = word[2:]
    found = _meant(name, LONG_OPTIONS)
    for loaded in reading.loaded:
        if loaded.extension is not None:
            found |= _meant(name, loaded.extension.by_option)
    return f"--{next(iter(found.values()))}" if len(found) == 1 else ""


def rules_of(reading: Reading) -> tuple[Rule, ...]:
    """Return the rules that were read: one for each pair of a source and a destination.

    Raises:
        CommandError: the options of an extension make no sense together.
    """
    conditions, target = _conditions(reading), reading.target
    protocol, inverted = reading.protocol, reading.protocol_inverted
    for loaded in reading.loaded:
        value = loaded.value(protocol, protocol_inverted=inverted)
        if loaded.is_target:
            target = value
        else:
            conditions.append(value)
    if len(reading.sources) * len(reading.destinations) > _MOST_RULES:
        raise wrong(f"these are more than {_MOST_RULES} rules")
    rules = []
    for source in reading.sources:
        for destination in reading.destinations:
            matches: list[Match] = [] if source is None else [source]
            if destination is not None:
                matches.append(destination)
            rules.append(Rule((*matches, *conditions), target))
    return tuple(rules)


def _conditions(reading: Reading) -> list[Match]:
    found: list[Match] = []
    if reading.iif is not None:
        found.append(reading.iif)
    if reading.oif is not None:
        found.append(reading.oif)
    if reading.protocol:
        found.append(_protocol_match(reading.protocol, reading.protocol_inverted))
    if reading.fragment is not None:
        found.append(reading.fragment)
    return found
