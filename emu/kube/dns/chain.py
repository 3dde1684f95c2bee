# SPDX-License-Identifier: GPL-2.0-only
"""The plugins of a server block, one behind the other.

    loadbalance -> cache -> rewrite -> autopath -> hosts -> kubernetes -> loop -> forward

Source: coredns core/dnsserver/server.go, plugin.cfg; plugin/{loadbalance,rewrite,autopath,hosts,loop}.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import attrs
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from emu.kube.dns import records
from emu.kube.dns.cache import ReplyCache, copy_sections
from emu.kube.dns.records import Outcome, Record
from emu.kube.dns.reverse import address_of
from emu.kube.dns.settings import fqdn, is_below
from emu.sim.choice import Uniform

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from emu.apps.dns_server import Transport
    from emu.fabric.program import Program
    from emu.kernel.namespace import Namespace
    from emu.kube.dns.directory import Directory
    from emu.kube.dns.forward import Forwarder
    from emu.kube.dns.settings import Rewrite, Server
    from emu.sim.time import Instant
    from emu.wire.addresses import IpAddress

LOOP_LIMIT: Final = 2
"""How often a probe may come back to its sender."""

_TRANSFERS: Final = frozenset({dns.rdatatype.AXFR, dns.rdatatype.IXFR})
_MOST_LOOKUPS: Final = 8


@attrs.frozen
class Request:
    """A question on its way through the plugins: the name may be another than the one in `query`."""

    query: dns.message.Message
    name: str
    kind: str
    client: IpAddress
    transport: Transport
    depth: int = 0

    @classmethod
    def of(cls, query: dns.message.Message, client: IpAddress, transport: Transport) -> Request:
        """Return the request that a client's query is."""
        question = query.question[0]
        kind = dns.rdatatype.to_text(question.rdtype)
        return cls(query, question.name.to_text(), kind, client, transport)

    def reply(self, code: dns.rcode.Rcode = dns.rcode.NOERROR, flags: int = 0) -> dns.message.Message:
        """Return an empty reply."""
        made = dns.message.make_response(self.query, our_payload=max(self.query.payload, 512))
        made.set_rcode(code)
        made.flags |= flags
        return made

    def question(self) -> dns.message.Message:
        """Return a query for the name as it is by now."""
        asked = dns.message.make_query(self.name, self.kind, flags=self.query.flags & ~dns.flags.QR)
        asked.id = self.query.id
        if self.query.edns >= 0:
            asked.use_edns(0, self.query.ednsflags, self.query.payload)
        return asked


@attrs.define(eq=False)
class Chain:
    """Answers what a server block is asked.

    Attributes:
        settings: the server block.
        directory: what there is in the cluster.
        forwarders: the lines `forward`.
        net: where the server is; it decides what is left to chance.
        clock: tells the time.
        search: domains behind those of the cluster, for autopath.
        probe: the name that `loop` sends.
    """

    settings: Server
    directory: Directory
    forwarders: Sequence[Forwarder]
    net: Namespace
    clock: Callable[[], Instant]
    own: Sequence[str] = ()
    search: Sequence[str] = ()
    probe: str = ""
    probes_seen: int = 0
    _cache: ReplyCache | None = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._cache = None if self.settings.cache is None else ReplyCache(self.settings.cache)

    def answer(self, request: Request) -> Program[dns.message.Message]:
        """Return the reply to a client; it takes time only if somebody else has to be asked."""
        question = request.query.question[0]
        if question.rdtype in _TRANSFERS or question.rdclass != dns.rdataclass.IN:
            return request.reply(dns.rcode.REFUSED)
        reply = yield from self._cached(request)
        if self.settings.loadbalance:
            self._balance(reply)
        return reply

    # --- loadbalance ---

    def _balance(self, reply: dns.message.Message) -> None:
        """Shuffle the addresses, behind the aliases; which comes first is a choice."""
        places = {dns.rdatatype.CNAME: 0, dns.rdatatype.A: 2, dns.rdatatype.AAAA: 2, dns.rdatatype.MX: 3}
        ordered = sorted(reply.answer, key=lambda each: places.get(each.rdtype, 1))
        reply.answer[:] = [
            self._shuffled(each) if places.get(each.rdtype) == 2 and len(each) > 1 else each
            for each in ordered
        ]

    def _shuffled(self, rrset: dns.rrset.RRset) -> dns.rrset.RRset:
        items = sorted(rrset, key=lambda each: each.to_text())
        names = [each.to_text() for each in items]
        first = self.net.choice.pick(f"first address of {rrset.name}", Uniform(len(items)), names)
        rest = items[:first] + items[first + 1 :]
        self.net.random.shuffle(rest)
        return dns.rrset.from_rdata_list(rrset.name, rrset.ttl, [items[first], *rest])

    # --- cache ---

    def _cached(self, request: Request) -> Program[dns.message.Message]:
        if self._cache is None:
            return (yield from self._rewritten(request))
        known = self._cache.find(request.query, self.clock())
        if known is not None:
            return known
        reply = yield from self._rewritten(request)
        self._cache.keep(request.query, reply, self.clock())
        return reply

    # --- rewrite ---

    def _rewritten(self, request: Request) -> Program[dns.message.Message]:
        asked = request.name
        for rule in self.settings.rewrites:
            name = rewrite(rule, request.name)
            if name is not None:
                request = attrs.evolve(request, name=name)
                if not rule.goes_on:
                    break
        reply = yield from self._completed(request)
        if request.name.lower() != asked.lower():
            _rename(reply, request.name, asked)
        return reply

    # --- autopath ---

    def _completed(self, request: Request) -> Program[dns.message.Message]:
        path = self._search_path(request) if self.settings.autopath else ()
        if not path or not is_below(request.name, path[0]):
            return (yield from self._looked_up(request))
        base = request.name[: -len(path[0])].rstrip(".")
        first: dns.message.Message | None = None
        for domain in (*path, ""):
            tried = attrs.evolve(request, name=f"{base}.{domain}".lstrip("."))
            reply = yield from self._looked_up(tried)
            first = first or reply
            if reply.rcode() in {dns.rcode.NXDOMAIN, dns.rcode.SERVFAIL}:
                continue
            _alias(reply, request.name)
            return reply
        assert first is not None, "the path is not empty"
        return first

    def _search_path(self, request: Request) -> tuple[str, ...]:
        """Return where the asking pod searches, nothing if it is no pod that runs."""
        kubernetes = self.settings.kubernetes
        if kubernetes is None or kubernetes.pods != "verified":
            return ()
        zone = max((each for each in kubernetes.zones if is_below(request.name, each)), key=len, default="")
        pods = [pod for pod in self.directory.pods_at(str(request.client)) if pod.status.phase == "Running"]
        if not zone or not pods:
            return ()
        namespace = pods[0].metadata.namespace
        return (f"{namespace}.svc.{zone}", f"svc.{zone}", zone, *map(fqdn, self.search))

    # --- hosts, kubernetes, loop, forward ---

    def _looked_up(self, request: Request) -> Program[dns.message.Message]:
        reply = self._from_hosts(request)
        if reply is not None:
            return reply
        if self.settings.kubernetes is not None:
            found = records.answer(
                request.name, request.kind, self.settings.kubernetes, self.directory, self.own
            )
            passes = found.outcome is Outcome.NOT_OURS or (
                found.outcome is Outcome.NXDOMAIN and self.settings.kubernetes.through.covers(request.name)
            )
            if not passes:
                return (yield from self._told(request, found))
        if self.probe and request.kind == "HINFO" and request.name == self.probe:
            self.probes_seen += 1
        for forwarder in self.forwarders:
            if forwarder.takes(request.name):
                return (yield from self._forwarded(request, forwarder))
        return request.reply(dns.rcode.SERVFAIL)

    def _told(self, request: Request, found: records.Answer) -> Program[dns.message.Message]:
        """Return a reply of the plugin `kubernetes`."""
        kubernetes = self.settings.kubernetes
        assert kubernetes is not None
        if found.outcome is Outcome.FOUND:
            reply = request.reply(flags=dns.flags.AA)
            reply.answer = _rrsets(found.records)
            reply.additional = _rrsets(found.additional)
            if not found.outside:
                return reply
            inner = attrs.evolve(request, name=found.outside, depth=request.depth + 1)
            inner = attrs.evolve(inner, query=inner.question())
            if inner.depth <= _MOST_LOOKUPS:
                further = yield from self._cached(inner)
                copy_sections(_answers_of(further), reply)
                return reply
        code = dns.rcode.NXDOMAIN if found.outcome is Outcome.NXDOMAIN else dns.rcode.NOERROR
        reply = request.reply(code, dns.flags.AA)
        reply.authority = _rrsets([records.soa(found.zone, kubernetes, self.directory)])
        return reply

    def _forwarded(self, request: Request, forwarder: Forwarder) -> Program[dns.message.Message]:
        heard = yield from forwarder.ask(request.question(), request.transport)
        if heard is None:
            return request.reply(dns.rcode.SERVFAIL)
        passed = dns.flags.AA | dns.flags.TC | dns.flags.RA | dns.flags.AD
        reply = request.reply(heard.rcode(), heard.flags & passed)
        copy_sections(heard, reply)
        return reply

    def _from_hosts(self, request: Request) -> dns.message.Message | None:
        hosts = self.settings.hosts
        if hosts is None or not any(is_below(request.name, zone) for zone in hosts.zones):
            return None
        name = request.name.lower()
        if request.kind == "PTR":
            address = address_of(name)
            found = [other for known, other in hosts.entries if known == address and hosts.reverse]
            made = [Record(request.name, "PTR", hosts.ttl, other) for other in found]
            is_known = bool(made)
        else:
            own = [known for known, other in hosts.entries if other == name]
            is_known = bool(own)
            made = [
                Record(request.name, request.kind, hosts.ttl, each)
                for each in own
                if request.kind == ("AAAA" if ":" in each else "A")
            ]
        if not is_known:
            return None if hosts.through.covers(name) else request.reply(dns.rcode.SERVFAIL)
        reply = request.reply(flags=dns.flags.AA)
        reply.answer = _rrsets(made)
        return reply


def _rrsets(found: Iterable[Record]) -> list[dns.rrset.RRset]:
    """Return records as sets of one name and kind each, in order."""
    grouped: dict[tuple[str, str, int], list[str]] = {}
    for name, kind, ttl, data in found:
        grouped.setdefault((name, kind, ttl), []).append(data)
    return [dns.rrset.from_text(name, ttl, "IN", kind, *data) for (name, kind, ttl), data in grouped.items()]


def _answers_of(message: dns.message.Message) -> dns.message.Message:
    """Return a message with the answers of another alone."""
    found = dns.message.Message()
    found.answer = message.answer
    return found


def _alias(reply: dns.message.Message, name: str) -> None:
    """Lead from `name` to the first name that is answered."""
    asked = dns.name.from_text(name)
    for rrset in reply.answer:
        if rrset.name != asked:
            alias = dns.rrset.from_text(asked, rrset.ttl, "IN", "CNAME", rrset.name.to_text())
            reply.answer.insert(0, alias)
            return


def _rename(reply: dns.message.Message, name: str, asked: str) -> None:
    """Give the records of `name` the name that was asked for."""
    known, wanted = dns.name.from_text(name), dns.name.from_text(asked)
    for rrset in reply.answer:
        if rrset.name == known:
            rrset.name = wanted


def rewrite(rule: Rewrite, name: str) -> str | None:
    """Return the name that a rule makes of `name`, None if it does not fit."""
    lower = name.lower()
    match rule.how:
        case "exact":
            return fqdn(rule.replacement) if lower == fqdn(rule.pattern) else None
        case "prefix":
            is_fit = lower.startswith(rule.pattern.lower())
            return rule.replacement + lower[len(rule.pattern) :] if is_fit else None
        case "suffix":
            suffix, other = fqdn(rule.pattern), fqdn(rule.replacement)
            return lower[: -len(suffix)] + other if lower.endswith(suffix) else None
        case "substring":
            return lower.replace(rule.pattern.lower(), rule.replacement) if rule.pattern in lower else None
        case _:
            found = re.search(rule.pattern, lower)
            if found is None:
                return None
            groups = found.groups()
            made = re.sub(
                r"\{(\d+)\}",
                lambda each: groups[int(each[1]) - 1] if 0 < int(each[1]) <= len(groups) else found[0],
                rule.replacement,
            )
            return fqdn(made)
