# SPDX-License-Identifier: GPL-2.0-only
"""How fast captures are written, beside Scapy's writers given the same octets.

`pytest tests/bench/test_bench_pcapng.py --benchmark-enable`
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from scapy.utils import PcapNgWriter, RawPcapWriter

from emu.observe.pcap import PcapWriter
from emu.observe.pcapng import PcapngWriter
from emu.observe.record import CapturedFrame, CapturePoint, Direction

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_benchmark.fixture import BenchmarkFixture

FRAME_COUNT = 20_000
EPOCH_NS = 1_735_689_600_000_000_000
OCTETS = bytes.fromhex("020000000002 020000000001 88b5") + bytes(86)

pytestmark = pytest.mark.benchmark(group=f"capture of {FRAME_COUNT} frames of 100 octets")


def plain() -> list[CapturedFrame]:
    """Return frames with a time and octets alone."""
    return [CapturedFrame(EPOCH_NS + 1000 * number, 0, OCTETS) for number in range(FRAME_COUNT)]


def pcapng_writer() -> PcapngWriter:
    """Return a writer into memory that knows one capture point."""
    writer = PcapngWriter(io.BytesIO(), application="emu")
    writer.add_point(CapturePoint("eth0@default/web-1"))
    return writer


def test_write_pcapng(benchmark: BenchmarkFixture) -> None:
    """Frames with a time and octets, many at once."""
    captured = plain()
    benchmark(lambda: pcapng_writer().write_all(captured))


def test_write_pcapng_with_direction_and_packet_id(benchmark: BenchmarkFixture) -> None:
    """Frames as an emulated device records them."""
    captured = [
        frame._replace(direction=Direction.IN, packet_id=number) for number, frame in enumerate(plain())
    ]
    benchmark(lambda: pcapng_writer().write_all(captured))


def test_write_pcapng_with_a_comment(benchmark: BenchmarkFixture) -> None:
    """Frames each of which something happened to."""
    captured = [
        frame._replace(direction=Direction.IN, packet_id=number, comments=("DNAT by KUBE-SEP-ABC",))
        for number, frame in enumerate(plain())
    ]
    benchmark(lambda: pcapng_writer().write_all(captured))


def test_write_pcapng_one_by_one(benchmark: BenchmarkFixture) -> None:
    """Frames written as they come, as into a pipe."""
    captured = plain()

    def write() -> None:
        writer = pcapng_writer()
        for frame in captured:
            writer.write(frame)

    benchmark(write)


def test_write_pcap(benchmark: BenchmarkFixture) -> None:
    """Classic pcap, many at once."""
    captured = plain()
    benchmark(lambda: PcapWriter(io.BytesIO()).write_all(captured))


def test_scapy_writes_pcap(benchmark: BenchmarkFixture) -> None:
    """Scapy's `RawPcapWriter`, given octets and their times."""
    captured = plain()

    def write() -> None:
        writer = RawPcapWriter(io.BytesIO(), linktype=1, nano=True)
        writer.write_header(None)
        for frame in captured:
            writer.write_packet(frame.octets, *divmod(frame.time_ns, 1_000_000_000))

    benchmark(write)


def test_scapy_writes_pcapng(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    """Scapy's `PcapNgWriter`, given octets and their times; it writes to paths alone."""
    captured = plain()

    def write() -> None:
        with PcapNgWriter(str(tmp_path / "scapy.pcapng")) as writer:
            writer.write_header(None)
            for frame in captured:
                writer.write_packet(frame.octets, *divmod(frame.time_ns // 1000, 1_000_000))

    benchmark(write)
