# SPDX-License-Identifier: GPL-2.0-only
"""Packets of a case: of its flows and a little beside them, some of them odd or broken."""

from __future__ import annotations

import itertools
from functools import partial
from typing import TYPE_CHECKING, Final

from emu.wire import icmp, ipv4, tcp, udp
from emu.wire.checksum import checksum, pseudo_header
from emu.wire.crc32c import sctp_checksum
from emu.wire.ipv4 import MF
from tests.kernel.verdicts.flows import ICMP, SCTP, TCP, TOS, TTLS, UDP, UDP_LITE
from tests.kernel.verdicts.script import Answer, Complaint, Local, from_end
from tests.kernel.verdicts.topology import MACS, NETS, end_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.kernel.verdicts.flows import Dice, Flow
    from tests.kernel.verdicts.script import Step

_ODD_FLAGS: Final = (0x02, 0x12, 0x10, 0x11, 0x04, 0x14, 0x18, 0x00, 0x3F, 0x29, 0x03, 0xC2, 0x42, 0x01, 0x20)
_OPTIONS: Final = (
    bytes((1, 1, 1, 0)),
    bytes((7, 7, 4, 0, 0, 0, 0, 0)),  # record route, one slot
    bytes((0x94, 4, 0, 0)),  # router alert
    bytes((0x1E, 4, 1, 2)),  # nobody knows it
)
_TCP_OPTIONS: Final = (b"", b"", bytes((2, 4, 5, 180)), bytes((1, 1, 4, 2)), bytes((2, 4, 2, 24, 1, 3, 3, 7)))
_COMPLAINTS: Final = ((3, 0), (3, 1), (3, 3), (3, 13), (11, 0), (12, 0), (4, 0), (3, 3), (3, 1))
_CHUNKS: Final = (1, 0, 2, 10, 11, 6, 7)
_FIRST_IDENTIFICATION: Final = 0x1000


class Script:
    """Draws the steps of a case."""

    def __init__(self, dice: Dice) -> None:
        self._dice = dice
        self._identifications = itertools.count(_FIRST_IDENTIFICATION + dice.random.randrange(0x8000))
        self.identifications: set[int] = set()
        self.steps: list[Step] = []

    def draw(self, count: int) -> None:
        """Draw so many steps, or a few more."""
        dice = self._dice
        while len(self.steps) < count:
            choice = dice.random.random()
            if self.steps and choice < 0.3:
                self._answer()
            elif self.steps and choice < 0.38:
                self._complain()
            else:
                self.steps += self._packet(dice.flow())

    def _identification(self) -> int:
        number = next(self._identifications)
        self.identifications.add(number)
        return number

    def _answer(self) -> None:
        flags = self._dice.one(_ODD_FLAGS) if self._dice.maybe(0.15) else None
        to = max(self._dice.random.randrange(len(self.steps)) for _ in range(2))
        self.steps.append(Answer(to, self._identification(), flags))

    def _complain(self) -> None:
        dice = self._dice
        kind, code = dice.one(_COMPLAINTS)
        src = b"" if dice.maybe(0.5) else _octets(dice.host())
        to = dice.random.randrange(len(self.steps))
        length = dice.one((8, 8, 20, 28, 200, 4))
        self.steps.append(Complaint(to, self._identification(), kind, code, src, length))

    def _packet(self, flow: Flow) -> Iterator[Step]:
        dice = self._dice
        if dice.maybe(0.12):
            flow = flow._replace(dport=dice.port()) if flow.protocol != ICMP else flow
        if dice.maybe(0.08):
            flow = flow._replace(dst=dice.host())
        if dice.maybe(0.06):
            flow = flow._replace(src=flow.dst, dst=flow.src, sport=flow.dport, dport=flow.sport)
        if flow.src == flow.dst:
            return
        payload = self._payload(flow)
        if dice.maybe(0.04):
            payload = payload[: dice.random.randrange(len(payload))]
        yield from self._sent(flow, payload)

    def _sent(self, flow: Flow, payload: bytes) -> Iterator[Step]:
        dice = self._dice
        build = partial(
            ipv4.build, ttl=dice.one(TTLS), tos=dice.one(TOS), identification=self._identification()
        )
        src, dst = _octets(flow.src), _octets(flow.dst)
        if dice.maybe(0.05):
            packet = build(flow.protocol, src, dst, payload, options=dice.one(_OPTIONS))
        elif dice.maybe(0.06):
            yield from self._fragments(flow, payload + bytes(40), build)
            return
        else:
            packet = build(flow.protocol, src, dst, payload, fragment=dice.one((0, 0, 0x4000)))
        if dice.maybe(0.02):
            packet = packet[:10] + bytes(2) + packet[12:]
        yield self._from(flow, packet, strays=dice.maybe(0.15))

    def _fragments(self, flow: Flow, payload: bytes, build: Callable[..., bytes]) -> Iterator[Step]:
        """Yield all parts of a datagram, in some order; sometimes the last is missing."""
        # the kernel pulls a TCP header together, which spoils the cuts of smaller pieces
        cut = self._dice.one((24, 32) if flow.protocol in (TCP, SCTP) else (8, 16, 24, 32))
        src, dst = _octets(flow.src), _octets(flow.dst)
        parts = [
            build(flow.protocol, src, dst, payload[:cut], fragment=MF),
            build(flow.protocol, src, dst, payload[cut:], fragment=cut // 8),
        ]
        if self._dice.maybe(0.3):
            parts.reverse()
        lost = self._dice.maybe(0.15)
        for part in parts:
            yield self._from(flow, part, strays=lost)

    def _from(self, flow: Flow, packet: bytes, *, strays: bool) -> Step:
        """Return the step that sends a packet; one that `strays` goes to the other port of the bridge."""
        if _is_own(flow.src):
            return Local(packet)
        end = end_of(flow.src)
        bridged = flow.src.startswith(NETS["br0"]) and flow.dst.startswith(NETS["br0"])
        if bridged and not flow.dst.endswith(".1") and end_of(flow.dst) != end:
            return from_end(end, packet, to=bytes(MACS[end_of(flow.dst)]))
        if end in ("low", "high") and strays:
            return from_end(end, packet, to=bytes(MACS["high" if end == "low" else "low"]))
        return from_end(end, packet)

    def _payload(self, flow: Flow) -> bytes:
        dice = self._dice
        data = bytes(dice.random.randrange(256) for _ in range(dice.one((0, 1, 5, 20, 40))))
        src, dst = _octets(flow.src), _octets(flow.dst)
        if flow.protocol == TCP:
            payload = self._segment(flow, data)
        elif flow.protocol in (UDP, UDP_LITE):
            payload = udp.build(src, dst, flow.sport, flow.dport, data, with_checksum=dice.maybe(0.9))
            if flow.protocol == UDP_LITE:
                payload = _lite(src, dst, payload)
        elif flow.protocol == ICMP:
            kind = dice.one((icmp.ECHO,) * 6 + (icmp.TIMESTAMP, icmp.ECHO_REPLY, 17, 3, 9, 40))
            payload = icmp.build(kind, 0, data, word1=flow.sport, word2=1)
        elif flow.protocol == SCTP:
            chunk = bytes((dice.one(_CHUNKS), dice.random.randrange(8), 0, 20)) + bytes(16)
            head = (
                flow.sport.to_bytes(2, "big") + flow.dport.to_bytes(2, "big") + bytes((0, 0, 0, 1)) + bytes(4)
            )
            payload = head[:8] + sctp_checksum(head + chunk) + chunk
        else:
            payload = bytes(4) + data
        if dice.maybe(0.03) and len(payload) > 8:
            payload = payload[:6] + bytes((payload[6] ^ 1, payload[7])) + payload[8:]
        return payload

    def _segment(self, flow: Flow, data: bytes) -> bytes:
        dice = self._dice
        first = dice.maybe(0.5)
        flags = 0x02 if first else dice.one(_ODD_FLAGS)
        return tcp.build(
            _octets(flow.src),
            _octets(flow.dst),
            flow.sport,
            flow.dport,
            seq=100 if first else dice.one((101, 101, 101, 100, 5000)),
            ack=0 if first else dice.one((7001, 7001, 7000, 1)),
            flags=flags,
            window=8192,
            options=dice.one(_TCP_OPTIONS),
            payload=b"" if first else data,
        )


def _lite(src: bytes, dst: bytes, datagram: bytes) -> bytes:
    """Return a datagram of UDP-Lite with a checksum over all of it (RFC 3828)."""
    blank = datagram[:4] + bytes(4) + datagram[8:]
    total = checksum(blank, pseudo_header(src, dst, UDP_LITE, len(datagram)))
    return blank[:6] + total.to_bytes(2, "big") + blank[8:]


def _is_own(address: str) -> bool:
    """Return whether the router has `address`."""
    net, _, last = address.rpartition(".")
    return last == "1" and net in NETS.values()


def _octets(address: str) -> bytes:
    return bytes(map(int, address.split(".")))
