# SPDX-License-Identifier: GPL-2.0-only
"""Probes: questions that the kubelet asks its containers, from the node's own network.

Source: pkg/probe/{http,tcp,exec}, pkg/kubelet/prober.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final, NamedTuple

import attrs

from emu.apps import console
from emu.apps.deadline import bounded
from emu.apps.http import client
from emu.apps.http.message import Request
from emu.apps.outcome import word
from emu.errors import AddressError
from emu.fabric import program
from emu.kernel.sockets import SocketKind
from emu.kube.kubelet import unmodelled
from emu.kube.kubelet.ports import port_number
from emu.sim.time import SECOND, Duration, later
from emu.wire.addresses import IpAddress

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from emu.fabric.program import Program
    from emu.fabric.userland import Userland
    from emu.kube.api.objects.container import Container, HttpGet, Probe, TcpSocket
    from emu.kube.api.objects.field import Json

_REDIRECTED: Final = 400  # statuses below are success


class Kind(enum.Enum):
    """What a probe is for; the value is how events spell it."""

    STARTUP = "Startup"
    LIVENESS = "Liveness"
    READINESS = "Readiness"


class Answer(NamedTuple):
    """How a probe went, and the kubelet's words for a failure."""

    is_success: bool
    words: str = ""


@attrs.define(eq=False)
class Tally:
    """Answers in a row, and what they have led to so far."""

    probe: Probe
    result: bool
    successes: int = 0
    failures: int = 0

    def count(self, answer: Answer) -> bool:
        """Take an answer and return whether the result is another one now."""
        if answer.is_success:
            self.successes, self.failures = self.successes + 1, 0
            turned = not self.result and self.successes >= self.probe.success_threshold
        else:
            self.successes, self.failures = 0, self.failures + 1
            turned = self.failures >= self.probe.failure_threshold
        self.result ^= turned and self.result != answer.is_success
        return turned


def period(probe: Probe) -> Duration:
    """Return the time between two questions."""
    return max(probe.period_seconds, 1) * SECOND


def bad_answer(probe: Probe, address: IpAddress | None, container: Container) -> Answer:
    """Return what the kubelet says where a program answers a probe badly."""
    if probe.http_get is not None:
        return Answer(is_success=False, words="HTTP probe failed with statuscode: 503")
    if probe.tcp_socket is not None:
        port = port_number(probe.tcp_socket.port, container)
        return Answer(is_success=False, words=f"dial tcp {address}:{port}: connect: connection refused")
    return Answer(is_success=False)


def ask(
    probe: Probe, container: Container, address: IpAddress, *, version: str, userland: Userland
) -> Program[Answer]:
    """Ask a container once; to be run in the node's namespace, but for `exec`.

    Args:
        probe: how.
        container: whom.
        address: its pod's.
        version: of the kubelet, for its User-Agent.
        userland: the container's, for names.
    """
    timeout = max(probe.timeout_seconds, 1) * SECOND
    if probe.http_get is not None:
        return (yield from _http(probe.http_get, container, address, timeout, version))
    if probe.tcp_socket is not None:
        return (yield from _tcp(probe.tcp_socket, container, address, timeout))
    if probe.exec is not None:
        return (yield from _exec(probe.exec.command, userland, timeout))
    grpc = probe.rest.get("grpc")
    if isinstance(grpc, dict):
        return (yield from _grpc(grpc, address, timeout))
    return Answer(is_success=True)


def _http(
    probe: HttpGet, container: Container, address: IpAddress, timeout: Duration, version: str
) -> Program[Answer]:
    port = port_number(probe.port, container)
    try:
        host = IpAddress.parse(probe.host) if probe.host else address
    except AddressError as error:
        return Answer(is_success=False, words=str(error))
    headers = {"User-Agent": f"kube-probe/{version}", "Accept": "*/*", "Connection": "close"}
    headers |= {header.name: header.value for header in probe.http_headers}
    path = probe.path if probe.path.startswith("/") else f"/{probe.path}"
    url = f"{probe.scheme.lower()}://{host}:{port}{path}"
    found = yield from client.fetch(
        host,
        port,
        Request("GET", path, tuple(headers.items())),
        connect_timeout=timeout,
        timeout=timeout,
        tls=_believing(probe, host) if probe.scheme == "HTTPS" else None,
    )
    if isinstance(found, client.Failed):
        return Answer(is_success=False, words=f'Get "{url}": {_words(found, host, port)}')
    status = found.response.status
    return Answer(200 <= status < _REDIRECTED, f"HTTP probe failed with statuscode: {status}")


def _believing(probe: HttpGet, host: IpAddress) -> client.Secured:
    """Return how the kubelet speaks TLS: it looks at no certificate, and names whom a Host field names."""
    from emu.apps.tls.contexts import Wishes  # noqa: PLC0415 - 10 ms, for who needs it

    named = (header.value for header in probe.http_headers if header.name.lower() == "host")
    return client.Secured(next(named, str(host)).partition(":")[0], Wishes())


def _words(failed: client.Failed, host: IpAddress, port: int) -> str:
    match failed.failure:
        case client.Failure.REFUSED:
            return f"dial tcp {host}:{port}: connect: connection refused"
        case client.Failure.TIMEOUT | client.Failure.CONNECT_TIMEOUT:
            return "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
        case client.Failure.RESET:
            return "read: connection reset by peer"
        case client.Failure.TLS if failed.detail == "WRONG_VERSION_NUMBER":
            return "http: server gave HTTP response to HTTPS client"
        case client.Failure.TLS if failed.detail == "timeout":
            return "net/http: TLS handshake timeout"
        case client.Failure.TLS:
            return f"tls: {failed.detail.lower().replace('_', ' ') or 'the connection is lost'}"
        case other:
            return f"dial tcp {host}:{port}: connect: {other.value}"


def _tcp(probe: TcpSocket, container: Container, address: IpAddress, timeout: Duration) -> Program[Answer]:
    try:
        host = IpAddress.parse(probe.host) if probe.host else address
    except AddressError as error:
        return Answer(is_success=False, words=str(error))
    return (yield from _connect(host, port_number(probe.port, container), timeout))


def _connect(host: IpAddress, port: int, timeout: Duration) -> Program[Answer]:
    socket = yield from program.socket(SocketKind.TCP)
    try:
        yield from program.connect(socket, host, port, timeout=timeout)
    except OSError as error:
        words = {"ECONNREFUSED": "connect: connection refused", "timeout": "i/o timeout"}
        what = words.get(word(error), f"connect: {error.strerror}")
        return Answer(is_success=False, words=f"dial tcp {host}:{port}: {what}")
    finally:
        yield from program.close(socket)
    return Answer(is_success=True)


def _grpc(probe: Mapping[str, Json], address: IpAddress, timeout: Duration) -> Program[Answer]:
    """Connect to the port; the question itself is not modelled."""
    port = probe.get("port")
    return (yield from _connect(address, port if isinstance(port, int) else 0, timeout))


def _exec(command: Sequence[str], userland: Userland, timeout: Duration) -> Program[Answer]:
    """Run a command; one that is not modelled counts as success, as a healthy container would answer."""
    if not command or unmodelled.of_command(command):
        return Answer(is_success=True)
    now = yield from program.now()
    try:
        finished = yield from bounded(console.run(command, userland), later(now, timeout))
    except TimeoutError:
        words = f'command timed out: "{" ".join(command)}" timed out after {timeout // SECOND}s'
        return Answer(is_success=False, words=words)
    return Answer(finished.status == 0, finished.stderr.strip() or finished.stdout.strip())
