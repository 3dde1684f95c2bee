# SPDX-License-Identifier: GPL-2.0-only
"""A node in the middle that tracks connections and has no rules: all that a tracker asks of its namespace.

middle = Middle()
assert middle.tcp(">", "S", seq=1) == "NEW"
assert middle.tcp("<", "SA", seq=9, ack=2) == "ESTABLISHED"
assert middle.state == "SYN_RECV"

`>` is the way from CLIENT to SERVER, `<` the way back. A packet is answered by
what `-m conntrack --ctstate` calls it, or `DROP`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from emu.kernel.netfilter.conntrack import generic, icmp, sctp, tcp, udp
from emu.kernel.netfilter.conntrack.entry import Connection, CtInfo, Direction, Status
from emu.kernel.netfilter.conntrack.protocol import Tracked
from emu.kernel.netfilter.conntrack.tuples import Tuple
from emu.kernel.skb import Skb
from emu.kernel.sysctl import Sysctl
from emu.sim.time import SECOND, START, Instant
from emu.wire import ipv4
from emu.wire import tcp as wire_tcp
from emu.wire.addresses import IpAddress

if TYPE_CHECKING:
    from collections.abc import Mapping

    from emu.kernel.namespace import Namespace
    from emu.kernel.sysctl_names import Value

CLIENT: Final = IpAddress.parse("10.0.1.2")
SERVER: Final = IpAddress.parse("10.0.2.2")
CLIENT_PORT: Final = 40000
SERVER_PORT: Final = 80
_LETTERS: Final = {"F": 1, "S": 2, "R": 4, "P": 8, "A": 16, "U": 32, "E": 64, "C": 128}
_TRACKERS: Final = {6: tcp.packet, 17: udp.packet, 136: udp.packet, 1: icmp.packet, 132: sctp.packet}
_PORTS: Final = frozenset((6, 17, 132, 136))


def flag_bits(letters: str) -> int:
    """Return the flags that `letters` stand for."""
    return sum(_LETTERS[letter] for letter in letters)


def segment(way: str, flags: str, **words: object) -> bytes:
    """Return an IP packet with a TCP segment.

    The words: `seq`, `ack`, `window`, `options`, `data` (how many octets), `port` (the client's).
    """
    client, server = (CLIENT, cast("int", words.get("port", CLIENT_PORT))), (SERVER, SERVER_PORT)
    (src, sport), (dst, dport) = (client, server) if way == ">" else (server, client)
    octets = wire_tcp.build(
        src,
        dst,
        sport,
        dport,
        seq=cast("int", words.get("seq", 0)) & 0xFFFFFFFF,
        ack=cast("int", words.get("ack", 0)) & 0xFFFFFFFF,
        flags=flag_bits(flags),
        window=cast("int", words.get("window", 1000)),
        options=cast("bytes", words.get("options", b"")),
        payload=b"x" * cast("int", words.get("data", 0)),
    )
    return packet(way, 6, octets)


def packet(way: str, protocol: int, octets: bytes) -> bytes:
    """Return an IP packet."""
    src, dst = (CLIENT, SERVER) if way == ">" else (SERVER, CLIENT)
    return ipv4.build(protocol, src, dst, octets)


class Middle:
    """See above. `connection` is the one that was begun last, None once it was deleted."""

    def __init__(self, sysctls: Mapping[str, Value] | None = None) -> None:
        self.sysctl = Sysctl()
        for name, value in (sysctls or {}).items():
            self.sysctl.set(f"net.netfilter.nf_conntrack_{name}", value)
        self.now = START
        self.connection: Connection | None = None
        self.reasons: list[str] = []
        self._known: dict[Tuple, tuple[Connection, Direction]] = {}

    # --- what a tracker asks for ---

    @property
    def netfilter(self) -> Middle:
        """Where the table is."""
        return self

    @property
    def conntrack(self) -> Middle:
        """The table."""
        return self

    def note(self, _packet: Skb, _stage: str, detail: str) -> None:
        """Take down why a packet is invalid."""
        self.reasons.append(detail)

    def delete(self, connection: Connection, now: Instant) -> None:
        """Forget `connection`."""
        assert now == self.now
        for tuple_ in connection.tuples:
            del self._known[tuple_]
        if connection is self.connection:
            self.connection = None

    def as_namespace(self) -> Namespace:
        """Return it as what trackers take it for."""
        return cast("Namespace", self)

    # --- what a test asks for ---

    def see(self, octets: bytes, *, verify_checksum: bool = True) -> str:
        """Let a packet pass, and return what it was."""
        skb = Skb(octets, 1)
        net = self.as_namespace()
        if skb.header.protocol == 1 and icmp.fault(net, skb, verify_checksum=verify_checksum):
            return "INVALID"
        tuple_ = _tuple(skb)
        if tuple_ is None:
            return "INVALID"
        while True:
            found, direction = self._known.get(tuple_, (None, Direction.ORIGINAL))
            connection = found or Connection(1, tuple_, tuple_.invert())
            info = _info(connection, direction)
            tracker = _TRACKERS.get(tuple_.protocol, generic.packet)
            answer = tracker(net, skb, connection, info, verify_checksum=verify_checksum)
            if answer is not Tracked.REPEAT:
                break
            self._known = {key: value for key, value in self._known.items() if value[0] is not connection}
        if answer not in {Tracked.ACCEPT, Tracked.UNCOUNTED}:
            return answer.name
        if answer is Tracked.ACCEPT:
            connection.count(info.direction, len(octets))
        if info is CtInfo.ESTABLISHED_REPLY:
            connection.status |= Status.SEEN_REPLY
        if found is None:
            connection.status |= Status.CONFIRMED
            self._known |= {
                tuple_: (connection, way) for way, tuple_ in zip(Direction, connection.tuples, strict=True)
            }
            self.connection = connection
        return info.name.removesuffix("_REPLY")

    def tcp(self, way: str, flags: str, **words: object) -> str:
        """Let a TCP segment pass, and return what it was."""
        return self.see(segment(way, flags, **words))

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.now = Instant(self.now + round(seconds * SECOND))

    @property
    def connections(self) -> list[Connection]:
        """All that is remembered, in the order in which it began."""
        return [connection for connection, way in self._known.values() if way is Direction.ORIGINAL]

    @property
    def state(self) -> str:
        """The state of the connection, empty without one."""
        return "" if self.connection is None else getattr(self.connection.tracker, "name", "")

    @property
    def timeout(self) -> float:
        """For how many seconds the connection is remembered."""
        assert self.connection is not None
        return (self.connection.expires - self.now) / SECOND

    @property
    def is_assured(self) -> bool:
        """Whether the connection is ASSURED."""
        return self.connection is not None and bool(self.connection.status & Status.ASSURED)


def _info(connection: Connection, direction: Direction) -> CtInfo:
    if direction is Direction.REPLY:
        return CtInfo.ESTABLISHED_REPLY
    return CtInfo.ESTABLISHED if connection.status & Status.SEEN_REPLY else CtInfo.NEW


def _tuple(skb: Skb) -> Tuple | None:
    header, octets = skb.header, skb.payload
    if header.protocol == 1:
        kind_and_code = int.from_bytes(octets[:2], "big")
        return Tuple(header.src, header.dst, 1, int.from_bytes(octets[4:6], "big"), kind_and_code)
    if header.protocol in _PORTS:
        if len(octets) < 4:
            return None
        ports = (int.from_bytes(octets[:2], "big"), int.from_bytes(octets[2:4], "big"))
        return Tuple(header.src, header.dst, header.protocol, *ports)
    return Tuple(header.src, header.dst, header.protocol)
