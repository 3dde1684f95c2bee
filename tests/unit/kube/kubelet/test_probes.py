# SPDX-License-Identifier: GPL-2.0-only
"""Probes: asked from the node at their times, counted, and followed."""

from __future__ import annotations

from typing import Any, Final

import pytest

from emu.kube.api.objects.container import Container, ContainerPort, Probe
from emu.kube.kubelet.ports import port_number
from emu.kube.kubelet.probes import Answer, Tally, period
from emu.sim.time import SECOND
from tests.unit.kube.kubelet.lab import container, found, pod, start, status, told, wait

PORTS: Final = [{"containerPort": 80, "name": "http"}]
GOOD: Final = Answer(is_success=True)
BAD: Final = Answer(is_success=False)


def served(**probes: Any) -> dict[str, Any]:  # noqa: ANN401 - probes of a manifest
    """Return a container that serves HTTP on port 80, with probes."""
    return container(image="nginx", ports=PORTS, **probes)


class TestTally:
    """As many answers in a row as the threshold says turn the result."""

    @pytest.mark.parametrize(
        ("result", "answers", "turns"),
        [
            (False, [GOOD], [True]),
            (True, [BAD, BAD, BAD], [False, False, True]),
            (True, [BAD, BAD, GOOD, BAD, BAD], [False] * 5),  # one success begins the count anew
            (True, [GOOD, GOOD], [False, False]),
        ],
    )
    def test_failures_and_successes_are_counted_in_a_row(
        self, answers: list[Answer], turns: list[bool], *, result: bool
    ) -> None:
        """By default one success, three failures."""
        tally = Tally(Probe(), result=result)
        assert [tally.count(answer) for answer in answers] == turns

    def test_a_success_threshold_has_to_be_met(self) -> None:
        """Two in a row for a threshold of two."""
        tally = Tally(Probe(success_threshold=2), result=False)
        assert [tally.count(each) for each in (GOOD, BAD, GOOD, GOOD)] == [False, False, False, True]
        assert tally.result


@pytest.mark.parametrize(("port", "number"), [(8080, 8080), ("http", 80), ("8080", 8080), ("none", 0)])
def test_a_named_port_is_one_of_the_container(port: int | str, number: int) -> None:
    """A text of digits is a number."""
    assert port_number(port, Container("c", ports=(ContainerPort(80, "http"),))) == number


def test_the_shortest_period_is_a_second() -> None:
    """Ten by default."""
    assert (period(Probe()), period(Probe(period_seconds=0))) == (10 * SECOND, SECOND)


class TestReadiness:
    """A container is ready when its readiness probe says so."""

    @pytest.mark.parametrize(
        "probe",
        [
            {"httpGet": {"port": 80, "path": "/"}},
            {"httpGet": {"port": "http", "path": "healthy"}},
            {"tcpSocket": {"port": 80}},
            {"tcpSocket": {"port": "http"}},
            {"exec": {"command": ["true"]}},
            {"exec": {"command": ["/bin/sh", "-c", "curl -s localhost"]}},
        ],
    )
    def test_one_that_succeeds_makes_it_ready_at_once(self, probe: dict[str, Any]) -> None:
        """The first question comes when the container has started."""
        cluster = start(pod("web", served(readinessProbe=probe)))
        assert status(cluster).ready
        assert found(cluster).is_ready
        assert cluster.warnings == []

    @pytest.mark.parametrize(
        ("probe", "words"),
        [
            (
                {"httpGet": {"port": 81}},
                'Get "http://10.244.0.4:81/": dial tcp 10.244.0.4:81: connect: connection refused',
            ),
            ({"tcpSocket": {"port": 81}}, "dial tcp 10.244.0.4:81: connect: connection refused"),
            ({"exec": {"command": ["cat", "/run/healthy"]}}, "cat: /run/healthy: No such file or directory"),
            ({"exec": {"command": ["sleep", "5"]}}, 'command timed out: "sleep 5" timed out after 1s'),
        ],
    )
    def test_one_that_fails_is_told_in_the_kubelets_words(self, probe: dict[str, Any], words: str) -> None:
        """The pod runs, and is not ready."""
        cluster = start(pod("web", served(readinessProbe=probe)))
        assert (found(cluster).status.phase, status(cluster).ready) == ("Running", False)
        assert told(cluster, "Unhealthy")[0] == f"Readiness probe failed: {words}"

    def test_a_status_of_400_and_more_is_a_failure(self) -> None:
        """The status is told."""
        netexec = container(image="agnhost", args=["netexec", "--http-port=80"])
        probe = {"httpGet": {"port": 80, "path": "/nowhere"}}
        cluster = start(pod("web", {**netexec, "readinessProbe": probe}))
        assert told(cluster, "Unhealthy") == [
            "Readiness probe failed: HTTP probe failed with statuscode: 404"
        ]

    def test_the_first_question_waits_for_its_delay(self) -> None:
        """Until then the container is not ready."""
        cluster = start(
            pod("web", served(readinessProbe={"tcpSocket": {"port": 80}, "initialDelaySeconds": 7}))
        )
        ready = next(each for each in found(cluster).status.conditions if each.type == "Ready")
        assert (ready.status, ready.last_transition_time) == ("True", "2025-01-01T00:00:07Z")

    def test_it_turns_unready_and_back(self) -> None:
        """After as many failures in a row as the threshold says, and one success."""
        probe = {"exec": {"command": ["cat", "/run/on"]}, "periodSeconds": 2, "failureThreshold": 2}
        cluster = start(pod("web", served(readinessProbe=probe)))
        host = cluster.pod("web")
        host.userland.write("/run/on", "yes")
        wait(cluster, 123)
        assert status(cluster).ready
        del host.userland.files["/run/on"]
        wait(cluster, 125)
        assert status(cluster).ready  # one failure is not enough
        wait(cluster, 127)
        assert not status(cluster).ready
        assert status(cluster).restart_count == 0
        host.userland.write("/run/on", "yes")
        wait(cluster, 129)
        assert status(cluster).ready

    def test_a_gate_holds_the_pod_back(self) -> None:
        """Its containers are ready, it is not."""
        cluster = start(pod("web", served(), readinessGates=[{"conditionType": "example.com/lb"}]))
        assert status(cluster).ready
        conditions = {each.type: each for each in found(cluster).status.conditions}
        assert conditions["ContainersReady"].status == "True"
        assert (conditions["Ready"].status, conditions["Ready"].reason) == ("False", "ReadinessGatesNotReady")
        assert conditions["Ready"].message == (
            'corresponding condition of pod readiness gate "example.com/lb" does not exist.'
        )


class TestLiveness:
    """A container that does not live is started again."""

    def test_as_many_failures_as_the_threshold_says_end_it(self) -> None:
        """The first time it is started again at once."""
        probe = {"tcpSocket": {"port": 81}, "periodSeconds": 5, "failureThreshold": 3}
        cluster = start(pod("web", served(livenessProbe=probe)))
        wait(cluster, 9)
        assert status(cluster).restart_count == 0
        wait(cluster, 11)
        last = status(cluster).last_state.terminated
        assert last is not None
        assert (status(cluster).restart_count, last.exit_code) == (1, 143)
        assert told(cluster, "Killing") == ["Container main failed liveness probe, will be restarted"]
        wait(cluster, 22)
        waiting = status(cluster).state.waiting
        assert waiting is not None
        assert waiting.reason == "CrashLoopBackOff"

    def test_success_keeps_it(self) -> None:
        """However long."""
        cluster = start(pod("web", served(livenessProbe={"httpGet": {"port": "http"}})))
        wait(cluster, 600)
        assert (status(cluster).restart_count, status(cluster).ready) == (0, True)

    def test_its_listener_comes_back_after_the_restart(self) -> None:
        """The port was freed."""
        probe = {"exec": {"command": ["cat", "/etc/hosts", "/run/none"]}, "periodSeconds": 1}
        cluster = start(pod("web", served(livenessProbe=probe)), pod("client"))
        wait(cluster, 4)
        assert status(cluster).restart_count == 1
        assert cluster.pod("client").run(f"curl -s http://{found(cluster).status.pod_ip}") == "web\n"


class TestStartup:
    """The startup probe goes before the others."""

    def test_the_others_wait_for_it(self) -> None:
        """Liveness would have ended it; it is ready when it has started."""
        probes = {
            "startupProbe": {"tcpSocket": {"port": 80}, "initialDelaySeconds": 40},
            "livenessProbe": {"tcpSocket": {"port": 80}, "failureThreshold": 1},
            "readinessProbe": {"tcpSocket": {"port": 80}},
        }
        cluster = start(pod("web", served(**probes)))
        assert (status(cluster).started, status(cluster).ready) == (True, True)
        ready = next(each for each in found(cluster).status.conditions if each.type == "Ready")
        assert ready.last_transition_time == "2025-01-01T00:00:40Z"
        assert told(cluster, "Unhealthy") == []

    def test_one_that_fails_too_often_ends_the_container(self) -> None:
        """As liveness does."""
        probe = {"tcpSocket": {"port": 81}, "periodSeconds": 2, "failureThreshold": 2}
        cluster = start(pod("web", served(startupProbe=probe)))
        assert told(cluster, "Killing")[0] == "Container main failed startup probe, will be restarted"
        assert (status(cluster).started, status(cluster).ready) == (False, False)


class TestNotModelled:
    """What a probe asks for and is not modelled is said, once for each sort."""

    @pytest.mark.parametrize(
        ("probe", "words"),
        [
            (
                {"grpc": {"port": 80}},
                "gRPC is not modelled: such a probe succeeds if its port accepts a connection",
            ),
            (
                {"exec": {"command": ["pg_isready", "-U", "me"]}},
                "probes by commands that are not modelled succeed (pg_isready)",
            ),
        ],
    )
    def test_is_said_and_counts_as_success(self, probe: dict[str, Any], words: str) -> None:
        """For two pods in one line."""
        cluster = start(*(pod(name, served(readinessProbe=probe)) for name in ("web", "too")))
        assert status(cluster).ready
        assert cluster.warnings == [words]

    def test_grpc_without_a_listener_fails(self) -> None:
        """The connection at least is asked for."""
        cluster = start(pod("web", served(readinessProbe={"grpc": {"port": 81}})))
        assert not status(cluster).ready


def test_a_probe_comes_from_the_node() -> None:
    """From its own address, through its own namespace."""
    cluster = start(pod("web", served(livenessProbe={"tcpSocket": {"port": 80}, "periodSeconds": 3})))
    with cluster.capture("default/web/eth0", condition="tcp[tcpflags] == tcp-syn") as recorded:
        wait(cluster, 10)
    assert {packet["IP"].src for packet in recorded.packets()} == {"10.244.0.1"}
    assert len(recorded) == 3
