# SPDX-License-Identifier: GPL-2.0-only
"""`host` of BIND 9.18: A, AAAA and MX of a name, or the name of an address."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs
import dns.rcode
import dns.rdatatype

from emu.apps import dns_client
from emu.apps.dns_client import PLAIN
from emu.apps.resolver.lookup import configuration, numeric
from emu.apps.resolver.message import reverse_name
from emu.apps.tools.finished import Finished
from emu.apps.tools.getopt import Syntax
from emu.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dns.message import Message

    from emu.fabric.program import Program
    from emu.fabric.userland import Userland

_WORDS: Final = {
    "A": "has address",
    "AAAA": "has IPv6 address",
    "CNAME": "is an alias for",
    "MX": "mail is handled by",
    "PTR": "domain name pointer",
    "SRV": "has SRV record",
    "NS": "name server",
    "TXT": "descriptive text",
    "SOA": "has SOA record",
}
_SYNTAX: Final = Syntax(
    {"-T": "tcp", "-4": ""},
    {"-t": "type"},
    lambda option: CommandError(f"host: illegal option, or not modelled -- {option.lstrip('-')}", 1),
    lambda option: CommandError(f"host: option requires an argument -- {option.lstrip('-')}", 1),
)


def run(argv: Sequence[str], userland: Userland) -> Program[Finished]:
    """Ask, and print a line for each record."""
    words = list(_SYNTAX.read(argv))
    places = [word for word in words if isinstance(word, str)]
    given = {word.name: word.value for word in words if not isinstance(word, str)}
    if not 1 <= len(places) <= 2:
        raise CommandError("Usage: host [-T] [-t type] hostname [server]", 1)
    settings = configuration(userland)
    lines: list[str] = []
    servers = yield from dns_client.servers_of("host", "".join(places[1:]), settings, userland, 1)
    if places[1:]:
        lines += ["Using domain server:", f"Name: {places[1]}", f"Address: {servers[0]}#53", "Aliases: ", ""]
    address = numeric(places[0])
    kinds = [dns.rdatatype.A, dns.rdatatype.AAAA, dns.rdatatype.MX]
    texts = dns_client.candidates(places[0], settings)
    if address is not None and address.family == 4:
        kinds, texts = [dns.rdatatype.PTR], [f"{reverse_name(address)}."]
    elif "type" in given:
        kind = dns_client.record_type(given["type"])
        if kind is None:
            raise CommandError(f"host: invalid type: {given['type']}", 1)
        kinds = [kind]
    names = [dns_client.absolute("host", text) for text in texts]
    has_record = False
    manner = attrs.evolve(PLAIN, tcp="tcp" in given)
    for kind in kinds:
        answered = yield from dns_client.search(names, kind, servers, manner)
        if answered.message is None:
            lines += [*answered.complaints, ";; no servers could be reached", ""]
            return Finished("".join(f"{line}\n" for line in lines), status=1)
        name = answered.query.question[0].name
        if answered.code != "NOERROR":
            shown = name.to_text(omit_final_dot=True) if len(names) == 1 else places[0]
            lines.append(f"Host {shown} not found: {int(answered.message.rcode())}({answered.code})")
            return Finished("".join(f"{line}\n" for line in lines), status=1)
        records = [*_lines(answered.message)]
        has_record = has_record or bool(records)
        lines += records
        names = [name]
    if not has_record:
        shown = dns.rdatatype.to_text(kinds[0])
        lines.append(f"{names[0].to_text(omit_final_dot=True)} has no {shown} record")
    return Finished("".join(f"{line}\n" for line in lines))


def _lines(message: Message) -> Iterator[str]:
    for rrset in message.answer:
        words = _WORDS.get(
            dns.rdatatype.to_text(rrset.rdtype), f"has {dns.rdatatype.to_text(rrset.rdtype)} record"
        )
        for record in rrset:
            yield f"{rrset.name.to_text(omit_final_dot=True)} {words} {record.to_text()}"
