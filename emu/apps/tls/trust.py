# SPDX-License-Identifier: GPL-2.0-only
"""Whether a client takes a certificate: OpenSSL has looked at the chain, here are dates and names.

Dates are compared with the virtual clock, and only those of the server's own
certificate: those of its issuers are not looked at.

Source: RFC 6125 (names), RFC 5280 section 4.1.2.5 (dates).
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Final

from emu.errors import AddressError
from emu.sim.time import SECOND
from emu.wire.addresses import IpAddress

if TYPE_CHECKING:
    from collections.abc import Mapping

EXPIRED: Final = "certificate has expired"
NOT_YET: Final = "certificate is not yet valid"


def date_fault(certificate: Mapping[str, object], now: int) -> str:
    """Return why a certificate does not hold at `now` (ns since 1970), in OpenSSL's words; empty if it does.

    Args:
        certificate: as `SSLObject.getpeercert` gives it.
        now: the virtual time.
    """
    begin, end = (str(certificate.get(key, "")) for key in ("notBefore", "notAfter"))
    seconds = now // SECOND
    if begin and seconds < ssl.cert_time_to_seconds(begin):
        return NOT_YET
    return EXPIRED if end and seconds > ssl.cert_time_to_seconds(end) else ""


def names_of(certificate: Mapping[str, object]) -> list[str]:
    """Return the alternative names of a certificate, as they are written there."""
    found = certificate.get("subjectAltName", ())
    assert isinstance(found, tuple)
    return [value for kind, value in found if kind in {"DNS", "IP Address"}]


def is_for(certificate: Mapping[str, object], host: str) -> bool:
    """Return whether a certificate is for `host`, a name or an address."""
    return any(matches(name, host) for name in names_of(certificate))


def matches(pattern: str, host: str) -> bool:
    """Return whether a name in a certificate covers `host`; `*` stands for its first label, whole."""
    pattern, host = pattern.lower().rstrip("."), host.lower().rstrip(".")
    if pattern == host:
        return True
    try:
        IpAddress.parse(host)
    except AddressError:
        label, dot, rest = pattern.partition(".")
        return label == "*" and bool(dot) and "." in rest and host.partition(".")[2] == rest
    return False
