# SPDX-License-Identifier: GPL-2.0-only
"""What Ingresses say of themselves in annotations, and what of it is not modelled.

Source: ingress-nginx docs/user-guide/nginx-configuration/annotations.md.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import attrs

from emu.errors import AddressError
from emu.wire.addresses import Prefix

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from emu.kube.api.objects import Ingress
    from emu.kube.ingress.servers import Handling

PREFIX: Final = "nginx.ingress.kubernetes.io/"
USE_REGEX: Final = "use-regex"
REWRITE: Final = "rewrite-target"

HARMLESS: Final = frozenset(
    {
        "enable-access-log",
        "enable-rewrite-log",
        "enable-opentelemetry",
        "opentelemetry-trust-incoming-span",
        "proxy-buffer-size",
        "proxy-buffering",
        "proxy-buffers-number",
        "proxy-busy-buffers-size",
        "proxy-max-temp-file-size",
        "proxy-request-buffering",
        "client-body-buffer-size",
        "proxy-send-timeout",
        "ssl-ciphers",
        "ssl-prefer-server-ciphers",
    }
)
"""Annotations that change nothing which can be seen here."""


def _bool(text: str) -> bool | None:
    return {"true": True, "false": False}.get(text.lower())


def _number(text: str) -> int | None:
    found = re.fullmatch(r"(\d{1,6})s?", text)
    return int(found[1]) if found else None


REDIRECTS: Final = frozenset((301, 302, 303, 307, 308))
"""What nginx' `return` sends a Location with (src/http/ngx_http_core_module.c)."""


def _redirect(text: str) -> int | None:
    code = _number(text)
    return code if code in REDIRECTS else None


def _protocol(text: str) -> str | None:
    return text.upper() if text.upper() in {"HTTP", "HTTPS", "AUTO_HTTP"} else None


def _ranges(text: str) -> tuple[str, ...] | None:
    items = tuple(filter(None, (each.strip() for each in text.split(","))))
    try:
        for each in items:
            Prefix.parse(each if "/" in each else f"{each}/32")
    except AddressError:
        return None
    return items


_SIZES: Final = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


def size(text: str) -> int | None:
    """Return the octets of `8m`, None if it is no size."""
    found = re.fullmatch(r"(\d{1,9})([kmg]?)", text.lower())
    return int(found[1]) * _SIZES[found[2]] if found else None


def _text(text: str) -> str | None:
    return text or None


_READERS: Final[Mapping[str, tuple[str, Callable[[str], object]]]] = {
    "ssl-redirect": ("redirects", _bool),
    "force-ssl-redirect": ("always_redirects", _bool),
    "backend-protocol": ("protocol", _protocol),
    REWRITE: ("rewrite", _text),
    "proxy-connect-timeout": ("connect_timeout", _number),
    "proxy-read-timeout": ("read_timeout", _number),
    "proxy-next-upstream-tries": ("tries", _number),
    "proxy-next-upstream-timeout": ("tries_timeout", _number),
    "preserve-trailing-slash": ("keeps_slash", _bool),
    "upstream-vhost": ("upstream_host", _text),
    "service-upstream": ("to_service", _bool),
    "whitelist-source-range": ("allowed", _ranges),
    "allowlist-source-range": ("allowed", _ranges),
    "permanent-redirect": ("permanent", _text),
    "permanent-redirect-code": ("permanent_code", _redirect),
    "temporal-redirect": ("permanent", _text),
    "proxy-body-size": ("body_limit", size),
}


def of_ingress(ingress: Ingress) -> Mapping[str, str]:
    """Return ingress-nginx' annotations of an Ingress, without their prefix."""
    given = ingress.metadata.annotations
    return {key.removeprefix(PREFIX): text for key, text in given.items() if key.startswith(PREFIX)}


def handling(ingress: Ingress, defaults: Handling) -> Handling:
    """Return what an Ingress says of all its locations."""
    values: dict[str, object] = {}
    annotations = of_ingress(ingress)
    for key, text in annotations.items():
        if key in _READERS:
            name, read = _READERS[key]
            value = read(text)
            if value is not None:
                values[name] = value
    if "temporal-redirect" in annotations:
        values["permanent_code"] = 302
    return attrs.evolve(defaults, **values)  # type: ignore[arg-type]  # each reader knows its attribute


def is_regex(ingress: Ingress) -> bool:
    """Return whether the paths of an Ingress are regular expressions."""
    annotations = of_ingress(ingress)
    return annotations.get(USE_REGEX) == "true" or bool(annotations.get(REWRITE))


def complaints(ingress: Ingress) -> Iterator[str]:
    """Yield the annotations that are not modelled and would matter, and those that cannot be read."""
    for key, text in of_ingress(ingress).items():
        if key in _READERS:
            if _READERS[key][1](text) is None:
                yield f"annotation {PREFIX}{key}: {text!r} cannot be read"
        elif key not in HARMLESS and key != USE_REGEX:
            yield f"annotation {PREFIX}{key} is not modelled"
