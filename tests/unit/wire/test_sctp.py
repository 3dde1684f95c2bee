# SPDX-License-Identifier: GPL-2.0-only
"""SCTP packets: their octets against Scapy, their reading against their building."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.sctp import (
    SCTP,
    SCTPChunkAbort,
    SCTPChunkCookieAck,
    SCTPChunkCookieEcho,
    SCTPChunkData,
    SCTPChunkError,
    SCTPChunkHeartbeatAck,
    SCTPChunkHeartbeatReq,
    SCTPChunkInit,
    SCTPChunkInitAck,
    SCTPChunkParamHeartbeatInfo,
    SCTPChunkParamStateCookie,
    SCTPChunkParamSupportedAddrTypes,
    SCTPChunkSACK,
    SCTPChunkShutdown,
    SCTPChunkShutdownAck,
    SCTPChunkShutdownComplete,
)

from emu.errors import HeaderError
from emu.wire import sctp
from emu.wire.sctp import Chunk, ChunkType, Data, Init, Parameter, ParameterType, Sack, Sctp

if TYPE_CHECKING:
    from scapy.packet import Packet

NUMBERS = st.integers(0, 0xFFFFFFFF)
SHORTS = st.integers(0, 0xFFFF)
GAPS = st.lists(st.tuples(SHORTS, SHORTS), max_size=4).map(tuple)


def chunks_and_scapys() -> st.SearchStrategy[tuple[Chunk, Packet]]:
    """Any chunk, built by us and by Scapy.

    Parameters are multiples of 4 octets: Scapy counts the padding of the last one
    as part of the chunk, RFC 9260 §3.2 does not.
    """
    payloads = st.binary(min_size=1, max_size=9)
    whole = st.binary(min_size=1, max_size=3).map(lambda octets: octets * 4)
    return st.one_of(
        st.builds(
            lambda tag, window, streams, tsn: (
                Init(
                    tag,
                    window,
                    streams[0],
                    streams[1],
                    tsn,
                    (Parameter(ParameterType.SUPPORTED_ADDRESS_TYPES, b"\0\5\0\6"),),
                ).chunk(ChunkType.INIT),
                SCTPChunkInit(
                    init_tag=tag,
                    a_rwnd=window,
                    n_out_streams=streams[0],
                    n_in_streams=streams[1],
                    init_tsn=tsn,
                    params=[SCTPChunkParamSupportedAddrTypes(addr_type_list=[5, 6])],
                ),
            ),
            NUMBERS,
            NUMBERS,
            st.tuples(SHORTS, SHORTS),
            NUMBERS,
        ),
        st.builds(
            lambda tag, cookie: (
                Init(tag, 1500, 10, 10, 7, (Parameter(ParameterType.STATE_COOKIE, cookie),)).chunk(
                    ChunkType.INIT_ACK
                ),
                SCTPChunkInitAck(
                    init_tag=tag,
                    a_rwnd=1500,
                    n_out_streams=10,
                    n_in_streams=10,
                    init_tsn=7,
                    params=[SCTPChunkParamStateCookie(cookie=cookie)],
                ),
            ),
            NUMBERS,
            whole,
        ),
        st.builds(
            lambda tsn, place, payload, flags: (
                Data(tsn, place[0], place[1], 46, payload, flags).chunk(),
                SCTPChunkData(
                    tsn=tsn,
                    stream_id=place[0],
                    stream_seq=place[1],
                    proto_id=46,
                    data=payload,
                    beginning=bool(flags & sctp.BEGIN),
                    ending=bool(flags & sctp.END),
                    unordered=bool(flags & sctp.UNORDERED),
                    delay_sack=0,
                ),
            ),
            NUMBERS,
            st.tuples(SHORTS, SHORTS),
            payloads,
            st.integers(0, 7),
        ),
        st.builds(
            lambda tsn, window, gaps, duplicates: (
                Sack(tsn, window, gaps, tuple(duplicates)).chunk(),
                SCTPChunkSACK(
                    cumul_tsn_ack=tsn,
                    a_rwnd=window,
                    gap_ack_list=[f"{start}:{end}" for start, end in gaps],
                    dup_tsn_list=list(duplicates),
                ),
            ),
            NUMBERS,
            NUMBERS,
            GAPS,
            st.lists(NUMBERS, max_size=3),
        ),
        NUMBERS.map(lambda tsn: (sctp.shutdown(tsn), SCTPChunkShutdown(cumul_tsn_ack=tsn))),
        payloads.map(
            lambda cookie: (Chunk(ChunkType.COOKIE_ECHO, 0, cookie), SCTPChunkCookieEcho(cookie=cookie))
        ),
        whole.map(
            lambda info: (
                Chunk(ChunkType.HEARTBEAT, 0, Parameter(ParameterType.HEARTBEAT_INFO, info).build()),
                SCTPChunkHeartbeatReq(params=[SCTPChunkParamHeartbeatInfo(data=info)]),
            )
        ),
        whole.map(
            lambda info: (
                Chunk(ChunkType.HEARTBEAT_ACK, 0, Parameter(ParameterType.HEARTBEAT_INFO, info).build()),
                SCTPChunkHeartbeatAck(params=[SCTPChunkParamHeartbeatInfo(data=info)]),
            )
        ),
        st.sampled_from(
            [
                (Chunk(ChunkType.COOKIE_ACK), SCTPChunkCookieAck()),
                (Chunk(ChunkType.SHUTDOWN_ACK), SCTPChunkShutdownAck()),
                (Chunk(ChunkType.SHUTDOWN_COMPLETE), SCTPChunkShutdownComplete()),
                (Chunk(ChunkType.SHUTDOWN_COMPLETE, sctp.T_BIT), SCTPChunkShutdownComplete(TCB=1)),
                (sctp.abort(), SCTPChunkAbort()),
                (sctp.abort(tag_reflected=True), SCTPChunkAbort(TCB=1)),
                (sctp.error(), SCTPChunkError()),
            ]
        ),
    )


@given(SHORTS, SHORTS, NUMBERS, chunks_and_scapys())
def test_a_packet_has_the_octets_that_scapy_gives_it(
    sport: int, dport: int, tag: int, chunk: tuple[Chunk, Packet]
) -> None:
    """Every field, the padding and the checksum."""
    ours, theirs = chunk
    built = sctp.build(sport, dport, tag, [ours])
    assert built == bytes(SCTP(sport=sport, dport=dport, tag=tag) / theirs)
    assert len(built) % 4 == 0


@given(NUMBERS, st.lists(chunks_and_scapys().map(lambda pair: pair[0]), max_size=4))
def test_what_is_built_is_read_again(tag: int, chunks: list[Chunk]) -> None:
    """Header and chunks, whatever their lengths."""
    packet = sctp.build(1, 2, tag, chunks)
    assert Sctp.parse(packet)[:3] == (1, 2, tag)
    assert list(sctp.read_chunks(packet)) == chunks
    assert sctp.checksum_holds(packet)


@given(st.integers(0, 35), st.integers(1, 255))
def test_a_changed_octet_breaks_the_checksum(at: int, change: int) -> None:
    """Wherever it is, the checksum itself included."""
    packet = bytearray(sctp.build(1, 2, 3, [Data(1, 0, 0, 0, b"quick").chunk()]))
    packet[at] ^= change
    assert not sctp.checksum_holds(bytes(packet))


def test_what_chunks_say_is_read_again() -> None:
    """INIT with its parameters, DATA, SACK, SHUTDOWN."""
    cookie = Parameter(ParameterType.STATE_COOKIE, b"biscuit")
    unknown = Parameter(0xC000, b"x")
    init = Init(1, 2, 3, 4, 5, (unknown, cookie))
    assert Init.parse(init.chunk(ChunkType.INIT_ACK).value) == init
    assert init.parameter(ParameterType.STATE_COOKIE) == b"biscuit"
    assert init.parameter(ParameterType.HOST_NAME) is None
    data = Data(9, 0, 1, 2, b"payload", sctp.BEGIN)
    assert Data.parse(data.chunk()) == data
    sack = Sack(9, 100, ((2, 3), (5, 5)), (7, 7))
    assert Sack.parse(sack.chunk().value) == sack
    assert sctp.read_shutdown(sctp.shutdown(9).value) == 9


@pytest.mark.parametrize(
    "chunks",
    [b"\0", b"\0\0\0", b"\3\0\0\3", b"\3\0\0\5", b"\0\0\0\0\0\0\0\0"],
    ids=["one octet", "three octets", "shorter than its header", "longer than the packet", "length 0"],
)
def test_a_malformed_chunk_is_refused(chunks: bytes) -> None:
    """Nothing behind it can be found."""
    with pytest.raises(HeaderError):
        list(sctp.read_chunks(bytes(12) + chunks))


def test_the_padding_of_the_last_parameter_is_not_counted() -> None:
    """That of the others is (RFC 9260 §3.2.1); who counts all of it is understood, too."""
    one, two = Parameter(0x8008, b"abc"), Parameter(0x8009, b"d")
    octets = sctp.build_parameters((one, two))
    assert len(octets) == 8 + 5
    assert sctp.read_parameters(octets) == sctp.read_parameters(octets + bytes(3)) == (one, two)


def test_what_is_cut_short_is_refused() -> None:
    """A header, an INIT, DATA, a SACK, a SHUTDOWN, a parameter."""
    with pytest.raises(HeaderError):
        Sctp.parse(bytes(11))
    with pytest.raises(HeaderError):
        Init.parse(bytes(15))
    with pytest.raises(HeaderError):
        Init.parse(bytes(16) + b"\0\7\0\11cookie"[:7])
    with pytest.raises(HeaderError):
        Data.parse(Chunk(ChunkType.DATA, 3, bytes(11)))
    with pytest.raises(HeaderError):
        Sack.parse(bytes(11))
    with pytest.raises(HeaderError):
        Sack.parse(bytes(8) + b"\0\1\0\0")
    with pytest.raises(HeaderError):
        sctp.read_shutdown(b"\0")


@given(st.binary(max_size=60))
def test_no_octets_break_the_reading(octets: bytes) -> None:
    """They are read, or refused by `HeaderError`."""
    try:
        chunks = list(sctp.read_chunks(bytes(12) + octets))
    except HeaderError:
        return
    assert sum(len(chunk.build()) for chunk in chunks) >= len(octets)


def test_scapy_reads_a_user_message() -> None:
    """The dissector agrees about where the payload begins."""
    packet = SCTP(sctp.build(5000, 36412, 1, [Data(1, 0, 0, 0, b"hello").chunk()]))
    assert bytes(packet[SCTPChunkData].data) == b"hello"
