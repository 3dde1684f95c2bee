# SPDX-License-Identifier: GPL-2.0-only
"""Words, numbers and signs of nft's text. Source: nftables, src/scanner.l."""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING, Final, NamedTuple

from emu.tools.nft.faults import Fault, Place, SyntaxFaultError
from emu.tools.nft.variables import substitute

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_HEX4: Final = "[0-9a-fA-F]{1,4}"
_QUAD: Final = r"\d{1,3}(?:\.\d{1,3}){3}"
_GROUPS: Final = f"{_HEX4}(?::{_HEX4})*"
_TOKEN: Final = re.compile(
    rf"""[ \t\r]*+ (?:
      (?P<plain>[A-Za-z_][\w/.-]*+\*?+(?!:))
    | (?P<digits>\d++(?![\w:.]))
    | (?P<newline>\n)
    | (?P<operator>==|!=|<=|>=|<<|>>|[<>=,;{{}}()\[\]^&|!/*@$+])
    | (?P<blank>\\\n | \#[^\n]* | \Z)
    | "(?P<quoted>[^"\n]*)"
    | (?P<mac>(?:[0-9a-fA-F]{{1,2}}:){{5}}[0-9a-fA-F]{{1,2}}(?![:0-9a-fA-F]))
    | (?P<ip6>(?:{_HEX4}:){{7}}{_HEX4} | (?:{_GROUPS})?::(?:(?:{_HEX4}:)*{_QUAD}|{_GROUPS})?)
    | (?P<ip4>{_QUAD})
    | (?P<hexadecimal>0[xX][0-9a-fA-F]+)
    | (?P<time>(?=\d)(?:\d+d)?(?:\d+h)?(?:\d+m(?!s))?(?:\d+s)?(?:\d+ms)?(?<=[dhms])(?![A-Za-z0-9]))
    | (?P<decimal>\d+)
    | (?P<word>(?:[A-Za-z_]|\.(?=[\w/.-]))[\w/.-]*\*?)
    | (?P<sign>[-.:])
    | (?P<junk>"[^\n]* | .)
    )""",
    re.VERBOSE,
)
"""What is met most stands first, in forms that nothing further down could be, too."""

_KINDS: Final = {
    "plain": "word",
    "digits": "number",
    "hexadecimal": "number",
    "decimal": "number",
    "operator": "sign",
}
_OPERATORS: Final = {
    "eq": "==",
    "ne": "!=",
    "lt": "<",
    "gt": ">",
    "le": "<=",
    "ge": ">=",
    "and": "&",
    "or": "|",
    "xor": "^",
    "not": "!",
    "lshift": "<<",
    "rshift": ">>",
}
_SAID: Final = {"newline": "newline", "end": "end of file", "quoted": "quoted string"}


class Token(NamedTuple):
    """A word, number or sign.

    Attributes:
        kind: `word`, `quoted`, `sign`, `number`, `time`, `ip4`, `ip6`, `mac`, `newline`, `end`, or
            `junk`: what is no token, or a variable without a value.
        text: itself, a quoted string without its quotes, an operator as its sign.
        line: where it stands, counted from 1.
        column: where it begins there, counted from 1.
        start: where it begins in the text.
        end: behind its last character.
    """

    kind: str
    text: str
    line: int
    column: int
    start: int
    end: int

    @property
    def place(self) -> Place:
        """Where it stands."""
        return Place(self.line, self.column, max(self.column, self.column + self.end - self.start - 1))

    @property
    def said(self) -> str:
        """What a complaint calls it."""
        if self.kind == "sign":
            return {";": "semicolon", ".": ".", ",": "comma", ":": "colon"}.get(self.text, f"'{self.text}'")
        if self.kind == "word":
            return self.text if self.text in KEYWORDS else "string"
        return _SAID.get(self.kind, "number" if self.kind == "number" else "string")


KEYWORDS: Final = frozenset(
    """
    hook device devices table chain rule set element map flowtable handle ruleset socket tproxy accept drop
    continue jump goto return inet netdev add replace update create insert delete get list reset flush rename
    import export monitor position index comment constant interval dynamic auto-merge timeout gc-interval
    elements expires policy size flow offload meter counter log queue limit quota hour day reject snat dnat
    masquerade redirect random th bridge ether type typeof vlan arp ip ecn time icmp icmpv6 igmp ip6 priority
    ah esp comp flags udp udplite tcp dccp sctp rt rt0 rt2 srh hbh frag dst mh meta mark iif iifname iiftype
    oif oifname oiftype skuid skgid nftrace rtclassid ibriport ibrname obriport obrname pkttype cpu iifgroup
    oifgroup cgroup ct osf synproxy numgen jhash symhash exists missing exthdr ipsec secmark
    notrack dup fwd all xt fib include define redefine undefine describe vmap
    """.split()  # noqa: SIM905 - a list of a hundred quoted words is harder to read
)
"""Words with a meaning of their own everywhere: no table, chain or set is called so."""


def tokenise(text: str) -> Iterator[Token]:
    """Yield the tokens of `text`, without blanks and comments; the last is `end`."""
    line, begin = 1, 0
    for found in _TOKEN.finditer(text):
        group = found.lastgroup or "blank"
        end = found.end()
        start = found.start(group)
        if group != "blank":
            word, kind = found[group], _KINDS.get(group, group)
            if kind == "word" and word in _OPERATORS:
                kind, word = "sign", _OPERATORS[word]
            elif group == "quoted":
                start -= 1
            yield Token(kind, word, line, start - begin + 1, start, end)
        if found[group].endswith("\n"):
            line += 1
            begin = end
    yield Token("end", "", line, len(text) - begin + 1, len(text), len(text))


def _junk(tokens: Iterable[Token]) -> Iterator[Fault]:
    """Yield a fault for each line with junk in it."""
    line = 0
    for token in tokens:
        if token.kind == "junk" and token.line > line:
            line = token.line
            yield Fault(Place(line, token.column, token.column), "syntax error, unexpected junk")


def number(text: str) -> int:
    """Return the number that a token says: hexadecimal behind 0x, octal behind 0."""
    if text[:2] in ("0x", "0X"):
        return int(text, 16)
    return int(text, 8) if re.fullmatch("0[0-7]+", text) else int(text)


class Tokens:
    """The tokens that are left.

    Attributes:
        text: where they stand.
        at: how many are taken.
        faults: what is wrong so far.
        doubtful: words of what was passed over: names that might be there, were it not wrong;
            of what has no name, an empty one.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.doubtful: set[str] = set()
        found = list(tokenise(text))
        self.faults = list(_junk(found))
        self._tokens = substitute(found, self.faults)

    @cached_property
    def are_balanced(self) -> bool:
        """Whether each brace has its other one."""
        depth = 0
        for token in self._tokens:
            if token.kind == "sign" and token.text in "{}":
                depth += 1 if token.text == "{" else -1
                if depth < 0:
                    return False
        return depth == 0

    @property
    def next(self) -> Token:
        """The token that comes next."""
        return self._tokens[self.at]

    @property
    def second(self) -> Token:
        """The token behind the next one."""
        return self._tokens[min(self.at + 1, len(self._tokens) - 1)]

    def ahead(self, count: int) -> Token:
        """Return the token that comes behind `count` others."""
        return self._tokens[min(self.at + count, len(self._tokens) - 1)]

    @property
    def last(self) -> Token:
        """The token that was taken last."""
        return self._tokens[max(self.at - 1, 0)]

    def take(self) -> Token:
        """Take the next token; `end` stays."""
        token = self._tokens[self.at]
        if token.kind != "end":
            self.at += 1
        return token

    def sees(self, *texts: str) -> bool:
        """Return whether the next token is one of these words or signs."""
        token = self._tokens[self.at]
        return token.text in texts and token.kind in ("word", "sign")

    def second_sees(self, *texts: str) -> bool:
        """Return whether one of these words comes next, or behind the next sign."""
        return self.sees(*texts) or (self.next.kind == "sign" and self.second.text in texts)

    def accept(self, *texts: str) -> bool:
        """Take the next token if it is one of these words or signs; return whether."""
        if self.sees(*texts):
            self.at += 1
            return True
        return False

    def expect(self, *texts: str) -> Token:
        """Take the next token, which has to be one of these.

        Raises:
            SyntaxFaultError: it is not.
        """
        if not self.sees(*texts):
            raise self.unexpected()
        return self.take()

    def take_kind(self, *kinds: str) -> Token:
        """Take the next token, which has to be of one of these kinds.

        Raises:
            SyntaxFaultError: it is not.
        """
        if self.next.kind not in kinds:
            raise self.unexpected()
        return self.take()

    def take_number(self) -> int:
        """Take a number.

        Raises:
            SyntaxFaultError: it is none.
        """
        return number(self.take_kind("number").text)

    def take_name(self) -> Token:
        """Take the name of a table, chain or set.

        Raises:
            SyntaxFaultError: it is none, or a word with a meaning of its own.
        """
        token = self.next
        if token.kind != "word" or token.text in KEYWORDS or token.text.endswith("*"):
            fault = self.unexpected().fault
            raise SyntaxFaultError(fault.place, f"{fault.message}, expecting string")
        return self.take()

    def skip_newlines(self) -> None:
        """Pass over line ends, where they mean nothing."""
        while self.next.kind == "newline":
            self.at += 1

    def unexpected(self) -> SyntaxFaultError:
        """Return the complaint of the next token."""
        token = self.next
        return SyntaxFaultError(token.place, f"syntax error, unexpected {token.said}")
