# SPDX-License-Identifier: GPL-2.0-only
"""Packets that overtake each other between the look-up of a connection and its confirmation."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from functools import cache
from json import loads
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from click.testing import CliRunner

from emu import lab
from emu.cli import cli
from emu.cluster.timeline.report import report
from emu.fabric import program
from emu.kernel.netfilter.conntrack.race import Race
from emu.kernel.sockets import SocketKind
from emu.sim.choice import branches
from emu.sim.time import SECOND
from emu.testing.whole_state import whole_state
from emu.verify.asker import Asker
from emu.verify.explainer import Explainer
from emu.verify.racing import racing
from emu.verify.report import report as told_of
from emu.verify.verdict import Result, Word
from emu.wire.addresses import IpAddress

if TYPE_CHECKING:
    from emu.cluster.timeline.windows import Summary
    from emu.fabric.program import Program
    from emu.sim.choice import ScriptedChoice

FOLDER: Final = Path(__file__).parents[2] / "topologies/failures"


def seen(path: Path, *, seed: int | None = None) -> dict[str, Summary]:
    """Return what each client of a scenario saw."""
    cluster = lab.load(str(path), seed=seed)
    assert isinstance(cluster, lab.Cluster)
    assert cluster.story is not None
    return {each.spec.name: each.summary for each in cluster.story.clients}


def changed(tmp_path: Path, name: str, old: str, new: str) -> Path:
    """Return a copy of a scenario in which something is otherwise."""
    text = (FOLDER / f"{name}.yaml").read_text()
    assert old in text
    path = tmp_path / f"{name}.yaml"
    path.write_text(text.replace(old, new))
    return path


@cache
def spent() -> lab.Cluster:
    """Return the cluster whose ports are spent."""
    cluster = lab.load(str(FOLDER / "snat-ports.yaml"))
    assert isinstance(cluster, lab.Cluster)
    return cluster


class TestDns:
    """Two questions from one socket."""

    def test_who_asks_both_at_once_waits_five_seconds_to_the_nanosecond(self) -> None:
        """It is the resolver's own patience; the cures do without."""
        found = seen(FOLDER / "dns-five-seconds.yaml")
        assert found["plain"].slowest == 5 * SECOND
        assert found["reopening"].slowest == found["by-tcp"].slowest == 0

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ('kernel: "5.4"', 'kernel: "5.7"'),
            ('  races: [{name: conntrack-insert, share: 50%, kernel: "5.4"}]\n', ""),
        ],
    )
    def test_a_newer_kernel_and_packets_in_line_know_no_such_delay(
        self, tmp_path: Path, old: str, new: str
    ) -> None:
        """There the loser lives beside the winner; and without the race nobody loses."""
        path = changed(tmp_path, "dns-five-seconds", old, new)
        assert seen(path)["plain"].slowest == 0

    def test_a_seed_decides_who_loses(self, tmp_path: Path) -> None:
        """The same one the same, another one others."""
        path = str(changed(tmp_path, "dns-five-seconds", "share: 50%", "share: 1/2"))
        reports = []
        for seed in (3, 3, 4):
            cluster = lab.load(path, seed=seed)
            assert isinstance(cluster, lab.Cluster)
            assert cluster.story is not None
            reports.append(report(cluster.story, name="x", seed=0))
        first, again, other = reports
        assert first == again
        assert first["steps"] != other["steps"]  # the counters of conntrack -S


def send_twice(address: IpAddress, port: int) -> Program[None]:
    """Send two datagrams from one socket, as a resolver does."""
    socket = yield from program.socket(SocketKind.UDP)
    yield from program.connect(socket, address, port)
    for data in (b"A", b"AAAA"):
        yield from program.send(socket, data)
    yield from program.close(socket)


def test_all_schedules_of_two_packets_are_explored_with_their_probabilities() -> None:
    """On an old kernel one is lost if one is overtaken, and both were sent to different pods: 1 in 4.

    A packet that is overtaken by one that is overtaken itself is confirmed in its turn,
    so it is the second that loses in that case.
    """
    first = lab.load(str(FOLDER / "dns-five-seconds.yaml"), steps=False)
    assert isinstance(first, lab.Cluster)
    held = Counter[str]()
    total = Fraction(0)

    def run(choice: ScriptedChoice) -> str:
        cluster = first.again()
        assert isinstance(cluster, lab.Cluster)
        cluster.fabric.decide_by(choice)
        cluster.fabric.let_race(Race(Fraction(1, 2), is_harsh=True))
        net = cluster.pod("plain").net
        cluster.fabric.spawn(net, send_twice(IpAddress.parse("10.96.0.10"), 53))
        cluster.fabric.loop.run_until(cluster.fabric.loop.now)
        stats = cluster.node("worker-1").net.netfilter.conntrack.stats
        return "lost" if stats["insert_failed"] else "both"

    shares: dict[str, Fraction] = {"lost": Fraction(0), "both": Fraction(0)}
    for choice in branches():
        word = run(choice)
        shares[word] += choice.probability
        held[word] += 1
        total += choice.probability
    assert total == 1
    assert shares["lost"] == Fraction(1, 4)
    assert held["lost"] >= 2


class TestSourcePorts:
    """Two connections that are masqueraded to one port."""

    def test_random_ports_are_the_cure(self) -> None:
        """Who keeps his port may lose a SYN, and comes a second later."""
        story = spent().story
        assert story is not None
        found = {each.spec.name: each.summary for each in story.clients}
        assert max(found["one"].slowest, found["other"].slowest) >= SECOND
        assert max(found["random-one"].slowest, found["random-other"].slowest) < SECOND

    def test_sixty_four_ports_are_for_sixty_four_connections(self) -> None:
        """The others never come about."""
        lines = spent().node("worker-1").run("conntrack -L -d 203.0.113.9").splitlines()
        ports = {
            word for line in lines for word in line.split() if word.startswith("dport=") and "443" not in word
        }
        assert len([line for line in lines if " ESTABLISHED " in line]) == len(ports) == 64


@cache
def unplayed(name: str) -> lab.Cluster:
    """Return the cluster of a file before its steps: what it says of races holds all the same."""
    cluster = lab.load(str(FOLDER / f"{name}.yaml"), steps=False)
    assert isinstance(cluster, lab.Cluster)
    return cluster


SEED: Final = 4
LOSING: Final = 5


def comments_of(seed: int) -> list[str]:
    """Return what a capture says of packets while a name is looked up, and they race."""
    cluster = lab.load(str(FOLDER / "dns-five-seconds.yaml"), steps=False, seed=seed)
    assert isinstance(cluster, lab.Cluster)
    with cluster.capture("node/worker-1/*", explainer=Explainer(cluster)) as recorded, racing(cluster):
        cluster.pod("plain").run("getent ahosts web.default")
    frames = (*recorded.capture.frames, *recorded.capture.endings)
    return [comment for frame in frames for comment in frame.comments]


class TestAsked:
    """Every order, on request."""

    def test_a_name_is_asked_for_in_every_order_of_two_packets(self) -> None:
        """In some orders a question is lost, and nobody knows how often: the share is none."""
        verdict = unplayed("dns-five-seconds").flow("plain", "dns://web", races=True).verdict
        assert (verdict.word, verdict.delivered, verdict.words) == (Word.SOMETIMES, None, "SOMETIMES")
        (first, *_) = failed = [one for one in verdict.outcomes if one.result is not Result.DELIVERED]
        assert {one.cause and one.cause.code for one in failed} == {"CT_INSERT_FAILED"}
        assert first.cause is not None
        assert "two packets of one socket were under way at once" in first.cause.words
        assert "the answer comes after 5.000 s" in first.cause.words
        assert "one packet is overtaken at the most" in verdict.assumptions
        json = told_of(verdict, verdict.outcomes)
        assert (json["delivered"], {one["probability"] for one in json["outcomes"]}) == (None, {None})
        assert "(a matter of timing)" in " ".join(json["outcomes"][1]["choices"])

    def test_the_steps_of_who_loses_tell_that_it_was_overtaken(self) -> None:
        """On each branch that fails, right before its end."""
        verdict = unplayed("dns-five-seconds").flow("plain", "dns://web", races=True).verdict
        lost = [one.story.request for one in verdict.outcomes if one.result is Result.DROPPED]
        assert lost
        for request in lost:
            assert request is not None
            assert str(request.line[-2].step.detail).startswith("overtaken: others are confirmed before it")

    @pytest.mark.parametrize(("source", "races"), [("reopening", True), ("by-tcp", True), ("plain", False)])
    def test_with_a_cure_no_order_makes_a_difference(self, source: str, *, races: bool) -> None:
        """One question after the other, or TCP; and nothing is lost where nobody overtakes."""
        assert unplayed("dns-five-seconds").flow(source, "dns://web", races=races).always

    def test_on_a_newer_kernel_the_loser_lives_beside_the_winner(self, tmp_path: Path) -> None:
        """Since 5.7 no order loses a question."""
        path = changed(tmp_path, "dns-five-seconds", 'kernel: "5.4"', 'kernel: "5.7"')
        cluster = lab.load(str(path), steps=False)
        assert isinstance(cluster, lab.Cluster)
        assert cluster.flow("plain", "dns://web", races=True).always

    def test_musl_asks_again_sooner_and_knows_no_such_option(self, tmp_path: Path) -> None:
        """It loses in the same orders, and options of glibc's are no cure for it: none is proposed."""
        cluster = lab.load(str(changed(tmp_path, "dns-five-seconds", "debian", "alpine")), steps=False)
        assert isinstance(cluster, lab.Cluster)
        flow = cluster.flow("plain", "dns://web", races=True)
        assert flow.verdict.failure is not None
        assert flow.verdict.failure.cause is not None
        assert "the answer comes after 2.500 s" in flow.verdict.failure.cause.words
        assert cluster.flow("reopening", "dns://web", races=True).reason == "CT_INSERT_FAILED"
        assert flow.fix is None

    def test_all_is_as_it_was_afterwards(self) -> None:
        """Asking for every order changes nothing, and lets nobody race later."""
        cluster = unplayed("dns-five-seconds").again()
        assert isinstance(cluster, lab.Cluster)
        Asker(cluster).judge("plain", "dns://web")
        before = whole_state(cluster.fabric)
        assert not cluster.flow("plain", "dns://web", races=True).always
        assert whole_state(cluster.fabric) == before

    def test_what_is_not_tracked_cannot_be_overtaken(self) -> None:
        """Without its rules in the table raw the same cache is translated past, and loses as others do."""
        cluster = lab.load(str(FOLDER / "dns-node-local.yaml"))
        assert isinstance(cluster, lab.Cluster)
        assert cluster.flow("cached", "dns://web", races=True).always
        cluster.node("worker-1").run("iptables -t raw -F PREROUTING")
        flow = cluster.flow("cached", "dns://web", races=True)
        assert flow.reason == "CT_INSERT_FAILED"

    def test_two_connections_race_for_a_port(self) -> None:
        """Who is entered second loses its SYN; with random ports nobody does."""
        clash = spent().flow("one:40001", "ext/partner:443", beside="other:40001")
        assert (clash.verdict.word, clash.reason) == (Word.SOMETIMES, "CT_INSERT_FAILED")
        assert clash.verdict.failure is not None
        assert clash.verdict.failure.cause is not None
        assert "were masqueraded to port 40001 of 172.18.0.4 at once" in clash.verdict.failure.cause.words
        assert spent().flow("random-one:40001", "ext/partner:443", beside="random-other:40001").always
        assert spent().flow("one:40001", "ext/partner:443", races=True).always

    def test_a_capture_shows_who_was_overtaken_and_a_seed_shows_it_again(self) -> None:
        """With `--races` the comments tell both: that a packet was held, and that it was dropped for it."""
        captures = [comments_of(seed) for seed in (SEED, SEED, 0)]
        assert captures[0] == captures[1] != captures[2]
        overtaken = [
            each for each in captures[0] if 'why="overtaken: others are confirmed before it"' in each
        ]
        dropped = [
            each for each in captures[0] if each.startswith("DROP CT_INSERT_FAILED kernel=NETFILTER_DROP")
        ]
        assert overtaken
        assert dropped


def quiet(tmp_path: Path) -> str:
    """Return a file with the pods and the race of a failure, and nothing that takes time."""
    text = (FOLDER / "dns-five-seconds.yaml").read_text()
    lines = text.replace("until: 20s", "until: 1s").splitlines(keepends=True)
    steps, races = lines.index("  steps:\n"), next(i for i, each in enumerate(lines) if "  races:" in each)
    path = tmp_path / "quiet.yaml"
    path.write_text("".join((*lines[:steps], lines[races])))
    return str(path)


def test_races_are_asked_for_on_the_command_line(tmp_path: Path) -> None:
    """`trace --races` follows every order, `capture --races` draws one and shows it."""
    path = quiet(tmp_path)
    asked = CliRunner().invoke(cli, ["trace", "-f", path, "--races", "-o", "json", "plain", "dns://web"])
    answer = loads(asked.stdout)
    assert (asked.exit_code, answer["to"], answer["verdict"]) == (1, "dns://web", "SOMETIMES")
    assert (answer["delivered"], answer["outcomes"][0]["probability"]) == (None, None)
    words = ["capture", "-f", path, "--seed", str(LOSING), "--races", "-i", "node/worker-1/eth0"]
    shown = CliRunner().invoke(cli, [*words, "--", "exec", "plain", "--", "getent", "ahosts", "web"])
    times = [line.split()[2] for line in shown.stdout.splitlines() if " A? " in line or " AAAA? " in line]
    assert (times[0], times[-1]) == ("00:00:01.000000", "00:00:06.000000")
