# SPDX-License-Identifier: GPL-2.0-only
"""What a certificate says, and what OpenSSL says of it: for programs that tell everything.

Source: X509_verify_cert(3), the errors of x509_txt.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding

if TYPE_CHECKING:
    import datetime as dt

OK: Final = "ok"
_SELF_SIGNED: Final = 18
_NO_ISSUER: Final = 20


class Described(NamedTuple):
    """A certificate in words: names as `-v` of curl writes them, dates, and all of it in PEM."""

    subject: tuple[tuple[str, str], ...]
    issuer: tuple[tuple[str, str], ...]
    begin: dt.datetime
    end: dt.datetime
    pem: str
    number: int
    words: str


def describe(octets: bytes, authorities: str) -> Described:
    """Return what a certificate in DER says, and number and words of what its chain comes to.

    Args:
        octets: the certificate.
        authorities: who is believed, in PEM.
    """
    found = x509.load_der_x509_certificate(octets)
    number, words = _verified(found, authorities)
    return Described(
        _name(found.subject),
        _name(found.issuer),
        found.not_valid_before_utc,
        found.not_valid_after_utc,
        found.public_bytes(Encoding.PEM).decode(),
        number,
        words,
    )


def date(moment: dt.datetime) -> str:
    """Return a date as OpenSSL prints it."""
    return f"{moment:%b %e %H:%M:%S %Y} GMT"


def _name(name: x509.Name) -> tuple[tuple[str, str], ...]:
    return tuple((part.rfc4514_attribute_name, str(part.value)) for part in name)


def _verified(found: x509.Certificate, authorities: str) -> tuple[int, str]:
    for each in x509.load_pem_x509_certificates(authorities.encode()):
        try:
            found.verify_directly_issued_by(each)
        except (ValueError, TypeError, InvalidSignature):
            continue
        return 0, OK
    if found.subject == found.issuer:
        return _SELF_SIGNED, "self-signed certificate"
    return _NO_ISSUER, "unable to get local issuer certificate"
