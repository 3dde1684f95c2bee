# SPDX-License-Identifier: GPL-2.0-only
"""The names of kube-proxy's chains. Source: pkg/proxy/iptables/proxier.go `portProtoHash`."""

from __future__ import annotations

import base64
import hashlib
from typing import Final

PER_SERVICE: Final = ("KUBE-SVC-", "KUBE-SVL-", "KUBE-EXT-", "KUBE-FW-", "KUBE-SEP-")
"""How the names of chains begin that belong to one service port; the others are kube-proxy's for all."""

_LENGTH: Final = 16


def digest(text: str) -> str:
    """Return the first 16 letters and digits of the SHA-256 of `text` in base32."""
    return base64.b32encode(hashlib.sha256(text.encode()).digest())[:_LENGTH].decode()


def port_hash(port_name: str, protocol: str) -> str:
    """Return what the names of a service port's own chains end with.

    Args:
        port_name: `NAMESPACE/SERVICE:PORT`, or `NAMESPACE/SERVICE` for a port without a name.
        protocol: in small letters.
    """
    return digest(port_name + protocol)


def endpoint_chain(port_name: str, protocol: str, endpoint: str) -> str:
    """Return the chain of one endpoint, written `IP:PORT` or `[IP]:PORT`, of a service port."""
    return f"KUBE-SEP-{digest(port_name + protocol + endpoint)}"


def probability(remaining: int) -> str:
    """Return the chance of one of the `remaining` endpoints, as kube-proxy writes it."""
    return f"{1 / remaining:.10f}"
