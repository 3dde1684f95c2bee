# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import io
import shutil
import struct
import subprocess
from typing import TYPE_CHECKING, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emu.errors import CaptureFileError, OutputError
from emu.observe.pcapng import NameTable, PcapngWriter, Record, Section, TlsSecrets
from emu.observe.pcapng_reader import read_pcapng
from emu.observe.record import (
    LINK_TYPE_ETHERNET,
    LINK_TYPE_RAW,
    CapturedFrame,
    CapturePoint,
    Direction,
)
from emu.wire.addresses import IpAddress, MacAddress
from tests.unit.observe.reading import until_fault

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

NOON_NS = 1_735_732_800_123_456_789
WEB = CapturePoint("eth0@default/web-1", "pod default/web-1", MacAddress.parse("02:00:00:00:00:01"))
BRIDGE = CapturePoint("cni0@node/worker-1")
OCTETS = bytes.fromhex("020000000002 020000000001 88b5") + b"to whom it may concern"

needs_tshark = pytest.mark.skipif(not shutil.which("tshark"), reason="tshark is not installed")


def points() -> st.SearchStrategy[CapturePoint]:
    """Any Ethernet capture point that a file can describe."""
    macs = st.none() | st.binary(min_size=6, max_size=6).map(MacAddress)
    return st.builds(CapturePoint, st.text(max_size=30), st.text(max_size=30), macs)


def frames(point_count: int) -> st.SearchStrategy[CapturedFrame]:
    """Any frame that one of `point_count` points can have recorded; shrinks to an empty one in 1970."""

    def cut(frame: CapturedFrame, missing: int) -> CapturedFrame:
        return frame._replace(wire_length=len(frame.octets) + missing if missing else None)

    whole = st.builds(
        CapturedFrame,
        time_ns=st.integers(0, 2**64 - 1),
        point=st.integers(0, point_count - 1),
        octets=st.binary(max_size=100),
        direction=st.sampled_from(Direction),
        packet_id=st.none() | st.integers(0, 2**64 - 1),
        comments=st.lists(st.text(max_size=20), max_size=3).map(tuple),
        link_type=st.just(LINK_TYPE_ETHERNET),
    )
    return st.builds(cut, whole, st.integers(0, 2000))


def name_tables() -> st.SearchStrategy[NameTable]:
    """Names, without NUL, for addresses of both families."""
    addresses = st.binary(min_size=4, max_size=4) | st.binary(min_size=16, max_size=16)
    names = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
    pairs = st.tuples(addresses.map(IpAddress), names)
    return st.lists(pairs, min_size=1, max_size=4).map(lambda table: NameTable(tuple(table)))


@st.composite
def contents(draw: st.DrawFn) -> list[Record]:
    """A section: its head, a capture point, then anything in any order."""
    head = Section(draw(st.text(max_size=20)), tuple(draw(st.lists(st.text(min_size=1), max_size=1))))
    records: list[Record] = [head, draw(points())]
    secrets = st.binary(max_size=50).map(TlsSecrets)
    for _ in range(draw(st.integers(0, 6))):
        known = sum(isinstance(record, CapturePoint) for record in records)
        records.append(draw(frames(known) | points() | name_tables() | secrets))
    return records


def write(records: Iterable[Record]) -> tuple[bytes, list[int]]:
    """Return the file that holds `records`, and where each of its blocks ends."""
    stream = io.BytesIO()
    writer: PcapngWriter | None = None
    ends = []
    for record in records:
        match record:
            case Section(application, comments):
                writer = PcapngWriter(stream, application=application, comment="".join(comments))
            case _ if writer is None:
                raise AssertionError
            case CapturePoint():
                writer.add_point(record)
            case NameTable(names):
                writer.add_names(names)
            case TlsSecrets(key_log):
                writer.add_secrets(key_log)
            case CapturedFrame():
                writer.write(record)
        ends.append(stream.tell())
    return stream.getvalue(), ends


def read(octets: bytes) -> list[Record]:
    """Return what the file of these octets holds."""
    return list(read_pcapng(io.BytesIO(octets)))


class TestRoundTrip:
    """What is written can be read again."""

    @given(records=contents())
    def test_everything_written_is_read_in_order(self, records: list[Record]) -> None:
        """Points, frames, names and secrets come back as they were, and in their order."""
        assert read(write(records)[0]) == records

    @given(batch=st.lists(frames(2), max_size=10))
    def test_many_frames_at_once_are_the_same_octets_as_one_by_one(self, batch: list[CapturedFrame]) -> None:
        """`write_all` writes what `write` does."""
        streams = io.BytesIO(), io.BytesIO()
        together, apart = (PcapngWriter(stream, application="emu") for stream in streams)
        for writer in (together, apart):
            writer.add_point(WEB)
            writer.add_point(BRIDGE)
        together.write_all(batch)
        for frame in batch:
            apart.write(frame)
        assert streams[0].getvalue() == streams[1].getvalue()

    def test_many_frames_are_written_in_batches(self) -> None:
        """A long capture is not held in memory until its end, and comes out whole."""
        stream = io.BytesIO()
        writer = PcapngWriter(stream, application="emu")
        writer.add_point(WEB)
        seen = []

        def endless() -> Iterable[CapturedFrame]:
            for number in range(5000):
                seen.append(stream.tell())
                yield CapturedFrame(NOON_NS + number, 0, OCTETS, Direction.IN, number)

        writer.write_all(endless())
        assert len(set(seen)) > 2
        stamps = [record.time_ns for record in read(stream.getvalue()) if isinstance(record, CapturedFrame)]
        assert stamps == [NOON_NS + number for number in range(5000)]

    def test_many_names_are_spread_over_several_blocks(self) -> None:
        """A name table larger than readers take as one block is divided."""
        names = tuple(
            (IpAddress.from_int(0x0A000000 + number), f"pod-{number}." + "x" * 200)
            for number in range(50_000)
        )
        stream = io.BytesIO()
        PcapngWriter(stream, application="emu").add_names(names)
        _, *tables = read(stream.getvalue())
        assert len(tables) == 2
        assert sum((table.names for table in tables if isinstance(table, NameTable)), ()) == names


class TestRefusedOutput:
    """Values that the format has no room for."""

    @pytest.mark.parametrize(
        "frame",
        [
            CapturedFrame(-1, 0, OCTETS),
            CapturedFrame(2**64, 0, OCTETS),
            CapturedFrame(0, 1, OCTETS),
            CapturedFrame(0, -1, OCTETS),
            CapturedFrame(0, 0, OCTETS, packet_id=-1),
            CapturedFrame(0, 0, OCTETS, packet_id=2**64),
            CapturedFrame(0, 0, OCTETS, comments=("x" * 65536,)),
            CapturedFrame(0, 0, OCTETS, comments=("\ud800",)),
            CapturedFrame(0, 0, OCTETS, wire_length=3),
            CapturedFrame(0, 0, bytes(262145)),
        ],
        ids=lambda frame: repr(frame)[:60],
    )
    def test_frame_that_does_not_fit_is_an_error_and_leaves_the_file_whole(
        self, frame: CapturedFrame
    ) -> None:
        """A refused frame writes nothing; the frames before it are there."""
        stream = io.BytesIO()
        writer = PcapngWriter(stream, application="emu")
        writer.add_point(WEB)
        good = CapturedFrame(NOON_NS, 0, OCTETS)
        with pytest.raises(OutputError):
            writer.write_all([good, frame, good])
        assert read(stream.getvalue()) == [Section("emu"), WEB, good]

    def test_name_with_nul_is_an_error(self) -> None:
        """A NUL ends a name in the file, so it cannot be part of one."""
        writer = PcapngWriter(io.BytesIO(), application="emu")
        with pytest.raises(OutputError, match="NUL"):
            writer.add_names([(IpAddress.parse("10.0.0.1"), "web\0x")])

    def test_secrets_too_long_for_a_block_are_an_error(self) -> None:
        """Nothing is written that readers refuse."""
        writer = PcapngWriter(io.BytesIO(), application="emu")
        with pytest.raises(OutputError, match="16777216"):
            writer.add_secrets(bytes(1 << 24))


class TestAnyOctets:
    """The reader meets files of unknown origin."""

    @given(octets=st.binary(max_size=200))
    def test_arbitrary_octets_never_raise_anything_else(self, octets: bytes) -> None:
        """Whatever is read, it is understood or a `CaptureFileError`."""
        assert until_fault(read_pcapng(io.BytesIO(octets)))[1] is not None

    @given(records=contents(), data=st.data())
    def test_damaged_file_never_raises_anything_else(
        self, records: list[Record], data: st.DataObject
    ) -> None:
        """A few overwritten octets in a good file are read or refused, nothing worse."""
        octets = bytearray(write(records)[0])
        for _ in range(data.draw(st.integers(1, 3))):
            octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
        until_fault(read_pcapng(io.BytesIO(bytes(octets))))

    @given(records=contents(), data=st.data())
    def test_truncated_file_gives_its_whole_blocks_and_an_error(
        self, records: list[Record], data: st.DataObject
    ) -> None:
        """Cut anywhere but between blocks, a file yields what came before and then a fault."""
        octets, ends = write(records)
        cut = data.draw(st.integers(0, len(octets) - 1))
        got, error = until_fault(read_pcapng(io.BytesIO(octets[:cut])))
        assert got == records[: sum(end <= cut for end in ends)]
        assert (error is None) == (cut in ends)


class Dialect(NamedTuple):
    """How some other program writes pcapng: byte order and time stamp resolution."""

    order: str = "<"
    resolution: int | None = 9

    def block(self, kind: int, body: bytes) -> bytes:
        """Return a block of `body`, padded."""
        body += bytes(-len(body) % 4)
        length = struct.pack(self.order + "I", 12 + len(body))
        return struct.pack(self.order + "I", kind) + length + body + length

    def option(self, code: int, value: bytes) -> bytes:
        """Return an option, padded."""
        return struct.pack(self.order + "HH", code, len(value)) + value + bytes(-len(value) % 4)

    def section(self, length: int = -1, version: tuple[int, int] = (1, 0)) -> bytes:
        """Return a section header."""
        return self.block(0x0A0D0D0A, struct.pack(self.order + "IHHq", 0x1A2B3C4D, *version, length))

    def interface(self, link_type: int = 1, snap_length: int = 0, options: bytes = b"") -> bytes:
        """Return an interface description of this dialect's resolution."""
        if self.resolution is not None:
            options += self.option(9, bytes((self.resolution,)))
        return self.block(1, struct.pack(self.order + "HHI", link_type, 0, snap_length) + options)

    def packet(self, ticks: int, octets: bytes, options: bytes = b"", number: int = 0) -> bytes:
        """Return an enhanced packet block."""
        head = struct.pack(
            self.order + "IIIII", number, ticks >> 32, ticks & 0xFFFFFFFF, len(octets), len(octets)
        )
        return self.block(6, head + octets + bytes(-len(octets) % 4) + options)


LITTLE, BIG = Dialect("<"), Dialect(">")


def only_frame(octets: bytes) -> CapturedFrame:
    """Return the one frame in a file."""
    (frame,) = [record for record in read(octets) if isinstance(record, CapturedFrame)]
    return frame


class TestForeignFiles:
    """Files that other programs write."""

    @given(
        order=st.sampled_from("<>"),
        resolution=st.none() | st.integers(0, 255),
        ticks=st.integers(0, 2**64 - 1),
        offset=st.integers(-(2**63), 2**63 - 1),
    )
    def test_time_is_exact_in_every_resolution_and_byte_order(
        self, order: str, resolution: int | None, ticks: int, offset: int
    ) -> None:
        """Ticks of 10^-n or 2^-n seconds, plus the offset, become ns since the epoch, rounded down."""
        other = Dialect(order, resolution)
        interface = other.interface(options=other.option(14, struct.pack(order + "q", offset)))
        frame = only_frame(other.section() + interface + other.packet(ticks, OCTETS))
        exponent = 6 if resolution is None else resolution
        per_second = 2 ** (exponent - 128) if exponent >= 128 else 10**exponent
        assert frame.octets == OCTETS
        assert (frame.time_ns - offset * 10**9) == ticks * 10**9 // per_second

    @pytest.mark.parametrize("other", [LITTLE, BIG])
    def test_options_are_read_in_both_byte_orders(self, other: Dialect) -> None:
        """Comments, direction and packet id come from the options, known or not to us."""
        options = (
            other.option(1, b"DNAT")
            + other.option(4, bytes(8))  # a drop count
            + other.option(1, b"routed")
            + other.option(2, struct.pack(other.order + "I", 0x12))
            + other.option(5, struct.pack(other.order + "Q", 42))
            + other.option(0, b"")
        )
        frame = only_frame(other.section() + other.interface() + other.packet(7, OCTETS, options))
        assert frame == CapturedFrame(7, 0, OCTETS, Direction.OUT, 42, ("DNAT", "routed"))

    def test_frames_before_pcapng_had_its_packet_block_are_read(self) -> None:
        """The obsolete packet block has a frame like any other."""
        head = struct.pack("<HHIIII", 0, 3, 0, 99, 3, 60)
        block = LITTLE.block(2, head + b"abc\0" + LITTLE.option(2, struct.pack("<I", 1)))
        frame = only_frame(LITTLE.section() + LITTLE.interface() + block)
        assert frame == CapturedFrame(99, 0, b"abc", Direction.IN, wire_length=60)

    @pytest.mark.parametrize(("snap_length", "kept"), [(0, 6), (4, 4), (100, 6)])
    def test_simple_packet_is_cut_by_the_snap_length(self, snap_length: int, kept: int) -> None:
        """A simple packet block says only how long the frame was."""
        octets = b"abcdef"[:kept]
        block = LITTLE.block(3, struct.pack("<I", 6) + octets)
        frame = only_frame(LITTLE.section() + LITTLE.interface(snap_length=snap_length) + block)
        assert frame == CapturedFrame(0, 0, octets, wire_length=None if kept == 6 else 6)

    def test_unknown_blocks_and_secrets_are_passed_over(self) -> None:
        """Statistics, custom blocks and other programs' secrets do not disturb."""
        statistics, custom = LITTLE.block(5, bytes(12)), LITTLE.block(0xBAD, b"abcd")
        wireguard = LITTLE.block(10, struct.pack("<II", 0x57474B4C, 3) + b"key")
        octets = LITTLE.section() + statistics + LITTLE.interface() + custom + wireguard
        assert read(octets + LITTLE.packet(5, OCTETS))[2:] == [CapturedFrame(5, 0, OCTETS)]

    def test_points_are_counted_over_sections(self) -> None:
        """Files put one behind the other keep their frames' points apart, whatever the byte order."""
        first = LITTLE.section() + LITTLE.interface() + LITTLE.packet(1, b"x")
        second = BIG.section() + BIG.interface() + BIG.interface() + BIG.packet(2, b"y", number=1)
        numbers = [record.point for record in read(first + second) if isinstance(record, CapturedFrame)]
        assert numbers == [0, 2]

    def test_several_names_of_one_address_are_all_read(self) -> None:
        """A name record may hold more than one name; who told them is passed over."""
        record = LITTLE.option(1, bytes((10, 0, 0, 1)) + b"web\0web.default\0")
        block = LITTLE.block(4, record + LITTLE.option(7, b"x") + bytes(4) + LITTLE.option(2, b"dns"))
        address = IpAddress.parse("10.0.0.1")
        assert read(LITTLE.section() + block)[1] == NameTable(((address, "web"), (address, "web.default")))

    def test_section_length_is_believed_where_it_is_right(self) -> None:
        """A section may state its length, and then it must be that long."""
        body = LITTLE.interface() + LITTLE.packet(1, OCTETS)
        good = LITTLE.section(len(body)) + body
        assert len(read(good + good)) == 6
        with pytest.raises(CaptureFileError, match="section to end at octet"):
            read(LITTLE.section(len(body) + 4) + body)


FOREIGN_HEAD = LITTLE.section() + LITTLE.interface()


class TestCorruptFiles:
    """What is wrong is said, with its place."""

    @pytest.mark.parametrize(
        ("octets", "message"),
        [
            (b"", "octet 0: expected a pcapng section header, found the end"),
            (b"GIF8", "octet 0: expected a pcapng section header, found 47 49 46 38"),
            (b"\x0a\x0d\x0d\x0a\x1c\0\0\0\x01\x02\x03\x04", "octet 8: expected the byte-order magic"),
            (LITTLE.section(version=(2, 0)), "expected pcapng version 1.0, found 2.0"),
            (FOREIGN_HEAD + struct.pack("<II", 6, 13), "octet 60: .* multiple of 4.* found 13"),
            (FOREIGN_HEAD + struct.pack("<II", 6, 8), "octet 60: .* found 8"),
            (FOREIGN_HEAD + struct.pack("<II", 6, 1 << 25), "octet 60: .* found 33554432"),
            (FOREIGN_HEAD + struct.pack("<III", 9, 12, 16), "octet 64: expected the block's length 12 again"),
            (FOREIGN_HEAD + struct.pack("<II", 6, 64), "52 octets of a block, found only 0"),
            (FOREIGN_HEAD + LITTLE.block(6, bytes(16)), "20 octets of a packet header"),
            (FOREIGN_HEAD + LITTLE.packet(0, b"x", number=1), "one of the 1 interfaces .* number 1"),
            (LITTLE.section() + LITTLE.packet(0, b"x"), "one of the 0 interfaces"),
            (LITTLE.section() + LITTLE.interface(276) + LITTLE.packet(0, b"x"), "LINUX_SLL2 .276."),
            (LITTLE.section() + LITTLE.interface(4711) + LITTLE.packet(0, b"x"), "found 4711"),
            (
                FOREIGN_HEAD + LITTLE.block(6, struct.pack("<IIIII", 0, 0, 0, 9, 8) + bytes(12)),
                "a packet of 9 octets or more, as captured, found 8",
            ),
            (
                FOREIGN_HEAD + LITTLE.block(6, struct.pack("<IIIII", 0, 0, 0, 9, 9) + bytes(8)),
                "12 octets of packet data, found only 8",
            ),
            (FOREIGN_HEAD + LITTLE.block(3, struct.pack("<I", 3) + bytes(8)), "behind its packet"),
            (FOREIGN_HEAD + LITTLE.packet(0, b"", LITTLE.option(1, b"\xff")), "a comment in UTF-8"),
            (FOREIGN_HEAD + LITTLE.packet(0, b"", LITTLE.option(2, b"x")), "4 octets of packet flags"),
            (FOREIGN_HEAD + LITTLE.packet(0, b"", LITTLE.option(2, b"\3\0\0\0")), "direction 0 to 2"),
            (FOREIGN_HEAD + LITTLE.packet(0, b"", LITTLE.option(2, b"\x80\0\0\0")), "check sequence"),
            (FOREIGN_HEAD + LITTLE.packet(0, b"", LITTLE.option(5, b"x")), "8 octets of packet id"),
            (FOREIGN_HEAD + LITTLE.packet(0, b"", bytes(8)), "the end of the block behind its options"),
            (FOREIGN_HEAD + LITTLE.packet(0, b"", b"\x01\0\xff\xff"), "65536 octets of an option"),
            (LITTLE.section() + LITTLE.interface(options=LITTLE.option(13, b"\x04")), "check sequence"),
            (LITTLE.section() + LITTLE.interface(options=LITTLE.option(6, b"12345")), "6 octets of MAC"),
            (LITTLE.section() + LITTLE.interface(options=LITTLE.option(14, b"1")), "time stamp offset"),
            (LITTLE.section() + LITTLE.block(4, LITTLE.option(1, b"abcdef")), "names that end in NUL"),
            (LITTLE.section() + LITTLE.block(10, struct.pack("<II", 1, 9)), "12 octets of secrets"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_fault_is_named_with_its_place(self, octets: bytes, message: str) -> None:
        """The error tells the offset, what was expected there and what was found."""
        with pytest.raises(CaptureFileError, match=r"octet [0-9]+: expected .*, found .*") as caught:
            read(octets)
        assert caught.match(message)

    def test_interface_without_ethernet_is_no_fault_until_it_has_a_frame(self) -> None:
        """Programs describe every interface they know; only frames have to be Ethernet."""
        octets = (
            LITTLE.section() + LITTLE.interface(276) + LITTLE.interface() + LITTLE.packet(1, b"", number=1)
        )
        assert only_frame(octets).point == 1

    def test_short_reads_of_a_pipe_are_put_together(self) -> None:
        """A stream that gives a few octets at a time is read like any other."""

        class Drip(io.BytesIO):
            def read(self, size: int | None = -1, /) -> bytes:
                return super().read(min(size or 0, 3))

        octets = write([Section("emu"), WEB, CapturedFrame(NOON_NS, 0, OCTETS)])[0]
        assert list(read_pcapng(Drip(octets))) == read(octets)


def lab_capture(path: Path) -> None:
    """Write a capture of one packet at two points, with everything there is to see in it."""
    datagram = bytes.fromhex("45000021000100004011654c 0a000001 0a000102 9c409c41 000d0000") + b"hello"
    frame = bytes.fromhex("020000000002 020000000001 0800") + datagram
    with path.open("wb") as stream:
        writer = PcapngWriter(stream, application="emu 0.1.0", comment="a lab of two nodes")
        web, bridge = writer.add_point(WEB), writer.add_point(BRIDGE)
        writer.add_names(
            [
                (IpAddress.parse("10.0.0.1"), "web-0.default.pod"),
                (IpAddress.parse("10.0.1.2"), "coredns.kube-system"),
                (IpAddress.parse("2001:db8::1"), "six.default.pod"),
            ]
        )
        writer.add_secrets(b"CLIENT_RANDOM " + b"00" * 32 + b" " + b"11" * 48 + b"\n")
        writer.write(CapturedFrame(NOON_NS, web, frame, Direction.OUT, 42))
        comments = ("DNAT 10.96.0.10:40001 -> 10.0.1.2:40001 by KUBE-SEP-ABC", "DROP FORWARD_POLICY_DROP")
        writer.write(CapturedFrame(NOON_NS + 1, bridge, frame, Direction.IN, 42, comments))
        writer.write(CapturedFrame(NOON_NS + 2, bridge, frame, comments=("alone",)))
    path.chmod(0o644)


def run(*command: str) -> str:
    """Return what a program prints."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.mark.tshark
@needs_tshark
class TestWireshark:
    """What Wireshark shows of our files."""

    def test_every_field_is_seen(self, tmp_path: Path) -> None:
        """Point, nanoseconds, direction, packet id and comments are there, frame by frame."""
        lab_capture(tmp_path / "lab.pcapng")
        names = ("interface_name", "time_epoch", "packet_flags_direction", "packet_id", "comment")
        fields = [argument for name in names for argument in ("-e", f"frame.{name}")]
        shown = run("tshark", "-r", str(tmp_path / "lab.pcapng"), "-T", "fields", *fields)
        assert [line.split("\t") for line in shown.splitlines()] == [
            ["eth0@default/web-1", "1735732800.123456789", "0x00000002", "42", ""],
            [
                "cni0@node/worker-1",
                "1735732800.123456790",
                "0x00000001",
                "42",
                "DNAT 10.96.0.10:40001 -> 10.0.1.2:40001 by KUBE-SEP-ABC,DROP FORWARD_POLICY_DROP",
            ],
            ["cni0@node/worker-1", "1735732800.123456791", "", "", "alone"],
        ]

    def test_names_stand_for_addresses(self, tmp_path: Path) -> None:
        """The name block is what Wireshark resolves addresses by."""
        lab_capture(tmp_path / "lab.pcapng")
        fields = ("-e", "ip.src_host", "-e", "ip.dst_host")
        shown = run("tshark", "-N", "n", "-r", str(tmp_path / "lab.pcapng"), "-T", "fields", *fields)
        assert shown.splitlines() == ["web-0.default.pod\tcoredns.kube-system"] * 3

    def test_frames_are_whole(self, tmp_path: Path) -> None:
        """Nothing is malformed, and the octets are those written."""
        lab_capture(tmp_path / "lab.pcapng")
        shown = run(
            "tshark",
            "-r",
            str(tmp_path / "lab.pcapng"),
            "-Y",
            "!_ws.malformed && data.data == 68:65:6c:6c:6f",
        )
        assert len(shown.splitlines()) == 3

    def test_capinfos_agrees(self, tmp_path: Path) -> None:
        """The file is a pcapng of this many interfaces, names and secrets, in nanoseconds."""
        lab_capture(tmp_path / "lab.pcapng")
        told = run("capinfos", str(tmp_path / "lab.pcapng"))
        lines = {" ".join(line.split()) for line in told.splitlines()}
        assert lines >= {
            "File type: Wireshark/... - pcapng",
            "File timestamp precision: nanoseconds (9)",
            "Number of packets: 3",
            "Capture application: emu 0.1.0",
            "Capture comment: a lab of two nodes",
            "Number of interfaces in file: 2",
            "Number of decryption secrets in file: 1",
            "Number of resolved IPv4 addresses in file: 2",
            "Number of resolved IPv6 addresses in file: 1",
            "Name = eth0@default/web-1",
            "Description = pod default/web-1",
            "Time resolution = 0x09",
            "Encapsulation = Ethernet (1 - ether)",
        }

    def test_raw_ip_points_are_seen_as_such(self, tmp_path: Path) -> None:
        """A tunnel device, without link header, stands beside Ethernet in one file."""
        path = tmp_path / "tunnel.pcapng"
        with path.open("wb") as stream:
            writer = PcapngWriter(stream, application="emu")
            writer.add_point(CapturePoint("tunl0@node/worker-1", link_type=LINK_TYPE_RAW))
            writer.write(
                CapturedFrame(NOON_NS, 0, bytes.fromhex("4500001400000000403b66dd 0a000001 0a000102"))
            )
        shown = run("tshark", "-r", str(path), "-T", "fields", "-e", "frame.protocols", "-e", "ip.src")
        assert shown.split() == ["raw:ip", "10.0.0.1"]
