# SPDX-License-Identifier: GPL-2.0-only
"""The plugin `cache`: what was answered, until its time is up.

All records of a kept reply get one time to live, which counts down.

Source: coredns plugin/cache/{cache,item,handler}.go, plugin/pkg/dnsutil/ttl.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

import attrs
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

from emu.kube.dns.settings import is_below
from emu.sim.time import SECOND, Instant, later

if TYPE_CHECKING:
    from emu.kube.dns.settings import Cache

Key: TypeAlias = tuple[str, int, int, bool, bool]
"""Name in small letters, type, class, DO, CD."""

_NO_RECORDS: Final = 5  # seconds that a reply without any record is kept
_LONGEST: Final = 3600


def key_of(query: dns.message.Message) -> Key:
    """Return what tells questions apart."""
    question = query.question[0]
    return (
        question.name.to_text().lower(),
        int(question.rdtype),
        int(question.rdclass),
        bool(query.ednsflags & dns.flags.DO),
        bool(query.flags & dns.flags.CD),
    )


@attrs.frozen
class _Kept:
    reply: dns.message.Message
    until: Instant


@attrs.define
class ReplyCache:
    """Replies by question."""

    settings: Cache
    _kept: dict[Key, _Kept] = attrs.field(factory=dict, init=False)

    def find(self, query: dns.message.Message, now: Instant) -> dns.message.Message | None:
        """Return the reply that is kept for `query`, with the time it has left; None if there is none."""
        key = key_of(query)
        kept = self._kept.get(key)
        if kept is None:
            return None
        left = (kept.until - now) // SECOND
        if kept.until <= now:
            del self._kept[key]
            return None
        reply = dns.message.make_response(query, our_payload=max(query.payload, 512))
        reply.flags |= kept.reply.flags & (dns.flags.RA | dns.flags.AD) | dns.flags.AA
        reply.set_rcode(kept.reply.rcode())
        copy_sections(kept.reply, reply, left)
        return reply

    def keep(self, query: dns.message.Message, reply: dns.message.Message, now: Instant) -> None:
        """Keep `reply` if it may be kept, and cut its records' times to live to how long it is."""
        name = query.question[0].name.to_text()
        if reply.flags & dns.flags.TC or not any(is_below(name, zone) for zone in self.settings.zones):
            return
        seconds = self._seconds(name, reply)
        if seconds <= 0:
            return
        for section in (reply.answer, reply.authority, reply.additional):
            for rrset in section:
                rrset.ttl = seconds
        copy = dns.message.make_response(query)
        copy.flags = reply.flags
        copy.set_rcode(reply.rcode())
        copy_sections(reply, copy, seconds)
        self._kept[key_of(query)] = _Kept(copy, later(now, seconds * SECOND))

    def _seconds(self, name: str, reply: dns.message.Message) -> int:
        settings, code = self.settings, reply.rcode()
        if code == dns.rcode.SERVFAIL:
            return settings.servfail
        if code == dns.rcode.NOERROR and reply.answer:
            if any(is_below(name, zone) for zone in settings.no_success):
                return 0
            return min(max(least_ttl(reply), settings.least_success), settings.success)
        if code in {dns.rcode.NOERROR, dns.rcode.NXDOMAIN}:
            if any(is_below(name, zone) for zone in settings.no_denial):
                return 0
            return min(max(least_ttl(reply), settings.least_denial), settings.denial)
        return 0


def least_ttl(reply: dns.message.Message) -> int:
    """Return the shortest time to live in a reply, seconds; a negative one's SOA has a minimum too."""
    found = [rrset.ttl for section in (reply.answer, reply.authority) for rrset in section]
    if not found:
        return _NO_RECORDS
    found += [rrset.ttl for rrset in reply.additional]
    if not reply.answer:
        for rrset in reply.authority:
            if rrset.rdtype == dns.rdatatype.SOA:
                found.append(rrset[0].minimum)
    return min(_LONGEST, *found)


def copy_sections(source: dns.message.Message, to: dns.message.Message, ttl: int | None = None) -> None:
    """Put the records of `source` into `to`, with another time to live if one is given."""
    for section, other in (
        (source.answer, to.answer),
        (source.authority, to.authority),
        (source.additional, to.additional),
    ):
        for rrset in section:
            other.append(
                dns.rrset.from_rdata_list(rrset.name, rrset.ttl if ttl is None else ttl, list(rrset))
            )
