# SPDX-License-Identifier: GPL-2.0-only
"""curl and TLS: what it asks for, and what `-v` tells of the hands that were shaken."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu.apps.tls.authorities import ROOT, TRUSTED

if TYPE_CHECKING:
    from collections.abc import Iterable

    from emu.apps.curl.options import Options
    from emu.apps.tls.channel import Tls
    from emu.apps.tls.contexts import Wishes
    from emu.fabric.userland import Userland


def trusted(options: Options, userland: Userland) -> str:
    """Return the certificates of the authorities that are believed, in PEM."""
    if options.trusted is not None:
        return options.trusted
    try:
        return userland.read(TRUSTED)
    except OSError:
        return ROOT


def wishes(options: Options, userland: Userland) -> Wishes:
    """Return what is wanted of TLS."""
    import ssl  # noqa: PLC0415 - 10 ms, for who needs it

    from emu.apps.tls.contexts import Wishes  # noqa: PLC0415

    newest = ssl.TLSVersion.TLSv1_2 if options.newest_tls == "1.2" else ssl.TLSVersion.TLSv1_3
    least = ssl.TLSVersion.TLSv1_3 if "tlsv1.3" in options.flags else ssl.TLSVersion.TLSv1_2
    is_blind = "insecure" in options.flags
    return Wishes(None if is_blind else trusted(options, userland), least=min(least, newest), most=newest)


def hello(options: Options) -> str:
    """Return what is told before hands are shaken."""
    lines = ["* ALPN: curl offers http/1.1"]
    if "insecure" not in options.flags and options.trusted is None:
        lines.append(f"*  CAfile: {TRUSTED}")
    return "\n".join(lines)


def agreed(channel: Tls, host: str, options: Options, userland: Userland) -> str:
    """Return what is told of the connection and the server's certificate."""
    from emu.apps.tls import chain  # noqa: PLC0415 - only who wants to know all waits for it

    conversation = channel.conversation
    found = chain.describe(conversation.certificate_octets, trusted(options, userland))
    protocol = conversation.alpn
    lines = [
        f"SSL connection using {conversation.version} / {conversation.cipher}",
        f"ALPN: server accepted {protocol}" if protocol else "ALPN: server did not agree on a protocol",
        "Server certificate:",
        f" subject: {_name(found.subject)}",
        f" start date: {chain.date(found.begin)}",
        f" expire date: {chain.date(found.end)}",
    ]
    if "insecure" not in options.flags:
        lines.append(f' subjectAltName: host "{host}" matched cert\'s "{_matched(channel, host)}"')
    is_ok = found.words == chain.OK
    result = f"result: {found.words} ({found.number}), continuing anyway."
    lines += [f" issuer: {_name(found.issuer)}", f" SSL certificate verify {'ok.' if is_ok else result}"]
    return "\n".join(f"* {line}" for line in lines)


def _matched(channel: Tls, host: str) -> str:
    from emu.apps.tls import trust  # noqa: PLC0415

    names = trust.names_of(channel.conversation.certificate)
    return next((name for name in names if trust.matches(name, host)), "")


def _name(parts: Iterable[tuple[str, str]]) -> str:
    return "; ".join(f"{key}={value}" for key, value in parts)
