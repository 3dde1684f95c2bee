# SPDX-License-Identifier: GPL-2.0-only
"""Packets that overtake each other between the look-up of a connection and its confirmation."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from emu import lab
from emu.cluster.timeline.report import report
from emu.fabric import program
from emu.kernel.netfilter.conntrack.race import Race
from emu.kernel.sockets import SocketKind
from emu.sim.choice import branches
from emu.sim.time import SECOND
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
    path.write_text(text.replace(old, new).replace("until: 60s", "until: 20s").replace("at: 59s", "at: 19s"))
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
