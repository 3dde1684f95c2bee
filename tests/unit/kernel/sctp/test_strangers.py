# SPDX-License-Identifier: GPL-2.0-only
"""Packets that belong to no association (RFC 9260 §8.4)."""

from __future__ import annotations

import pytest

from emu.kernel.drops import DropReason
from emu.kernel.sctp import strangers
from emu.kernel.sctp.setup import Packet
from emu.testing.lab import Lab, two_hosts
from emu.wire import sctp
from emu.wire.sctp import T_BIT, CauseCode, Chunk, ChunkType, Data, Init, Parameter
from tests.unit.kernel.sctp.wire_talk import put, said, tags

DATA = Data(1, 0, 0, 0, b"x").chunk()
INIT = Init(77, 9000, 3, 3, 1000).chunk(ChunkType.INIT)
STALE = sctp.error(Parameter(CauseCode.STALE_COOKIE, bytes(4)))
ABORT, REFLECTED = sctp.abort(), sctp.abort(tag_reflected=True)
COMPLETE = Chunk(ChunkType.SHUTDOWN_COMPLETE, T_BIT)


@pytest.mark.parametrize(
    ("chunks", "tag", "answer"),
    [
        ([INIT], 0, Packet(77, (ABORT,))),
        ([DATA], 5, Packet(5, (REFLECTED,))),
        ([Chunk(ChunkType.SACK)], 5, Packet(5, (REFLECTED,))),
        ([Chunk(ChunkType.COOKIE_ECHO, 0, b"?")], 5, Packet(5, (REFLECTED,))),
        ([Chunk(ChunkType.HEARTBEAT)], 5, Packet(5, (REFLECTED,))),
        ([Chunk(ChunkType.SHUTDOWN)], 5, Packet(5, (REFLECTED,))),
        ([Chunk(ChunkType.SHUTDOWN_ACK)], 5, Packet(5, (COMPLETE,))),
        ([sctp.error()], 5, Packet(5, (REFLECTED,))),
        ([Chunk(0x3F)], 5, Packet(5, (REFLECTED,))),
        ([STALE], 5, None),
        ([Chunk(ChunkType.ERROR, 0, b"\0")], 5, None),
        ([Chunk(ChunkType.COOKIE_ACK)], 5, None),
        ([COMPLETE], 5, None),
        ([ABORT], 5, None),
        ([DATA, ABORT], 5, None),
        ([DATA, INIT], 5, None),
        ([Chunk(ChunkType.INIT, 0, b"short")], 0, None),
        ([Init(0, 9000, 3, 3, 1000).chunk(ChunkType.INIT)], 0, None),
        ([], 5, None),
    ],
)
def test_what_is_answered_and_how(chunks: list[Chunk], tag: int, answer: Packet | None) -> None:
    """ABORT with the tag of the INIT or the packet's own; never an answer to what ends something."""
    assert strangers.answer(Packet(tag, tuple(chunks))) == answer


def lab_and_ping() -> Lab:
    """Return two hosts that know each other."""
    lab = two_hosts()
    lab.ping("a", "b")
    return lab


def test_an_answer_goes_back_with_the_ports_turned_round() -> None:
    """And the packet ends as one that no socket takes."""
    lab = lab_and_ping()
    put(lab, 9, DATA)
    assert said(lab, "b/eth0") == ["DATA", "ABORT+T"]
    assert tags(lab, "b/eth0") == [9, 9]
    assert [step.reason for step in lab.drops][:1] == [DropReason.NO_SOCKET]


def test_two_strangers_do_not_answer_each_other_for_ever() -> None:
    """The other host discards the ABORT."""
    lab = lab_and_ping()
    put(lab, 9, Chunk(ChunkType.SHUTDOWN_ACK))
    assert said(lab, "a/eth0") == ["SHUTDOWN_COMPLETE+T"]


@pytest.mark.parametrize("at", [0, 8, 20])
def test_a_wrong_checksum_is_not_answered(at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is the packet looked at."""
    right = sctp.build

    def build(sport: int, dport: int, tag: int, chunks: list[Chunk]) -> bytes:
        octets = bytearray(right(sport, dport, tag, chunks))
        octets[at] ^= 1
        return bytes(octets)

    lab = lab_and_ping()
    monkeypatch.setattr(sctp, "build", build)
    put(lab, 9, DATA)
    assert said(lab, "b/eth0") == ["DATA"]
    assert lab.drops[-1].detail == "wrong SCTP checksum"


def test_a_packet_without_chunks_is_too_short() -> None:
    """Twelve octets are a header and nothing else."""
    lab = lab_and_ping()
    put(lab, 9)
    assert lab.drops[-1].reason is DropReason.PKT_TOO_SMALL
