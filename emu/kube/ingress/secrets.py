# SPDX-License-Identifier: GPL-2.0-only
"""Certificates in Secrets of the type `kubernetes.io/tls`."""

from __future__ import annotations

import base64
import binascii
from functools import lru_cache
from typing import TYPE_CHECKING

from emu.apps.tls.certificates import Credential

if TYPE_CHECKING:
    from emu.kube.api.objects import Other
    from emu.kube.api.store import Store
    from emu.kube.controller import Key


def find(store: Store, key: Key) -> Other | None:
    """Return a Secret, None if there is none."""
    return store.others.get(("Secret", key.namespace, key.name))


def credential(secret: Other) -> Credential | None:
    """Return certificate and key of a Secret, None if it lacks one of them."""
    certificate, key = _text(secret, "tls.crt"), _text(secret, "tls.key")
    return Credential(certificate, key) if certificate and key else None


def fault(found: Credential) -> str:
    """Return why a certificate cannot be used, empty if it can."""
    from emu.apps.tls import contexts  # noqa: PLC0415 - OpenSSL takes a while, and few clusters have TLS

    try:
        contexts.server(found)
    except ValueError as error:
        return str(error)
    return ""


@lru_cache(maxsize=512)
def is_for(found: Credential, host: str) -> bool:
    """Return whether a certificate is for a host: by alternative names or, without any, its common name."""
    from cryptography import x509  # noqa: PLC0415 - 60 ms, where there is something to look at
    from cryptography.x509.oid import NameOID  # noqa: PLC0415

    from emu.apps.tls import trust  # noqa: PLC0415

    try:
        made = x509.load_pem_x509_certificate(found.certificate.encode())
    except ValueError:
        return False
    try:
        names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        known = [str(each) for each in names.get_values_for_type(x509.DNSName)]
    except x509.ExtensionNotFound:
        known = [str(each.value) for each in made.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    return any(trust.matches(name, host.replace("*", "any-label", 1)) for name in known)


def fault_of(store: Store, key: Key, host: str) -> str:
    """Return why the certificate of a Secret is not shown for a host, empty if it is."""
    called = f"Secret {key.namespace}/{key.name}"
    found = find(store, key)
    if found is None:
        return f"{called} is not there"
    made = credential(found)
    if made is None:
        return f"{called} has no tls.crt and tls.key"
    why = fault(made)
    if why:
        return f"{called} cannot be used ({why})"
    return "" if is_for(made, host) else f"{called} has a certificate for other names"


def _text(secret: Other, key: str) -> str:
    plain, data = secret.rest.get("stringData"), secret.rest.get("data")
    if isinstance(plain, dict) and key in plain:
        return str(plain[key])
    if not isinstance(data, dict) or key not in data:
        return ""
    try:
        return base64.b64decode(str(data[key]), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""
