# SPDX-License-Identifier: GPL-2.0-only
"""A network document on the real kernel: built, its actions done, its captures taken.

Of the actions those are here that tests need: commands, servers, and requests
over TCP and UDP.
"""

from __future__ import annotations

import errno
import fcntl
import json
import socket
import struct
import subprocess
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from ctypes import addressof, create_string_buffer
from typing import TYPE_CHECKING, Final, Self, assert_never

import attrs

from emu.cluster.network.actions import Exec, TcpRequest, TcpServer, UdpReply, UdpRequest, UdpServer
from emu.sim.time import SECOND
from tests.kernel.linux import LinuxLab, built, inside
from tests.kernel.rings import Rings, Seen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from emu.cluster.network.actions import Action, CapturePoint
    from emu.cluster.network.model import NetworkDocument

_ETHTOOL: Final = 0x8946  # SIOCETHTOOL
_OFFLOADS: Final = (0x15, 0x17, 0x19, 0x1F, 0x24, 0x2C)  # RXCSUM TXCSUM SG TSO GSO GRO
_QUICK: Final = (socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
_MOST: Final = 65536
_IDLE: Final = 20  # s
_START: Final = 8  # s; no device takes longer to run
_RESTORERS: Final = {
    "ipset": ("ipset", "restore"),
    "iptables": ("iptables-{backend}-restore",),
    "nft": ("nft", "-f", "-"),
}


@attrs.frozen
class LinuxRun:
    """What came of a run.

    Attributes:
        frames: what was seen at each of the document's captures.
        outcomes: of the requests, in their order.
        printed: what commands printed in the end, by namespace and command.
    """

    frames: dict[CapturePoint, list[Seen]]
    outcomes: list[str]
    printed: dict[tuple[str, str], str]


@contextmanager
def network(document: NetworkDocument) -> Iterator[LinuxLab]:
    """Build `document` with its rules, and wait until all of it runs."""
    with built(document) as lab:
        devices = [(point.ns, point.iface) for point in document.captures]
        for ns, device in devices:
            with inside(lab.netns(ns)):
                _without_offloads(device)
        kinds = {"ipset": document.ipset, "iptables": document.iptables, "nft": document.nft}
        for kind, files in kinds.items():
            argv = [word.format(backend=document.iptables_backend) for word in _RESTORERS[kind]]
            for ns, file in files.items():
                command = ["ip", "netns", "exec", lab.netns(ns), *argv]
                done = subprocess.run(command, input=file.text, capture_output=True, text=True, check=False)
                assert done.returncode == 0, f"{file.path}: {done.stderr}"
        _wait_for_carriers(lab, document)
        yield lab


def run(document: NetworkDocument, commands: Sequence[str] = ()) -> LinuxRun:
    """Build `document`, do its actions, one after the other, run `commands` everywhere, and take all away."""
    with network(document) as lab, ExitStack() as stack:
        rings = Rings((lab.netns(point.ns), point.iface) for point in document.captures)
        actor = stack.enter_context(_Actor(lab, rings))
        for step in document.actions:
            assert not step.background, "is not done here"
            actor.act(step.action, step.settle / SECOND)
        rings.wait_for_silence(document.quiet / SECOND)
        seen = rings.close()
        frames = {point: seen[lab.netns(point.ns), point.iface] for point in document.captures}
        printed = {
            (spec.name, command): lab.ask(spec.name, command.split()).stdout
            for spec in document.namespaces
            for command in commands
        }
        return LinuxRun(frames, actor.outcomes, printed)


def _without_offloads(device: str) -> None:
    """Have checksums and segments made before frames are seen."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        for command in _OFFLOADS:
            value = create_string_buffer(struct.pack("II", command, 0))
            asked = struct.pack("16sP16x", device.encode(), addressof(value))
            try:
                fcntl.ioctl(opened, _ETHTOOL, asked)
            except OSError as error:
                if error.errno != errno.EOPNOTSUPP:
                    raise


def _wait_for_carriers(lab: LinuxLab, document: NetworkDocument) -> None:
    wanted: dict[str, set[str]] = {}
    for end in (end for link in document.links for end in link.ends):
        if end.up:
            wanted.setdefault(end.ns, set()).add(end.iface)
    for bridge in document.bridges:
        if bridge.up:
            wanted.setdefault(bridge.ns, set()).add(bridge.iface)
    deadline = time.monotonic() + _START
    for ns, devices in wanted.items():
        while not _runs(lab, ns, devices):
            assert time.monotonic() < deadline, f"{ns}: not all of {devices} run"
            time.sleep(0.05)


def _runs(lab: LinuxLab, ns: str, devices: set[str]) -> bool:
    listed = json.loads(lab.ask(ns, ["ip", "-d", "-j", "link", "show"]).stdout)
    return all(
        each["operstate"] == "UP"
        and each.get("linkinfo", {}).get("info_slave_data", {}).get("state", "forwarding") == "forwarding"
        for each in listed
        if each.get("ifname") in devices
    )


class _Actor:
    """Does actions; servers go on until it is left."""

    def __init__(self, lab: LinuxLab, rings: Rings) -> None:
        self.outcomes: list[str] = []
        self._lab = lab
        self._rings = rings
        self._is_over = threading.Event()
        self._listening: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join()
        for opened in self._listening:
            opened.close()

    def act(self, action: Action, settle: float) -> None:
        """Do one action, and wait for silence if it is a request."""
        match action:
            case Exec(ns=ns, argv=argv):
                self._lab.do(ns, *argv)
            case TcpServer():
                self._start(lambda opened: self._serve_tcp(opened, action), self._bound(action))
            case UdpServer():
                self._start(lambda opened: self._serve_udp(opened, action), self._bound(action))
            case TcpRequest() | UdpRequest():
                self.outcomes.append(self._request(action))
                self._rings.wait_for_silence(settle)
            case _:
                raise NotImplementedError(action)

    def _socket(self, ns: str, kind: socket.SocketKind) -> socket.socket:
        with inside(self._lab.netns(ns)):
            return socket.socket(socket.AF_INET, kind)

    def _bound(self, server: TcpServer | UdpServer) -> socket.socket:
        is_tcp = isinstance(server, TcpServer)
        opened = self._socket(server.ns, socket.SOCK_STREAM if is_tcp else socket.SOCK_DGRAM)
        self._listening.append(opened)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind((str(server.addr), server.port))
        opened.settimeout(0.1)
        if is_tcp:
            opened.listen()
        return opened

    def _start(self, program: Callable[[socket.socket], None], opened: socket.socket) -> None:
        thread = threading.Thread(target=program, args=[opened], daemon=True)
        self._threads.append(thread)
        thread.start()

    def _serve_udp(self, opened: socket.socket, server: UdpServer) -> None:
        while not self._is_over.is_set():
            with suppress(OSError):
                data, client = opened.recvfrom(_MOST)
                match server.reply:
                    case UdpReply.ECHO:
                        opened.sendto(data, client)
                    case UdpReply.NONE:
                        pass
                    case bytes() as reply:
                        opened.sendto(reply, client)
                    case _:
                        assert_never(server.reply)

    def _serve_tcp(self, opened: socket.socket, server: TcpServer) -> None:
        while not self._is_over.is_set():
            with suppress(OSError):
                client, _ = opened.accept()
                self._start(lambda one: _answer(one, server), client)

    def _request(self, request: TcpRequest | UdpRequest) -> str:
        kind = socket.SOCK_STREAM if isinstance(request, TcpRequest) else socket.SOCK_DGRAM
        with self._socket(request.ns, kind) as opened:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            opened.bind((str(request.src), request.src_port))
            opened.settimeout(request.timeout / SECOND)
            try:
                opened.connect((str(request.dst), request.dst_port))
                if isinstance(request, UdpRequest):
                    opened.send(request.payload)
                    opened.recv(_MOST)
                    return "reply"
                _talk(opened, request)
            except TimeoutError:
                return "timeout"
            except OSError as error:
                return errno.errorcode[error.errno or 0]
        time.sleep(2 * request.gap / SECOND)
        return "ok"


def _talk(opened: socket.socket, request: TcpRequest) -> None:
    """Send and read, with pauses in which acknowledgements go on their own."""
    opened.setsockopt(*_QUICK)
    for _ in range(request.rounds if request.send else 0):
        time.sleep(request.gap / SECOND)
        opened.sendall(request.send * request.repeat)
        left = request.want
        while left > 0:
            piece = opened.recv(_MOST)
            if not piece:
                break
            left -= len(piece)
    time.sleep(request.gap / SECOND)


def _answer(client: socket.socket, server: TcpServer) -> None:
    with client, suppress(OSError):
        client.settimeout(_IDLE)
        client.setsockopt(*_QUICK)
        while client.recv(_MOST):
            time.sleep(server.gap / SECOND)
            client.sendall(server.reply * server.repeat)
        time.sleep(server.gap / SECOND)
