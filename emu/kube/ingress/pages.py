# SPDX-License-Identifier: GPL-2.0-only
"""What nginx answers itself. Source: nginx src/http/ngx_http_special_response.c."""

from __future__ import annotations

from typing import Final

from emu.apps.http.message import Headers, Response

_TITLES: Final = {
    301: "301 Moved Permanently",
    302: "302 Found",
    303: "303 See Other",
    307: "307 Temporary Redirect",
    308: "308 Permanent Redirect",
    400: "400 Bad Request",
    403: "403 Forbidden",
    404: "404 Not Found",
    413: "413 Request Entity Too Large",
    500: "500 Internal Server Error",
    502: "502 Bad Gateway",
    503: "503 Service Temporarily Unavailable",
    504: "504 Gateway Time-out",
}
_NO_TLS: Final = "The plain HTTP request was sent to HTTPS port"


def page(status: int, headers: Headers = ()) -> Response:
    """Return the page of a status."""
    title = _TITLES.get(status, str(status))
    return _page(status, title, f"<center><h1>{title}</h1></center>\r\n", headers)


def no_tls() -> Response:
    """Return what a client gets that speaks no TLS where it should."""
    body = f"<center><h1>{_TITLES[400]}</h1></center>\r\n<center>{_NO_TLS}</center>\r\n"
    return _page(400, f"400 {_NO_TLS}", body, (("Connection", "close"),))


def _page(status: int, title: str, body: str, headers: Headers) -> Response:
    text = (
        f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n{body}"
        "<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
    )
    fields = (("Content-Type", "text/html"), ("Content-Length", str(len(text))), *headers)
    return Response(status, fields, text.encode(), _TITLES.get(status, "").partition(" ")[2])
