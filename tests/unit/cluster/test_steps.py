# SPDX-License-Identifier: GPL-2.0-only
"""The steps that roll out, mark, kill, fail and cut."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from emu.cluster.source import ClusterSource, read_source
from emu.errors import CommandError
from emu.kube.api.objects import Deployment, Node, Pod, Service
from emu.sim.time import SECOND, later

if TYPE_CHECKING:
    from pathlib import Path

    from emu.cluster.cluster import Cluster

CLUSTER = """
apiVersion: emu/v1
kind: Cluster
spec: {nodes: [{name: control-plane, role: control-plane}, {name: one}, {name: two}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: nginx:1
        ports: [{containerPort: 80}]
        readinessProbe: {httpGet: {port: 80}, periodSeconds: 2, failureThreshold: 3}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Pod
metadata: {name: client}
spec: {nodeName: one, containers: [{name: c, image: curl, command: [sleep, infinity]}]}
"""


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    """A cluster of two workers, a Deployment and a client."""
    path = tmp_path / "cluster.yaml"
    path.write_text(CLUSTER)
    source = read_source([str(path)])
    assert isinstance(source, ClusterSource)
    return source.start()


def pods(cluster: Cluster) -> dict[str, Pod]:
    """Return the pods of the Deployment."""
    return {
        each.metadata.name: each
        for each in cluster.store.list(Pod, "default")
        if each.metadata.labels.get("app") == "web"
    }


def wait(cluster: Cluster, seconds: float) -> None:
    """Let time pass."""
    cluster.wait_until(later(cluster.fabric.loop.now, round(seconds * SECOND)))


def ready_endpoints(cluster: Cluster) -> int:
    """Return how many backends a client is sent to."""
    (door,) = (each for each in cluster.store.list(Service, "default") if each.metadata.name == "web")
    rules = cluster.node("one").run("iptables-save -t nat")
    return sum(
        "KUBE-SVC-" in line and "-j KUBE-SEP-" in line and "default/web" in line
        for line in rules.splitlines()
        if door.spec.cluster_ip
    )


class TestRollouts:
    """`rollout` and `set image`, with kubectl's answers."""

    def test_a_restart_makes_all_pods_anew(self, cluster: Cluster) -> None:
        """And its status is told when it is complete."""
        before = set(pods(cluster))
        assert (
            cluster.do("rollout restart deploy/web", settle=False).stdout == "deployment.apps/web restarted\n"
        )
        told = cluster.do("rollout status deploy/web").stdout.splitlines()
        assert told[-1] == 'deployment "web" successfully rolled out'
        assert not before & set(pods(cluster))

    def test_an_image_is_set_and_undone(self, cluster: Cluster) -> None:
        """To what it was before."""
        assert cluster.do("set image deploy/web web=nginx:2").stdout == "deployment.apps/web image updated\n"
        images = {container.image for each in pods(cluster).values() for container in each.spec.containers}
        assert images == {"nginx:2"}
        assert cluster.do("rollout undo deploy/web").stdout == "deployment.apps/web rolled back\n"
        images = {container.image for each in pods(cluster).values() for container in each.spec.containers}
        assert images == {"nginx:1"}

    def test_a_paused_one_waits(self, cluster: Cluster) -> None:
        """Until it is resumed."""
        cluster.do("rollout pause deploy/web")
        before = set(pods(cluster))
        cluster.do("set image deploy/web *=nginx:3")
        assert set(pods(cluster)) == before
        cluster.do("rollout resume deploy/web")
        assert not set(pods(cluster)) & before

    def test_a_rollout_that_cannot_end_times_out(self, cluster: Cluster) -> None:
        """With kubectl's words and status."""
        cluster.do("cordon one")
        cluster.do("cordon two")
        cluster.do("rollout restart deploy/web", settle=False)
        finished = cluster.do("rollout status deploy/web --timeout=30s", settle=False)
        assert (finished.status, finished.stderr) == (1, "error: timed out waiting for the condition\n")

    @pytest.mark.parametrize(
        ("line", "words"),
        [
            ("rollout deploy/web", "rollout restart|undo|status|pause|resume"),
            ("rollout restart svc/web", "service has no roll-outs"),
            ("rollout undo deploy/web", "no rollout history found"),
            ("rollout undo deploy/web --to-revision=9", "unable to find specified revision 9"),
            ("set image deploy/web app=x", 'unable to find container named "app"'),
            ("set image deploy/web", "CONTAINER=IMAGE"),
        ],
    )
    def test_what_cannot_be_is_refused(self, cluster: Cluster, line: str, words: str) -> None:
        """And nothing has changed."""
        before = cluster.store.get(Deployment, "web", "default")
        finished = cluster.do(line)
        assert finished.status == 1
        assert words in finished.stderr
        assert cluster.store.get(Deployment, "web", "default").spec == before.spec


class TestMarks:
    """`annotate` and `taint`."""

    def test_an_annotation_comes_and_goes(self, cluster: Cluster) -> None:
        """One that is there is only overwritten when that is asked for."""
        assert cluster.do("annotate pod/client a=b").stdout == "pod/client annotated\n"
        assert "already has a value (b)" in cluster.do("annotate pod/client a=c").stderr
        cluster.do("annotate pod/client a=c --overwrite")
        assert cluster.store.get(Pod, "client", "default").metadata.annotations["a"] == "c"
        cluster.do("annotate pod/client a-")
        assert "a" not in cluster.store.get(Pod, "client", "default").metadata.annotations

    def test_a_taint_drives_pods_away(self, cluster: Cluster) -> None:
        """Those that do not tolerate it, at once."""
        assert cluster.do("taint node one bad=disk:NoExecute").stdout == "node/one tainted\n"
        assert {each.spec.node_name for each in pods(cluster).values()} == {"two"}
        assert cluster.do("taint node one bad-").stdout == "node/one untainted\n"
        assert cluster.store.get(Node, "one").spec.taints == ()

    @pytest.mark.parametrize(
        ("line", "words"),
        [
            ("taint node one a=b:Nothing", "invalid taint effect: Nothing"),
            ("taint node one a-", 'taint "a" not found'),
            ("taint pod client a=b:NoSchedule", "only nodes have taints"),
            ("taint node one", "KEY[=VALUE]:EFFECT"),
        ],
    )
    def test_what_is_no_taint_is_refused(self, cluster: Cluster, line: str, words: str) -> None:
        """In kubectl's words."""
        finished = cluster.do(line)
        assert finished.status == 1
        assert words in finished.stderr


class TestContainers:
    """`kill`, `probe`, `ready` and `unready`."""

    def test_a_killed_program_is_started_again(self, cluster: Cluster) -> None:
        """Its exit code tells the signal, and the container has been restarted."""
        name = min(pods(cluster))
        cluster.do(f"kill -9 {name}", settle=False)
        wait(cluster, 0.1)
        assert not cluster.store.get(Pod, name, "default").is_ready
        wait(cluster, 5)
        status = cluster.store.get(Pod, name, "default").status.container_statuses[0]
        assert (status.restart_count, status.ready) == (1, True)
        assert status.last_state.terminated is not None
        assert status.last_state.terminated.exit_code == 137

    def test_an_unready_pod_gets_no_new_connections(self, cluster: Cluster) -> None:
        """As soon as its probe has failed three times, two seconds apart; and again when it passes."""
        name = min(pods(cluster))
        begun = cluster.fabric.loop.now
        cluster.do(f"unready {name}")
        assert 4 * SECOND <= cluster.fabric.loop.now - begun <= 7 * SECOND
        assert not pods(cluster)[name].is_ready
        assert ready_endpoints(cluster) == 1
        cluster.do(f"ready {name}")
        wait(cluster, 2)
        assert ready_endpoints(cluster) == 2

    def test_a_probe_that_there_is_not_cannot_fail(self, cluster: Cluster) -> None:
        """It is said which there is not."""
        assert "has no liveness probe" in cluster.do("probe deploy/web liveness fail").stderr
        assert "is no probe" in cluster.do("probe deploy/web livenes fail").stderr
        assert "has no readiness probe" in cluster.do("unready client").stderr


class TestMachines:
    """`fail`, `recover`, `reboot`, `stop` and `start`."""

    def test_without_network_the_pods_run_on(self, cluster: Cluster) -> None:
        """Nobody reaches them from elsewhere, and they are the same when the node is back."""
        before = {name: each.status.pod_ip for name, each in pods(cluster).items()}
        remote = next(each for each in pods(cluster).values() if each.spec.node_name == "two")
        cluster.do("fail node/two", settle=False)
        with pytest.raises(CommandError):
            cluster.pod("client").run(f"curl -s --max-time 1 http://{remote.status.pod_ip}")
        assert cluster.pod(remote.metadata.name).run(f"curl -s http://{remote.status.pod_ip}")
        cluster.do("recover node/two")
        assert cluster.pod("client").run(f"curl -s --max-time 3 http://{remote.status.pod_ip}")
        assert {name: each.status.pod_ip for name, each in pods(cluster).items()} == before

    def test_without_power_all_is_gone_and_begins_anew(self, cluster: Cluster) -> None:
        """The pods are the same objects, their containers started once more; rules and routes are back."""
        remote = next(each for each in pods(cluster).values() if each.spec.node_name == "two")
        cluster.do("reboot two --for=20s", settle=False)
        assert f"default/{remote.metadata.name}" not in cluster.fabric.namespaces
        assert "KUBE-SVC" not in cluster.node("two").run("iptables-save")
        wait(cluster, 25)
        after = pods(cluster)[remote.metadata.name]
        assert after.is_ready
        assert after.metadata.uid == remote.metadata.uid
        assert after.status.container_statuses[0].restart_count == 1
        assert cluster.pod("client").run(f"curl -s --max-time 1 http://{after.status.pod_ip}")
        address = cluster.store.get(Service, "web", "default").spec.cluster_ip
        for _ in range(8):
            assert cluster.node("two").run(f"curl -s --max-time 1 http://{address}")
        assert "default via" in cluster.node("two").run("ip route")

    def test_without_a_kubelet_traffic_flows_until_it_is_missed(self, cluster: Cluster) -> None:
        """The node is NotReady after its grace period, its pods run and are no endpoints any more."""
        remote = next(each for each in pods(cluster).values() if each.spec.node_name == "two")
        cluster.do("fail two --kubelet", settle=False)
        assert cluster.pod("client").run(f"curl -s --max-time 1 http://{remote.status.pod_ip}")
        wait(cluster, 60)
        assert not cluster.store.get(Node, "two").is_ready
        assert ready_endpoints(cluster) == 1
        assert cluster.pod("client").run(f"curl -s --max-time 1 http://{remote.status.pod_ip}")
        cluster.do("recover two")
        wait(cluster, 10)
        assert cluster.store.get(Node, "two").is_ready
        assert ready_endpoints(cluster) == 2

    def test_probes_go_on_after_a_node_is_back(self, cluster: Cluster) -> None:
        """Who was not asked for a while is asked again."""
        name = next(name for name, each in pods(cluster).items() if each.spec.node_name == "two")
        cluster.do("fail node/two", settle=False)
        wait(cluster, 20)
        cluster.do("recover node/two")
        wait(cluster, 5)
        cluster.do(f"unready {name}")
        assert not pods(cluster)[name].is_ready

    def test_a_stopped_proxy_knows_no_new_endpoints(self, cluster: Cluster) -> None:
        """Until it is started."""
        cluster.do("stop one kube-proxy")
        cluster.do("scale deploy/web --replicas=4")
        assert ready_endpoints(cluster) == 2
        cluster.do("start one kube-proxy")
        assert ready_endpoints(cluster) == 4

    @pytest.mark.parametrize(
        ("line", "words"),
        [
            ("fail one --pwer", "did you mean 'power'"),
            ("fail nobody", "no node nobody"),
            ("reboot one --for=soon", "reboot NODE"),
            ("stop one kubeproxy", "stop NODE kubelet|kube-proxy"),
            ("start one kube-proxy", "was not stopped"),
        ],
    )
    def test_what_cannot_be_is_refused(self, cluster: Cluster, line: str, words: str) -> None:
        """With the words that it may have."""
        finished = cluster.do(line)
        assert finished.status == 1
        assert words in finished.stderr


class TestLinks:
    """`link`, of a whole machine and between two."""

    def test_a_link_goes_down_and_up(self, cluster: Cluster) -> None:
        """Nothing passes meanwhile."""
        node = cluster.node("one")
        peer = next(iter(cluster.store.get(Node, "two").addresses("InternalIP")))
        cluster.do("link two down", settle=False)
        assert "100% packet loss" in node.execute(["ping", "-c", "1", "-W", "1", peer]).stdout
        cluster.do("link two up", settle=False)
        assert " 0% packet loss" in node.execute(["ping", "-c", "1", "-W", "1", peer]).stdout

    def test_a_link_becomes_slow(self, cluster: Cluster) -> None:
        """By its delay, each way."""
        peer = next(iter(cluster.store.get(Node, "two").addresses("InternalIP")))
        cluster.do("link two delay=20ms", settle=False)
        assert "time=40.000 ms" in cluster.node("one").run(f"ping -c 2 {peer}")
        cluster.do("link two clear", settle=False)
        assert "time=40.000 ms" not in cluster.node("one").run(f"ping -c 2 {peer}")

    def test_what_is_no_link_is_refused(self, cluster: Cluster) -> None:
        """With what it might be."""
        assert "link END [END] up|down|clear" in cluster.do("link two").stderr
        assert "no machine too; did you mean 'two'" in cluster.do("link too down").stderr
        assert "loss" in cluster.do("link two loss=lots").stderr


def test_all_of_it_is_done_again_in_a_copy(cluster: Cluster) -> None:
    """Steps are remembered with the instants at which they were taken."""
    for line in (
        "rollout restart deploy/web",
        "link two delay=1ms",
        "reboot two --for=5s",
        "taint node one a:NoSchedule",
    ):
        assert cluster.do(line).status == 0
    wait(cluster, 10)
    copy = cluster.again()
    assert copy.fabric.loop.now == cluster.fabric.loop.now
    assert list(copy.fabric.namespaces) == list(cluster.fabric.namespaces)
