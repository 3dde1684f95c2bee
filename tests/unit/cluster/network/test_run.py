# SPDX-License-Identifier: GPL-2.0-only
"""Running a document's actions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from emu.cluster.network.reader import load_network
from emu.cluster.network.run import NetworkRun
from emu.errors import DocumentError
from emu.sim.time import EPOCH, SECOND

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

AGEING = """\
name: ageing
namespaces: {a: {}, b: {}, switch: {}}
bridges:
  - {ns: switch, if: br0, mac: '02:00:00:00:00:fe', ageing: 2, ports: [p1, p2]}
links:
  - a: {ns: a, if: eth0, mac: '02:00:00:00:00:0a', addr: [10.0.0.1/24]}
    b: {ns: switch, if: p1, mac: '02:00:00:00:00:01'}
  - a: {ns: b, if: eth0, mac: '02:00:00:00:00:0b', addr: [10.0.0.2/24]}
    b: {ns: switch, if: p2, mac: '02:00:00:00:00:02'}
captures: [a/eth0]
actions:
  - ping: {ns: a, dst: 10.0.0.2}
  - snapshot: {label: soon}
  - sleep: {seconds: 3}
  - snapshot: {label: later}
"""


def test_a_snapshot_shows_the_tables_of_its_instant(tmp_path: Path) -> None:
    """What has aged since a namespace was last busy is not there any more."""
    path = tmp_path / "ageing.yaml"
    path.write_text(AGEING, encoding="utf-8")
    dumps = NetworkRun(load_network(path)).run().dumps
    learned = {
        label: [row["mac"] for row in dump["switch"]["fdb"] if row["state"] == "dynamic"]
        for label, dump in dumps.items()
    }
    assert learned == {
        "soon": ["02:00:00:00:00:0a", "02:00:00:00:00:0b"],
        "later": [],
        "end": [],
    }


PAIR = """\
namespaces: {a: , b: }
links:
- a: {ns: a, if: eth0, mac: 02:00:00:00:00:0a, addr: [10.0.0.1/24]}
  b: {ns: b, if: eth0, mac: 02:00:00:00:00:0b, addr: [10.0.0.2/24]}
neigh:
- {ns: a, dev: eth0, ip: 10.0.0.2, mac: 02:00:00:00:00:0b}
- {ns: b, dev: eth0, ip: 10.0.0.1, mac: 02:00:00:00:00:0a}
captures: [a/eth0]
actions:
"""
"""Two hosts that know each other: a ping is two frames, and takes no time."""


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., NetworkRun]:
    """Makes a network of two hosts that carries out some actions, given as YAML, a line each."""

    def made(*actions: str, seed: int = 0) -> NetworkRun:
        path = tmp_path / "lab.yaml"
        path.write_text(PAIR + "".join(f"- {action}\n" for action in actions))
        return NetworkRun(load_network(path), seed=seed)

    return made


def times(network: NetworkRun) -> list[float]:
    """Return when the frames of a run were seen, in seconds from its start."""
    return [(frame.time_ns - EPOCH) / SECOND for frame in network.capture.frames]


def since_start(network: NetworkRun) -> float:
    """Return the virtual time in seconds."""
    return network.fabric.loop.now / SECOND


class TestTime:
    """When actions begin and end, as the format lays down."""

    @pytest.mark.parametrize(
        ("actions", "seen", "end"),
        [
            ((), [], 0.4),
            (("sleep: {seconds: 2}",), [], 2.4),
            (("udp_server: {ns: b, port: 9}", "sleep: {seconds: 1}"), [], 1.4),
            (("exec: {ns: a, argv: [ip, route]}",) * 3, [], 0.4),
            (("ping: {ns: a, dst: 10.0.0.2}",), [0, 0], 0.52),
            (("ping: {ns: a, dst: 10.0.0.2}",) * 2, [0, 0, 0.12, 0.12], 0.64),
            (("ping: {ns: a, dst: 10.0.0.2, settle: 1}",) * 2, [0, 0, 1, 1], 2.4),
            (("ping: {ns: a, dst: 10.0.0.2, count: 3, interval: 0.2}",), [0, 0, 0.2, 0.2, 0.4, 0.4], 0.92),
            (
                ("ping: {ns: a, dst: 10.0.0.2}", "quiet: {seconds: 3}", "ping: {ns: a, dst: 10.0.0.2}"),
                [0, 0, 3.24, 3.24],
                3.76,
            ),
            (
                ("ping: {ns: a, dst: 10.0.0.2}", "snapshot: {label: x}", "ping: {ns: a, dst: 10.0.0.2}"),
                [0, 0, 0.32, 0.32],
                0.84,
            ),
            (
                (
                    "ping: {ns: a, dst: 10.0.0.2, count: 2, interval: 1, background: true}",
                    "ping: {ns: b, dst: 10.0.0.1}",
                ),
                [0, 0, 0.1, 0.1, 1, 1],
                1.4,
            ),
        ],
    )
    def test_silences_follow_the_format(
        self, run: Callable[..., NetworkRun], actions: tuple[str, ...], seen: list[float], end: float
    ) -> None:
        """The clock stands still for everything but pauses and silences."""
        network = run(*actions)
        network.run()
        assert times(network) == pytest.approx(seen)
        assert since_start(network) == pytest.approx(end, abs=0.121)

    def test_the_last_silence_has_a_limit(self, tmp_path: Path) -> None:
        """Frames that never end do not keep a run from ending."""
        path = tmp_path / "lab.yaml"
        busy = "- ping: {ns: a, dst: 10.0.0.2, count: 400, interval: 0.1, background: true}\n"
        path.write_text(PAIR + busy + "quiet: 1\nquiet_limit: 3\n")
        network = NetworkRun(load_network(path))
        network.run()
        assert since_start(network) == pytest.approx(39.9 + 1, abs=0.2)

    def test_a_background_action_that_does_not_end_is_given_up(self, run: Callable[..., NetworkRun]) -> None:
        """After sixty seconds, and that is its outcome."""
        network = run("ping: {ns: a, dst: 10.0.0.2, count: 900, interval: 0.1, background: true}")
        assert network.run().results == [{"action": 0, "kind": "ping", "outcome": "no end"}]
        assert since_start(network) == pytest.approx(60.1 + 0.4, abs=0.2)


class TestOutcome:
    """What a run gives."""

    def test_results_are_in_the_order_of_actions(self, run: Callable[..., NetworkRun]) -> None:
        """Also of those that ended later than others."""
        outcome = run(
            "ping: {ns: a, dst: 10.0.0.2, count: 2, interval: 1, background: true}",
            "sleep: {seconds: 0.1}",
            "ping: {ns: b, dst: 10.0.0.1}",
        ).run()
        assert [(found["action"], found["kind"]) for found in outcome.results] == [(0, "ping"), (2, "ping")]

    def test_each_snapshot_and_the_end_are_dumped(self, run: Callable[..., NetworkRun]) -> None:
        """With all namespaces, in the order of the document."""
        dumps = run("snapshot: {label: first}", "snapshot: {label: second}").run().dumps
        assert list(dumps) == ["first", "second", "end"]
        assert all(list(dump) == ["a", "b"] for dump in dumps.values())

    def test_expectations_are_compared(self, run: Callable[..., NetworkRun]) -> None:
        """One outcome, or one for each of several."""
        outcome = run(
            "ping: {ns: a, dst: 10.0.0.2, expect: reply}",
            "ping: {ns: a, dst: 10.0.0.9, expect: reply}",
            "ping: {ns: a, dst: 10.0.0.2, count: 2, expect: [reply, reply]}",
            "ping: {ns: a, dst: 10.0.0.2, count: 2, expect: [reply, timeout]}",
            "ping: {ns: a, dst: 10.0.0.2}",
        ).run()
        assert [found.get("as_expected") for found in outcome.results] == [True, False, True, False, None]
        assert outcome.unexpected == [
            "action 1 (ping, line 11): expected reply, got timeout",
            "action 3 (ping, line 13): expected reply, timeout, got reply, reply",
        ]

    def test_a_failed_command_is_unexpected(self, run: Callable[..., NetworkRun]) -> None:
        """If it may not fail."""
        outcome = run(
            "exec: {ns: a, argv: [ip, link, set, eth7, up]}",
            "exec: {ns: a, argv: [ip, link, set, eth8, up], may_fail: true}",
        ).run()
        assert outcome.unexpected == ['action 0 (exec, line 10): failed: Cannot find device "eth7"']

    def test_a_traceroute_that_cannot_send_is_a_fault(self, run: Callable[..., NetworkRun]) -> None:
        """With its line: it has no outcome to tell."""
        with pytest.raises(DocumentError) as refused:
            run("traceroute: {ns: a, dst: 192.0.2.1}").run()
        (fault,) = refused.value.faults
        assert (fault.line, fault.path) == (10, "$.actions[0].traceroute")
        assert fault.message == "Network is unreachable"

    def test_servers_live_until_the_end(self, run: Callable[..., NetworkRun]) -> None:
        """And what they would still send is not waited for."""
        outcome = run(
            "tcp_server: {ns: b, port: 80, reply: hello}",
            "tcp_request: {ns: a, dst: 10.0.0.2, dst_port: 80, send: hi, close: none, expect: ok}",
            "tcp_request: {ns: a, dst: 10.0.0.2, dst_port: 80, send: hi, expect: ok}",
        ).run()
        assert [found.get("received") for found in outcome.results] == ["hello", "hello"]
        assert outcome.unexpected == []


def test_the_same_seed_gives_the_same_run(run: Callable[..., NetworkRun]) -> None:
    """Frames, times, results and tables; another seed draws other numbers."""
    action = "tcp_request: {ns: a, dst: 10.0.0.2, dst_port: 80}"

    def whole(seed: int) -> object:
        network = run(action, "ping: {ns: a, dst: 10.0.0.2}", seed=seed)
        return network.run(), network.capture.frames

    assert whole(5) == whole(5)
    assert whole(5) != whole(6)
