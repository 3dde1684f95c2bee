# SPDX-License-Identifier: GPL-2.0-only
"""Random chunks through the real kernel's SCTP tracker and through ours: both have to say the same."""

from __future__ import annotations

import random
import struct
from typing import Final

import pytest

from emu.wire.crc32c import sctp_checksum
from emu.wire.sctp import ChunkType
from tests.kernel.comparison import FIRST_PORT, Sent, compare
from tests.kernel.middle import linux_middle
from tests.unit.kernel.netfilter.conntrack.middle import packet

_SEQUENCES: Final = 300
_STEPS: Final = 14
_PLANS: Final = (
    (
        ">INIT",
        "<INIT_ACK",
        ">COOKIE_ECHO",
        "<COOKIE_ACK",
        ">DATA",
        "<SHUTDOWN",
        ">SHUTDOWN_ACK",
        "<SHUTDOWN_COMPLETE",
    ),
    (
        ">INIT",
        "<INIT_ACK",
        ">COOKIE_ECHO",
        "<COOKIE_ACK",
        ">SHUTDOWN",
        "<SHUTDOWN_ACK",
        ">SHUTDOWN_COMPLETE",
        ">INIT",
    ),
    (
        ">INIT",
        "<INIT_ACK",
        ">COOKIE_ECHO",
        "<COOKIE_ACK",
        ">HEARTBEAT",
        "<HEARTBEAT_ACK",
        ">INIT",
        "<INIT_ACK",
    ),
    (">INIT", "<INIT", "<INIT_ACK", ">INIT_ACK", ">COOKIE_ECHO", "<COOKIE_ECHO", "<COOKIE_ACK"),
    (">INIT", "<INIT_ACK", ">COOKIE_ECHO", "<ERROR"),
    (">INIT", "<ABORT"),
    (">HEARTBEAT", "<HEARTBEAT_ACK"),
    (">HEARTBEAT", ">INIT", "<INIT_ACK"),
    (">SHUTDOWN_ACK", "<SHUTDOWN_COMPLETE"),
    (),
)
_KINDS: Final = tuple(kind.name for kind in ChunkType)


class Script:
    """Makes up the packets of an association: mostly what two ends would say, now and then other ones."""

    def __init__(self, number: int, dice: random.Random) -> None:
        self.port = FIRST_PORT + number
        self._dice = dice
        self._tags = {">": dice.getrandbits(32) | 1, "<": dice.getrandbits(32) | 1}
        self._plan = list(dice.choice(_PLANS))
        self._sent: list[Sent] = []

    def next(self) -> Sent:
        """Return the next packet."""
        dice = self._dice
        if self._sent and dice.random() < 0.12:
            return dice.choice(self._sent[-3:])
        if self._plan:
            planned = self._plan.pop(0)
            way, kinds = planned[0], [planned[1:]]
        else:
            way = dice.choice("><")
            kinds = [dice.choice(_KINDS) for _ in range(dice.choice((1, 1, 1, 2, 3)))]
        sent = self._make(way, kinds)
        self._sent.append(sent)
        return sent

    def _make(self, way: str, kinds: list[str]) -> Sent:
        dice, other = self._dice, "<" if way == ">" else ">"
        tag = 0 if "INIT" in kinds else self._tags[other]
        if dice.random() < 0.08:
            tag = dice.choice((0, self._tags[way], dice.getrandbits(32)))
        chunks = b"".join(self._chunk(way, kind) for kind in kinds)
        if dice.random() < 0.03:
            chunks = chunks[: dice.randrange(len(chunks) + 1)]
        if dice.random() < 0.02:
            chunks += dice.choice((b"\3\0\0\0", b"\3\0\0\4", b"\3", b"\xc0\0\0\5abcd"))
        ports = (self.port, 80) if way == ">" else (80, self.port)
        octets = struct.pack("!HHII", *ports, tag, 0) + chunks
        octets = octets[:8] + sctp_checksum(octets) + octets[12:]
        if dice.random() < 0.02:
            octets = octets[:8] + bytes(4) + octets[12:]
        return Sent(way, packet(way, 132, octets), f"{way} {'+'.join(kinds)} tag={tag:#x} {chunks.hex()}")

    def _chunk(self, way: str, kind: str) -> bytes:
        dice = self._dice
        flags = dice.choice((0, 0, 0, 1))
        body = b""
        if kind in {"INIT", "INIT_ACK"}:
            if kind == "INIT" and dice.random() < 0.15:
                self._tags[way] = dice.getrandbits(32) | 1
            tag = self._tags[way] if dice.random() < 0.92 else dice.getrandbits(32)
            body = struct.pack("!IIHHI", tag, 1000, 10, 10, 1)
        elif kind == "DATA":
            body = bytes(12) + b"data"
        return struct.pack("!BBH", ChunkType[kind], flags, 4 + len(body)) + body


@pytest.mark.kernel
@pytest.mark.parametrize("seed", [1, 2])
def test_linux_and_emu_agree_on_random_chunks(seed: int) -> None:
    """After each packet of hundreds of random associations, verdict, state, flags and timeout are Linux's."""
    scripts = [Script(number, random.Random(f"{seed}/{number}")) for number in range(_SEQUENCES)]
    # the kernel's own timeouts of 3 s are over too soon
    sysctls = {
        f"sctp_timeout_{name}": 100 + 10 * number
        for number, name in enumerate(
            ("cookie_wait", "cookie_echoed", "shutdown_sent", "shutdown_recd", "shutdown_ack_sent")
        )
    }
    with linux_middle(**sysctls) as linux:
        differences = compare(linux, scripts, _STEPS, sysctls)
    assert not differences, f"{len(differences)} of {_SEQUENCES} differ\n" + "\n\n".join(differences[:5])
