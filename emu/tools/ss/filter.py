# SPDX-License-Identifier: GPL-2.0-only
"""Filters of `ss`: `state established`, `( sport = :80 or dport = :80 ) and dst 10.0.0.0/8`.

Source: iproute2 6.1, misc/ssfilter.y, misc/ss.c `scan_state`, `parse_hostcond`.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeAlias

from emu.errors import CommandError
from emu.kernel.tcp.states import State
from emu.tools.ip.values import contains, number, prefix
from emu.tools.ip.words import USAGE
from emu.tools.ss.line import SocketLine
from emu.wire.addresses import Prefix

if TYPE_CHECKING:
    from collections.abc import Mapping

    from emu.tools.ip.words import Words
    from emu.wire.addresses import IpAddress

Filter: TypeAlias = Callable[[SocketLine], bool]

ALL: Final = frozenset(State)
CONNECTED: Final = ALL - {State.LISTEN, State.CLOSED, State.TIME_WAIT, State.SYN_RECEIVED}
LISTENING: Final = frozenset({State.LISTEN, State.CLOSED})
_BUCKETS: Final = frozenset({State.SYN_RECEIVED, State.TIME_WAIT})
_STATES: Final[Mapping[str, frozenset[State]]] = {
    **{state.name.lower().replace("_", "-"): frozenset({state}) for state in State},
    **{state.value.lower(): frozenset({state}) for state in State},
    "listening": frozenset({State.LISTEN}),
    "unconnected": frozenset({State.CLOSED}),
    "all": ALL,
    "connected": ALL - {State.LISTEN, State.CLOSED},
    "synchronized": ALL - {State.LISTEN, State.CLOSED, State.SYN_SENT},
    "bucket": _BUCKETS,
    "big": ALL - _BUCKETS,
}

_OPERATORS: Final[Mapping[str, Callable[[int, int], bool]]] = {
    "=": operator.eq,
    "==": operator.eq,
    "eq": operator.eq,
    "!=": operator.ne,
    "ne": operator.ne,
    "neq": operator.ne,
    ">=": operator.ge,
    "ge": operator.ge,
    "geq": operator.ge,
    "<=": operator.le,
    "le": operator.le,
    "leq": operator.le,
    ">": operator.gt,
    "gt": operator.gt,
    "<": operator.lt,
    "lt": operator.lt,
}
_NOT: Final = frozenset({"not", "!"})
_AND: Final = frozenset({"and", "&", "&&"})
_OR: Final = frozenset({"or", "|", "||"})


def states(words: Words) -> frozenset[State] | None:
    """Take `state NAME` and `exclude NAME`, as many as there are; None where there is none.

    Raises:
        CommandError: there is no such state.
    """
    wanted: frozenset[State] | None = None
    while words.peek() in {"state", "exclude"}:
        verb, name = words.take(), words.take()
        if name not in _STATES:
            raise CommandError(f"ss: wrong state name: {name}", USAGE)
        if verb == "state":
            wanted = (wanted or frozenset()) | _STATES[name]
        else:
            wanted = (ALL if wanted is None else wanted) - _STATES[name]
    return wanted


def _bad(word: str) -> CommandError:
    return CommandError(f'ss: bison bellows (while parsing filter): "syntax error!" near {word!r}', USAGE)


def expression(words: Words) -> Filter:
    """Take a filter of addresses and ports; nothing lets all pass.

    Raises:
        CommandError: it makes no sense.
    """
    if not words:
        return lambda _line: True
    found = _alternatives(words)
    if words:
        raise _bad(words.peek())
    return found


def _alternatives(words: Words) -> Filter:
    found = _conjunction(words)
    while words.peek() in _OR:
        words.take()
        found = _either(found, _conjunction(words))
    return found


def _either(first: Filter, second: Filter) -> Filter:
    return lambda line: first(line) or second(line)


def _conjunction(words: Words) -> Filter:
    found = _term(words)
    while words and words.peek() not in {*_OR, ")"}:
        if words.peek() in _AND:
            words.take()
        found = _both(found, _term(words))
    return found


def _both(first: Filter, second: Filter) -> Filter:
    return lambda line: first(line) and second(line)


def _term(words: Words) -> Filter:
    word = words.take()
    if word in _NOT:
        inner = _term(words)
        return lambda line: not inner(line)
    if word == "(":
        inner = _alternatives(words)
        if words.take() != ")":
            raise _bad("(")
        return inner
    if word in {"sport", "dport"}:
        return _port(words, is_remote=word == "dport")
    if word in {"src", "dst"}:
        return _host(words, is_remote=word == "dst")
    raise _bad(word)


def _number(text: str) -> int:
    port = number(text.removeprefix(":"), 65535)
    if port is None:
        raise CommandError(f"Error: an inet prefix is expected rather than {text!r}.", 1)
    return port


def _port(words: Words, *, is_remote: bool) -> Filter:
    compare = _OPERATORS[words.take() if words.peek() in _OPERATORS else "="]
    wanted = _number(words.take())
    return lambda line: compare(line.remote_port if is_remote else line.local_port, wanted)


def _host(words: Words, *, is_remote: bool) -> Filter:
    if words.peek() in {"=", "==", "eq"}:
        words.take()
    text, colon, port = words.take().partition(":")
    within = prefix("any" if text in {"", "*"} else text)
    wanted = _number(port) if colon and port != "*" else None

    def has(address: IpAddress, known: int) -> bool:
        return contains(within, Prefix(address, address.bits)) and wanted in {None, known}

    if is_remote:
        return lambda line: has(line.remote, line.remote_port)
    return lambda line: has(line.local, line.local_port)
