# SPDX-License-Identifier: GPL-2.0-only
"""Servers that everybody knows from demonstrations."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote

from emu.apps.http.message import Response

if TYPE_CHECKING:
    from emu.apps.http.message import Request
    from emu.apps.http.server import Handler
    from emu.fabric.userland import Userland


def hostname(userland: Userland) -> Handler:
    """Return what answers every request with the host name and a newline."""

    def answer(_: Request) -> Response:
        return Response.text(f"{userland.hostname}\n")

    return answer


def netexec(userland: Userland) -> Handler:
    """Return what answers the paths of agnhost's netexec that tell who asks and who answers.

    `/hostname` and `/clientip` (no newline behind either), `/echo?msg=`,
    `/healthz`, `/header?key=`; anything else gets 404.
    """

    def answer(request: Request) -> Response:
        asked = parse_qs(request.target.partition("?")[2], keep_blank_values=True)
        match unquote(request.path):
            case "/hostname" | "/hostName":
                return Response.text(userland.hostname)
            case "/clientip":
                return Response.text(f"{request.client}:{request.client_port}")
            case "/echo":
                return Response.text(asked.get("msg", [""])[0])
            case "/header":
                return Response.text(request.header(asked.get("key", [""])[0]) or "")
            case "/healthz":
                return Response.text("")
            case _:
                return Response.text("404 page not found\n", 404)

    return answer
