# SPDX-License-Identifier: GPL-2.0-only
"""Two hosts whose programs' system calls a test makes itself; what goes over their cable is put in words.

hosts = Hosts()
server = hosts.listening("b")
client = hosts.connecting("a")
assert hosts.heard() == ["a S", "b SA", "a A"]
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Concatenate, Final, NamedTuple, ParamSpec, TypeVar

from emu.kernel import sockets, tcp
from emu.kernel.sockets import Socket, SocketKind
from emu.observe.recording import Kind
from emu.sim.time import MILLISECOND
from emu.testing.lab import Lab, mac, two_hosts
from emu.wire import ethernet, ipv4
from emu.wire.addresses import ANY_IP4, IpAddress
from emu.wire.ipv4 import ICMP, TCP, Ipv4
from emu.wire.tcp import ACK, FIN, PSH, RST, SYN, Tcp

if TYPE_CHECKING:
    from collections.abc import Callable

    from emu.kernel.drops import DropReason
    from emu.kernel.namespace import Namespace
    from emu.kernel.tcp.socket import SocketInfo
    from emu.sim.time import Duration

P = ParamSpec("P")
T = TypeVar("T")

A: Final = IpAddress.parse("10.0.0.1")
B: Final = IpAddress.parse("10.0.0.2")
PORT: Final = 80
_MACS: Final = {"a": mac(1), "b": mac(2)}
_LETTERS: Final = ((SYN, "S"), (FIN, "F"), (RST, "R"), (PSH, "P"), (ACK, "A"))


class Heard(NamedTuple):
    """A segment that a host sent."""

    host: str
    header: Ipv4
    segment: bytes

    @property
    def tcp(self) -> Tcp:
        """Its TCP header."""
        return Tcp.parse(self.segment)

    @property
    def payload(self) -> bytes:
        """Its data."""
        return self.segment[self.tcp.header_length :]

    def __str__(self) -> str:
        flags = "".join(letter for flag, letter in _LETTERS if self.tcp.flags & flag)
        size = f" {len(self.payload)}" if self.payload else ""
        return f"{self.host} {flags}{size}"


class Hosts:
    """Hosts `a` and `b`, or those at the ends of another lab."""

    def __init__(self, lab: Lab | None = None) -> None:
        self.lab = lab or two_hosts()
        self._from = 0

    # --- system calls ---

    def call(
        self,
        name: str,
        function: Callable[Concatenate[Namespace, P], T],
        *arguments: P.args,
        **keywords: P.kwargs,
    ) -> T:
        """Make a system call in the namespace `name`, and let 10 ms pass."""
        try:
            return self.lab.call(name, lambda net: function(net, *arguments, **keywords))
        finally:
            self.wait(10 * MILLISECOND)

    def socket(self, name: str, address: IpAddress = ANY_IP4, port: int = 0) -> Socket:
        """Open a TCP socket, bound if a port is given."""
        sock = self.lab.call(name, lambda net: sockets.create(net, SocketKind.TCP))
        if port:
            sock.reuse_address = True
            self.lab.call(name, lambda net: sockets.bind(net, sock, address, port))
        return sock

    def listening(self, name: str, address: IpAddress = ANY_IP4, *, backlog: int = 5) -> Socket:
        """Open a socket that listens on port 80."""
        sock = self.socket(name, address, PORT)
        self.call(name, sockets.listen, sock, backlog)
        return sock

    def connecting(self, name: str, address: IpAddress = B) -> Socket:
        """Open a socket and begin to connect it to port 80 of `address`."""
        sock = self.socket(name)
        self.call(name, sockets.connect, sock, address, PORT)
        return sock

    def beginning(self, name: str, count: int) -> list[Socket]:
        """Open sockets that all begin to connect to port 80 of `b` at this instant."""
        made = [self.socket(name) for _ in range(count)]
        for sock in made:
            self.lab.call(name, partial(sockets.connect, socket=sock, address=B, port=PORT))
        self.wait(10 * MILLISECOND)
        return made

    def accepted(self, name: str, listener: Socket) -> Socket:
        """Accept a connection."""
        return self.call(name, sockets.accept, listener)

    def connected(self) -> tuple[Socket, Socket]:
        """Return the two ends of a connection from `a` to `b`; nobody listens any more."""
        listener = self.listening("b")
        client = self.connecting("a")
        server = self.accepted("b", listener)
        self.call("b", sockets.close, listener)
        self.forget()
        return client, server

    def send(self, name: str, sock: Socket, data: bytes) -> int:
        """Send."""
        return self.call(name, sockets.send, sock, data)

    def receive(self, name: str, sock: Socket, size: int = 65536) -> bytes:
        """Receive."""
        return self.call(name, sockets.receive, sock, size)

    def close(self, name: str, sock: Socket) -> None:
        """Close."""
        self.call(name, sockets.close, sock)

    def set(self, name: str, sysctl: str, value: int) -> None:
        """Set `net.ipv4.tcp_*`."""
        self.lab.net(name).sysctl.set(f"net.ipv4.tcp_{sysctl}", value)

    def listing(self, name: str) -> list[SocketInfo]:
        """Return what `ss` shows."""
        return list(tcp.listing(self.lab.net(name)))

    def states(self, name: str) -> list[str]:
        """Return the states that `ss` shows."""
        return [line.state.value for line in self.listing(name)]

    def wait(self, duration: Duration) -> None:
        """Let time pass."""
        self.lab.wait(duration)

    # --- packets ---

    def inject(
        self, name: str, segment: bytes, *, src: IpAddress, dst: IpAddress, protocol: int = TCP
    ) -> None:
        """Have `name` receive a packet with `segment`, from anybody."""
        frame = ethernet.header(_MACS[name], mac(99), ethernet.IPV4) + ipv4.build(protocol, src, dst, segment)
        self.lab.inject(f"{name}/eth0", frame)
        self.wait(10 * MILLISECOND)

    def icmp(self, name: str, message: bytes, *, src: IpAddress) -> None:
        """Have `name` receive an ICMP message."""
        self.inject(name, message, src=src, dst=self.lab.address(name), protocol=ICMP)

    @property
    def segments(self) -> list[Heard]:
        """What the hosts sent over Ethernet since `forget`, in order."""
        found = []
        for step in self.lab.steps[self._from :]:
            if step.kind is Kind.OUT and step.device == "eth0":
                frame = step.octets
                if int.from_bytes(frame[12:14], "big") == ethernet.IPV4:
                    packet = frame[ethernet.HEADER_LENGTH :]
                    header = Ipv4.parse(packet)
                    if header.protocol == TCP:
                        found.append(
                            Heard(step.net, header, packet[header.header_length : header.total_length])
                        )
        return found

    def sent_by(self, name: str) -> list[Heard]:
        """Return the `segments` of one host."""
        return [heard for heard in self.segments if heard.host == name]

    def heard(self) -> list[str]:
        """Return `segments` in words, like `a PA 5`."""
        return [str(heard) for heard in self.segments]

    @property
    def drops(self) -> list[DropReason | None]:
        """Why packets ended since `forget`."""
        return [step.reason for step in self.lab.steps[self._from :] if step.kind is Kind.DROP]

    def forget(self) -> None:
        """Forget what the hosts have sent and dropped."""
        self._from = len(self.lab.steps)
