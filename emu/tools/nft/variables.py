# SPDX-License-Identifier: GPL-2.0-only
"""`define`: names for values, put in where `$name` stands. Source: nftables, src/parser_bison.y."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.tools.nft.faults import SyntaxFaultError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.tools.nft.tokens import Token

_DEFINING: Final = ("define", "redefine", "undefine")
_MOST: Final = 1_000_000
"""Tokens in all: variables of variables may not make more."""


def substitute(tokens: Sequence[Token]) -> list[Token]:
    """Return `tokens` without definitions, and with the values of variables in their places.

    Raises:
        SyntaxFaultError: a variable is not defined, or is so twice.
    """
    if not any(token.text in ("$", *_DEFINING) for token in tokens):
        return list(tokens)
    return _Substitution(tokens).run()


class _Substitution:
    def __init__(self, tokens: Sequence[Token]) -> None:
        self.tokens = tokens
        self.values: dict[str, list[Token]] = {}
        self.at = 0

    def run(self) -> list[Token]:
        result: list[Token] = []
        while self.at < len(self.tokens):
            token = self.tokens[self.at]
            at_start = not result or result[-1].kind == "newline" or result[-1].text in (";", "{")
            if token.kind == "word" and token.text in _DEFINING and at_start:
                self._define()
            elif token.kind == "sign" and token.text == "$":
                result += self._use()
            else:
                result.append(token)
                self.at += 1
            if len(result) > _MOST:
                raise SyntaxFaultError(token.place, "variables make the rules too long")
        return result

    def _define(self) -> None:
        verb, name = self.tokens[self.at], self.tokens[min(self.at + 1, len(self.tokens) - 1)]
        if name.kind != "word":
            raise SyntaxFaultError(name.place, f"syntax error, unexpected {name.said}")
        self.at += 2
        if verb.text == "undefine":
            if self.values.pop(name.text, None) is None:
                raise SyntaxFaultError(name.place, f"undefined symbol {name.text}")
            return
        if verb.text == "define" and name.text in self.values:
            raise SyntaxFaultError(name.place, f"redefinition of symbol '{name.text}'")
        sign = self.tokens[self.at]
        if sign.text != "=":
            raise SyntaxFaultError(sign.place, f"syntax error, unexpected {sign.said}")
        self.at += 1
        self.values[name.text] = self._value()

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
        name = self.tokens[min(self.at + 1, len(self.tokens) - 1)]
        if name.kind != "word":
            raise SyntaxFaultError(name.place, f"syntax error, unexpected {name.said}")
        value = self.values.get(name.text)
        if value is None:
            raise SyntaxFaultError(name.place, f"unknown identifier '{name.text}'")
        self.at += 2
        return [
            token._replace(line=name.line, column=name.column, start=name.start, end=name.end)
            for token in value
        ]
