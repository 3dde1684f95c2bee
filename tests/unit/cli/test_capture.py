# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from emu.cli import cli
from emu.observe import filter as pcap_filter
from emu.observe.capture_file import read_capture
from emu.observe.pcapng_reader import read_pcapng
from emu.observe.record import CapturedFrame, CapturePoint

if TYPE_CHECKING:
    from collections.abc import Callable

LAB = """
namespaces: {a: , b: , node: {sysctls: {net.ipv4.ip_forward: 1}}}
links:
- a: {ns: a, if: eth0, mac: 02:00:00:00:00:0a, addr: [10.0.0.1/24]}
  b: {ns: node, if: veth1, mac: 02:00:00:00:01:01}
- a: {ns: b, if: eth0, mac: 02:00:00:00:00:0b, addr: [10.0.0.2/24]}
  b: {ns: node, if: veth2, mac: 02:00:00:00:01:02}
bridges:
- {ns: node, if: br0, mac: 02:00:00:00:01:00, ports: [veth1, veth2]}
captures: []
"""
PING = ("--", "exec", "a", "--", "ping", "-c", "1", "10.0.0.2")


@pytest.fixture
def emu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Runs `emu capture -f lab.yaml` with more words, in a folder that holds the document alone."""
    monkeypatch.chdir(tmp_path)
    Path("lab.yaml").write_text(LAB)
    return lambda *words: CliRunner().invoke(cli, ["capture", "-f", "lab.yaml", *words])


def points(result: Result) -> list[str]:
    """Return the first two words of each line: point and direction."""
    return [" ".join(line.split()[:2]) for line in result.stdout.splitlines()]


def written(name: str) -> list[CapturedFrame]:
    """Return the frames in a capture file."""
    with Path(name).open("rb") as stream:
        return list(read_capture(stream))


class TestLines:
    """Without `-w` frames are printed."""

    def test_are_tcpdumps_behind_the_point(self, emu: Callable[..., Result]) -> None:
        """What the command prints goes to standard error."""
        result = emu("-i", "a/eth0", *PING)
        assert result.exit_code == 0
        assert result.stdout.splitlines() == [
            "eth0@a out 00:00:00.400000 ARP, Request who-has 10.0.0.2 tell 10.0.0.1, length 28",
            "eth0@a in  00:00:00.400000 ARP, Reply 10.0.0.2 is-at 02:00:00:00:00:0b, length 28",
            "eth0@a out 00:00:00.400000 IP 10.0.0.1 > 10.0.0.2: ICMP echo request, id 4660, seq 1, length 64",
            "eth0@a in  00:00:00.400000 IP 10.0.0.2 > 10.0.0.1: ICMP echo reply, id 4660, seq 1, length 64",
        ]
        assert "1 packets transmitted, 1 received" in result.stderr

    def test_mac_addresses_are_printed_when_asked_for(self, emu: Callable[..., Result]) -> None:
        """As tcpdump does with -e."""
        assert "02:00:00:00:00:0a > ff:ff:ff:ff:ff:ff" in emu("-e", "-i", "a/eth0", *PING).stdout

    def test_of_all_points_are_in_the_order_of_time(self, emu: Callable[..., Result]) -> None:
        """A frame is seen on its way."""
        assert points(emu("icmp", *PING))[:4] == [
            "eth0@a out",
            "veth1@node in",
            "veth2@node out",
            "eth0@b in",
        ]

    @pytest.mark.parametrize("words", [PING, ("--", "a", *PING[4:]), ("--", "exec", "a", *PING[4:])])
    def test_the_command_may_be_written_in_several_ways(
        self, emu: Callable[..., Result], words: tuple[str, ...]
    ) -> None:
        """`exec` and the second `--` may be left out."""
        assert len(points(emu("-i", "a/eth0", *words))) == 4

    def test_the_status_is_the_commands(self, emu: Callable[..., Result]) -> None:
        """And what came of it is printed all the same."""
        result = emu("-i", "a/eth0", "--", "exec", "a", "--", "ping", "-c", "1", "10.0.0.9")
        assert result.exit_code == 1
        assert result.stdout.count("who-has 10.0.0.9") == 3


class TestPoints:
    """`-i`: where frames are recorded."""

    @pytest.mark.parametrize(
        ("patterns", "seen"),
        [
            (["a/eth0"], {"eth0@a"}),
            (["*/eth0"], {"eth0@a", "eth0@b"}),
            (["node/veth*"], {"veth1@node", "veth2@node"}),
            (["node/br0", "b/eth0"], {"br0@node", "eth0@b"}),
            (["any"], {"eth0@a", "eth0@b", "veth1@node", "veth2@node", "br0@node"}),
            ([], {"eth0@a", "eth0@b", "veth1@node", "veth2@node", "br0@node"}),
        ],
    )
    def test_are_names_or_patterns(
        self, emu: Callable[..., Result], patterns: list[str], seen: set[str]
    ) -> None:
        """Everything but loopback devices if none is given."""
        options = [word for pattern in patterns for word in ("-i", pattern)]
        found = {point.split()[0] for point in points(emu(*options, *PING))}
        assert found == seen

    def test_loopback_is_recorded_by_name(self, emu: Callable[..., Result]) -> None:
        """A packet to oneself is seen there."""
        result = emu("-i", "a/lo", "--", "a", "ping", "-c", "1", "10.0.0.1")
        assert points(result) == ["lo@a out", "lo@a in"] * 2

    @pytest.mark.parametrize("pattern", ["c/eth0", "a/eth1", "eth0", "x*", ""])
    def test_unknown_ones_are_wrong_input(self, emu: Callable[..., Result], pattern: str) -> None:
        """Those that are there are named, and the command is not run."""
        result = emu("-i", "a/eth0", "-i", pattern, "-w", "lab.pcapng", *PING)
        assert result.exit_code == 2
        assert result.stdout == ""
        known = "a/lo, a/eth0, b/lo, b/eth0, node/lo, node/veth1, node/veth2, node/br0"
        assert result.stderr == f"no capture point {pattern} (there are {known})\n"
        assert not Path("lab.pcapng").exists()


class TestFilter:
    """EXPRESSION is a pcap filter."""

    def test_words_of_it_may_stand_apart(self, emu: Callable[..., Result]) -> None:
        """As with tcpdump."""
        result = emu("-i", "a/eth0", "icmp[icmptype]", "=", "icmp-echo", *PING)
        assert points(result) == ["eth0@a out"]

    def test_a_wrong_one_is_told_in_libpcaps_words(self, emu: Callable[..., Result]) -> None:
        """Before the command is run."""
        result = emu("-w", "lab.pcapng", "udp prt 53", *PING)
        assert result.exit_code == 2
        assert result.stdout == ""
        assert "syntax error" in result.stderr
        assert not Path("lab.pcapng").exists()

    def test_a_missing_libpcap_is_told(
        self, emu: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """With what to install; without a filter it is not needed."""

        def nothing_loads(path: str) -> None:
            raise OSError(path)

        pcap_filter._library.cache_clear()
        monkeypatch.setattr("ctypes.CDLL", nothing_loads)
        monkeypatch.setattr("ctypes.util.find_library", lambda _: None)
        result = emu("icmp", *PING)
        assert result.exit_code == 2
        assert "capture filters need the library libpcap" in result.stderr
        assert emu("-i", "a/eth0", *PING).exit_code == 0


class TestFile:
    """`-w`: frames go to a file, and what the command prints to standard output."""

    def test_holds_what_was_seen(self, emu: Callable[..., Result]) -> None:
        """Classic pcap by its name."""
        result = emu("-w", "lab.pcap", "-i", "a/eth0", "icmp", *PING)
        assert result.exit_code == 0
        assert "1 packets transmitted, 1 received" in result.stdout
        assert len(written("lab.pcap")) == 2

    def test_goes_to_standard_output(self, emu: Callable[..., Result]) -> None:
        """Nothing else does then."""
        result = emu("-w", "-", "-i", "a/eth0", *PING)
        assert len(list(read_capture(BytesIO(result.stdout_bytes)))) == 4
        assert "1 packets transmitted" in result.stderr

    def test_holds_no_more_frames_than_asked_for(self, emu: Callable[..., Result]) -> None:
        """The first ones; the command ends all the same."""
        assert emu("-w", "lab.pcap", "-c", "3", *PING).exit_code == 0
        assert len(written("lab.pcap")) == 3

    def test_is_split_by_point(self, emu: Callable[..., Result]) -> None:
        """The point stands before the ending."""
        assert emu("-w", "lab.pcapng", "--split", "-i", "*/eth0", *PING).exit_code == 0
        assert {path.name for path in Path().iterdir()} == {
            "lab.yaml",
            "lab.a.eth0.pcapng",
            "lab.b.eth0.pcapng",
        }
        with Path("lab.b.eth0.pcapng").open("rb") as stream:
            records = list(read_pcapng(stream))
        assert [record.name for record in records if isinstance(record, CapturePoint)] == ["eth0@b"]
        assert sum(isinstance(record, CapturedFrame) for record in records) == 4

    @pytest.mark.parametrize("name", ["some.where/lab", "lab"])
    def test_without_an_ending_is_split_as_well(self, emu: Callable[..., Result], name: str) -> None:
        """A dot in a folder's name is none of the file's."""
        Path("some.where").mkdir()
        assert emu("-w", name, "--split", "-i", "a/eth0", *PING).exit_code == 0
        assert len(written(f"{name}.a.eth0")) == 4

    @pytest.mark.parametrize("options", [["--split"], ["--split", "-w", "-"]])
    def test_has_to_be_one_to_be_split(self, emu: Callable[..., Result], options: list[str]) -> None:
        """Standard output is one stream."""
        result = emu(*options, *PING)
        assert result.exit_code == 2
        assert "--split needs files" in result.stderr

    @pytest.mark.parametrize("options", [[], ["--split"]])
    @pytest.mark.parametrize("name", ["no/such/lab.pcapng", "/proc/lab.pcapng"])
    def test_where_none_can_be_nothing_is_run(
        self, emu: Callable[..., Result], name: str, options: list[str]
    ) -> None:
        """It is found out before, and none of several is written."""
        result = emu("-w", name, *options, *PING)
        assert result.exit_code == 2
        assert result.stdout == ""
        assert result.stderr.endswith(": No such file or directory\n")
        assert {path.name for path in Path().iterdir()} == {"lab.yaml"}

    def test_one_of_several_that_cannot_be_written_leaves_the_others_as_they_were(
        self, emu: Callable[..., Result]
    ) -> None:
        """A folder stands where the last file would be."""
        Path("lab.a.eth0.pcapng").write_text("old")
        Path("lab.b.eth0.pcapng").mkdir()
        result = emu("-w", "lab.pcapng", "--split", "-i", "*/eth0", *PING)
        assert (result.exit_code, result.stderr) == (2, "lab.b.eth0.pcapng: Is a directory\n")
        assert Path("lab.a.eth0.pcapng").read_text() == "old"

    def test_is_written_even_if_nothing_passed(self, emu: Callable[..., Result]) -> None:
        """An empty capture is an answer."""
        result = emu("-w", "lab.pcapng", "-i", "a/eth0", "--", "a", "ip", "link", "set", "eth0", "down")
        assert (result.exit_code, result.stderr) == (0, "")
        assert written("lab.pcapng") == []


class TestCall:
    """What has to be said."""

    @pytest.mark.parametrize("words", [[], ["--"], ["--", "a"], ["--", "exec"], ["--", "exec", "a", "--"]])
    def test_a_command_is_asked_for(self, emu: Callable[..., Result], words: list[str]) -> None:
        """With how to write it."""
        result = emu(*words)
        assert result.exit_code == 2
        assert "what is to run? (-- exec TARGET -- COMMAND...)" in result.stderr

    @pytest.mark.parametrize("count", ["0", "-1", "many"])
    def test_a_count_is_a_number_from_one(self, emu: Callable[..., Result], count: str) -> None:
        """To keep nothing is no capture."""
        result = emu("-c", count, *PING)
        assert result.exit_code == 2
        assert "Invalid value for '-c'" in result.stderr

    def test_unknown_namespace_is_wrong_input(self, emu: Callable[..., Result]) -> None:
        """No file is made for it."""
        result = emu("-w", "lab.pcapng", "--", "exec", "c", "--", "hostname")
        assert (result.exit_code, result.stderr) == (2, "no namespace c (there are a, b, node)\n")
        assert not Path("lab.pcapng").exists()
