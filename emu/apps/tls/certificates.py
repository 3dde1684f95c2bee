# SPDX-License-Identifier: GPL-2.0-only
"""Certificates for whoever brings none: the same octets in every run, whatever the seed.

Keys are Ed25519 keys that follow from a name, and serial numbers likewise. They
keep no secret from anybody, and are not meant to.

    authority("emu Root CA") --issues--> Credential(shop.example)
"""

from __future__ import annotations

import datetime as dt
import hashlib
from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple

from emu.errors import AddressError
from emu.wire.addresses import IpAddress

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

ROOT: Final = "emu Root CA"
"""Signs for hosts outside; every machine trusts it, as it would trust a public authority."""

CLUSTER: Final = "kubernetes"
"""Signs for the API server."""

FAKE: Final = "Kubernetes Ingress Controller Fake Certificate"
"""The common name of what ingress-nginx shows when it has nothing better."""

_BEGIN: Final = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
_END: Final = dt.datetime(2999, 12, 31, tzinfo=dt.UTC)


class Credential(NamedTuple):
    """A certificate (with those of its issuers behind it) and its private key, both in PEM."""

    certificate: str
    key: str


def _key(name: str) -> Ed25519PrivateKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415 - 60 ms

    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(f"emu key of {name}".encode()).digest())


def _serial(name: str) -> int:
    """Return a number of 16 octets, always."""
    return int.from_bytes(b"\x40" + hashlib.sha256(f"emu serial of {name}".encode()).digest()[:15], "big")


def _subject(common_name: str, organization: str) -> x509.Name:
    from cryptography import x509  # noqa: PLC0415
    from cryptography.x509.oid import NameOID  # noqa: PLC0415

    parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization)] if organization else []
    return x509.Name([*parts, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _san(name: str) -> x509.GeneralName:
    import ipaddress  # noqa: PLC0415

    from cryptography import x509  # noqa: PLC0415

    try:
        return x509.IPAddress(ipaddress.ip_address(str(IpAddress.parse(name))))
    except AddressError:
        return x509.DNSName(name)


@cache
def authority(name: str = ROOT) -> str:
    """Return the certificate of an authority, in PEM; it follows from its name."""
    from cryptography import x509  # noqa: PLC0415

    own = _subject(name, "")
    builder = _builder(name, own, own, _BEGIN, _END)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    return _signed(builder.add_extension(_usage(is_authority=True), critical=True), name)


@cache
def issue(
    names: tuple[str, ...],
    *,
    by: str | None = ROOT,
    common_name: str = "",
    organization: str = "",
    begin: dt.datetime = _BEGIN,
    end: dt.datetime = _END,
) -> Credential:
    """Return a certificate for `names`, DNS names (wildcards, too) and addresses, and its key.

    Args:
        names: the subject's alternative names.
        by: the authority that signs; None: nobody but itself.
        common_name: of the subject; the first of `names` if empty.
        organization: of the subject, empty for none.
        begin: valid from then on.
        end: and until then.
    """
    from cryptography import x509  # noqa: PLC0415
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415
    from cryptography.x509.oid import ExtendedKeyUsageOID  # noqa: PLC0415

    common_name = common_name or names[0]
    who = f"{by} {organization} {common_name} {' '.join(names)} {begin} {end}"
    own = _subject(common_name, organization)
    builder = _builder(who, own, own if by is None else _subject(by, ""), begin, end)
    builder = (
        builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(is_authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_san(each) for each in names]), critical=False)
    )
    key = _key(who).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return Credential(_signed(builder, by or who), key.decode())


def fake() -> Credential:
    """Return what ingress-nginx shows when it has nothing better: signed by itself, for `ingress.local`.

    Source: internal/ingress/controller/controller.go and internal/net/ssl/ssl.go: GetFakeSSLCert.
    """
    return issue(("ingress.local",), by=None, common_name=FAKE, organization="Acme Co")


def _builder(
    who: str, subject: x509.Name, issuer: x509.Name, begin: dt.datetime, end: dt.datetime
) -> x509.CertificateBuilder:
    from cryptography import x509  # noqa: PLC0415

    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(_key(who).public_key())
        .serial_number(_serial(who))
        .not_valid_before(begin)
        .not_valid_after(end)
    )


def _usage(*, is_authority: bool) -> x509.KeyUsage:
    from cryptography import x509  # noqa: PLC0415

    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        encipher_only=False,
        decipher_only=False,
    )


def _signed(builder: x509.CertificateBuilder, signer: str) -> str:
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415

    return builder.sign(_key(signer), None).public_bytes(serialization.Encoding.PEM).decode()
