# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import io
import shutil
import struct
import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emu.errors import CaptureFileError, OutputError
from emu.observe.capture_file import read_capture
from emu.observe.pcap import PcapWriter, read_pcap
from emu.observe.pcapng import PcapngWriter
from emu.observe.record import LINK_TYPE_RAW, CapturedFrame, CapturePoint, Direction
from tests.unit.observe.reading import until_fault

if TYPE_CHECKING:
    from pathlib import Path

NOON_NS = 1_735_732_800_123_456_789
OCTETS = bytes.fromhex("020000000002 020000000001 88b5") + b"to whom it may concern"
NS_LITTLE, US_LITTLE = bytes.fromhex("4d3cb2a1"), bytes.fromhex("d4c3b2a1")
NS_BIG, US_BIG = bytes.fromhex("a1b23c4d"), bytes.fromhex("a1b2c3d4")

needs_tshark = pytest.mark.skipif(not shutil.which("tshark"), reason="tshark is not installed")


def frames() -> st.SearchStrategy[CapturedFrame]:
    """Any frame as classic pcap keeps it; shrinks to an empty one in 1970."""

    def frame(time_ns: int, octets: bytes, missing: int) -> CapturedFrame:
        return CapturedFrame(time_ns, 0, octets, wire_length=len(octets) + missing if missing else None)

    times = st.integers(0, 2**32 * 10**9 - 1)
    return st.builds(frame, times, st.binary(max_size=100), st.integers(0, 2000))


def write(captured: list[CapturedFrame]) -> tuple[bytes, list[int]]:
    """Return the file that holds these frames, and where its parts end."""
    stream = io.BytesIO()
    writer = PcapWriter(stream)
    ends = [stream.tell()]
    for frame in captured:
        writer.write(frame)
        ends.append(stream.tell())
    return stream.getvalue(), ends


def read(octets: bytes) -> list[CapturedFrame]:
    """Return the frames of the file of these octets."""
    return list(read_pcap(io.BytesIO(octets)))


def head(magic: bytes = NS_LITTLE, version: tuple[int, int] = (2, 4), link_word: int = 1) -> bytes:
    """Return a file header as some program may write it."""
    order = "<" if magic in (NS_LITTLE, US_LITTLE) else ">"
    return magic + struct.pack(order + "HHiIII", *version, 0, 0, 65535, link_word)


class TestWriter:
    """Classic pcap as it leaves us."""

    def test_file_is_nanosecond_little_endian_ethernet(self) -> None:
        """Header and frames are, octet for octet, the form in which golden captures are stored."""
        octets, _ = write([CapturedFrame(NOON_NS, 3, b"abc", Direction.IN, 42, ("lost",))])
        assert octets == (
            struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262144, 1)
            + struct.pack("<IIII", 1_735_732_800, 123_456_789, 3, 3)
            + b"abc"
        )

    def test_other_link_types_can_be_written(self) -> None:
        """The frames of a tunnel device are IP packets, and the header says so."""
        stream = io.BytesIO()
        PcapWriter(stream, link_type=LINK_TYPE_RAW)
        assert stream.getvalue()[20:] == bytes((101, 0, 0, 0))

    @given(captured=st.lists(frames(), max_size=8))
    def test_everything_written_is_read(self, captured: list[CapturedFrame]) -> None:
        """Times, octets and lengths come back as they were."""
        assert read(write(captured)[0]) == captured

    def test_many_frames_are_written_in_batches(self) -> None:
        """A long capture is the same octets, whether written at once or one by one."""
        captured = [CapturedFrame(NOON_NS + number, 0, OCTETS) for number in range(5000)]
        stream = io.BytesIO()
        PcapWriter(stream).write_all(captured)
        assert stream.getvalue() == write(captured)[0]

    @pytest.mark.parametrize(
        "frame",
        [
            CapturedFrame(-1, 0, OCTETS),
            CapturedFrame(2**32 * 10**9, 0, OCTETS),
            CapturedFrame(0, 0, OCTETS, wire_length=3),
            CapturedFrame(0, 0, OCTETS, wire_length=2**32),
            CapturedFrame(0, 0, bytes(262145)),
        ],
        ids=lambda frame: repr(frame)[:60],
    )
    def test_frame_that_does_not_fit_is_an_error_and_leaves_the_file_whole(
        self, frame: CapturedFrame
    ) -> None:
        """A refused frame writes nothing; the frames before it are there."""
        stream = io.BytesIO()
        good = CapturedFrame(NOON_NS, 0, OCTETS)
        with pytest.raises(OutputError, match="pcap holds no frame"):
            PcapWriter(stream).write_all([good, frame, good])
        assert read(stream.getvalue()) == [good]


class TestReader:
    """Classic pcap from anywhere."""

    @given(
        magic=st.sampled_from([NS_LITTLE, NS_BIG, US_LITTLE, US_BIG]),
        seconds=st.integers(0, 2**32 - 1),
        fraction=st.integers(0, 10**6 - 1),
    )
    def test_time_is_exact_in_both_resolutions_and_byte_orders(
        self, magic: bytes, seconds: int, fraction: int
    ) -> None:
        """A fraction counts microseconds or nanoseconds, as the magic number says."""
        order = "<" if magic in (NS_LITTLE, US_LITTLE) else ">"
        octets = head(magic) + struct.pack(order + "IIII", seconds, fraction, 3, 70) + b"abc"
        scale = 1 if magic in (NS_LITTLE, NS_BIG) else 1000
        time_ns = seconds * 10**9 + fraction * scale
        assert read(octets) == [CapturedFrame(time_ns, 0, b"abc", wire_length=70)]

    @pytest.mark.parametrize(
        ("octets", "message"),
        [
            (b"", "octet 0: expected the magic number .*, found the end of the file"),
            (b"GIF8", "octet 0: .*, found 47 49 46 38"),
            (head()[:23], "octet 0: expected 24 octets of a file header, found only 23"),
            (head(version=(2, 3)), "octet 4: expected pcap version 2.4, found 2.3"),
            (head(link_word=113), "octet 20: expected link type ETHERNET .1., found LINUX_SLL .113."),
            (head(US_BIG, link_word=105), "octet 20: .* found IEEE802_11 .105."),
            (head(link_word=4711), "octet 20: .* found 4711"),
            (head(link_word=0x24000001), "octet 20: expected a link type without flags, found 0x24000001"),
            (head() + bytes(15), "octet 24: expected 16 octets of a frame header, found only 15"),
            (
                head() + struct.pack("<IIII", 0, 10**9, 0, 0),
                "octet 28: .* below 1000000000, found 1000000000",
            ),
            (head(US_LITTLE) + struct.pack("<IIII", 0, 10**6, 0, 0), "octet 28: .* below 1000000"),
            (head() + struct.pack("<IIII", 0, 0, 262145, 262145), "octet 32: .* at most 262144"),
            (head() + struct.pack("<IIII", 0, 0, 9, 8), "octet 36: expected a frame of 9 octets or more"),
            (head() + struct.pack("<IIII", 0, 0, 9, 9) + bytes(8), "octet 40: .* found only 8"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_fault_is_named_with_its_place(self, octets: bytes, message: str) -> None:
        """The error tells the offset, what was expected there and what was found."""
        with pytest.raises(CaptureFileError, match=message):
            read(octets)

    @given(captured=st.lists(frames(), max_size=4), data=st.data())
    def test_truncated_file_gives_its_whole_frames_and_an_error(
        self, captured: list[CapturedFrame], data: st.DataObject
    ) -> None:
        """Cut anywhere but between frames, a file yields what came before and then a fault."""
        octets, ends = write(captured)
        cut = data.draw(st.integers(0, len(octets) - 1))
        got, error = until_fault(read_capture(io.BytesIO(octets[:cut])))
        assert got == captured[: sum(end <= cut for end in ends[1:])]
        assert (error is None) == (cut in ends)


class TestEitherKind:
    """A capture file is known by its first octets, not by its name."""

    @given(captured=st.lists(frames(), max_size=4))
    def test_both_kinds_give_the_same_frames(self, captured: list[CapturedFrame]) -> None:
        """What was captured does not depend on the format it was kept in."""
        stream = io.BytesIO()
        writer = PcapngWriter(stream, application="emu")
        writer.add_point(CapturePoint("eth0@default/web-1"))
        writer.write_all(captured)
        for octets in (stream.getvalue(), write(captured)[0]):
            assert until_fault(read_capture(io.BytesIO(octets))) == (captured, None)

    @pytest.mark.parametrize(("octets", "found"), [(b"", "the end of the file"), (b"PK\3\4", "50 4b 03 04")])
    def test_another_kind_of_file_is_an_error(self, octets: bytes, found: str) -> None:
        """The error says what the file begins with."""
        with pytest.raises(CaptureFileError, match=f"pcap or pcapng file, found {found}"):
            list(read_capture(io.BytesIO(octets)))

    @given(magic=st.sampled_from([b"", NS_LITTLE, US_BIG, head(), head(US_BIG)]), octets=st.binary())
    def test_arbitrary_octets_never_raise_anything_else(self, magic: bytes, octets: bytes) -> None:
        """Whatever is read, it is understood or a `CaptureFileError`."""
        until_fault(read_capture(io.BytesIO(magic + octets)))


@pytest.mark.tshark
@needs_tshark
def test_capinfos_agrees(tmp_path: Path) -> None:
    """The file is a nanosecond pcap of Ethernet frames."""
    path = tmp_path / "lab.pcap"
    path.write_bytes(write([CapturedFrame(NOON_NS, 0, OCTETS), CapturedFrame(NOON_NS + 1, 0, OCTETS)])[0])
    told = subprocess.run(["capinfos", path], check=True, capture_output=True, text=True).stdout
    lines = {" ".join(line.split()) for line in told.splitlines()}
    assert lines >= {
        "File type: Wireshark/tcpdump/... - nanosecond pcap",
        "File encapsulation: Ethernet",
        "File timestamp precision: nanoseconds (9)",
        "Packet size limit: file hdr: 262144 bytes",
        "Number of packets: 2",
        "Capture duration: 0.000000001 seconds",
    }
