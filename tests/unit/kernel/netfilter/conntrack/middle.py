# SPDX-License-Identifier: GPL-2.0-only
"""A node in the middle that tracks connections and has no rules.

middle = Middle()
assert middle.tcp(">", "S", seq=1) == "NEW"
assert middle.tcp("<", "SA", seq=9, ack=2) == "ESTABLISHED"
assert middle.state == "SYN_RECV"

`>` is the way from CLIENT to SERVER, `<` the way back. A packet is answered by
what `-m conntrack --ctstate` calls it, or `DROP`.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final, cast

from emu.kernel.namespace import Namespace
from emu.kernel.netfilter.conntrack import tracking
from emu.kernel.netfilter.conntrack.entry import Connection, Status
from emu.kernel.netfilter.hooks import Hook
from emu.kernel.netfilter.packet import Packet
from emu.kernel.netfilter.verdict import Verdict
from emu.kernel.skb import Skb
from emu.sim.choice import DrawnChoice
from emu.sim.time import SECOND, Instant
from emu.wire import ipv4
from emu.wire import tcp as wire_tcp
from emu.wire.addresses import IpAddress

if TYPE_CHECKING:
    from collections.abc import Mapping

    from emu.kernel.effects import Drop
    from emu.kernel.facts import Fact
    from emu.kernel.link.device import Device
    from emu.kernel.recorder import Direction as RecorderDirection
    from emu.kernel.sysctl_names import Value
    from emu.wire.frame import Frame

CLIENT: Final = IpAddress.parse("10.0.1.2")
SERVER: Final = IpAddress.parse("10.0.2.2")
CLIENT_PORT: Final = 40000
SERVER_PORT: Final = 80
_LETTERS: Final = {"F": 1, "S": 2, "R": 4, "P": 8, "A": 16, "U": 32, "E": 64, "C": 128}


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


class Reasons:
    """A recorder that keeps why packets are invalid."""

    def __init__(self) -> None:
        self.noted: list[str] = []

    def note(self, net: Namespace, packet: Frame | Skb, stage: str, detail: str | Fact) -> None:
        """Keep what a tracker says."""
        del net, packet, stage
        if str(detail).startswith("invalid: "):
            self.noted.append(str(detail))

    def seen(self, net: Namespace, device: Device, direction: RecorderDirection, frame: Frame) -> None:
        """Pass over frames."""

    def ruled(self, net: Namespace, packet: Skb, place: tuple[str, str], number: int, rule: object) -> None:
        """Pass over rules: there are none."""

    def ended(self, net: Namespace, packet: Skb, place: tuple[str, str], policy: Verdict) -> None:
        """Pass over chains."""

    def dropped(self, net: Namespace, packet: Frame | Skb, drop: Drop) -> None:
        """Pass over what ended."""


class Middle:
    """See above. `net` is its namespace."""

    def __init__(self, sysctls: Mapping[str, Value] | None = None) -> None:
        dice = random.Random(0)
        self.net = Namespace("middle", random=dice, choice=DrawnChoice(dice))
        self._reasons = Reasons()
        self.net.recorder = self._reasons
        for name, value in (sysctls or {}).items():
            self.net.sysctl.set(f"net.netfilter.nf_conntrack_{name}", value)

    def see(self, octets: bytes, *, verify_checksum: bool = True) -> str:
        """Let a packet pass, and return what it was; one of this host itself is not verified."""
        skb = Skb(octets, 1)
        hook = Hook.PREROUTING if verify_checksum else Hook.OUTPUT
        if tracking.track(Packet(self.net, skb, hook)) is not Verdict.ACCEPT:
            return "DROP"
        if tracking.confirm(Packet(self.net, skb, Hook.POSTROUTING)) is not Verdict.ACCEPT:
            return "DROP"
        return "INVALID" if skb.connection is None else skb.ctinfo.name.removesuffix("_REPLY")

    def tcp(self, way: str, flags: str, **words: object) -> str:
        """Let a TCP segment pass, and return what it was."""
        return self.see(segment(way, flags, **words))

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.now = Instant(self.now + round(seconds * SECOND))

    @property
    def now(self) -> Instant:
        """The time."""
        return self.net.now

    @now.setter
    def now(self, now: Instant) -> None:
        self.net.now = now

    @property
    def reasons(self) -> list[str]:
        """Why packets were invalid."""
        return self._reasons.noted

    @property
    def connections(self) -> list[Connection]:
        """All that is remembered, in the order in which it began."""
        return self.net.netfilter.conntrack.entries(self.net.now)

    @property
    def connection(self) -> Connection | None:
        """The one that began last."""
        return self.connections[-1] if self.connections else None

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
