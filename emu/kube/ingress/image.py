# SPDX-License-Identifier: GPL-2.0-only
"""The image `ingress-nginx/controller`: HTTP, HTTPS, and a page that says that it is well."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from emu.apps.http import server
from emu.apps.http.message import MOST_PASSED_ON, Response
from emu.fabric import program
from emu.kube.ingress import pages, settings
from emu.kube.ingress.proxy import Proxy

if TYPE_CHECKING:
    import ssl
    from collections.abc import Sequence

    from emu.apps.http.message import Request
    from emu.apps.tls.certificates import Credential
    from emu.fabric.program import Program
    from emu.fabric.userland import Userland
    from emu.kube.api.objects import Pod
    from emu.kube.api.objects.container import Container
    from emu.kube.ingress.controller import Controllers
    from emu.kube.ingress.settings import Arguments
    from emu.sim.rng import Streams

IMAGES: Final = ("ingress-nginx/controller", "nginx-ingress-controller", "ingress-nginx-controller")
"""By what ends their names: as the project builds it, its older place, and what others call it."""


class IngressNginx:
    """The image: called with a container, it gives the container's programs.

    Args:
        controllers: who knows what there is.
        streams: where turns and ids of requests are drawn from.
    """

    def __init__(self, controllers: Controllers, streams: Streams) -> None:
        self._controllers = controllers
        self._streams = streams
        self._contexts: dict[Arguments, ssl.SSLContext] = {}

    def __call__(self, pod: Pod, container: Container, userland: Userland) -> Sequence[Program[int]]:
        """Return the programs of a container of this image."""
        return [self._run(pod, container, userland)]

    def _run(self, pod: Pod, container: Container, userland: Userland) -> Program[int]:
        words = (*container.command, *container.args)
        arguments = settings.arguments(words, userland.environment, pod.metadata.namespace)
        known = self._controllers.join(pod, arguments)
        stream = self._streams.stream(f"ingress {pod.metadata.namespace}/{pod.metadata.name}")
        proxy = Proxy(known, userland, stream, arguments.http_port)

        def is_proxied() -> bool:
            return known.options.proxy_protocol

        yield from program.spawn(server.serve(arguments.health_port, _health))
        yield from program.spawn(
            server.serve(
                arguments.https_port,
                proxy.secure,
                tls=partial(self._context, arguments),
                plain=lambda _: pages.no_tls(),
                is_proxied=is_proxied,
                most=MOST_PASSED_ON,
            )
        )
        yield from server.serve(arguments.http_port, proxy.plain, is_proxied=is_proxied, most=MOST_PASSED_ON)
        return 0

    def _context(self, arguments: Arguments) -> ssl.SSLContext:
        from emu.apps.tls import certificates, contexts  # noqa: PLC0415 - 100 ms when somebody comes

        def choose(name: str | None) -> Credential:
            return self._controllers.certificate(arguments, name) or certificates.fake()

        if arguments not in self._contexts:
            self._contexts[arguments] = contexts.choosing(certificates.fake(), choose)
        return self._contexts[arguments]


def _health(request: Request) -> Response:
    is_known = request.path in {"/healthz", "/is-dynamic-lb-initialized", "/metrics"}
    return Response.text("ok") if is_known else Response.text("404 page not found\n", 404)
