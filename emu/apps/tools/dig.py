# SPDX-License-Identifier: GPL-2.0-only
"""`dig` of BIND 9.18, in BIND's layout; there is no calendar here, so it prints no WHEN."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs
import dns.edns
import dns.flags
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype

from emu.apps import dns_client
from emu.apps.dns_client import DIGS, Answered, Manner
from emu.apps.resolver.lookup import configuration, numeric
from emu.apps.resolver.message import reverse_name
from emu.apps.tools.finished import Finished
from emu.errors import CommandError
from emu.sim.time import MILLISECOND, SECOND

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dns.message import Message
    from dns.rrset import RRset

    from emu.fabric.program import Program
    from emu.fabric.userland import Userland

_VERSION: Final = "9.18.28"
_SECTIONS: Final = ("cmd", "comments", "question", "answer", "authority", "additional", "stats")
_COLUMNS: Final = (24, 32, 40, 48)  # where TTL, class, type and data begin
_TAB: Final = 8


@attrs.frozen
class Options:
    """A command line of dig.

    Attributes:
        typed: the arguments, for the first line.
        name: to ask for.
        kind: of record.
        server: whom to ask, as it was written; empty for those of resolv.conf.
        manner: how to ask.
        shown: sections to print.
        short: print the data alone.
        search: use the search list.
    """

    typed: str
    name: str = "."
    kind: str = ""
    server: str = ""
    manner: Manner = DIGS
    shown: frozenset[str] = frozenset(_SECTIONS)
    short: bool = False
    search: bool = False


def run(argv: Sequence[str], userland: Userland) -> Program[Finished]:
    """Ask one question and print the answer."""
    options = _parse(argv)
    settings = configuration(userland)
    servers = yield from dns_client.servers_of("dig", options.server, settings, userland, 10)
    kind = dns_client.record_type(options.kind or ("A" if options.name != "." else "NS"))
    assert kind is not None, "it was looked at"
    texts = dns_client.candidates(options.name, settings) if options.search else [options.name]
    names = [dns_client.absolute("dig", text) for text in texts]
    answered = yield from dns_client.search(names, kind, servers, options.manner)
    lines = list(answered.complaints)
    if answered.message is None:
        lines += [*_banner(options), ";; no servers could be reached", ""]
        return Finished("".join(f"{line}\n" for line in lines), status=9)
    if options.short:
        lines += [record.to_text() for rrset in answered.message.answer for record in rrset]
    else:
        lines += [*_banner(options), *_report(answered, answered.message, options)]
    return Finished("".join(f"{line}\n" for line in lines))


# --- arguments ---


def _parse(argv: Sequence[str]) -> Options:
    options = Options(" ".join(argv))
    words = iter(argv)
    has_name = False
    for word in words:
        if word.startswith("+"):
            options = _plus(options, word[1:])
        elif word.startswith("@"):
            options = attrs.evolve(options, server=word[1:])
        elif word.startswith("-") and len(word) > 1:
            value = "" if word in {"-4", "-r"} else word[2:] or next(words, "")
            options = _minus(options, word[:2], value)
            has_name = has_name or word[:2] in {"-x", "-q"}
        elif not options.kind and dns_client.record_type(word) is not None:
            options = attrs.evolve(options, kind=word)
        elif word.upper() == "IN":
            continue
        elif has_name:
            raise CommandError("dig: more than one question is not modelled", 1)
        else:
            options = attrs.evolve(options, name=word)
            has_name = True
    return options


def _minus(options: Options, letter: str, value: str) -> Options:
    match letter:
        case "-4" | "-r":
            return options
        case "-x":
            address = numeric(value)
            if address is None or address.family != 4:
                raise CommandError(f"dig: -x {value}: only IPv4 is modelled", 1)
            return attrs.evolve(options, name=reverse_name(address), kind=options.kind or "PTR")
        case "-p":
            manner = attrs.evolve(options.manner, port=_number(value, 1, 65535))
            return attrs.evolve(options, manner=manner)
        case "-t" if dns_client.record_type(value) is not None:
            return attrs.evolve(options, kind=value)
        case "-q":
            return attrs.evolve(options, name=value)
        case _:
            raise CommandError(f"Invalid option: {letter}{value}\nUsage:  dig [@server] [name] [type]", 1)


def _plus(options: Options, text: str) -> Options:
    name, equals, value = text.partition("=")
    manner = options.manner
    match name:
        case "short" | "search" | "noshort" | "nosearch":
            is_on = not name.startswith("no")
            word = name.removeprefix("no")
            return (
                attrs.evolve(options, short=is_on) if word == "short" else attrs.evolve(options, search=is_on)
            )
        case "all" | "noall":
            return attrs.evolve(options, shown=frozenset(_SECTIONS if name == "all" else ()))
        case "tcp" | "vc" | "notcp" | "novc":
            manner = attrs.evolve(manner, tcp=not name.startswith("no"))
        case "time" | "timeout" if equals:
            manner = attrs.evolve(manner, timeout=_number(value, 1, 3600) * SECOND)
        case "tries" if equals:
            manner = attrs.evolve(manner, tries=_number(value, 1, 100))
        case "retry" if equals:
            manner = attrs.evolve(manner, tries=_number(value, 0, 100) + 1)
        case "rec" | "recurse" | "norec" | "norecurse":
            manner = attrs.evolve(manner, recurse=not name.startswith("no"))
        case "edns" | "noedns":
            manner = attrs.evolve(manner, edns=not name.startswith("no"))
        case "cookie" | "nocookie":
            manner = attrs.evolve(manner, cookie=not name.startswith("no"))
        case "ignore" | "noignore":
            manner = attrs.evolve(manner, ignore=not name.startswith("no"))
        case _ if name.removeprefix("no") in _SECTIONS:
            section = frozenset((name.removeprefix("no"),))
            shown = options.shown - section if name.startswith("no") else options.shown | section
            return attrs.evolve(options, shown=shown)
        case _:
            raise CommandError(f"Invalid option, or not modelled: +{text}", 1)
    return attrs.evolve(options, manner=manner)


def _number(text: str, least: int, most: int) -> int:
    if not text.isdecimal() or len(text) > 6 or not least <= int(text) <= most:
        raise CommandError(f"dig: {text!r} is no number from {least} to {most}", 1)
    return int(text)


# --- output ---


def _banner(options: Options) -> list[str]:
    if "cmd" not in options.shown or options.short:
        return []
    lines = ["", f"; <<>> DiG {_VERSION} <<>> {options.typed}".rstrip()]
    if options.server:
        lines.append("; (1 server found)")
    return [*lines, ";; global options: +cmd"]


def _report(answered: Answered, message: Message, options: Options) -> Iterator[str]:
    shown = options.shown
    if "comments" in shown:
        yield from _header(message)
        yield from _pseudosection(message)
    if "question" in shown and message.question:
        if "comments" in shown:
            yield ";; QUESTION SECTION:"
        for rrset in message.question:
            words = (
                str(rrset.name),
                dns.rdataclass.to_text(rrset.rdclass),
                dns.rdatatype.to_text(rrset.rdtype),
            )
            yield ";" + align(words, (_COLUMNS[1], _COLUMNS[2]))
        yield ""
    for section, rrsets in (
        ("answer", message.answer),
        ("authority", message.authority),
        ("additional", message.additional),
    ):
        if section in shown and rrsets:
            if "comments" in shown:
                yield f";; {section.upper()} SECTION:"
            yield from (line for rrset in rrsets for line in _records(rrset))
            if "comments" in shown:
                yield ""
    if "stats" in shown:
        port = options.manner.port
        yield f";; Query time: {answered.time // MILLISECOND} msec"
        typed = options.server or str(answered.server)
        yield f";; SERVER: {answered.server}#{port}({typed}) ({answered.transport})"
        yield f";; MSG SIZE  rcvd: {answered.octets}"
        yield ""


def _header(message: Message) -> Iterator[str]:
    flags = " ".join(dns.flags.to_text(message.flags).lower().split())
    opt = int(message.edns >= 0)
    yield ";; Got answer:"
    yield (
        f";; ->>HEADER<<- opcode: {dns.opcode.to_text(message.opcode())}, "
        f"status: {dns.rcode.to_text(message.rcode())}, id: {message.id}"
    )
    counts = [sum(max(len(rrset), 1) for rrset in section) for section in message.sections]
    yield (
        f";; flags: {flags}; QUERY: {counts[0]}, ANSWER: {counts[1]}, AUTHORITY: {counts[2]}, "
        f"ADDITIONAL: {counts[3] + opt}"
    )
    if message.flags & dns.flags.RD and not message.flags & dns.flags.RA:
        yield ";; WARNING: recursion requested but not available"
    yield ""


def _pseudosection(message: Message) -> Iterator[str]:
    if message.edns < 0:
        return
    yield ";; OPT PSEUDOSECTION:"
    do = " do" if message.ednsflags & dns.flags.DO else ""
    yield f"; EDNS: version: {message.edns}, flags:{do}; udp: {message.payload}"
    for option in message.options:
        if option.otype == dns.edns.OptionType.COOKIE:
            cookie = option.to_wire() or b""
            yield f"; COOKIE: {cookie.hex()} ({'good' if len(cookie) > 8 else 'echoed'})"


def _records(rrset: RRset) -> Iterator[str]:
    for record in rrset:
        words = (
            str(rrset.name),
            str(rrset.ttl),
            dns.rdataclass.to_text(rrset.rdclass),
            dns.rdatatype.to_text(rrset.rdtype),
            record.to_text(),
        )
        yield align(words, _COLUMNS)


def align(words: Sequence[str], columns: Sequence[int]) -> str:
    """Put words in columns by tabs; a word that begins late is set off by one space.

    Source: `indent` in BIND's lib/dns/masterdump.c.
    """
    line, at = words[0], len(words[0])
    for word, column in zip(words[1:], columns, strict=True):
        to = max(column, at + 1)
        tabs = to // _TAB - at // _TAB
        spaces = to % _TAB if tabs else to - at
        line += "\t" * tabs + " " * spaces + word
        at = to + len(word)
    return line
