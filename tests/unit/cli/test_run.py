# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import pytest
from click.testing import CliRunner, Result

from emu.cli import cli
from emu.fabric import driver
from emu.observe.capture_file import read_capture
from emu.observe.pcapng_reader import read_pcapng
from emu.observe.record import CapturedFrame, CapturePoint

if TYPE_CHECKING:
    from collections.abc import Callable

LAB = """
name: lab
title: Two pods
namespaces: {a: , b: }
links:
- a: {ns: a, if: eth0, mac: 02:00:00:00:00:0a, addr: [10.0.0.1/24]}
  b: {ns: b, if: eth0, mac: 02:00:00:00:00:0b, addr: [10.0.0.2/24]}
captures: [a/eth0, b/eth0]
actions:
- ping: {ns: a, dst: 10.0.0.2, expect: EXPECTED}
- udp_request: {ns: a, dst: 10.0.0.2, dst_port: 9}
"""
FIVE = {"pcap", "times.json", "frames.json", "state.json", "results.json"}


def emu(*arguments: str | Path) -> Result:
    """Run the command line."""
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Write a document into the current folder, which is empty else, and return its name."""
    monkeypatch.chdir(tmp_path)

    def written(text: str) -> str:
        Path("lab.yaml").write_text(text)
        return "lab.yaml"

    return written


@pytest.fixture
def lab(write: Callable[[str], str]) -> str:
    """The name of a document of which all is as expected."""
    return write(LAB.replace("EXPECTED", "reply"))


def content(folder: Path = Path()) -> dict[str, bytes]:
    """Return everything below a folder: what is in each file, nothing for a folder."""
    return {str(path): path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")}


class TestReport:
    """What is printed of a run."""

    def test_tells_each_outcome_the_frames_and_the_drops(self, lab: str) -> None:
        """A line each, with the namespace it happened in."""
        result = emu("run", lab)
        assert result.stdout.splitlines() == [
            "lab: Two pods",
            "    0  ping         a            reply from 10.0.0.2",
            "    1  udp_request  a            ECONNREFUSED",
            "12 frames at 2 capture points, 0.640 s of virtual time",
            "dropped: 1 NO_SOCKET, no socket takes it (emu explain NO_SOCKET)",
        ]
        assert (result.exit_code, result.stderr) == (0, "")

    def test_another_outcome_than_expected_is_a_failure(self, write: Callable[[str], str]) -> None:
        """Status 1, and the action with its line on standard error."""
        result = emu("run", write(LAB.replace("EXPECTED", "timeout")))
        assert result.exit_code == 1
        assert "reply from 10.0.0.2  NOT AS EXPECTED" in result.stdout
        assert result.stderr == "not as expected: action 0 (ping, line 10): expected timeout, got reply\n"

    def test_a_command_that_fails_is_a_failure(self, write: Callable[[str], str]) -> None:
        """Unless the document allows it."""
        failing = "- exec: {ns: a, argv: [ip, link, set, eth9, up]%s}\n"
        result = emu("run", write(LAB.replace("EXPECTED", "reply") + failing % ""))
        assert result.exit_code == 1
        words = 'action 2 (exec, line 12): failed: Cannot find device "eth9"'
        assert result.stderr == f"not as expected: {words}\n"
        allowed = emu("run", write(LAB.replace("EXPECTED", "reply") + failing % ", may_fail: true"))
        assert (allowed.exit_code, allowed.stderr) == (0, "")

    def test_a_command_that_is_not_modelled_is_a_failure_even_where_it_may_fail(
        self, write: Callable[[str], str]
    ) -> None:
        """To pass over it would make another network of it in silence."""
        text = LAB.replace("EXPECTED", "reply")
        result = emu("run", write(text + "- exec: {ns: a, argv: [ip6tables, -L], may_fail: true}\n"))
        assert result.exit_code != 0
        assert "ip6tables is not modelled yet" in result.stderr


class TestCapture:
    """`-w`: one file with all capture points."""

    def test_is_pcapng_with_named_points(self, lab: str) -> None:
        """In the order of the document."""
        assert emu("run", lab, "-w", "lab.pcapng").exit_code == 0
        with Path("lab.pcapng").open("rb") as stream:
            records = list(read_pcapng(stream))
        points = [record.name for record in records if isinstance(record, CapturePoint)]
        assert points == ["eth0@a", "eth0@b"]
        frames = [record for record in records if isinstance(record, CapturedFrame)]
        assert len(frames) >= 12
        assert all(frame.packet_id for frame in frames)

    def test_is_pcap_if_called_so(self, lab: str) -> None:
        """Nothing else decides it."""
        assert emu("run", lab, "-w", "lab.pcap").exit_code == 0
        assert Path("lab.pcap").read_bytes()[:4] == bytes.fromhex("4d3cb2a1")

    def test_goes_to_standard_output_alone(self, lab: str) -> None:
        """What is told for people goes to standard error then."""
        result = emu("run", lab, "-w", "-")
        assert len(list(read_capture(BytesIO(result.stdout_bytes)))) >= 12
        assert result.stderr.startswith("lab: Two pods\n")

    def test_is_the_same_with_the_same_seed(self, lab: str) -> None:
        """Octet for octet; with another seed the random numbers are others."""
        first, again, other = (emu("run", lab, "-w", "-", "--seed", seed).stdout_bytes for seed in "778")
        assert first == again
        assert first != other

    def test_replaces_a_file_and_keeps_its_permissions(self, lab: str) -> None:
        """A link stays a link."""
        Path("old").write_text("old")
        Path("old").chmod(0o640)
        Path("link").symlink_to("old")
        assert emu("run", lab, "-w", "link").exit_code == 0
        assert Path("link").is_symlink()
        assert Path("old").stat().st_mode & 0o777 == 0o640
        assert Path("old").read_bytes()[:4] == bytes.fromhex("0a0d0d0a")
        assert {path.name for path in Path().iterdir()} == {"lab.yaml", "old", "link"}

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("no/such/lab.pcapng", "No such file or directory"),
            ("lab.yaml/lab.pcapng", "Not a directory"),
            (".", "Is a directory"),
            ("/proc/lab.pcapng", "No such file or directory"),
            ("x" * 300, "File name too long"),
        ],
    )
    def test_where_none_can_be_nothing_is_run_or_changed(self, lab: str, name: str, message: str) -> None:
        """It is found out before the first step."""
        before = content()
        result = emu("run", lab, "-w", name, "--out", "results")
        assert result.exit_code == 2
        assert (result.stdout, result.stderr) == ("", f"{name}: {message}\n")
        assert content() == before

    def test_a_file_that_may_not_be_written_stays(self, lab: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """Permissions count, though another file could take its place."""
        Path("old").write_text("old")
        monkeypatch.setattr("os.access", lambda *_: False)  # who runs the tests may be root
        result = emu("run", lab, "-w", "old")
        assert (result.exit_code, result.stderr) == (2, "old: Permission denied\n")
        assert Path("old").read_text() == "old"


class TestFolder:
    """`--out`: five files in the form of recorded scenarios."""

    def test_has_all_five(self, lab: str) -> None:
        """Folders on the way are made."""
        assert emu("run", lab, "--out", "some/where").exit_code == 0
        assert {path.name for path in Path("some/where").iterdir()} == FIVE
        assert {path.name for path in Path("some/where/pcap").iterdir()} == {"a.eth0.pcap", "b.eth0.pcap"}
        results = json.loads(Path("some/where/results.json").read_text())
        assert [(found["kind"], found["outcome"]) for found in results] == [
            ("ping", "reply"),
            ("udp_request", "ECONNREFUSED"),
        ]

    def test_keeps_what_else_is_in_it(self, lab: str) -> None:
        """Files of a former run are replaced, files of others are not touched."""
        Path("results/pcap").mkdir(parents=True)
        Path("results/notes").write_text("mine")
        Path("results/pcap/mine.pcap").write_text("mine")
        Path("results/times.json").write_text("old")
        assert emu("run", lab, "--out", "results").exit_code == 0
        found = content(Path("results"))
        assert found["results/notes"] == found["results/pcap/mine.pcap"] == b"mine"
        assert found["results/times.json"] != b"old"
        assert {path.name for path in Path("results").iterdir()} == FIVE | {"notes"}

    def test_is_taken_even_if_an_outcome_is_not_as_expected(self, write: Callable[[str], str]) -> None:
        """That is when people want to look at it."""
        assert emu("run", write(LAB.replace("EXPECTED", "timeout")), "--out", "results").exit_code == 1
        assert {path.name for path in Path("results").iterdir()} == FIVE

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("lab.yaml", "lab.yaml: Not a directory"),
            ("lab.yaml/results", "lab.yaml/results: Not a directory"),
            ("/proc/results", "/proc/results: No such file or directory"),
        ],
    )
    def test_where_none_can_be_nothing_is_run_or_changed(self, lab: str, name: str, message: str) -> None:
        """It is found out before the first step."""
        before = content()
        result = emu("run", lab, "--out", name, "-w", "lab.pcapng")
        assert result.exit_code == 2
        assert (result.stdout, result.stderr) == ("", f"{message}\n")
        assert content() == before

    @pytest.mark.parametrize("obstacle", ["times.json/x", "pcap", "pcap/b.eth0.pcap/x"])
    def test_what_is_in_the_way_stays(self, lab: str, obstacle: str) -> None:
        """And so does all else: a folder is never half of one run and half of another."""
        Path("results", obstacle).parent.mkdir(parents=True)
        Path("results", obstacle).write_text("mine")
        Path("results/frames.json").write_text("old")
        before = content()
        result = emu("run", lab, "--out", "results", "-w", "lab.pcapng")
        assert result.exit_code == 2
        assert result.stderr == f"results/{obstacle.removesuffix('/x')}: is in the way\n"
        assert content() == before


class TestFaults:
    """What is wrong in a document is told at once, and nothing is written."""

    DOCUMENT = """nmae: lab
namespaces:
  node1: {sysctls: {net.ipv4.ip_forwad: 1, net.core.netdev_max_backlog: 5, net.ipv4.ip_forward: maybe}}
  pod1:
links:
- a: {ns: node1, if: veth1, mac: 020000000001}
  b: {ns: pod1, if: eth0, mac: 02:00:00:00:00:02, addr: [10.0.0.300/24]}
- a: {ns: node1, if: veth1, mac: 02:00:00:00:00:03}
  b: {ns: pod2, if: eth0, mac: 02:00:00:00:00:04}
bridges:
- {ns: node1, if: cni0, mac: 02:00:00:00:00:05, ports: [veth1, veth9]}
routes:
- {ns: pod1, dst: default, dev: eth0}
- {ns: pod1, dst: 0.0.0.0/0, dev: eth0}
iptables: {node1: node1.rules}
nft: {pod1: pod1.nft}
ipset: {pod1: pod1.ipset}
captures: [pod1/eth9]
actions:
- exec: {ns: pod1, argv: [tc, qdisc]}
- exec: {ns: pod1, argv: [ip, route, add, via]}
- iptables: {ns: pod1, args: -t nat}
- ping: {ns: pod1, dst: pod2}
"""
    RULES = "# nothing\n*filter\n:INPUT DROP\n-A INPUT -p tpc -j ACCEPT\nCOMMIT\n"

    FAULTS: ClassVar = [
        "lab.yaml:1: $.nmae: unknown key",
        "lab.yaml:3: $.namespaces.node1.sysctls['net.core.netdev_max_backlog']: is a setting of the machine",
        "lab.yaml:3: $.namespaces.node1.sysctls['net.ipv4.ip_forwad']: there is no such setting",
        "lab.yaml:3: $.namespaces.node1.sysctls['net.ipv4.ip_forward']: cannot be 'maybe'",
        "lab.yaml:6: $.links[0].a.mac: is read as the number 2147483649",
        "lab.yaml:7: $.links[0].b.addr[0]: must be an IPv4 address with prefix length like 10.244.1.2/24",
        "lab.yaml:8: $.links[1].a.if: node1 has an interface veth1 already (line 6)",
        "lab.yaml:9: $.links[1].b.ns: there is no namespace 'pod2'",
        "lab.yaml:11: $.bridges[0].ports[1]: 'veth9' is no link end of node1",
        "lab.yaml:14: $.routes[1]: pod1 has a route to default with that metric already (line 13)",
        "lab.yaml:18: $.captures[0]: pod1 has no interface 'eth9'",
        "lab.yaml:20: $.actions[0].exec.argv: tc is not modelled",
        "lab.yaml:21: $.actions[1].exec.argv: Command line is not complete",
        "lab.yaml:22: $.actions[2].iptables.args: iptables v1.8.9 (nf_tables): no command specified",
        "lab.yaml:23: $.actions[3].ping.dst: must be an IPv4 address",
        'node1.rules:4: $.iptables.node1: unknown protocol "tpc" specified',
        "pod1.ipset:2: $.ipset.pod1: Syntax error: typename 'hash:op' is unknown",
        "pod1.nft:2: $.nft.pod1: syntax error, unexpected '}'",
    ]

    def test_all_are_told_together(self, write: Callable[[str], str]) -> None:
        """Those of YAML values, of names, and of what emu does not model, each with its line."""
        Path("node1.rules").write_text(self.RULES)
        Path("pod1.nft").write_text("table ip x {\n}}\n")
        Path("pod1.ipset").write_text("\ncreate x hash:op\n")
        result = emu("run", write(self.DOCUMENT), "-w", "lab.pcapng", "--out", "results")
        assert result.exit_code == 2
        assert result.stdout == ""
        assert [self._shortened(line) for line in result.stderr.splitlines()] == self.FAULTS
        assert not Path("lab.pcapng").exists()
        assert not Path("results").exists()

    @staticmethod
    def _shortened(fault: str) -> str:
        """Return a fault without the advice behind it."""
        advices = ("; did you mean", ": quote the", "; there are", ": a namespace does", ". Try", ", not '")
        for advice in advices:
            fault = fault.partition(advice)[0]
        return fault

    @pytest.mark.parametrize(
        ("route", "message"),
        [
            ("{ns: a, dst: default, via: 10.9.9.9}", "Nexthop has invalid gateway"),
            (
                "{ns: a, dst: 10.5.0.0/16, via: 10.0.0.2, dev: eth0, src: 10.77.0.1}",
                "Invalid prefsrc address",
            ),
        ],
    )
    def test_a_route_that_the_kernel_refuses_is_a_fault(
        self, write: Callable[[str], str], route: str, message: str
    ) -> None:
        """With its line and the kernel's words; all of them are told."""
        text = (
            LAB.replace("EXPECTED", "reply")
            + f"routes:\n- {route}\n- {route.replace('a,', 'a, metric: 7,')}\n"
        )
        result = emu("run", write(text), "-w", "lab.pcapng")
        assert result.exit_code == 2
        assert result.stderr.splitlines() == [
            f"lab.yaml:13: $.routes[0]: {message}",
            f"lab.yaml:14: $.routes[1]: {message}",
        ]
        assert not Path("lab.pcapng").exists()

    def test_a_traceroute_that_cannot_send_is_a_fault(self, write: Callable[[str], str]) -> None:
        """It reports no outcome that could tell it."""
        text = LAB.replace("EXPECTED", "reply") + "- traceroute: {ns: a, dst: 192.0.2.1}\n"
        result = emu("run", write(text), "--out", "results")
        assert result.exit_code == 2
        assert result.stderr == "lab.yaml:12: $.actions[2].traceroute: Network is unreachable\n"
        assert not Path("results").exists()


class TestStorm:
    """A bridge loop would go on for ever."""

    LOOP = """
name: loop
namespaces: {sw1: , sw2: , h: }
links:
- {a: {ns: sw1, if: p1, mac: 02:00:00:00:01:01}, b: {ns: sw2, if: p1, mac: 02:00:00:00:02:01}}
- {a: {ns: sw1, if: p2, mac: 02:00:00:00:01:02}, b: {ns: sw2, if: p2, mac: 02:00:00:00:02:02}}
- a: {ns: sw1, if: p3, mac: 02:00:00:00:01:03}
  b: {ns: h, if: eth0, mac: 02:00:00:00:03:03, addr: [10.0.0.1/24]}
bridges:
- {ns: sw1, if: br0, mac: 02:00:00:00:01:00, ports: [p1, p2, p3]}
- {ns: sw2, if: br0, mac: 02:00:00:00:02:00, ports: [p1, p2]}
captures: [h/eth0]
actions:
- ping: {ns: h, dst: 10.0.0.2}
"""

    def test_is_stopped_and_said(self, write: Callable[[str], str], monkeypatch: pytest.MonkeyPatch) -> None:
        """With the time, and what to look for; no file is written."""
        monkeypatch.setattr(driver, "MOST_CABLES", 200)
        result = emu("run", write(self.LOOP), "-w", "lab.pcapng", "--out", "results")
        assert result.exit_code == 2
        assert result.stdout == ""
        assert "have passed 200 cables" in result.stderr
        assert result.stderr.endswith("frames go round in circles (is there a bridge loop?)\n")
        assert {path.name for path in Path().iterdir()} == {"lab.yaml"}
