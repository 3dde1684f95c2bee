# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest

from emu import cli

if TYPE_CHECKING:
    from collections.abc import Sequence

HERE = Path(__file__).parent
TWO_WAYS = str(HERE / "two-ways.yaml")
TOPOLOGIES = HERE.parents[2] / "topologies"


class Emu(Protocol):
    """Runs the command line and returns exit status, standard output and standard error."""

    def __call__(self, *arguments: str) -> tuple[int, str, str]:
        """Run `emu ARGUMENTS...`."""


@pytest.fixture
def emu(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Emu:
    """The command line, as its entry point runs it."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["emu", *arguments])
        with pytest.raises(SystemExit) as left:
            cli.main()
        out, err = capsys.readouterr()
        assert isinstance(left.value.code, int)
        return left.value.code, out, err

    return run


def trace(emu: Emu, *arguments: str, file: str = TWO_WAYS) -> tuple[int, str]:
    """Run `emu trace` and return exit status and standard output; standard error is empty."""
    status, out, err = emu("trace", "-f", file, *arguments)
    assert err == ""
    return status, out


class TestAnswer:
    """The first line and the exit status."""

    def test_always(self, emu: Emu) -> None:
        """Status 0 for it alone."""
        status, out = trace(emu, "pod1", "gw")
        assert status == 0
        assert out.splitlines()[0] == "ALWAYS  pod1 -> gw/ICMP  delivered"

    def test_never_names_place_and_reason(self, emu: Emu) -> None:
        """With where to read on, at the end."""
        status, out = trace(emu, "server", "up1:99")
        first, *_, about = out.splitlines()
        assert status == 1
        assert first == "NEVER  refused at up1/eth1: nobody listens on TCP port 99   NO_SOCKET"
        assert about == "about    emu explain NO_SOCKET"

    def test_sometimes_names_the_share_and_what_has_to_be_drawn(self, emu: Emu) -> None:
        """The way told is that of the branch that fails."""
        status, out = trace(emu, "pod1", "server:53/udp")
        lines = out.splitlines()
        assert status == 1
        assert lines[0] == "SOMETIMES 1/2  fails via 10.2.2.2 dev eth2   IP_FORWARD_OFF"
        assert "flow     pod1 -> server:53/UDP" in lines
        assert "1       1/2    delivered                  via 10.2.1.2 dev eth1" in lines
        assert "branch 2 dropped, via 10.2.2.2 dev eth2" in lines

    def test_a_fix_is_shown_with_what_to_type(self, emu: Emu) -> None:
        """It has been tried."""
        _, out = trace(emu, "pod1", "server:53/udp")
        assert "fix      " in out
        assert "sysctl -w net.ipv4.ip_forward=1" in out

    def test_a_packet_that_was_not_sent_has_no_table(self, emu: Emu) -> None:
        """Which is said."""
        _, out = trace(emu, "up2", "10.9.9.9")
        assert "no packet was sent" in out.splitlines()

    def test_the_same_seed_gives_the_same_text(self, emu: Emu) -> None:
        """To the last character."""
        assert trace(emu, "pod1", "server:80") == trace(emu, "pod1", "server:80")


class TestText:
    """The rows."""

    def test_fit_eighty_columns(self, emu: Emu) -> None:
        """In every shape of story, and with every step."""
        for file, source, target in (
            (TWO_WAYS, "pod1", "server:80"),
            (TWO_WAYS, "pod1", "10.1.0.77"),
            (str(TOPOLOGIES / "two-nodes-by-vxlan.yaml"), "pod1", "pod2:8080"),
            (str(TOPOLOGIES / "two-nodes-by-vxlan.yaml"), "pod2", "pod1:53/udp"),
        ):
            for verbose in ((), ("-v",)):
                _, out = trace(emu, source, target, "--all-branches", *verbose, file=file)
                assert max(map(len, out.splitlines())) <= 80

    def test_tell_both_halves(self, emu: Emu) -> None:
        """What the packet is at the head of each, then where it is sent and who takes it."""
        _, out = trace(emu, "pod1", "gw")
        assert out.splitlines()[2:] == [
            " #  WHERE  WHAT                                                        SRC > DST",
            "request  ICMP echo request  10.1.0.2 > 10.1.0.1",
            " 1  pod1  route 10.1.0.0/24 dev eth0",
            "            ARP 10.1.0.1 is-at 02:00:00:00:01:01",
            " 2  gw    echo answered",
            "reply    ICMP echo reply  10.1.0.1 > 10.1.0.2",
            " 3  gw    route 10.1.0.0/24 dev eth0",
            " 4  pod1  a raw ICMP socket takes it",
        ]

    def test_a_tunnel_shows_its_number_and_remote(self, emu: Emu) -> None:
        """Stage `vxlan`, on both nodes."""
        _, out = trace(emu, "pod1", "pod2:8080", file=str(TOPOLOGIES / "two-nodes-by-vxlan.yaml"))
        assert "vxlan flannel.1: VNI 1, 02:00:0a:f4:02:ff is sent to 192.168.0.2" in out
        assert "vxlan flannel.1: VNI 1 from 192.168.0.1" in out


class TestEveryStep:
    """`--verbose`."""

    def test_has_every_stage_and_the_module_that_took_it(self, emu: Emu) -> None:
        """Hooks without rules, too."""
        _, out = trace(emu, "pod1", "gw", "--verbose")
        assert any(
            line.endswith("gw PREROUTING     no rules  [kernel.netfilter.hooks]") for line in out.splitlines()
        )
        assert any("gw route" in line and "local 10.1.0.1 dev eth0" in line for line in out.splitlines())

    def test_a_tunnels_outer_addresses_are_shown(self, emu: Emu) -> None:
        """Where the packet is wrapped."""
        file = str(TOPOLOGIES / "two-nodes-by-vxlan.yaml")
        _, out = trace(emu, "pod1", "pod2:8080", "-v", file=file)
        assert "> 192.168.0.2:8472" in out

    def test_questions_asked_again_take_one_line(self, emu: Emu) -> None:
        """ARP asks three times."""
        _, out = trace(emu, "pod1", "10.1.0.77", "-v")
        words = " ".join(out.split())
        assert words.count("ARP who-has 10.1.0.77 tell 10.1.0.2, once more") == 2
        assert words.count("gw eth0 in") == 1


class TestBranches:
    """`--branch`, `--all-branches`, `--dropped-only`."""

    def stories(self, lines: Sequence[str]) -> list[str]:
        """Return the headings of the stories that are told."""
        return [line[:8] for line in lines if line.startswith("branch ")]

    def test_all_of_them(self, emu: Emu) -> None:
        """A story for each."""
        _, out = trace(emu, "pod1", "server", "--all-branches")
        assert self.stories(out.splitlines()) == ["branch 1", "branch 2"]

    def test_one_of_them(self, emu: Emu) -> None:
        """The verdict is still that of all."""
        status, out = trace(emu, "pod1", "server", "--branch", "1")
        assert status == 1
        assert out.startswith("SOMETIMES 1/2")
        assert self.stories(out.splitlines()) == ["branch 1"]
        assert "2       1/2" not in out

    def test_only_those_that_fail(self, emu: Emu) -> None:
        """Of the JSON's outcomes, too."""
        _, out = trace(emu, "pod1", "server", "--dropped-only", "-o", "json")
        written = json.loads(out)
        assert [outcome["result"] for outcome in written["outcomes"]] == ["dropped"]
        assert written["delivered"] == "1/2"

    def test_a_branch_that_there_is_not(self, emu: Emu) -> None:
        """Is wrong input."""
        status, out, err = emu("trace", "-f", TWO_WAYS, "pod1", "server", "--branch", "3")
        assert (status, out) == (2, "")
        assert "--branch 3: there are 2 branches" in err

    def test_one_and_all_exclude_each_other(self, emu: Emu) -> None:
        """Is wrong input."""
        assert emu("trace", "-f", TWO_WAYS, "pod1", "server", "--branch", "1", "--all-branches")[0] == 2


class TestForms:
    """`-o`."""

    def test_json_is_the_contracts(self, emu: Emu) -> None:
        """One object on standard output."""
        status, out = trace(emu, "pod1", "server:80", "-o", "json")
        written = json.loads(out)
        assert status == 1
        assert (written["verdict"], written["delivered"], len(written["outcomes"])) == ("SOMETIMES", "1/2", 2)

    def test_markdown_is_a_table(self, emu: Emu) -> None:
        """With the answer in the first line."""
        _, out = trace(emu, "pod1", "server", "-o", "md")
        lines = out.splitlines()
        assert lines[0].startswith("**SOMETIMES 1/2  fails via 10.2.2.2 dev eth2")
        rows = [line for line in lines if line.startswith("|")]
        assert {line.count(" | ") for line in rows} == {4, 3}  # of fates, of stages

    def test_html_is_one_page(self, emu: Emu) -> None:
        """That loads nothing."""
        status, out = trace(emu, "pod1", "server", "-o", "html")
        assert status == 1
        assert out.startswith("<!doctype html>")
        assert "SOMETIMES 1/2" in out
        assert not any(word in out for word in ("src=", "href=", "url(", "@import"))

    def test_another_is_refused(self, emu: Emu) -> None:
        """By name, with those that there are."""
        status, _, err = emu("trace", "-f", TWO_WAYS, "pod1", "server", "-o", "dot")
        assert status == 2
        assert "'dot' is not one of 'text', 'json', 'md', 'html'" in err


def test_what_the_documents_steps_did_not_reach_is_said_once(emu: Emu, tmp_path: Path) -> None:
    """On standard error, and the answer is that of the network as it is."""
    document = tmp_path / "lab.yaml"
    steps = "  - ping: {ns: pod1, dst: 10.1.0.77, timeout: 0.1, expect: reply}\n"
    document.write_text(Path(TWO_WAYS).read_text(encoding="utf-8") + steps, encoding="utf-8")
    status, out, err = emu("trace", "-f", str(document), "pod1", "server:80")
    assert status == 1
    assert out.startswith("SOMETIMES 1/2")
    assert err == "not as expected: action 4 (ping, line 28): expected reply, got timeout\n"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("-f", TWO_WAYS, "pod9", "server"), "no namespace pod9"),
        (("-f", TWO_WAYS, "pod1", "server/udp"), "UDP needs a port"),
        (("-f", "nowhere.yaml", "pod1", "server"), "nowhere.yaml"),
        (("-f", TWO_WAYS, "pod1"), "Missing argument 'TO'"),
    ],
)
def test_wrong_input_has_status_2(emu: Emu, arguments: tuple[str, ...], told: str) -> None:
    """It is told on standard error, and nothing is written."""
    status, out, err = emu("trace", *arguments)
    assert (status, out) == (2, "")
    assert told in err


def test_data_have_to_arrive_if_so_asked(emu: Emu, tmp_path: Path) -> None:
    """A connection stands, and what is larger than the way is lost: only a payload shows it."""
    document = tmp_path / "narrow.yaml"
    document.write_text(NARROW, encoding="utf-8")
    options = ["trace", "-f", str(document), "a", "b:80"]
    assert emu(*options)[1].startswith("ALWAYS")
    status, told, _ = emu(*options, "--payload", "20000")
    assert (status, "PMTU_BLACKHOLE" in told.splitlines()[0]) == (1, True)


NARROW = """
apiVersion: emu/v1
kind: Cluster
spec: {nodes: [{name: n1}, {name: n2}], network: {provider: flannel, backend: vxlan}}
---
apiVersion: v1
kind: Pod
metadata: {name: a}
spec: {nodeName: n1, containers: [{name: c, image: busybox}]}
---
apiVersion: v1
kind: Pod
metadata: {name: b}
spec: {nodeName: n2, containers: [{name: c, image: nginx, ports: [{containerPort: 80}]}]}
---
apiVersion: emu/v1
kind: Scenario
spec: {steps: [{run: "exec node/n2 -- ip link set eth0 mtu 1400"}]}
"""
