# SPDX-License-Identifier: GPL-2.0-only
"""Associations of SCTP. Hundreds of random ones are compared with Linux in `tests/kernel`."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emu.kernel.netfilter.conntrack.entry import Direction
from emu.kernel.netfilter.conntrack.sctp_table import State, step
from emu.wire.crc32c import sctp_checksum
from emu.wire.sctp import ChunkType
from tests.unit.kernel.netfilter.conntrack.middle import Middle, packet

CLIENT, SERVER = 0x11111111, 0x22222222
"""The tags that client and server choose: what is sent to them carries them."""


def sent(
    way: str, *kinds: ChunkType, tag: int | None = None, flags: int = 0, own: int | None = None
) -> bytes:
    """Return a packet with chunks of these kinds; the tags are right unless they are given."""
    right = SERVER if way == ">" else CLIENT
    if tag is None:
        tag = 0 if ChunkType.INIT in kinds else right
    chosen = (CLIENT if way == ">" else SERVER) if own is None else own
    chunks = b""
    for kind in kinds:
        body = (
            struct.pack("!IIHHI", chosen, 1000, 1, 1, 1)
            if kind in {ChunkType.INIT, ChunkType.INIT_ACK}
            else b""
        )
        chunks += struct.pack("!BBH", kind, flags, 4 + len(body)) + body
    ports = (40000, 80) if way == ">" else (80, 40000)
    octets = struct.pack("!HHII", *ports, tag, 0) + chunks
    return packet(way, 132, octets[:8] + sctp_checksum(octets) + octets[12:])


def established() -> Middle:
    """Return a node whose association is established."""
    middle = Middle()
    middle.see(sent(">", ChunkType.INIT))
    middle.see(sent("<", ChunkType.INIT_ACK))
    middle.see(sent(">", ChunkType.COOKIE_ECHO))
    middle.see(sent("<", ChunkType.COOKIE_ACK))
    assert middle.state == "ESTABLISHED"
    return middle


class TestLife:
    """From INIT to SHUTDOWN COMPLETE."""

    def test_an_association_is_opened(self) -> None:
        """Four packets; each state has its time, the last makes it ASSURED."""
        middle, seen = Middle(), []
        for way, kind in (
            (">", ChunkType.INIT),
            ("<", ChunkType.INIT_ACK),
            (">", ChunkType.COOKIE_ECHO),
            ("<", ChunkType.COOKIE_ACK),
        ):
            assert middle.see(sent(way, kind)) == ("NEW" if kind is ChunkType.INIT else "ESTABLISHED")
            seen.append((middle.state, middle.timeout))
        assert seen == [("CLOSED", 10), ("COOKIE_WAIT", 3), ("COOKIE_ECHOED", 3), ("ESTABLISHED", 210)]
        assert middle.is_assured

    def test_an_association_is_closed(self) -> None:
        """SHUTDOWN and what follows."""
        middle, seen = established(), []
        for way, kind in (
            ("<", ChunkType.SHUTDOWN),
            (">", ChunkType.SHUTDOWN_ACK),
            ("<", ChunkType.SHUTDOWN_COMPLETE),
        ):
            assert middle.see(sent(way, kind)) == "ESTABLISHED"
            seen.append((middle.state, middle.timeout))
        assert seen == [("SHUTDOWN_RECD", 3), ("SHUTDOWN_ACK_SENT", 3), ("CLOSED", 10)]

    def test_data_leaves_the_state_and_renews_the_time(self) -> None:
        """Chunks that are in no table."""
        middle = established()
        middle.wait(100)
        assert middle.see(sent(">", ChunkType.DATA, ChunkType.DATA)) == "ESTABLISHED"
        assert (middle.state, middle.timeout) == ("ESTABLISHED", 210)

    def test_an_init_that_is_sent_again_does_not_renew_the_time(self) -> None:
        """Else who tries one port again and again would keep the entry alive."""
        middle = Middle()
        middle.see(sent(">", ChunkType.INIT))
        middle.wait(4)
        assert middle.see(sent(">", ChunkType.INIT)) == "NEW"
        assert middle.timeout == 6

    def test_a_further_path_is_established_by_a_heartbeat(self) -> None:
        """HEARTBEAT and its answer."""
        middle = Middle()
        assert middle.see(sent(">", ChunkType.HEARTBEAT)) == "NEW"
        assert (middle.state, middle.timeout) == ("HEARTBEAT_SENT", 30)
        assert middle.see(sent("<", ChunkType.HEARTBEAT_ACK)) == "ESTABLISHED"
        assert (middle.state, middle.is_assured) == ("ESTABLISHED", True)


class TestPackets:
    """What a packet has to be."""

    @pytest.mark.parametrize(
        "kind", [ChunkType.ABORT, ChunkType.SHUTDOWN_COMPLETE, ChunkType.COOKIE_ACK, ChunkType.DATA]
    )
    def test_some_chunks_begin_nothing(self, kind: ChunkType) -> None:
        """They belong to something that is not known."""
        assert Middle().see(sent(">", kind)) == "INVALID"

    @pytest.mark.parametrize(
        "kinds",
        [
            (ChunkType.INIT, ChunkType.DATA),
            (ChunkType.DATA, ChunkType.INIT),
            (ChunkType.DATA, ChunkType.COOKIE_ECHO),
            (ChunkType.DATA, ChunkType.COOKIE_ACK),
            (),
        ],
    )
    def test_some_chunks_stand_alone_or_first(self, kinds: tuple[ChunkType, ...]) -> None:
        """Others are invalid with them, and so is a packet without chunks."""
        assert established().see(sent(">", *kinds)) == "INVALID"

    def test_a_wrong_checksum_is_invalid_where_it_is_looked_at(self) -> None:
        """CRC-32C."""
        octets = sent(">", ChunkType.INIT)
        wrong = octets[:28] + bytes(4) + octets[32:]
        assert Middle().see(wrong) == "INVALID"
        assert Middle().see(wrong, verify_checksum=False) == "NEW"

    def test_a_chunk_without_length_is_invalid(self) -> None:
        """Nobody could find the next."""
        octets = bytearray(sent(">", ChunkType.DATA))
        octets[34:36] = bytes(2)
        assert established().see(bytes(octets), verify_checksum=False) == "INVALID"


class TestTags:
    """Verification tags."""

    @pytest.mark.parametrize(
        "kind",
        [
            ChunkType.DATA,
            ChunkType.SHUTDOWN,
            ChunkType.COOKIE_ECHO,
            ChunkType.ABORT,
            ChunkType.SHUTDOWN_COMPLETE,
        ],
    )
    def test_a_foreign_tag_is_invalid(self, kind: ChunkType) -> None:
        """It belongs to another association."""
        assert established().see(sent(">", kind, tag=5)) == "INVALID"

    def test_an_init_has_no_tag(self) -> None:
        """There is none yet."""
        assert Middle().see(sent(">", ChunkType.INIT, tag=5)) == "INVALID"

    @pytest.mark.parametrize("kind", [ChunkType.ABORT, ChunkType.SHUTDOWN_COMPLETE])
    def test_the_flag_t_says_that_the_tag_is_the_other_ones(self, kind: ChunkType) -> None:
        """Who knows nothing of the association reflects the tag that it got."""
        assert established().see(sent("<", kind, tag=SERVER, flags=1)) == "ESTABLISHED"
        assert established().see(sent("<", kind, tag=CLIENT, flags=1)) == "INVALID"

    def test_an_answer_with_another_tag_after_the_handshake_is_invalid(self) -> None:
        """A late INIT ACK does not spoil what was agreed."""
        middle = established()
        middle.see(sent(">", ChunkType.INIT))
        assert middle.see(sent("<", ChunkType.INIT_ACK, own=7)) == "INVALID"
        assert middle.see(sent(">", ChunkType.DATA)) == "ESTABLISHED"

    def test_a_heartbeat_with_a_foreign_tag_is_believed_once_it_is_answered(self) -> None:
        """The other side was restarted."""
        middle = established()
        assert middle.see(sent(">", ChunkType.HEARTBEAT, tag=7)) == "ESTABLISHED"
        assert middle.see(sent("<", ChunkType.HEARTBEAT_ACK, tag=8)) == "ESTABLISHED"
        assert middle.see(sent("<", ChunkType.DATA, tag=8)) == "ESTABLISHED"

    def test_its_answer_alone_is_not(self) -> None:
        """Nobody asked."""
        assert established().see(sent("<", ChunkType.HEARTBEAT_ACK, tag=8)) == "INVALID"


class TestTable:
    """ChunkType by chunk."""

    @given(st.sampled_from(Direction), st.integers(0, 255), st.sampled_from(State))
    def test_a_step_leads_to_a_state_or_is_invalid(
        self, direction: Direction, chunk: int, state: State
    ) -> None:
        """Nothing leads back to NONE but a chunk that leaves the state."""
        after = step(direction, chunk, state)
        assert after is None or after is not State.NONE or state is State.NONE

    @pytest.mark.parametrize(
        "state", [state for state in State if state not in {State.NONE, State.HEARTBEAT_SENT}]
    )
    @pytest.mark.parametrize("direction", Direction)
    def test_an_abort_ends_everything(self, direction: Direction, state: State) -> None:
        """In both directions."""
        assert step(direction, ChunkType.ABORT, state) is State.CLOSED
