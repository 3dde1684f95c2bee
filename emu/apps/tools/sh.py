# SPDX-License-Identifier: GPL-2.0-only
"""`sh -c LINE`: simple commands behind one another, by `;`, `&&` and `||`.

Quotes and variables of the environment are understood. Pipes, redirections,
background jobs, substitution, patterns and compound commands are refused by name.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from emu.apps import console
from emu.apps.tools.finished import Finished
from emu.errors import CommandError
from emu.fabric import program

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from emu.fabric.program import Program
    from emu.fabric.userland import Userland

_TOKEN: Final = re.compile(
    r"(?P<space>[ \t]+)|(?P<operator>&&|\|\||[;\n])|(?P<refused>2>&1|>>|<<|\$\(|[|&<>()`*?\[\]{}])"
    r"|'(?P<single>[^']*)'|\"(?P<double>(?:[^\"\\]|\\.)*)\"|\\(?P<escaped>.)"
    r"|\$\{(?P<braced>\w+)\}|\$(?P<name>\w+)|(?P<plain>[^\s'\"\\$;&|<>()`*?\[\]{}]+|\$)",
    re.DOTALL,
)
_IN_QUOTES: Final = re.compile(r"\$\{(\w+)\}|\$(\w+)|\\([$`\"\\])")
_NAMES: Final = {
    "|": "a pipe", "&": "a background job", ">": "a redirection", ">>": "a redirection",
    "<": "a redirection", "<<": "a here-document", "2>&1": "a redirection",
    "$(": "command substitution", "`": "command substitution", "(": "a subshell", ")": "a subshell",
    "*": "a pattern", "?": "a pattern", "[": "a pattern", "]": "a pattern",
    "{": "a group", "}": "a group",
}  # fmt: skip
_KEYWORDS: Final = frozenset(
    ("if", "for", "while", "until", "case", "do", "then", "exec", "export", "set", "cd")
)


class Simple(NamedTuple):
    """A simple command, and what has to be true of the one before: `;`, `&&` or `||`."""

    condition: str
    argv: list[str]


def run(argv: Sequence[str], userland: Userland) -> Program[Finished]:
    """Run a line of commands; the status is that of the last one that ran."""
    match [*argv]:
        case ["-c" | "-ec" | "-xc", line, *_]:
            pass
        case _:
            raise CommandError("sh: only sh -c LINE is modelled: there is no terminal to type on", 2)
    finished = Finished()
    stdout, stderr = "", ""
    yield from program.now()
    for condition, words in parse(line, userland.environment):
        if condition == ("&&" if finished.status else "||"):
            continue
        if words[0] == "exit":
            finished = Finished(
                status=int(words[1]) if words[1:] and words[1].isdecimal() else finished.status
            )
            break
        finished = yield from console.run(words, userland)
        stdout += finished.stdout
        stderr += finished.stderr
        if argv[0] == "-ec" and finished.status:
            break
    return Finished(stdout, stderr, finished.status)


def parse(line: str, environment: Mapping[str, str]) -> list[Simple]:
    """Return the simple commands of a line.

    Raises:
        CommandError: there is something in it that is not modelled, or a syntax error.
    """
    commands: list[Simple] = []
    condition = ";"
    argv: list[str] = []
    word: str | None = None
    for kind, text in _tokens(line, environment):
        if kind == "text":
            word = (word or "") + text
            continue
        if word is not None:
            argv.append(word)
            word = None
        if kind == "operator":
            if argv:
                commands.append(Simple(condition, argv))
            elif text in {"&&", "||"}:
                raise CommandError(f'sh: 1: Syntax error: "{text}" unexpected', 2)
            condition, argv = text.replace("\n", ";"), []
    argv += [] if word is None else [word]
    if argv:
        commands.append(Simple(condition, argv))
    elif condition != ";":
        raise CommandError("sh: 1: Syntax error: end of file unexpected", 2)
    for command in commands:
        if command.argv[0] in _KEYWORDS:
            raise CommandError(f"sh: {command.argv[0]} is not modelled", 2)
    return commands


def _tokens(line: str, environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield (`space`, `operator` or `text`, what it stands for)."""
    at = 0
    while at < len(line):
        found = _TOKEN.match(line, at)
        if found is None:
            raise CommandError("sh: 1: Syntax error: Unterminated quoted string", 2)
        at = found.end()
        kind, text = found.lastgroup or "", found[found.lastgroup or 0]
        if kind == "refused":
            raise CommandError(f"sh: {_NAMES[text]} ({text}) is not modelled", 2)
        if kind in {"space", "operator"}:
            yield kind, text
        elif kind == "double":
            yield "text", _IN_QUOTES.sub(lambda one: _expand(one, environment), text)
        else:
            yield "text", environment.get(text, "") if kind in {"braced", "name"} else text


def _expand(found: re.Match[str], environment: Mapping[str, str]) -> str:
    name = found[1] or found[2]
    return environment.get(name, "") if name else found[3]
