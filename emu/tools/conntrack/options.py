# SPDX-License-Identifier: GPL-2.0-only
"""The words of a `conntrack` command line, taken apart as getopt_long(3) does.

A short option may have its value attached (`-ptcp`); what is attached to a
command (`-Lptcp`) is forgotten. A long one may be shortened while it stays
unambiguous, and those of a protocol are known behind `-p` alone.

Source: conntrack-tools 1.4.7, src/conntrack.c, extensions/.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from emu.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

PROGRAM: Final = "conntrack v1.4.7 (conntrack-tools)"
_USAGE: Final = 2

COMMANDS: Final[Mapping[str, str]] = {
    "L": "dump",
    "I": "create",
    "A": "add",
    "D": "delete",
    "U": "update",
    "G": "get",
    "F": "flush",
    "E": "event",
    "C": "count",
    "S": "stats",
    "R": "load-file",
    "V": "version",
    "h": "help",
}
"""What is to be done, by its letter."""

_SHORT: Final[Mapping[str, str]] = {
    "s": "src",
    "d": "dst",
    "r": "reply-src",
    "q": "reply-dst",
    "p": "protonum",
    "t": "timeout",
    "u": "status",
    "z": "zero",
    "e": "event-mask",
    "a": "nat-range",
    "m": "mark",
    "c": "secmark",
    "i": "id",
    "f": "family",
    "n": "src-nat",
    "g": "dst-nat",
    "j": "any-nat",
    "o": "output",
    "b": "buffer-size",
    "w": "zone",
    "l": "label",
}
_OTHER_NAMES: Final[Mapping[str, str]] = {
    "orig-src": "src",
    "orig-dst": "dst",
    **{
        name: name
        for name in (
            *_SHORT.values(),
            "tuple-src",
            "tuple-dst",
            "mask-src",
            "mask-dst",
            "label-add",
            "label-del",
            "orig-zone",
            "reply-zone",
        )
    },
}
_LETTERS_ALONE: Final = frozenset(("zero", "S", "V", "h"))
"""What can stand before other letters; what stands behind the others is their value, which some forget."""
_WITH_TABLE: Final = frozenset("LIADUGFECS")
_VALUE_OR_NOT: Final = frozenset(("src-nat", "dst-nat", "any-nat"))

_PORTS: Final = {
    "sport": "sport",
    "dport": "dport",
    "orig-port-src": "sport",
    "orig-port-dst": "dport",
    "reply-port-src": "reply-port-src",
    "reply-port-dst": "reply-port-dst",
}
_PROTOCOL_OPTIONS: Final[Mapping[int, Mapping[str, str]]] = {
    1: {name: name for name in ("icmp-type", "icmp-code", "icmp-id")},
    6: _PORTS | {"state": "state"},
    17: _PORTS,
    33: _PORTS,
    47: {name: name for name in ("srckey", "dstkey", "reply-key-src", "reply-key-dst")},
    132: _PORTS | {name: name for name in ("state", "orig-vtag", "reply-vtag")},
    136: _PORTS,
}
_NUMBERS: Final[Mapping[str, int]] = {
    "icmp": 1,
    "igmp": 2,
    "ipencap": 4,
    "tcp": 6,
    "udp": 17,
    "dccp": 33,
    "gre": 47,
    "esp": 50,
    "ah": 51,
    "icmpv6": 58,
    "ospf": 89,
    "ipip": 94,
    "pim": 103,
    "vrrp": 112,
    "sctp": 132,
    "udplite": 136,
}


def refusal(message: str) -> CommandError:
    """Return the complaint of a command line."""
    return CommandError(
        f"{PROGRAM}: {message}\nTry `conntrack -h' or 'conntrack --help' for more information.", _USAGE
    )


class Words(NamedTuple):
    """A command line taken apart.

    Attributes:
        command: the letter of what is to be done.
        table: the word behind it, empty for none.
        protocol: the number behind `-p`, None without.
        values: by the option's first name, those without a value have an empty one.
    """

    command: str
    table: str
    protocol: int | None
    values: Mapping[str, str]


def take_apart(argv: Sequence[str]) -> Words:
    """Return the words of `argv`.

    Raises:
        CommandError: an option that there is not, or without its value.
    """
    command, table = "", ""
    protocol: int | None = None
    values: dict[str, str] = {}
    waiting = list(argv)[::-1]
    while waiting:
        for name, value in _next(waiting, _known(protocol)):
            if name in COMMANDS:
                if command:
                    raise refusal("Invalid commands combination")
                command, table = name, value
                continue
            if name == "protonum":
                protocol = protocol_number(value)
            values[name] = value
    return Words(command, table, protocol, values)


def _known(protocol: int | None) -> Mapping[str, str]:
    """Return the long options, and what each is."""
    commands = {name: letter for letter, name in COMMANDS.items()}
    return {**commands, **_OTHER_NAMES, **_PROTOCOL_OPTIONS.get(-1 if protocol is None else protocol, {})}


def _next(waiting: list[str], known: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Take the next word, with what belongs to it, and yield the options in it; operands are passed over."""
    word = waiting.pop()
    if word.startswith("--") and len(word) > 2:
        yield _long(word, waiting, known)
    elif word.startswith("-") and len(word) > 1:
        yield from _short(word, waiting)


def _long(word: str, waiting: list[str], known: Mapping[str, str]) -> tuple[str, str]:
    written, equals, value = word[2:].partition("=")
    meant = {option for name, option in known.items() if name.startswith(written)}
    name = known.get(written) or (meant.pop() if len(meant) == 1 else "")
    if not name:
        raise refusal(f"unknown option `{word}'")
    if equals:
        return name, "" if name in _VALUE_OR_NOT else value
    return name, _value(name, word, waiting)


def _short(word: str, waiting: list[str]) -> Iterator[tuple[str, str]]:
    letters = word[1:]
    while letters:
        letter, letters = letters[0], letters[1:]
        name = letter if letter in COMMANDS else _SHORT.get(letter, "")
        if not name:
            raise refusal(f"unknown option `{word}'")
        if not letters:
            yield name, _value(name, f"-{letter}", waiting)
        elif name in _LETTERS_ALONE:
            yield name, ""
        else:
            is_forgotten = name in COMMANDS or name in _VALUE_OR_NOT
            yield name, "" if is_forgotten else letters
            return


def _value(name: str, written: str, waiting: list[str]) -> str:
    """Take the value of an option, if it has one."""
    follows = bool(waiting) and not waiting[-1].startswith("-")
    if name in _VALUE_OR_NOT or name in _WITH_TABLE:
        return waiting.pop() if follows else ""
    if name in _LETTERS_ALONE:
        return ""
    if not waiting:
        raise refusal(f"option `{written}' requires an argument")
    return waiting.pop()


def protocol_number(word: str) -> int:
    """Return the number of the protocol called `word`.

    Raises:
        CommandError: there is none.
    """
    number = int(word) if word.isdigit() else _NUMBERS.get(word.lower(), -1)
    if not 0 <= number <= 255:
        raise refusal(f"`{word}' unsupported protocol")
    return number
