# SPDX-License-Identifier: GPL-2.0-only
"""`openssl s_client` of OpenSSL 3.0: hands are shaken, what came of it is told, and that is all.

Nothing is read from standard input, so it ends at once. Of the server's chain its own
certificate is told.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from emu.apps.http.client import Connection, Failed, Failure, Secured, connect
from emu.apps.http.secured import secure
from emu.apps.resolver.lookup import Unresolved, look_up
from emu.apps.tls.authorities import ROOT, TRUSTED
from emu.apps.tools.arguments import Arguments
from emu.apps.tools.finished import Finished
from emu.errors import CommandError
from emu.fabric import program
from emu.sim.time import SECOND, later

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterable, Sequence

    from emu.apps.tls.channel import Tls
    from emu.fabric.program import Program
    from emu.fabric.userland import Userland

_PATIENCE: Final = 130 * SECOND  # until the kernel gives a connection up


def run(argv: Sequence[str], userland: Userland) -> Program[Finished]:
    """Connect, shake hands, and tell of it."""
    command, *rest = argv or ("",)
    if command == "version":
        return Finished("OpenSSL 3.0.19 27 Jan 2026 (Library: OpenSSL 3.0.19 27 Jan 2026)\n")
    if command != "s_client":
        raise CommandError("openssl: of its commands s_client and version are modelled", 1)
    given = _read(rest)
    host, _, port = given.connect.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise CommandError("s_client: -connect argument or target parameter malformed or ambiguous", 1)
    found = yield from look_up(host, userland)
    if isinstance(found, Unresolved) or not found.ipv4:
        return Finished("", "BIO_lookup_ex: Name or service not known\nconnect:errno=0\n", 1)
    made = yield from connect(found.ipv4[0], int(port))
    if not isinstance(made, Connection):
        return Finished("", f"connect:errno={made.number}\n", 1)
    return (yield from _talk(made, host, given, userland))


def _read(argv: Sequence[str]) -> Namespace:
    arguments = Arguments("s_client", status=1)
    arguments.add_argument("-connect", default="localhost:4433")
    arguments.add_argument("-servername")
    arguments.add_argument("-CAfile")
    arguments.add_argument("-alpn", default="")
    for flag in ("-noservername", "-showcerts", "-brief", "-tls1_2", "-tls1_3", "-verify_return_error"):
        arguments.add_argument(flag, action="store_true")
    return arguments.parse_args(argv)


def _talk(made: Connection, host: str, given: Namespace, userland: Userland) -> Program[Finished]:
    import ssl  # noqa: PLC0415 - 10 ms, for who needs it

    from emu.apps.tls.contexts import Wishes  # noqa: PLC0415

    least = ssl.TLSVersion.TLSv1_3 if given.tls1_3 else None
    most = ssl.TLSVersion.TLSv1_2 if given.tls1_2 else None
    wishes = Wishes(alpn=tuple(filter(None, given.alpn.split(","))), least=least, most=most)
    name = str(made.socket.remote) if given.noservername else given.servername or host
    now = yield from program.now()
    channel = yield from secure(made.socket, Secured(name, wishes, userland.epoch), later(now, _PATIENCE))
    if isinstance(channel, Failed):
        yield from made.close()
        return Finished(
            "CONNECTED(00000003)\n---\nno peer certificate available\n---\n", _trouble(channel), 1
        )
    told = _told(channel, given, _authorities(given, userland))
    yield from channel.close()
    return told


def _authorities(given: Namespace, userland: Userland) -> str:
    try:
        return userland.read(given.CAfile or TRUSTED)
    except OSError:
        if given.CAfile:
            raise CommandError(
                f"s_client: Could not open file or uri for loading {given.CAfile}", 1
            ) from None
        return ROOT


def _trouble(failed: Failed) -> str:
    if failed.failure is Failure.TLS and failed.detail and failed.detail != "timeout":
        return f"error:SSL routines:{failed.detail.lower().replace('_', ' ')}\n"
    return f"{os.strerror(failed.number) if failed.number else 'the connection is lost'}\n"


def _told(channel: Tls, given: Namespace, authorities: str) -> Finished:
    from emu.apps.tls import chain  # noqa: PLC0415

    conversation = channel.conversation
    found = chain.describe(conversation.certificate_octets, authorities)
    subject, issuer = _name(found.subject), _name(found.issuer)
    is_ok = found.words == chain.OK
    told = f"depth=0 {subject}\n"
    if not is_ok:
        told += f"verify error:num={found.number}:{found.words}\n"
    told += "verify return:1\n"
    verification = "Verification: OK" if is_ok else f"Verification error: {found.words}"
    if given.brief:
        lines = [
            "CONNECTION ESTABLISHED",
            f"Protocol version: {conversation.version}",
            f"Ciphersuite: {conversation.cipher}",
            f"Peer certificate: {subject}",
            verification,
        ]
        return Finished("", told + "\n".join(lines) + "\nDONE\n")
    dates = f"NotBefore: {chain.date(found.begin)}; NotAfter: {chain.date(found.end)}"
    shown = found.pem if given.showcerts else ""
    protocol = f"ALPN protocol: {conversation.alpn}" if conversation.alpn else "No ALPN negotiated"
    code = f"Verify return code: {found.number} ({found.words})"
    parts = [
        "CONNECTED(00000003)\n",
        f"Certificate chain\n 0 s:{subject}\n   i:{issuer}\n   v:{dates}\n{shown}",
        f"Server certificate\n{'' if shown else found.pem}subject={subject}\n\nissuer={issuer}\n\n",
        f"{verification}\n",
        f"New, {conversation.version}, Cipher is {conversation.cipher}\n{protocol}\n{code}\n",
        "",
    ]
    text = "---\n".join(parts)
    is_refused = given.verify_return_error and not is_ok
    return Finished(text, told + ("" if is_refused else "DONE\n"), 1 if is_refused else 0)


def _name(parts: Iterable[tuple[str, str]]) -> str:
    return ", ".join(f"{key} = {value}" for key, value in parts)
