# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from emu.sim.time import SECOND
from tests.unit.cli.shell.conftest import TOPOLOGIES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.unit.cli.shell.conftest import Talk


class TestSentences:
    """WHO COMMAND: somebody runs something."""

    def test_names_become_addresses(self, network: Talk) -> None:
        """As in mininet, `pod1 ping pod2` pings the address of pod2."""
        assert "64 bytes from 10.244.1.3: icmp_seq=1" in network("pod1 ping -c 1 pod2")
        assert network.status == 0

    def test_names_of_dns_stay_names(self, cluster: Talk) -> None:
        """A Service is nobody: its name goes through DNS, packets and all."""
        assert cluster("client curl -s http://web").startswith("web-")

    def test_nodes_need_no_kind(self, cluster: Talk) -> None:
        """As in `fail worker-1`."""
        assert "1 received" in cluster("client ping -c 1 worker-1")

    def test_the_status_is_the_commands(self, network: Talk) -> None:
        """A ping without an answer fails."""
        network("pod1 ping -c 1 -W 1 10.244.1.99")
        assert network.status == 1

    def test_what_is_done_stays_done(self, network: Talk) -> None:
        """The next line finds the world as the last one left it."""
        network("pod1 ip link set eth0 down")
        assert "state DOWN" in network("pod1 ip link show eth0")

    @pytest.mark.parametrize("line", ["pod9 ping pod1", "pnigall", "pod1"])
    def test_nonsense_is_told(self, network: Talk, line: str) -> None:
        """The status is 2, nothing is on standard output, and the conversation goes on."""
        assert (network(line), network.status) == ("", 2)
        assert line.split(maxsplit=1)[0] in network.errors
        assert not network.session.is_over

    def test_a_typing_error_gets_a_hint(self, network: Talk) -> None:
        """Among all words and names that could have been meant."""
        network("pnigall")
        assert "did you mean 'pingall'?" in network.errors


class TestBackground:
    """`&`: the prompt comes back, and time passes for the command when it passes for all."""

    def test_tells_when_it_is_done(self, network: Talk) -> None:
        """What it printed comes with the first line after its end."""
        assert network("pod1 ping -c 2 -i 1 pod2 &") == "[1]  pod1 ping -c 2 -i 1 10.244.1.3\n"
        assert network("jobs") == "[1]  pod1 ping -c 2 -i 1 10.244.1.3\n"
        assert "2 packets transmitted, 2 received" in network("run 5s")
        assert network("jobs") == ""

    def test_is_for_commands_alone(self, network: Talk) -> None:
        """A question has an answer at once."""
        assert (network("pingall &"), network.status) == ("", 2)


class TestVerbs:
    """emu's verbs need no -f: they work on what lives here."""

    def test_see_what_was_done(self, cluster: Talk) -> None:
        """`scale deploy/web 5` and its pods are there."""
        assert cluster("scale deploy/web 5") == "deployment.apps/web scaled\n"
        assert cluster("get pods --no-headers").count("web-") == 5

    def test_questions_change_nothing(self, network: Talk) -> None:
        """No time has passed after a trace, and nobody knows a neighbour by it."""
        before = network("pod1 ip neigh; time")
        assert network("trace pod1 -> pod2:80").startswith("NEVER")
        assert network.status == 1
        assert network("pod1 ip neigh; time") == before

    def test_their_faults_are_told(self, cluster: Talk) -> None:
        """An unknown option is a fault of the line, not the end of the conversation."""
        assert (cluster("get pods --bogus"), cluster.status) == ("", 2)
        assert "--bogus" in cluster.errors

    def test_files_can_be_named_all_the_same(self, network: Talk) -> None:
        """With -f a verb works on files, as outside."""
        assert "web-1" in network(f"get pods -f {TOPOLOGIES}/failures/hairpin-off.yaml")

    def test_seeds_cannot_change_any_more(self, cluster: Talk) -> None:
        """What lives has begun with one."""
        cluster("trace client svc/web:80 --seed 3")
        assert cluster.status == 2
        assert "--seed" in cluster.errors

    def test_objects_are_for_clusters(self, network: Talk) -> None:
        """A network has none, which is said."""
        network("get pods")
        assert network.status == 2
        network("scale deploy/web 2")
        assert network.status == 2


class TestExpectations:
    """FROM -> TO VERDICT: the lines of `expect`, asked here and now."""

    def test_are_met_or_not(self, network: Talk) -> None:
        """The status says it, too."""
        assert network("pod1 -> pod2:80 NEVER because NO_SOCKET").startswith("PASS")
        assert network.status == 0
        assert network("pod1 -> pod2:80 ALWAYS").startswith("FAIL")
        assert network.status == 1

    def test_wrong_ones_are_told(self, network: Talk) -> None:
        """With what is wrong about them."""
        assert (network("pod1 -> pod2:80 PERHAPS"), network.status) == ("", 2)
        assert "PERHAPS" in network.errors


class TestFilesOfLines:
    """`source FILE` does its lines; they may read further files, not without end."""

    def test_the_last_status_counts(self, network: Talk, tmp_path: Path) -> None:
        """As with a shell."""
        path = tmp_path / "lines"
        path.write_text("# to begin with\npod1 ping -c 1 pod2\n\nfalsehood\nquit\ntime\n")
        assert "1 received" in network(f"source {path}")
        assert network.session.is_over

    def test_a_circle_ends(self, network: Talk, tmp_path: Path) -> None:
        """A file that reads itself is told so."""
        path = tmp_path / "lines"
        path.write_text(f"source {path}\n")
        network(f"source {path}")
        assert network.status == 2
        assert "read each other" in network.errors

    @pytest.mark.parametrize(
        ("octets", "words"),
        [(b"net\n\xff\n", ":2: is no UTF-8 text"), (b"#" * ((1 << 20) + 1), "has more than 1 MiB")],
    )
    def test_what_is_no_text_is_refused(
        self, network: Talk, tmp_path: Path, octets: bytes, words: str
    ) -> None:
        """Before any line of it is done."""
        path = tmp_path / "lines"
        path.write_bytes(octets)
        assert (network(f"source {path}"), network.status) == ("", 2)
        assert words in network.errors

    def test_a_missing_file_is_told(self, network: Talk) -> None:
        """By its name."""
        network("source /nowhere/lines")
        assert (network.status, network.errors) == (2, "/nowhere/lines: No such file or directory\n")


class TestTime:
    """Time stands still until somebody lets it pass."""

    def test_run_lets_it_pass(self, network: Talk) -> None:
        """By exactly so much."""
        before = network.session.emulation.fabric.loop.now
        network("run 2500ms")
        assert network.session.emulation.fabric.loop.now == before + 5 * SECOND // 2

    def test_plans_are_kept(self, network: Talk) -> None:
        """`at` waits for its instant, also when several are planned out of order."""
        network("at 50s pod1 ip link set eth0 up; at 40s pod1 ip link set eth0 down")
        assert "DOWN" not in network("run 10s; pod1 ip link show eth0")
        told = network("run 60s")
        assert told.index("40.000 s $ pod1") < told.index("50.000 s $ pod1")
        assert "DOWN" not in network("pod1 ip link show eth0")

    def test_a_planned_end_is_an_end(self, network: Talk) -> None:
        """Time passes no further, and nothing more is done."""
        told = network("at 20s quit; at 30s pod1 hostname; run 60s; pod2 hostname")
        assert told == "20.000 s $ quit\n"
        assert network.session.is_over
        assert network.session.emulation.fabric.loop.now == 20 * SECOND

    def test_an_end_that_came_due_meanwhile_is_one_too(self, network: Talk) -> None:
        """Time may pass for something else."""
        assert "0 received" in network("at 3s quit; pod1 ping -c 1 -W 5 10.244.1.99")
        assert "hostname" not in network("pod1 hostname").replace("$ quit", "")
        assert network.session.is_over

    def test_going_back_cannot_be_planned(self, network: Talk, tmp_path: Path) -> None:
        """What it takes back would be done again; nor can a file of lines do it."""
        network("pod1 ip link set eth0 down; at 20s back")
        assert (network.status, "cannot be planned" in network.errors) == (2, True)
        lines = tmp_path / "lines"
        lines.write_text("back\n")
        network(f"at 20s source {lines}; run 30s")
        assert "not while time passes" in network.errors
        assert "DOWN" in network("pod1 ip link show eth0")

    def test_the_past_cannot_be_planned(self, network: Talk) -> None:
        """It says what time it is."""
        network("run 9s")
        network("at 1s net")
        assert network.status == 2
        assert "is past: it is" in network.errors

    def test_steps_are_single_things(self, network: Talk) -> None:
        """The first thing that happens to a ping is that its request comes to the bridge, and no answer."""
        network("pod1 ping -c 1 pod2 &")
        told = network("step")
        assert "veth1@node1" in told
        assert "ICMP echo request" in told
        assert "reply" not in told
        assert "1 received" in network("run 3s")

    def test_one_packet_can_be_followed(self, cluster: Talk) -> None:
        """Nothing of others is told, addresses may change on its way, and its end is said."""
        cluster("client curl -s http://web &")
        first = cluster("follow tcp")
        assert [line for line in first.splitlines() if "Flags [S]" in line] == first.splitlines()[:1]
        told = cluster("follow 99")
        frames = [line for line in told.splitlines() if not line.startswith(" ")][:-1]
        assert all("10.244.2.3." in line and "Flags [S]" in line for line in frames), told
        assert "nat destination 10.108.150.251:80 becomes " in told
        assert told.endswith("socket TCP listener on port 8080\nthis packet is at its end\n")
        cluster("follow")
        assert (cluster.status, cluster.errors.partition("?")[0]) == (2, "whom")

    def test_the_packet_of_the_last_step_can_be_followed(self, network: Talk) -> None:
        """From there on."""
        network("pod1 ping -c 1 pod2 &")
        network("step")
        told = network("follow 9")
        assert "reply" not in told
        assert told.endswith("this packet is at its end\n")

    def test_a_packet_that_never_comes_is_not_waited_for_long(self, network: Talk) -> None:
        """Five seconds of virtual time."""
        assert (network("follow sctp"), network.status) == ("no such packet passes within 5 s\n", 1)

    def test_following_can_be_taken_back(self, network: Talk) -> None:
        """As all that changes something; then nobody is followed."""
        network("pod1 ping -c 1 pod2 &")
        first = network("follow icmp")
        network("back")
        assert network("follow icmp") == first

    def test_nothing_to_step_is_said(self, talk_about: Callable[[str], Talk], tmp_path: Path) -> None:
        """Somebody alone has no next thing."""
        path = tmp_path / "alone.yaml"
        path.write_text("namespaces: {alone: }\nlinks: []\ncaptures: []\nactions: []\n")
        alone = talk_about(str(path))
        assert (alone("step"), alone.status) == ("nothing is under way\n", 1)

    def test_events_of_kubernetes_are_told_meanwhile(self, cluster: Talk) -> None:
        """A node that fails is not ready after its grace period."""
        cluster("fail worker-1")
        assert "NodeNotReady node/worker-1" in cluster("run 60s")

    def test_kubectl_run_is_meant_where_more_follows(self, cluster: Talk) -> None:
        """`run NAME --image=IMAGE` makes a pod."""
        assert cluster("run probe --image=nginx") == "pod/probe created\n"

    def test_a_probe_of_a_container_is_a_step(self, cluster: Talk) -> None:
        """The verb of that name asks many questions; a step says which probe fails or passes."""
        cluster("probe client readiness fail")
        assert "pod client has no readiness probe" in cluster.errors
        cluster("probe client readyness fail")
        assert "pod client has no" not in cluster.errors


class TestBack:
    """`back` takes lines back that changed something."""

    def test_the_world_is_as_it_was(self, network: Talk) -> None:
        """Looking in between does not count."""
        network("pod1 ip link set eth0 down; net; time")
        network("back")
        assert "DOWN" not in network("pod1 ip link show eth0")

    def test_several(self, cluster: Talk) -> None:
        """Two at once; what came before them is still done."""
        cluster("scale deploy/web 1; scale deploy/web 4; scale deploy/web 5")
        cluster("back 2")
        assert cluster("get pods --no-headers").count("web-") == 1

    def test_not_beyond_the_beginning(self, network: Talk) -> None:
        """There is nothing to take back at first."""
        assert (network("back"), network.status) == ("", 2)


class TestRecording:
    """`record` goes on from line to line."""

    def test_prints_at_the_end(self, network: Talk) -> None:
        """Frames of all lines between, of the points and the filter that were asked for."""
        network("record -i pod1/eth0 icmp")
        network("pod1 ping -c 1 pod2; pod2 ping -c 1 pod1")
        told = network("record stop")
        assert told.count("ICMP echo request") == 2
        assert told.endswith("4 frames\n")

    def test_writes_a_file(self, network: Talk, tmp_path: Path) -> None:
        """pcapng, or pcap by its name."""
        path = tmp_path / "lab.pcap"
        network(f"record -w {path} icmp; pod1 ping -c 1 pod2")
        assert f"frames in {path}" in network("record stop")
        assert path.read_bytes()[:4] in {b"\x4d\x3c\xb2\xa1", b"\xa1\xb2\x3c\x4d"}

    def test_questions_are_not_in_it(self, network: Talk) -> None:
        """Their packets will never have been there."""
        network("record tcp; trace pod1 pod2:80; pod1 -> pod2:80 NEVER; pingall")
        assert network("record stop") == "0 frames\n"

    def test_back_says_that_it_ends(self, network: Talk, tmp_path: Path) -> None:
        """With what has come of it, in the file that it goes to."""
        path = tmp_path / "lab.pcapng"
        network(f"record -w {path} icmp; pod1 ping -c 1 pod2")
        assert f"the recording ends here: 8 frames in {path}" in network("back")
        assert path.exists()
        assert network("record stop") == "nothing is recorded\n"
        assert "`record stop`" in network("help back")

    def test_one_at_a_time(self, network: Talk) -> None:
        """And none to stop is said."""
        assert network("record stop") == "nothing is recorded\n"
        network("record; record")
        assert network.status == 2


class TestLooking:
    """mininet's words for who there is and what is plugged into what."""

    def test_pingall_has_a_line_for_each(self, network: Talk) -> None:
        """As mininet prints it, with the share that got no answer."""
        assert network("pod2 ip link set eth0 down; pingall") == (
            "*** Ping: testing ping reachability\n"
            "node1 -> pod1 X\n"
            "pod1 -> node1 X\n"
            "pod2 -> X X\n"
            "*** Results: 67% dropped (2/6 received)\n"
        )

    def test_reachall_asks_for_a_port(self, cluster: Talk) -> None:
        """Of pods: those that listen there answer."""
        told = cluster("reachall --port 53")
        line = next(each for each in told.splitlines() if each.startswith("client ->"))
        assert line.count("kube-system/coredns-") == 2
        assert line.endswith(" X X X")

    def test_wiring(self, network: Talk) -> None:
        """Devices, far ends, carriers, addresses."""
        assert "pod1 eth0:node1-veth1" in network("net")
        assert "node1-veth1<->pod1-eth0 (OK OK)" in network("links")
        assert "pod1: lo,eth0" in network("intfs")
        assert "<pod1: eth0:10.244.1.2/24>" in network("dump")
        network("pod1 ip link set eth0 down")
        assert "node1-veth1<->pod1-eth0 (DOWN DOWN)" in network("links")

    def test_help_knows_every_word(self, network: Talk) -> None:
        """A line for each, and a verb's own help."""
        told = network("help")
        assert all(word in told for word in network.session.own)
        assert "FROM is a pod" in network("help trace")
        assert network("help run").startswith("Let time pass")
        network("help nobody")
        assert network.status == 2
