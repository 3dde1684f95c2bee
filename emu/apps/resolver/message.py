# SPDX-License-Identifier: GPL-2.0-only
"""Queries and replies, as octets and as what a resolver needs of them."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import attrs
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype

from emu.wire.addresses import IpAddress

Kind: TypeAlias = Literal["A", "AAAA", "PTR"]

_PAYLOAD: Final = 1200
_MOST_ALIASES: Final = 16


@attrs.frozen
class Query:
    """A question on its way: `octets` begins with `number`, which the reply repeats."""

    number: int
    name: str
    kind: Kind
    octets: bytes


def build(name: str, kind: Kind, number: int, *, edns0: bool = False, trust_ad: bool = False) -> Query | None:
    """Return a query for the absolute name `name`, None if it is no name (a label is too long, or empty)."""
    flags = dns.flags.RD | (dns.flags.AD if trust_ad else 0)
    try:
        query = dns.message.make_query(
            dns.name.from_text(name),
            kind,
            id=number,
            flags=flags,
            use_edns=0 if edns0 else -1,
            payload=_PAYLOAD,
        )
        return Query(number, name, kind, query.to_wire())
    except (dns.exception.DNSException, UnicodeError):
        return None


@attrs.frozen
class Reply:
    """What a server said.

    Attributes:
        number: of the query.
        code: `NOERROR`, `NXDOMAIN`, `SERVFAIL`, ...
        addresses: of the asked kind, at the end of the aliases.
        names: what PTR records tell.
        canonical: the name at the end of the aliases.
        answers: records in the answer section.
        is_lame: a referral: no answer, not of authority, no recursion, nothing else.
        is_truncated: there is more by TCP.
    """

    number: int
    code: str
    addresses: tuple[IpAddress, ...] = ()
    names: tuple[str, ...] = ()
    canonical: str = ""
    answers: int = 0
    is_lame: bool = False
    is_truncated: bool = False

    @property
    def has_answer(self) -> bool:
        """Whether it holds records."""
        return self.code == "NOERROR" and self.answers > 0


def read(octets: bytes, query: Query) -> Reply | None:
    """Return the reply to `query` that `octets` are, None if they are something else."""
    if len(octets) < 12 or int.from_bytes(octets[:2]) != query.number or not octets[2] & 0x80:
        return None
    try:
        message = dns.message.from_wire(octets)
    except dns.exception.DNSException:
        return None
    asked = dns.name.from_text(query.name)
    kind = dns.rdatatype.from_text(query.kind)
    if message.question and (message.question[0].name, message.question[0].rdtype) != (asked, kind):
        return None
    canonical = _follow(message, asked)
    found = [
        record
        for rrset in message.answer
        if (rrset.rdclass, rrset.rdtype, rrset.name) == (dns.rdataclass.IN, kind, canonical)
        for record in rrset
    ]
    is_bare = not message.answer and not message.additional and message.edns < 0
    return Reply(
        query.number,
        dns.rcode.to_text(message.rcode()),
        tuple(IpAddress.parse(record.address) for record in found if query.kind != "PTR"),
        tuple(record.target.to_text(omit_final_dot=True) for record in found if query.kind == "PTR"),
        canonical.to_text(omit_final_dot=True),
        sum(len(rrset) for rrset in message.answer),
        is_bare
        and not message.flags & (dns.flags.AA | dns.flags.RA)
        and message.rcode() == dns.rcode.NOERROR,
        bool(message.flags & dns.flags.TC),
    )


def _follow(message: dns.message.Message, name: dns.name.Name) -> dns.name.Name:
    """Return the name at the end of the aliases that begin at `name`."""
    for _ in range(_MOST_ALIASES):
        wanted = (dns.rdataclass.IN, dns.rdatatype.CNAME, name)
        alias = next((r for r in message.answer if (r.rdclass, r.rdtype, r.name) == wanted), None)
        if alias is None:
            break
        name = alias[0].target
    return name


def reverse_name(address: IpAddress) -> str:
    """Return the name that has the PTR records of an IPv4 address."""
    return ".".join(str(octet) for octet in reversed(address)) + ".in-addr.arpa"
