# SPDX-License-Identifier: GPL-2.0-only
"""Lines cut into words, as iptables-restore does it. Source: iptables/xshared.c `add_param_to_argv`."""

from __future__ import annotations

import re
from typing import Final

from emu.tools.iptables.extension import wrong

LONGEST_LINE: Final = 10239
"""Octets of a line that iptables-restore reads at once."""

_LONGEST_WORD: Final = 1023
_MOST_WORDS: Final = 252  # of 255, with the program's name and the table's option

_WORD: Final = re.compile(r"[^ \t]+")
_QUOTING: Final = re.compile(
    r"""
    (?P<before>[^ \t"]*)"(?P<quoted>(?:[^"\\]|\\.)*)"  # a closing quote ends the word
    | (?P<plain>[^ \t"]+)
    | (?P<open>")
    """,
    re.VERBOSE,
)
_ESCAPE: Final = re.compile(r"\\(.)")


def split(line: str) -> list[str]:
    r"""Return the words of `line`.

    Blanks separate them. Within double quotes blanks belong to the word, and a
    backslash takes the next character as it is.

    Raises:
        CommandError: a quote is not closed, or there is more than the tool takes.
    """
    if len(line) > LONGEST_LINE:
        raise wrong("Line too long!")
    words = _WORD.findall(line) if '"' not in line else _split_quoted(line)
    if len(words) > _MOST_WORDS:
        raise wrong("Parser cannot handle more arguments")
    if len(line) > _LONGEST_WORD and max(map(len, words)) > _LONGEST_WORD:
        raise wrong("Parameter too long!")
    return words


def _split_quoted(line: str) -> list[str]:
    words = []
    for before, quoted, plain, stray in _QUOTING.findall(line):
        if stray:
            raise wrong("A quote is not closed")
        if plain:
            words.append(plain)
        else:
            words.append(before + (_ESCAPE.sub(r"\1", quoted) if "\\" in quoted else quoted))
    return words
