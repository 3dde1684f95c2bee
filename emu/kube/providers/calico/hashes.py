# SPDX-License-Identifier: GPL-2.0-only
"""What Felix calls its rules and chains.

Each rule has a comment `cali:` and 16 characters by which Felix knows it again: a hash
over the rule, those before it in the chain, and the chain's name. What is hashed is the
rule as Felix writes it (`--jump`, `--set-mark 0/0xe0000`), so that rules are given here
in its spelling; `cali:vjrMJCRpqwy5oRoX`, with which `cali-FORWARD` begins on many nodes,
comes out as it should.

Source: projectcalico/calico felix/generictables/rules.go, felix/rules/endpoints.go.
"""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

_RULE_HASH: Final = 16
_LONGEST_CHAIN: Final = 28
_SHORTENED: Final = "_"


class FelixRule(NamedTuple):
    """A rule in Felix's spelling.

    Attributes:
        action: like `--jump DROP`; empty for a rule that only counts.
        match: like `-m mark --mark 0/0x10000`, empty for all packets.
        comments: for people.
    """

    action: str
    match: str = ""
    comments: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """Comments, match and action, as they stand behind the rule's hash."""
        told = [f'-m comment --comment "{each}"' for each in self.comments]
        return " ".join(part for part in (*told, self.match, self.action) if part)


def lines(chain: str, rules: Iterable[FelixRule]) -> tuple[str, ...]:
    """Return rules as they stand behind `-A CHAIN`, each with its hash."""
    digest = hashlib.sha224(chain.encode()).digest()
    found = []
    for rule in rules:
        digest = hashlib.sha224(digest + f"-A {chain} HASH {rule.words}".encode()).digest()
        name = base64.urlsafe_b64encode(digest).decode()[:_RULE_HASH]
        found.append(f'-m comment --comment "cali:{name}" {rule.words}')
    return tuple(found)


def chain_name(prefix: str, identifier: str) -> str:
    """Return the name of a chain: the prefix and what it is about, hashed where that is too long."""
    if len(prefix) + len(identifier) <= _LONGEST_CHAIN:
        return prefix + identifier
    digest = base64.urlsafe_b64encode(hashlib.sha256(identifier.encode()).digest()).decode()
    return f"{prefix}{_SHORTENED}{digest}"[:_LONGEST_CHAIN]
