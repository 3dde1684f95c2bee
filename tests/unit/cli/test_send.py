# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from emu.cli import cli
from emu.observe.capture_file import read_capture

if TYPE_CHECKING:
    from collections.abc import Callable

LAB = """
namespaces: {a: , b: }
links:
- a: {ns: a, if: eth0, mac: 02:00:00:00:00:0a, addr: [10.0.0.1/24]}
  b: {ns: b, if: eth0, mac: 02:00:00:00:00:0b, addr: [10.0.0.2/24]}
captures: []
"""
REQUEST = "ffffffffffff 02000000000a 0806 0001080006040001 02000000000a 0a000001 000000000000 0a000002"
WHO_HAS = bytes.fromhex(REQUEST)
ECHO = "Ether(dst='02:00:00:00:00:0b',src='02:00:00:00:00:0a')/IP(src='10.0.0.1',dst='10.0.0.2')/ICMP(id=7)"


def pcap(*frames: tuple[int, bytes]) -> bytes:
    """Return a classic pcap file with frames at whole seconds."""
    records = (struct.pack("<4I", at, 0, len(frame), len(frame)) + frame for at, frame in frames)
    return struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1) + b"".join(records)


@pytest.fixture
def emu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Runs `emu send -f lab.yaml` with more words, in a folder that holds the document alone."""
    monkeypatch.chdir(tmp_path)
    Path("lab.yaml").write_text(LAB)
    return lambda *words: CliRunner().invoke(cli, ["send", "-f", "lab.yaml", *words])


class TestFrame:
    """What is sent, and what comes back."""

    @pytest.mark.parametrize("text", [REQUEST, REQUEST.replace(" ", ""), f"hex:{REQUEST}", REQUEST.upper()])
    def test_octets_are_hexadecimal(self, emu: Callable[..., Result], text: str) -> None:
        """With blanks or without; the answer to them is printed."""
        result = emu("-i", "b/eth0", "--frame", text)
        assert (result.exit_code, result.stderr) == (0, "")
        words = "ARP, Reply 10.0.0.2 is-at 02:00:00:00:00:0b, length 28"
        assert result.stdout == f"eth0@b out 00:00:00.400000 {words}\n"

    def test_layers_are_scapys(self, emu: Callable[..., Result]) -> None:
        """Nothing in them is taken from this machine."""
        result = emu("-i", "b/eth0", "--scapy", ECHO)
        assert result.stdout.splitlines()[-1].endswith(
            "10.0.0.2 > 10.0.0.1: ICMP echo reply, id 7, seq 0, length 8"
        )

    def test_several_are_sent_in_their_order(self, emu: Callable[..., Result]) -> None:
        """Octets before layers before files."""
        Path("one.pcap").write_bytes(pcap((0, WHO_HAS)))
        result = emu("-i", "b/eth0", "--frame", REQUEST, "--scapy", ECHO, "--pcap", "one.pcap")
        kinds = ["Reply" if "ARP, Reply" in line else "echo" for line in result.stdout.splitlines()]
        assert kinds == ["Reply", "echo", "Reply"]

    def test_may_leave_by_the_device(self, emu: Callable[..., Result]) -> None:
        """With `--out` it goes to the other end, and the answer comes in."""
        result = emu("-i", "a/eth0", "--out", "--frame", REQUEST)
        assert result.stdout.startswith("eth0@a in  ")

    def test_that_is_dropped_is_told(self, emu: Callable[..., Result]) -> None:
        """With the place and the reason, on standard error."""
        result = emu("-i", "b/eth0", "--frame", "02000000000b 02000000000a 88b5" + "00" * 46)
        assert (result.exit_code, result.stdout) == (0, "")
        assert result.stderr.startswith("dropped at b/eth0: UNHANDLED_PROTO")

    def test_answers_can_be_written(self, emu: Callable[..., Result]) -> None:
        """Only they, not what was sent."""
        result = emu("-i", "b/eth0", "--frame", REQUEST, "-w", "lab.pcap")
        assert (result.exit_code, result.stdout) == (0, "")
        with Path("lab.pcap").open("rb") as stream:
            (frame,) = read_capture(stream)
        assert frame.octets[:6] == bytes.fromhex("02000000000a")


class TestFile:
    """`--pcap`: frames of a capture file."""

    def test_are_sent_with_their_intervals(self, emu: Callable[..., Result]) -> None:
        """Counted from the first one; one that is out of order is sent at once."""
        Path("lab.pcap").write_bytes(pcap((50, WHO_HAS), (53, WHO_HAS), (51, WHO_HAS)))
        result = emu("-i", "b/eth0", "--pcap", "lab.pcap")
        assert [line.split()[2] for line in result.stdout.splitlines()] == [
            "00:00:00.400000",
            "00:00:03.400000",
            "00:00:03.400000",
        ]

    def test_what_one_run_wrote_another_can_send(self, emu: Callable[..., Result]) -> None:
        """Also from pcapng."""
        assert emu("-i", "a/eth0", "--out", "--frame", REQUEST, "-w", "lab.pcapng").exit_code == 0
        result = emu("-i", "a/eth0", "--pcap", "lab.pcapng")
        assert (result.exit_code, result.stderr) == (0, "")

    def test_cut_frames_are_told(self, emu: Callable[..., Result]) -> None:
        """They are sent as they are."""
        cut = struct.pack("<4I", 0, 0, len(WHO_HAS), 1514) + WHO_HAS
        Path("lab.pcap").write_bytes(pcap() + cut)
        result = emu("-i", "b/eth0", "--pcap", "lab.pcap")
        assert result.exit_code == 0
        assert result.stderr == "lab.pcap: frames that were cut short when captured, and are sent so: 1\n"

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (None, "No such file or directory"),
            (b"", "octet 0: expected the magic number of a pcap or pcapng file, found the end of the file"),
            (
                b"#!/bin/sh\n",
                "octet 0: expected the magic number of a pcap or pcapng file, found 23 21 2f 62",
            ),
            (pcap()[:20], "octet "),
            (pcap((0, WHO_HAS))[:30], "octet "),
            (pcap((0, WHO_HAS))[:-1], "octet "),
            (pcap() + struct.pack("<4I", 0, 0, 2**31, 2**31), "octet "),
            (bytes.fromhex("0a0d0d0a 1c000000 4d3c2b1a 01000000 ffffffffffffffff 1d000000"), "octet "),
            (bytes.fromhex("0a0d0d0a 00000000 4d3c2b1a"), "octet "),
            (pcap((0, WHO_HAS), (10**9, WHO_HAS)), "frame 2 comes 1000000000 s after the one before it"),
        ],
    )
    def test_a_file_that_cannot_be_read_is_wrong_input(
        self, emu: Callable[..., Result], content: bytes | None, message: str
    ) -> None:
        """With the place in it; nothing is sent or written."""
        if content is not None:
            Path("lab.pcap").write_bytes(content)
        result = emu("-i", "b/eth0", "--pcap", "lab.pcap", "-w", "out.pcap")
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr.startswith(f"lab.pcap: {message}")
        assert len(result.stderr.splitlines()) == 1
        assert not Path("out.pcap").exists()

    def test_a_folder_is_none(self, emu: Callable[..., Result]) -> None:
        """It is told in the system's words."""
        assert emu("-i", "b/eth0", "--pcap", ".").stderr == ".: Is a directory\n"

    def test_without_frames_has_nothing_to_send(self, emu: Callable[..., Result]) -> None:
        """An empty capture is no question."""
        Path("lab.pcap").write_bytes(pcap())
        result = emu("-i", "b/eth0", "--pcap", "lab.pcap")
        assert result.exit_code == 2
        assert "nothing to send: lab.pcap holds no frame" in result.stderr

    @given(cut=st.integers(0, 90), flip=st.integers(0, 8 * 90 - 1) | st.none())
    def test_a_spoilt_one_is_sent_or_refused(
        self, tmp_path_factory: pytest.TempPathFactory, cut: int, flip: int | None
    ) -> None:
        """Whatever octets are in it."""
        folder = tmp_path_factory.mktemp("send")
        octets = bytearray(pcap((0, WHO_HAS), (1, WHO_HAS)))
        if flip is not None:
            octets[flip // 8] ^= 1 << flip % 8
        (folder / "lab.yaml").write_text(LAB)
        (folder / "lab.pcap").write_bytes(octets[: len(octets) - cut])
        result = CliRunner().invoke(
            cli,
            ["send", "-f", str(folder / "lab.yaml"), "-i", "b/eth0", "--pcap", str(folder / "lab.pcap")],
        )
        assert result.exit_code in {0, 2}
        assert result.exception is None or isinstance(result.exception, SystemExit)


class TestFaults:
    """Frames that cannot be."""

    def test_all_that_cannot_be_read_are_told(self, emu: Callable[..., Result]) -> None:
        """With option, text and column."""
        result = emu(
            *("-i", "b/eth0", "--frame", "0g", "--frame", REQUEST, "--frame", "abc", "-w", "lab.pcap"),
            *("--scapy", "IP(ttl=1)", "--scapy", "Eter()", "--scapy", "__import__('os').abort()"),
        )
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr.splitlines() == [
            "--frame 'hex:0g': column 6: 'g' is no hexadecimal digit",
            "--frame 'hex:abc': column 7: an octet has two hexadecimal digits",
            "--scapy 'IP(ttl=1)': column 1: a frame begins with Ether(...), not IP",
            "--scapy 'Eter()': column 1: there is no layer Eter; did you mean 'Ether'?",
            "--scapy \"__import__('os').abort()\": column 1: there is no layer __import__('os').abort",
        ]
        assert not Path("lab.pcap").exists()

    @pytest.mark.parametrize(
        ("length", "message"),
        [
            (0, "0 octets are no Ethernet frame: the header has 14"),
            (13, "13 octets are no Ethernet frame: the header has 14"),
            (14, None),
            (1514, None),
            (1518, None),
            (1519, "the frame carries 1505 octets, more than the MTU of 1500"),
            (65549, "the frame carries 65535 octets, more than the MTU of 1500"),
        ],
    )
    def test_length_is_from_the_header_to_the_mtu(
        self, emu: Callable[..., Result], length: int, message: str | None
    ) -> None:
        """With four octets more for a VLAN tag, as the kernel allows."""
        result = emu("-i", "b/eth0", "--frame", "02" * length, "-w", "lab.pcap")
        assert result.exit_code == (2 if message else 0)
        assert Path("lab.pcap").exists() == (message is None)
        if message is not None:
            assert result.stderr == f"--frame: {message}\n"

    def test_each_frame_of_a_file_has_to_fit(self, emu: Callable[..., Result]) -> None:
        """All that do not are told before the first one is sent."""
        Path("lab.pcap").write_bytes(pcap((0, WHO_HAS), (1, WHO_HAS[:9]), (2, bytes(1600))))
        result = emu("-i", "b/eth0", "--pcap", "lab.pcap")
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr.splitlines() == [
            "lab.pcap: frame 2: 9 octets are no Ethernet frame: the header has 14",
            "lab.pcap: frame 3: the frame carries 1586 octets, more than the MTU of 1500",
        ]

    def test_very_many_are_counted(self, emu: Callable[..., Result]) -> None:
        """A hundred are told."""
        Path("lab.pcap").write_bytes(pcap(*[(0, b"short")] * 130))
        told = emu("-i", "b/eth0", "--pcap", "lab.pcap").stderr.splitlines()
        assert (len(told), told[-1]) == (101, "and 30 more")


class TestCall:
    """What has to be said."""

    def test_a_frame_is_asked_for(self, emu: Callable[..., Result]) -> None:
        """By one of three options."""
        result = emu("-i", "b/eth0")
        assert result.exit_code == 2
        assert "nothing to send: give --frame, --scapy or --pcap" in result.stderr

    @pytest.mark.parametrize(
        ("point", "message"),
        [
            ("c/eth0", "no namespace c (there are a, b)"),
            ("a/eth1", "a has no device eth1 (there are lo, eth0)"),
            ("eth0", "'eth0' names no device: it has to be NS/DEVICE, as in pod1/eth0"),
            ("any", "'any' names no device: it has to be NS/DEVICE, as in pod1/eth0"),
            ("*/eth0", "no namespace * (there are a, b)"),
            ("", "'' names no device: it has to be NS/DEVICE, as in pod1/eth0"),
        ],
    )
    def test_the_point_is_one_device(self, emu: Callable[..., Result], point: str, message: str) -> None:
        """Which there are is told."""
        result = emu("-i", point, "--frame", REQUEST, "-w", "lab.pcap")
        assert (result.exit_code, result.stderr) == (2, f"{message}\n")
        assert not Path("lab.pcap").exists()

    @pytest.mark.parametrize("wait", ["nan", "inf", "-1", "3601", "long"])
    def test_the_wait_is_a_number_of_seconds(self, emu: Callable[..., Result], wait: str) -> None:
        """An hour at the most."""
        result = emu("-i", "b/eth0", "--frame", REQUEST, "--wait", wait)
        assert result.exit_code == 2
        assert "Invalid value" in result.stderr

    def test_the_wait_decides_what_is_seen(self, emu: Callable[..., Result]) -> None:
        """A later answer is none."""
        request = ECHO.replace("10.0.0.1'", "10.0.0.77'")
        assert emu("-i", "b/eth0", "--scapy", request, "--wait", "0.5").stdout.count("who-has 10.0.0.77") == 1
        assert emu("-i", "b/eth0", "--scapy", request, "--wait", "4").stdout.count("who-has 10.0.0.77") == 3

    def test_where_no_file_can_be_nothing_is_sent(self, emu: Callable[..., Result]) -> None:
        """It is found out before."""
        result = emu("-i", "b/eth0", "--frame", REQUEST, "-w", "no/lab.pcap")
        assert (result.exit_code, result.stderr) == (2, "no/lab.pcap: No such file or directory\n")
