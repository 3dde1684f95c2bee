# SPDX-License-Identifier: GPL-2.0-only
"""`define`: names for values, put in where `$name` stands. Source: nftables, src/parser_bison.y."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.tools.nft.faults import Fault, SyntaxFaultError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.tools.nft.faults import Place
    from emu.tools.nft.tokens import Token

_DEFINING: Final = ("define", "redefine", "undefine")
_MOST: Final = 1_000_000
"""Tokens in all: variables of variables may not make more."""


def substitute(tokens: Sequence[Token], faults: list[Fault]) -> list[Token]:
    """Return `tokens` without definitions, and with the values of variables in their places.

    Args:
        tokens: as they are written.
        faults: where to enter variables that are not defined, or are so twice.

    Raises:
        SyntaxFaultError: the values are too long.
    """
    if not any(token.text in ("$", *_DEFINING) for token in tokens):
        return list(tokens)
    return _Substitution(tokens, faults).run()


class _Substitution:
    def __init__(self, tokens: Sequence[Token], faults: list[Fault]) -> None:
        self.tokens = tokens
        self.faults = faults
        self.values: dict[str, list[Token]] = {}
        self.doubtful: set[str] = set()  # words of wrong definitions: what they define is in doubt
        self.knows_all = True
        self.at = 0

    def run(self) -> list[Token]:
        result: list[Token] = []
        while self.at < len(self.tokens):
            token = self.tokens[self.at]
            self.knows_all = self.knows_all and token.text != "include"
            at_start = not result or result[-1].kind == "newline" or result[-1].text in (";", "{")
            if token.kind == "word" and token.text in _DEFINING and at_start:
                self._define()
            elif token.kind == "sign" and token.text == "$":
                result += self._use()
            else:
                if token.text == "=" and result:  # as of a misspelled definition
                    self.doubtful.add(result[-1].text)
                result.append(token)
                self.at += 1
            if len(result) > _MOST:
                raise SyntaxFaultError(token.place, "variables make the rules too long")
        return result

    def _define(self) -> None:
        begin = self.at
        verb, name = self.tokens[begin], self.tokens[min(begin + 1, len(self.tokens) - 1)]
        if name.kind != "word":
            self._pass_over(begin, name.place, f"syntax error, unexpected {name.said}")
            return
        self.at += 2
        if verb.text == "undefine":
            if self.values.pop(name.text, None) is None:
                self._complain(name, f"undefined symbol {name.text}")
            return
        if verb.text == "define" and name.text in self.values:
            self._complain(name, f"redefinition of symbol '{name.text}'")
        sign = self.tokens[self.at]
        if sign.text != "=":
            self._pass_over(begin, sign.place, f"syntax error, unexpected {sign.said}")
            return
        self.at += 1
        noted = len(self.faults)
        value = self.values[name.text] = self._value()
        if not value:
            self._pass_over(begin, sign.place, f"syntax error, unexpected {self.tokens[self.at].said}")
            self.values[name.text] = [name._replace(kind="junk")]
        elif sum({"{": 1, "}": -1}.get(token.text, 0) for token in value if token.kind == "sign") > 0:
            del self.faults[noted:]  # it took in the rest of the text
            self.faults.append(Fault(name.place, "syntax error, unexpected end of file, expecting '}'"))

    def _pass_over(self, begin: int, place: Place, message: str) -> None:
        self.faults.append(Fault(place, message))
        self._value()
        self.doubtful.update(token.text for token in self.tokens[begin : self.at])

    def _complain(self, name: Token, message: str) -> None:
        """Tell of a variable, unless its definition may be what is wrong."""
        if self.knows_all and name.text not in self.doubtful:
            self.faults.append(Fault(name.place, message))

    def _value(self) -> list[Token]:
        value: list[Token] = []
        depth = 0
        while self.tokens[self.at].kind != "end":
            token = self.tokens[self.at]
            if depth == 0 and (token.kind == "newline" or (token.kind == "sign" and token.text == ";")):
                break
            if token.kind == "sign" and token.text == "$":
                value += self._use()
                continue
            if token.kind == "sign":
                depth += {"{": 1, "}": -1}.get(token.text, 0)
            if depth < 0:
                break
            value.append(token)
            self.at += 1
        return value

    def _use(self) -> list[Token]:
        sign, name = self.tokens[self.at], self.tokens[min(self.at + 1, len(self.tokens) - 1)]
        if name.kind != "word":
            self.at += 1
            self.faults.append(Fault(name.place, f"syntax error, unexpected {name.said}"))
            return [sign._replace(kind="junk")]
        self.at += 2
        value = self.values.get(name.text)
        if value is None:
            self._complain(name, f"unknown identifier '{name.text}'")
            return [name._replace(kind="junk")]
        return [
            token._replace(line=name.line, column=name.column, start=name.start, end=name.end)
            for token in value
        ]
