# SPDX-License-Identifier: GPL-2.0-only
"""Containers of a pod: what starts when, what ends, and when it is started again."""

from __future__ import annotations

import pytest

from emu.errors import CommandError
from tests.unit.kube.kubelet.lab import container, found, pod, read, seconds, start, status, told, wait

WEB = [{"containerPort": 80}]


class TestNeighbours:
    """Containers of one pod have one loopback, and one port each."""

    def test_they_talk_over_localhost(self) -> None:
        """What one serves the other one gets."""
        cluster = start(pod("web", container("a", image="nginx", ports=WEB), container("b")))
        host = cluster.host("web", container="b")
        assert host.run("curl -s http://127.0.0.1") == "web\n"
        assert host.run("curl -s http://localhost") == "web\n"

    def test_the_second_on_a_port_ends(self) -> None:
        """`bind` fails: exit code 1, Error, and the pod is not ready."""
        cluster = start(
            pod("web", container("a", image="nginx", ports=WEB), container("b", image="nginx", ports=WEB))
        )
        of_b = status(cluster, container_name="b")
        ended = of_b.last_state.terminated
        assert ended is not None
        assert (ended.exit_code, ended.reason, ended.message) == (1, "Error", "Address already in use")
        assert of_b.state.waiting is not None
        assert of_b.state.waiting.reason == "CrashLoopBackOff"
        assert (status(cluster, container_name="a").ready, of_b.ready) == (True, False)
        conditions = {each.type: each for each in found(cluster).status.conditions}
        assert conditions["Ready"].status == "False"
        assert conditions["Ready"].reason == "ContainersNotReady"
        assert conditions["Ready"].message == "containers with unready status: [b]"
        assert found(cluster).status.phase == "Running"

    def test_each_has_files_of_its_own(self) -> None:
        """But the hosts file says the same."""
        cluster = start(pod("web", container("a"), container("b")))
        a, b = (cluster.host("web", container=name) for name in "ab")
        a.userland.write("/run/x", "1")
        with pytest.raises(CommandError):
            b.run("cat /run/x")
        assert a.run("cat /etc/hosts") == b.run("cat /etc/hosts")


class TestBackOff:
    """A container that ends is started at once the first time, then later and later."""

    def test_waits_10_20_40_seconds(self) -> None:
        """Counted from its last end; RESTARTS counts on."""
        failing = container(command=["false"])
        cluster = start(pod("web", failing))
        assert status(cluster).restart_count == 1  # one second after its end
        begun = seconds(cluster)
        restarts = []
        for after in (9, 11, 29, 31, 69, 71):
            wait(cluster, begun + after)
            restarts.append(status(cluster).restart_count)
        assert restarts == [1, 2, 2, 3, 3, 4]
        waiting = status(cluster).state.waiting
        assert waiting is not None
        uid = found(cluster).metadata.uid
        assert waiting.message == f"back-off 1m20s restarting failed container=main pod=web_default({uid})"
        words = f"Back-off restarting failed container main in pod web_default({uid})"
        assert set(told(cluster, "BackOff")) == {words}

    def test_waits_no_longer_than_five_minutes(self) -> None:
        """However often it has failed."""
        cluster = start(pod("web", container(command=["false"])))
        wait(cluster, 3000)
        before = status(cluster).restart_count
        wait(cluster, 3310)
        assert status(cluster).restart_count - before == 1

    def test_begins_anew_after_a_long_run(self) -> None:
        """What has run for more than ten minutes is started at once."""
        cluster = start(pod("web", container(command=["sleep", "700"])))
        wait(cluster, 702)
        assert status(cluster).restart_count == 1
        wait(cluster, 1404)
        assert (status(cluster).restart_count, status(cluster).ready) == (2, True)

    def test_success_is_no_reason_to_rest(self) -> None:
        """Under Always a container that completes is started again, too."""
        cluster = start(pod("web", container(command=["true"])))
        last = status(cluster).last_state.terminated
        assert last is not None
        assert (last.exit_code, last.reason, status(cluster).restart_count) == (0, "Completed", 1)

    def test_a_restart_keeps_the_address(self) -> None:
        """The sandbox stays; the container has another id."""
        cluster = start(pod("web", container(command=["sleep", "5"])))
        before = found(cluster).status.pod_ip, status(cluster).container_id
        wait(cluster, 7)
        assert status(cluster).restart_count == 1
        assert found(cluster).status.pod_ip == before[0]
        assert status(cluster).container_id != before[1]


class TestPolicies:
    """`restartPolicy` says what becomes of a container that ends."""

    @pytest.mark.parametrize(
        ("policy", "command", "phase", "restarts"),
        [
            ("Never", "true", "Succeeded", 0),
            ("Never", "false", "Failed", 0),
            ("OnFailure", "true", "Succeeded", 0),
            ("OnFailure", "false", "Running", 1),
            ("Always", "true", "Running", 1),
        ],
    )
    def test_decides_the_phase(self, policy: str, command: str, phase: str, restarts: int) -> None:
        """Succeeded and Failed are for ever."""
        cluster = start(pod("web", container(command=[command]), restartPolicy=policy))
        assert found(cluster).status.phase == phase
        assert status(cluster).restart_count == restarts

    def test_a_command_that_asks_the_network_decides_it(self) -> None:
        """A pod that only tries whether another answers."""
        cluster = start(
            pod("web", container(image="nginx"), hostNetwork=True),
            pod("good", container(command=["nc", "-z", "172.18.0.2", "80"]), restartPolicy="Never"),
            pod("bad", container(command=["nc", "-z", "172.18.0.2", "81"]), restartPolicy="Never"),
        )
        assert (found(cluster, "good").status.phase, found(cluster, "bad").status.phase) == (
            "Succeeded",
            "Failed",
        )

    def test_a_pod_that_has_ended_gives_its_address_back(self) -> None:
        """Its status still tells it; its namespace is gone."""
        cluster = start(pod("web", container(command=["true"]), restartPolicy="Never"))
        assert found(cluster).status.pod_ip
        assert "default/web" not in cluster.fabric.namespaces
        conditions = {each.type: (each.status, each.reason) for each in found(cluster).status.conditions}
        assert conditions["Ready"] == ("False", "PodCompleted")

    def test_the_others_go_on_when_one_has_ended(self) -> None:
        """A pod is done when all its containers are."""
        cluster = start(
            pod(
                "web",
                container("a", command=["true"]),
                container("b", command=["sleep", "500"]),
                restartPolicy="Never",
            )
        )
        assert found(cluster).status.phase == "Running"
        wait(cluster, 502)
        assert found(cluster).status.phase == "Succeeded"


class TestInit:
    """Init containers run one after the other before all others."""

    def test_each_waits_for_the_one_before(self) -> None:
        """And the containers proper for all of them."""
        inits = [
            container("i1", image="x", command=["sleep", "5"]),
            container("i2", image="x", command=["sleep", "5"]),
        ]
        cluster = start(pod("web", initContainers=inits))
        begun = {}
        for name in ("i1", "i2"):
            ended = status(cluster, container_name=name).state.terminated
            assert ended is not None
            begun[name] = ended.started_at, ended.finished_at
        assert begun["i1"] == ("2025-01-01T00:00:00Z", "2025-01-01T00:00:05Z")
        assert begun["i2"] == ("2025-01-01T00:00:05Z", "2025-01-01T00:00:10Z")
        running = status(cluster).state.running
        assert running is not None
        assert running.started_at == "2025-01-01T00:00:10Z"

    def test_until_then_the_pod_is_pending(self) -> None:
        """Its containers wait for its initialization; news of the pod change nothing."""
        inits = [
            container("i1", image="x", command=["sleep", "500"]),
            container("i2", image="x", command=["true"]),
        ]
        cluster = start(pod("web", initContainers=inits))
        cluster.apply(found(cluster))
        cluster.store.put(found(cluster))
        cluster.kubelets.look_again("node-1")
        wait(cluster, 200)
        assert found(cluster).status.phase == "Pending"
        waiting = [status(cluster, container_name=name).state.waiting for name in ("i2", "main")]
        assert [each.reason for each in waiting if each is not None] == ["PodInitializing"] * 2
        conditions = {each.type: (each.status, each.message) for each in found(cluster).status.conditions}
        assert conditions["Initialized"] == ("False", "containers with incomplete status: [i1 i2]")

    def test_one_that_fails_is_tried_again(self) -> None:
        """With back-off; the others wait."""
        cluster = start(pod("web", initContainers=[container("i", image="x", command=["false"])]))
        waiting = status(cluster, container_name="i").state.waiting
        assert waiting is not None
        assert waiting.reason == "CrashLoopBackOff"
        assert found(cluster).status.phase == "Pending"

    def test_one_that_fails_under_never_fails_the_pod(self) -> None:
        """For good."""
        inits = [container("i", image="x", command=["false"])]
        cluster = start(pod("web", initContainers=inits, restartPolicy="Never"))
        assert found(cluster).status.phase == "Failed"

    def test_one_that_is_not_modelled_is_taken_as_done(self) -> None:
        """As one that prepares files is; the cluster says so."""
        inits = [container("i", image="x", command=["prepare", "--all"])]
        cluster = start(pod("web", initContainers=inits))
        assert status(cluster).ready
        assert (
            "a container's command that is not modelled ends at once, and well (prepare)" in cluster.warnings
        )

    def test_a_sidecar_starts_first_and_stays(self) -> None:
        """An init container with `restartPolicy: Always`."""
        sidecar = container("proxy", image="x", restartPolicy="Always", ports=[{"containerPort": 15001}])
        init = container("i", image="x", command=["nc", "-z", "127.0.0.1", "15001"])
        cluster = start(pod("web", initContainers=[sidecar, init]))
        assert status(cluster).ready
        assert status(cluster, container_name="proxy").ready
        assert cluster.pod("web").run("nc -zv 127.0.0.1 15001") == ""

    def test_a_sidecar_holds_the_others_back_until_it_has_started(self) -> None:
        """Its startup probe says when."""
        sidecar = container(
            "proxy",
            image="x",
            restartPolicy="Always",
            ports=[{"containerPort": 15001}],
            startupProbe={"tcpSocket": {"port": 15001}, "initialDelaySeconds": 20},
        )
        cluster = start(pod("web", initContainers=[sidecar]))
        running = status(cluster).state.running
        assert running is not None
        assert running.started_at == "2025-01-01T00:00:20Z"

    def test_a_sidecar_does_not_keep_a_job_alive(self) -> None:
        """The pod has succeeded when its containers proper have."""
        sidecar = container("proxy", image="x", restartPolicy="Always")
        cluster = start(
            pod("web", container(command=["true"]), initContainers=[sidecar], restartPolicy="Never")
        )
        assert found(cluster).status.phase == "Succeeded"


class TestCommands:
    """A command that emu has is run; one that it has not only keeps its container alive, and is named."""

    @pytest.mark.parametrize(
        "command",
        [
            ["sleep", "infinity"],
            ["sleep", "9" * 400],
            ["/bin/sleep", "1d"],
            ["tail", "-f", "/dev/null"],
            ["sh", "-c", "while true; do sleep 30; done"],
            ["/bin/sh", "-c", "sleep infinity & wait"],
            ["/bin/sh", "-c", "trap : TERM INT; sleep infinity & wait"],
        ],
    )
    def test_what_only_waits_is_understood(self, command: list[str]) -> None:
        """It runs, and nothing is to be said of it."""
        cluster = start(pod("web", container(command=command)))
        assert (status(cluster).ready, status(cluster).restart_count) == (True, 0)
        assert cluster.warnings == []

    @pytest.mark.parametrize(
        ("command", "named"),
        [
            (["python", "app.py"], "python"),
            (["/usr/bin/python3"], "python3"),
            (["sh", "-c", "make && ./run"], "make"),
            (["sh", "-c", "for i in 1 2; do echo; done"], "sh: for is not modelled"),
        ],
    )
    def test_what_is_not_modelled_runs_on_and_is_named(self, command: list[str], named: str) -> None:
        """Once, however many pods there are."""
        cluster = start(pod("web", container(command=command)), pod("too", container(command=command)))
        assert (status(cluster).ready, status(cluster).restart_count) == (True, 0)
        assert cluster.warnings == [f"a container's command that is not modelled does nothing ({named})"]

    def test_arguments_have_variables(self) -> None:
        """`$(NAME)` is the container's own variable."""
        env = [{"name": "T", "value": "3"}]
        cluster = start(
            pod("web", container(command=["sleep"], args=["$(T)"], env=env), restartPolicy="Never")
        )
        wait(cluster, 10)
        ended = status(cluster).state.terminated
        assert ended is not None
        assert ended.finished_at == "2025-01-01T00:00:03Z"


class TestChange:
    """A running pod's image may be changed."""

    def test_another_image_starts_the_container_anew(self) -> None:
        """In the same sandbox."""
        cluster = start(pod("web", container(image="nginx")))
        before = found(cluster)
        cluster.apply(read(pod("web", container(image="redis"))))
        after = found(cluster)
        assert after.status.pod_ip == before.status.pod_ip
        assert (status(cluster).restart_count, status(cluster).image) == (1, "redis")
        assert cluster.pod("web").run("nc -zv 127.0.0.1 6379") == ""
        assert told(cluster, "Killing") == ["Container main definition changed, will be restarted"]
