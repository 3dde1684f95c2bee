# SPDX-License-Identifier: GPL-2.0-only
"""The Corefile as text: server blocks, directives, and blocks of further lines.

    .:53 example.org {            keys
        forward . 10.0.0.1 {      a directive with arguments
            max_concurrent 1000   and a line of its block
        }
    }

Source: coredns/caddy caddyfile/lexer.go, parse.go.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import attrs

from emu.errors import EmuError

if TYPE_CHECKING:
    from collections.abc import Iterator

_WORD: Final = re.compile(r'"((?:[^"\\]|\\.)*)"|(\S+)')


class CorefileError(EmuError, ValueError):
    """A Corefile cannot be read; `line` is counted from 1."""

    def __init__(self, line: int, message: str) -> None:
        self.line = line
        super().__init__(f"Corefile:{line}: {message}")


@attrs.frozen
class Directive:
    """A line with its words, and the lines of its block."""

    line: int
    name: str
    arguments: tuple[str, ...] = ()
    block: tuple[Directive, ...] = ()


@attrs.frozen
class Block:
    """A server block: what it is for, and its plugins."""

    line: int
    keys: tuple[str, ...]
    directives: tuple[Directive, ...]


def parse(text: str) -> tuple[Block, ...]:
    """Return the server blocks of a Corefile.

    Raises:
        CorefileError: braces do not match, or a block has no keys.
    """
    lines = list(_lines(text))
    blocks: list[Block] = []
    keys: list[str] = []
    position = 0
    while position < len(lines):
        line, words = lines[position]
        position += 1
        opens = words[-1] == "{"
        keys += [key for word in (words[:-1] if opens else words) for key in word.split(",") if key]
        if "}" in keys or "{" in keys:
            raise CorefileError(line, "unexpected brace")
        if not opens:
            if not words[-1].endswith(","):
                following = lines[position][1] if position < len(lines) else []
                if following[-1:] != ["{"]:
                    raise CorefileError(line, f"server block of {' '.join(keys)} does not open with a brace")
            continue
        if not keys:
            raise CorefileError(line, "a server block needs a zone")
        directives, position = _directives(lines, position, line)
        blocks.append(Block(line, tuple(keys), directives))
        keys = []
    if keys:
        raise CorefileError(lines[-1][0], f"server block of {' '.join(keys)} does not open with a brace")
    return tuple(blocks)


def _lines(text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield number and words of each line that has some; a closing brace has a line of its own."""
    for number, line in enumerate(text.splitlines(), 1):
        words: list[str] = []
        for quoted, plain in _WORD.findall(line):
            if plain.startswith("#"):
                break
            words.append(plain or quoted.replace('\\"', '"'))
        while len(words) > 1 and "}" in words:
            at = words.index("}")
            if at:
                yield number, words[:at]
            yield number, ["}"]
            words = words[at + 1 :]
        if words:
            yield number, words


def _directives(
    lines: list[tuple[int, list[str]]], position: int, opened: int
) -> tuple[tuple[Directive, ...], int]:
    """Return the directives up to the closing brace, and the place behind it."""
    found: list[Directive] = []
    while position < len(lines):
        line, words = lines[position]
        position += 1
        if words == ["}"]:
            return tuple(found), position
        if words[-1] == "{":
            if len(words) == 1:
                raise CorefileError(line, "unexpected brace")
            inner, position = _directives(lines, position, line)
            found.append(Directive(line, words[0], tuple(words[1:-1]), inner))
        else:
            found.append(Directive(line, words[0], tuple(words[1:])))
    raise CorefileError(opened, "the brace is not closed")
