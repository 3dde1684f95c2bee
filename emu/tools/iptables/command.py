# SPDX-License-Identifier: GPL-2.0-only
"""One command of iptables: what is to be done, and where. Source: iptables/xshared.c `do_parse`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from emu.kernel.netfilter.ruleset import DROP
from emu.kernel.netfilter.xtables import Count
from emu.tools.iptables.extension import wrong
from emu.tools.iptables.extensions import find_target
from emu.tools.iptables.reading import Reading
from emu.tools.iptables.rule import (
    HANDLERS,
    LETTERS,
    expand,
    load_implied,
    read_extension_option,
    rules_of,
)
from emu.tools.iptables.values import number

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from emu.kernel.netfilter.ruleset import Rule

LONGEST_CHAIN: Final = 28
"""Characters of a chain's name."""

_RULE: Final = "ACDIR"  # operations that take a rule
_ALLOWED: Final[Mapping[str, frozenset[str]]] = {
    operation: frozenset(letters + "t")
    for operation, letters in {
        "A": "sdiopfmjgcv",
        "C": "sdiopfmjgv",
        "D": "sdiopfmjgv",
        "I": "sdiopfmjgcv",
        "R": "sdiopfmjgcv",
        "L": "nvx0Z",
        "S": "vZ",
        "F": "v",
        "Z": "vLSnx0",
        "N": "v",
        "X": "v",
        "E": "v",
        "P": "cv",
    }.items()
}
"""The options that go with each operation."""

_STANDARD: Final = frozenset({"ACCEPT", "DROP", "RETURN", "QUEUE"})


class Command(NamedTuple):
    """What is to be done.

    Attributes:
        operation: the letter of the option: `A`, `C`, `D`, `I`, `R`, `L`, `S`,
            `F`, `Z`, `N`, `X`, `E`, `P`; `LZ` and `SZ` for both.
        chain: where; empty for all chains.
        number: the rule's number from 1; 0 for none.
        other: the new name for `E`, the policy for `P`.
        rules: what `A`, `C`, `D`, `I`, `R` are about; empty for `D` by number.
        counted: what they have counted already.
        table: behind `-t`; empty if it was not said.
        numeric: `-n`.
        verbose: `-v`.
        exact: `-x`.
        numbered: `--line-numbers`.
        version: `-V` was asked for, and nothing else matters.
    """

    operation: str
    chain: str = ""
    number: int = 0
    other: str = ""
    rules: tuple[Rule, ...] = ()
    counted: Count = Count()
    table: str = ""
    numeric: bool = False
    verbose: bool = False
    exact: bool = False
    numbered: bool = False
    version: bool = False


def parse(words: Sequence[str]) -> Command:
    """Read the words behind `iptables`, or of a line of iptables-restore.

    Raises:
        CommandError: they make no sense; the message lacks the program's name before it.
    """
    reading = Reading(words)
    while reading.at < len(reading.words):
        word = reading.words[reading.at]
        reading.at += 1
        letter = LETTERS.get(word)
        if letter is not None:
            _read(reading, letter, word)
        elif word == "!":
            if reading.inverted:
                raise wrong("multiple consecutive ! not allowed")
            reading.inverted = True
        elif not read_extension_option(reading, word):
            _read_odd(reading, word)
    if "V" in reading.given:
        return Command("", version=True)
    return _checked(reading)


def _read(reading: Reading, letter: str, word: str) -> None:
    handler = HANDLERS.get(letter)
    if handler is not None:
        handler(reading, word)
    elif letter in _OPERATIONS:
        _operation(reading, letter, word)
    else:
        _setting(reading, letter, word)


def _read_odd(reading: Reading, word: str) -> None:
    """Read a word that is no option as it stands: shortened, glued to its value, or implied by `-p`."""
    if not word.startswith("-") or word == "-":
        raise wrong(f"Bad argument `{word}'")
    if not word.startswith("--"):
        _read_cluster(reading, word)
        return
    name, equals, value = word.partition("=")
    full = expand(reading, name)
    if not full:
        if not load_implied(reading):
            raise wrong(f'unknown option "{word}"')
        if read_extension_option(reading, word):
            return
        full = expand(reading, name)
        if not full:
            raise wrong(f'unknown option "{word}"')
    _again(reading, [full, *([value] if equals else [])])


def _read_cluster(reading: Reading, word: str) -> None:
    """Read `-nvL` or `-ptcp`."""
    if f"-{word[1]}" not in LETTERS:
        raise wrong(f'unknown option "{word[:2]}"')
    flags = "nvxfhV46"
    parts = [f"-{word[1]}"]
    if len(word) > 2:
        parts.append(f"-{word[2:]}" if word[1] in flags else word[2:])
    _again(reading, parts)


def _again(reading: Reading, words: Sequence[str]) -> None:
    """Put the right spelling in the place of the word that was read, to be read next."""
    if len(reading.words) > 4096:
        raise wrong("Parser cannot handle more arguments")
    reading.words = [*reading.words[: reading.at - 1], *words, *reading.words[reading.at :]]
    reading.at -= 1


def _rule_number(text: str) -> int:
    value = number(text, 1)
    if value is None:
        raise wrong(f"Invalid rule number `{text}'")
    return value


def _operation(reading: Reading, letter: str, word: str) -> None:
    if reading.inverted:
        raise wrong("unexpected '!' flag")
    before = reading.operation
    if before and {before, letter} not in ({"L", "Z"}, {"S", "Z"}):
        raise wrong(f"Cannot use -{letter} with -{before}")
    reading.operation = letter if before in {"", "Z"} else before
    if before:
        reading.given.add("Z")
    _OPERATIONS[letter](reading, word)


def _chain(reading: Reading, word: str) -> None:
    reading.chain = reading.argument(word)


def _chain_and_number(reading: Reading, word: str) -> None:
    reading.chain = reading.argument(word)
    if text := reading.optional():
        reading.number = _rule_number(text)


def _chain_and_one_number(reading: Reading, word: str) -> None:
    reading.chain = reading.argument(word)
    text = reading.optional()
    if not text:
        raise wrong(f"-{reading.operation} requires a rule number")
    reading.number = _rule_number(text)


def _any_chain(reading: Reading, word: str) -> None:
    del word
    reading.chain = reading.optional() or reading.chain


def _any_chain_and_number(reading: Reading, word: str) -> None:
    _any_chain(reading, word)
    if reading.chain and (text := reading.optional()):
        reading.number = _rule_number(text)


def _new_chain(reading: Reading, word: str) -> None:
    reading.chain = check_chain_name(reading.argument(word))


def _rename(reading: Reading, word: str) -> None:
    reading.chain = reading.argument(word)
    other = reading.optional()
    if not other:
        raise wrong("-E requires old-chain-name and new-chain-name")
    reading.other = check_chain_name(other)


def _policy(reading: Reading, word: str) -> None:
    reading.chain = reading.argument(word)
    reading.other = reading.optional()
    if not reading.other:
        raise wrong("-P requires a chain and a policy")


def check_chain_name(name: str) -> str:
    """Return `name` if a chain can be called so.

    Raises:
        CommandError: it cannot.
    """
    if name[:1] in {"-", "!"}:
        raise wrong(f"chain name not allowed to start with `{name[0]}'")
    if name in _STANDARD or find_target(name) is not None:
        raise wrong("chain name may not clash with target name")
    if len(name.encode(errors="surrogateescape")) > LONGEST_CHAIN:
        raise wrong(f"chain name `{name}' too long (must be under {LONGEST_CHAIN + 1} chars)")
    if not name or " " in name or "\t" in name or "\n" in name:
        raise wrong("Invalid chain name")
    return name


_OPERATIONS: Final[Mapping[str, Callable[[Reading, str], None]]] = {
    "A": _chain,
    "C": _chain,
    "D": _chain_and_number,
    "I": _chain_and_number,
    "R": _chain_and_one_number,
    "L": _any_chain_and_number,
    "S": _any_chain_and_number,
    "F": _any_chain,
    "Z": _any_chain_and_number,
    "N": _new_chain,
    "X": _any_chain,
    "E": _rename,
    "P": _policy,
}


def _setting(reading: Reading, letter: str, word: str) -> None:
    """Read an option that says how, or nothing."""
    if reading.inverted and letter != "V":
        raise wrong(f"unexpected ! flag before --{'table' if letter == 't' else letter}")
    match letter:
        case "t":
            if "t" in reading.given:
                raise wrong("only one -t option can be specified")
            reading.table = reading.argument(word)
            reading.given.add("t")
        case "w" | "W":
            seconds = reading.optional() if letter == "w" else reading.argument(word)
            if seconds and not seconds.isdigit():
                raise wrong("wait seconds not numeric")
        case "M":
            reading.argument(word)
        case "6":  # nothing is said but how to get help
            raise wrong("")
        case "4":
            pass
        case _:
            reading.given.add(letter)


def _checked(reading: Reading) -> Command:
    operation, given = reading.operation, reading.given
    if reading.inverted:
        raise wrong("nothing appropriate following !")
    if not operation:
        raise wrong("no command specified")
    if operation in _RULE:
        _check_interfaces(reading)
        rules = () if operation == "D" and reading.number else rules_of(reading)
    else:
        rules = ()
    if not given <= _ALLOWED[operation]:
        letter = min(given - _ALLOWED[operation])
        raise wrong(f"Illegal option `-{letter}' with this command")
    if reading.loaded and operation not in _RULE:
        raise wrong("Illegal option `-m' with this command")
    if operation == "R" and len(rules) != 1:
        raise wrong("Replacement rule does not specify a unique address")
    return Command(
        operation + ("Z" if "Z" in given else ""),
        reading.chain,
        reading.number,
        reading.other,
        rules,
        reading.count,
        reading.table,
        "n" in given,
        "v" in given,
        "x" in given,
        "0" in given,
    )


def check_table(read: Command, table: str) -> None:
    """Raise what is said where a command makes no sense in `table`.

    Raises:
        CommandError: a rule or policy of the table `nat` would drop.
    """
    if table == "nat" and (read.other == "DROP" or any(rule.target == DROP for rule in read.rules)):
        said = 'The "nat" table is not intended for filtering, the use of DROP is therefore inhibited.'
        raise wrong(f"\n{said}\n\n")


def _check_interfaces(reading: Reading) -> None:
    if reading.iif is None and reading.oif is None:
        return
    chain = reading.chain
    if reading.oif is not None and chain in {"PREROUTING", "INPUT"}:
        raise wrong(f"Can't use -o with {chain}\n")
    if reading.iif is not None and chain in {"POSTROUTING", "OUTPUT"}:
        raise wrong(f"Can't use -i with {chain}\n")
