# SPDX-License-Identifier: GPL-2.0-only
"""Chains, sets and elements as kube-proxy writes them, and what `nft -f` makes of them.

A rule is written as what stands behind `add rule ip kube-proxy CHAIN`. Nodes with
the same rules share these objects, so each is read once, however many nodes load it.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import Final, NamedTuple

import attrs

from emu.kernel.netfilter.nftables import ruleset as kernel
from emu.kernel.netfilter.nftables.expressions import (
    Decision,
    Member,
    Members,
    Meta,
    Numgen,
    Payload,
    Prefix,
)
from emu.kernel.netfilter.nftables.requests import AddChain, AddRule, AddSet
from emu.kernel.netfilter.nftables.statements import Address, Match, Nat, Vmap
from emu.kube.proxy.nft.names import TABLE
from emu.tools.nft.commands import parse
from emu.tools.protocols import PROTOCOLS
from emu.wire.addresses import IpAddress

FAMILY: Final = "ip"
WHERE: Final = f"{FAMILY} {TABLE}"

_HAIRPIN: Final = re.compile(r"ip saddr ([\d.]+) jump ([\w./-]+)")
_DNAT: Final = re.compile(r"meta l4proto (\w+) dnat to ([\d.]+):(\d+)")
_SPREAD: Final = re.compile(r"numgen random mod (\d+) vmap { (.*) }")
_CLUSTER_IP: Final = re.compile(r"ip daddr ([\d.]+) ip saddr != ([\d.]+)/(\d+) jump ([\w./-]+)")
_SOURCE: Final = Payload("ip", "saddr")
_DESTINATION: Final = Payload("ip", "daddr")
_PROTOCOL: Final = Meta("l4proto")
_FAMILY_NUMBER: Final = 4


_DYNAMIC_SIZE: Final = 65535
"""What nft gives a set that rules change: see `stmt_evaluate_set`."""


def read_rule(line: str) -> kernel.Rule:
    """Return the rule that `add rule ip kube-proxy CHAIN line` makes; frequent ones are read quickly.

    Raises:
        NftError: it makes none.
    """
    quick = _quick(line)
    if quick is not None:
        return quick
    (command,) = parse(f"add rule {WHERE} c {line}")
    assert isinstance(command.asked, AddRule)
    return command.asked.rule


def _quick(line: str) -> kernel.Rule | None:
    """Return the rule if it is one of those that every endpoint and every service port has."""
    found = _HAIRPIN.fullmatch(line)
    if found is not None:
        return kernel.Rule((Match(_SOURCE, "==", _number(found[1])), Decision("jump", found[2])))
    found = _DNAT.fullmatch(line)
    if found is not None:
        to = Address(_number(found[2]), None, int(found[3]))
        nat = Nat("dnat", to, family=_FAMILY_NUMBER)
        return kernel.Rule((Match(_PROTOCOL, "==", PROTOCOLS[found[1]]), nat))
    found = _SPREAD.fullmatch(line)
    if found is not None:
        members = tuple(
            [
                Member(number, Decision("goto", each.rpartition(" ")[2]))
                for number, each in enumerate(found[2].split(" , "))
            ]
        )
        return kernel.Rule((Vmap(Numgen("random", int(found[1])), Members(members)),))
    found = _CLUSTER_IP.fullmatch(line)
    if found is not None and int(found[3]) % 8 == 0:
        others = Match(_SOURCE, "!=", Prefix(_number(found[2]), int(found[3])))
        return kernel.Rule((Match(_DESTINATION, "==", _number(found[1])), others, Decision("jump", found[4])))
    return None


def _number(address: str) -> int:
    return int(IpAddress.parse(address))


@attrs.frozen(eq=False)
class Chain:
    """A chain with its rules, as they are written.

    Attributes:
        name: of the chain.
        lines: its rules, in order.
        what: what it is made with: where it is hooked, its comment; empty for nothing.
    """

    name: str
    lines: tuple[str, ...] = ()
    what: str = ""

    @cached_property
    def value(self) -> kernel.Chain:
        """The chain without its rules, as a value."""
        if not self.what:
            return kernel.Chain(self.name)
        (command,) = parse(f"add chain {WHERE} {self.name} {self.what}")
        assert isinstance(command.asked, AddChain)
        return command.asked.chain

    @cached_property
    def rules(self) -> tuple[kernel.Rule, ...]:
        """Its rules as values."""
        return tuple([read_rule(line) for line in self.lines])


@attrs.frozen
class Holder:
    """A set or a map without its elements.

    Attributes:
        kind: `set` or `map`.
        name: of the set.
        what: what it is made with.
    """

    kind: str
    name: str
    what: str

    @cached_property
    def value(self) -> kernel.Set:
        """The set as a value."""
        (command,) = parse(f"add {self.kind} {WHERE} {self.name} {self.what}")
        assert isinstance(command.asked, AddSet)
        found = command.asked.set
        return attrs.evolve(found, size=_DYNAMIC_SIZE) if "dynamic" in found.flags else found


class Element(NamedTuple):
    """An element of a set or map.

    Attributes:
        holder: the name of the set.
        key: address, protocol and port, as far as the set asks for them.
        verdict: what a map makes of it.
        comment: empty for none.
    """

    holder: str
    key: tuple[str, ...]
    verdict: str = ""
    comment: str = ""

    @property
    def text(self) -> str:
        """It as it is written between the braces."""
        comment = f' comment "{self.comment}"' if self.comment else ""
        return f"{' . '.join(self.key)}{comment}{f' : {self.verdict}' if self.verdict else ''}"

    @property
    def value(self) -> kernel.Element:
        """It as a value."""
        code, _, chain = self.verdict.partition(" ")
        numbers = tuple([_part(each) for each in self.key])
        return kernel.Element(
            numbers[0] if len(numbers) == 1 else numbers,
            Decision(code, chain) if code else None,
            comment=self.comment,
        )


def _part(text: str) -> int:
    if text.isdecimal():
        return int(text)
    return PROTOCOLS[text] if text in PROTOCOLS else _number(text)
