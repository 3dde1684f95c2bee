# SPDX-License-Identifier: GPL-2.0-only
"""What runs in a container: its listeners, or the one command that it is for.

A container that listens on nothing and whose command is not modelled does
nothing: it runs on, or completes at once where a program is expected to end.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

from emu.apps import association, console, datagram
from emu.apps.http import handlers, server
from emu.apps.http.message import MOST_PASSED_ON, Response
from emu.fabric import program
from emu.kube.kubelet import serving, unmodelled, variables
from emu.sim.time import from_seconds

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping, Sequence

    from emu.apps.http.message import Request
    from emu.apps.http.server import Handler
    from emu.fabric.program import Program
    from emu.fabric.userland import Userland
    from emu.kube.api.objects import Pod
    from emu.kube.api.objects.container import Container
    from emu.kube.kubelet.serving import Listener

_SECONDS: Final = re.compile(r"\d+(\.\d+)?s?")
_FOR_EVER: Final = 1e9  # seconds, beyond which nobody waits for the end


class Image(Protocol):
    """An image whose program is modelled as a whole, such as CoreDNS."""

    def __call__(self, pod: Pod, container: Container, userland: Userland) -> Sequence[Program[int]]:
        """Return the programs of a container of this image."""


def of_container(
    pod: Pod,
    container: Container,
    userland: Userland,
    images: Mapping[str, Image],
    *,
    lasts: bool,
    warn: Callable[[str], None],
) -> Sequence[Program[int]]:
    """Return what runs in `container`; each program returns its exit code.

    Args:
        pod: whose container it is.
        container: the container.
        userland: what its programs see.
        images: those that are modelled as a whole, by the last part of their names, or the last two.
        lasts: the container is expected to run on.
        warn: is told what is not modelled.
    """
    name = serving.image_name(container.image)
    place = container.image.partition("@")[0].rpartition("/")[0].rpartition("/")[2]
    image = images.get(f"{place}/{name}", images.get(name))
    if image is not None:
        return image(pod, container, userland)
    listeners = serving.listeners(pod, container)
    if listeners:
        return [_listen(listener, pod.metadata.name, userland) for listener in listeners]
    command = variables.command_of(container, userland)
    missing = "" if serving.is_known(container) else unmodelled.of_command(command)
    if not command or missing or serving.is_known(container) or unmodelled.is_idle(command):
        if missing and not unmodelled.is_idle(command):
            rest = "does nothing" if lasts else "ends at once, and well"
            warn(f"a container's command that is not modelled {rest} ({missing})")
        return [] if lasts else [_complete()]
    if command[0].rpartition("/")[2] == "sleep":
        return [_sleep(command[1:])]
    return [_run(command, userland)]


def _listen(listener: Listener, pod: str, userland: Userland) -> Program[int]:
    text = listener.text
    match listener.protocol:
        case "TCP":
            yield from server.serve(
                listener.port,
                _handler(listener, pod, userland),
                tls=partial(_context, pod) if listener.is_secure else None,
                plain=_refuse,
                is_proxied=lambda: listener.is_proxied,
                most=MOST_PASSED_ON,
            )
        case "UDP":
            answer = None if text is None else text.encode()
            yield from datagram.serve(listener.port, reply=lambda data: data if answer is None else answer)
        case _:
            yield from association.serve(listener.port)
    return 0


def _context(pod: str) -> ssl.SSLContext:
    from emu.apps.tls import certificates, contexts  # noqa: PLC0415 - 100 ms when somebody comes

    return contexts.server(certificates.issue((pod,), by=None))


def _refuse(_: Request) -> Response:
    return Response.text("Client sent an HTTP request to an HTTPS server.\n", 400)


def _handler(listener: Listener, pod: str, userland: Userland) -> Handler:
    """Return what answers requests: the text that was asked for, or the name of the pod."""
    if listener.style == "netexec":
        return handlers.netexec(userland)
    response = Response.text(f"{pod}\n" if listener.text is None else listener.text)

    def answer(_: Request) -> Response:
        return response

    return answer


def _run(command: Sequence[str], userland: Userland) -> Program[int]:
    return (yield from console.run(command, userland)).status


def _sleep(words: Sequence[str]) -> Program[int]:
    """Sleep as sleep(1) does; `infinity`, and what it cannot read, lasts for ever."""
    is_read = bool(words) and all(_SECONDS.fullmatch(word) for word in words)
    seconds = sum(float(word.removesuffix("s")) for word in words) if is_read else _FOR_EVER
    while seconds >= _FOR_EVER:
        yield from program.sleep(from_seconds(_FOR_EVER))
    yield from program.sleep(from_seconds(seconds))
    return 0


def _complete() -> Program[int]:
    yield from program.sleep(0)
    return 0
