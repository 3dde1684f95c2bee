# SPDX-License-Identifier: GPL-2.0-only
"""How a request came: by which scheme, at which port, for which host, and from whom.

Where the ConfigMap says `use-forwarded-headers`, what a proxy in front says of it
counts. The scheme is what was said, whatever that is; whether the connection
itself is by TLS is another question.

Source: ingress-nginx rootfs/etc/nginx/lua/lua_ingress.lua, rootfs/etc/nginx/template/nginx.tmpl.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import attrs

from emu.errors import AddressError
from emu.wire.addresses import IpAddress

if TYPE_CHECKING:
    from emu.apps.http.message import Request
    from emu.kube.ingress.settings import Options

_HTTPS: Final = 443
_NAME: Final = re.compile(r"[A-Za-z0-9-]+")
_NAME_WITH_UNDERSCORES: Final = re.compile(r"[A-Za-z0-9_-]+")


@attrs.frozen
class Access:
    """How a request came.

    Attributes:
        is_secure: the connection is by TLS.
        scheme: `http`, `https`, or what a proxy in front says.
        port: in text.
        host: the field Host, or the first of X-Forwarded-Host.
    """

    is_secure: bool
    scheme: str
    port: str
    host: str

    @property
    def name(self) -> str:
        """The host without what follows its first colon, as redirects have it."""
        return self.host.partition(":")[0]


def access(request: Request, options: Options, port: int | None = None) -> Access:
    """Return how a request came: to `port` without TLS, or by TLS where that is None."""
    is_secure = port is None
    scheme, text = ("https", "443") if port is None else ("http", str(port))
    host = request.header("Host") or ""
    if options.trusts_forwarded:
        scheme = _or(request.header("X-Forwarded-Proto"), scheme)
        text = _or(request.header("X-Forwarded-Port"), text)
        host = _or(request.header("X-Forwarded-Host"), host).partition(",")[0]
    if options.proxy_protocol and request.front_port == _HTTPS:
        scheme = "https"
    return Access(is_secure, scheme, text, host)


def taken(request: Request, options: Options) -> Request:
    """Return a request as nginx takes it: without fields whose names it does not, and from whom it says."""
    valid = _NAME_WITH_UNDERSCORES if options.takes_underscores else _NAME
    fields = tuple(each for each in request.headers if valid.fullmatch(each[0]))
    request = request if fields == request.headers else attrs.evolve(request, headers=fields)
    if not options.trusts_forwarded:
        return request
    first = (request.header("X-Forwarded-For") or "").partition(",")[0].strip()
    try:
        return attrs.evolve(request, client=IpAddress.parse(first))
    except AddressError:
        return request


def _or(said: str | None, own: str) -> str:
    return own if said is None else said
