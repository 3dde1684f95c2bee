# SPDX-License-Identifier: GPL-2.0-only
"""The names of chains and sets. Source: pkg/proxy/nftables/proxier.go `hashAndTruncate`."""

from __future__ import annotations

from typing import Final

from emu.kube.proxy.names import digest

TABLE: Final = "kube-proxy"
SERVICE: Final = "service-"
LOCAL: Final = "local-"
EXTERNAL: Final = "external-"
FIREWALL: Final = "firewall-"
ENDPOINT: Final = "endpoint-"
AFFINITY: Final = "affinity-"

_HASH_LENGTH: Final = 8
_LONGEST: Final = 240
"""The longest name (256), without the longest prefix."""


def hashed(name: str) -> str:
    """Return `name` behind a hash of itself, cut where it is too long."""
    found = f"{digest(name)[:_HASH_LENGTH]}-{name}"
    return found if len(found) <= _LONGEST else f"{found[: _LONGEST - 3]}..."


def port_base(namespace: str, service: str, protocol: str, port: str) -> str:
    """Return what the names of a service port's chains end with; `protocol` is in small letters."""
    return hashed(f"{namespace}/{service}/{protocol}/{port}")


def endpoint_base(port: tuple[str, str, str, str], ip: str, number: str) -> str:
    """Return what the names of an endpoint's chain and set end with; `port` as for `port_base`."""
    return hashed(f"{'/'.join(port)}__{ip.replace(':', '.')}/{number}")


def is_of_port(chain: str) -> bool:
    """Return whether a chain is one of a service port: the names of all others are without a slash."""
    return "/" in chain
