# SPDX-License-Identifier: GPL-2.0-only
"""`nslookup` of BIND 9.18: A, then AAAA, by the search list."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import dns.flags
import dns.rdatatype

from emu.apps import dns_client
from emu.apps.dns_client import PLAIN, Answered, Manner
from emu.apps.resolver.lookup import configuration, numeric
from emu.apps.resolver.message import reverse_name
from emu.apps.tools.finished import Finished
from emu.errors import CommandError
from emu.sim.time import SECOND

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dns.message import Message
    from dns.name import Name
    from dns.rdatatype import RdataType

    from emu.fabric.program import Program
    from emu.fabric.userland import Userland
    from emu.wire.addresses import IpAddress

_WORDS = {"SRV": "service", "MX": "mail exchanger", "TXT": "text", "NS": "nameserver", "PTR": "name"}


@attrs.frozen
class Options:
    """A command line; `server` is empty for those of resolv.conf, `kind` for addresses."""

    name: str
    server: str = ""
    kind: str = ""
    manner: Manner = PLAIN


def run(argv: Sequence[str], userland: Userland) -> Program[Finished]:
    """Ask for the addresses of a name, the name of an address, or records of a type."""
    options = _parse(argv)
    settings = configuration(userland)
    servers = yield from dns_client.servers_of("nslookup", options.server, settings, userland, 1)
    address = numeric(options.name)
    if address is not None and address.family == 4:
        names = [dns_client.absolute("nslookup", reverse_name(address))]
        kinds = [dns.rdatatype.PTR]
    else:
        texts = dns_client.candidates(options.name, settings)
        names = [dns_client.absolute("nslookup", text) for text in texts]
        kinds = [dns.rdatatype.A, dns.rdatatype.AAAA]
        if options.kind:
            kinds = [dns.rdatatype.from_text(options.kind)]
    return (yield from _ask(options, names, kinds, servers))


def _parse(argv: Sequence[str]) -> Options:
    places: list[str] = []
    kind, manner = "", PLAIN
    for word in argv:
        name, _, value = word.partition("=")
        if not word.startswith("-"):
            places.append(word)
        elif name in {"-type", "-query", "-q", "-ty"} and dns_client.record_type(value) is not None:
            kind = value
        elif name == "-timeout" and value.isdecimal() and int(value[:5]) > 0:
            manner = attrs.evolve(manner, timeout=int(value[:5]) * SECOND)
        elif name == "-retry" and value.isdecimal():
            manner = attrs.evolve(manner, tries=int(value[:2]) + 1)
        elif name == "-port" and value.isdecimal():
            manner = attrs.evolve(manner, port=min(int(value[:6]), 65535))
        elif word in {"-vc", "-novc"}:
            manner = attrs.evolve(manner, tcp=word == "-vc")
        else:
            raise CommandError(f"*** Invalid option, or not modelled: {word.removeprefix('-')}", 1)
    if not 1 <= len(places) <= 2:
        raise CommandError("nslookup: a name is needed: there is no terminal to type on", 1)
    return Options(places[0], places[1] if len(places) == 2 else "", kind, manner)


def _ask(
    options: Options, names: Sequence[Name], kinds: Sequence[RdataType], servers: Sequence[IpAddress]
) -> Program[Finished]:
    """Ask for each kind of record, the second one for the name that exists, and print what comes."""
    lines: list[str] = []
    has_answer = False
    for kind in kinds:
        answered = yield from dns_client.search(names, kind, servers, options.manner)
        lines += answered.complaints
        message = answered.message
        if message is None:
            lines += [";; no servers could be reached", ""]
            return Finished(_joined(lines), status=1)
        is_first = kind == dns.rdatatype.A or bool(options.kind)
        if is_first:
            lines += _server(answered, options)
        name = answered.query.question[0].name
        if answered.code != "NOERROR":
            if has_answer:
                break
            lines += [f"** server can't find {name.to_text(omit_final_dot=True)}: {answered.code}", ""]
            return Finished(_joined(lines), status=1)
        records = [*_records(message)]
        is_borrowed = not message.flags & dns.flags.AA
        if is_borrowed and is_first:
            lines.append("Non-authoritative answer:")
        has_answer = has_answer or bool(records)
        lines += records
        if is_borrowed and kind not in {dns.rdatatype.A, dns.rdatatype.AAAA}:
            lines += ["", "Authoritative answers can be found from:"]
        names = [name]
    if not has_answer:
        lines.append(f"*** Can't find {options.name}: No answer")
    return Finished(_joined([*lines, ""]))


def _joined(lines: Sequence[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _server(answered: Answered, options: Options) -> list[str]:
    return [
        f"Server:\t\t{options.server or answered.server}",
        f"Address:\t{answered.server}#{options.manner.port}",
        "",
    ]


def _records(message: Message) -> list[str]:
    lines = []
    for rrset in message.answer:
        name = rrset.name.to_text(omit_final_dot=True)
        kind = dns.rdatatype.to_text(rrset.rdtype)
        for record in rrset:
            if kind in {"A", "AAAA"}:
                lines += [f"Name:\t{name}", f"Address: {record.to_text()}"]
            elif kind == "CNAME":
                lines.append(f"{name}\tcanonical name = {record.to_text()}")
            elif kind in _WORDS:
                lines.append(f"{name}\t{_WORDS[kind]} = {record.to_text()}")
            else:
                lines.append(f"{name}\trdata_{int(rrset.rdtype)} = {record.to_text()}")
    return lines
