# SPDX-License-Identifier: GPL-2.0-only
"""The end of a pod: grace, hooks, and what is left of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from emu.errors import CommandError, DocumentError
from emu.kube.api.objects import Pod
from tests.unit.kube.kubelet.lab import container, found, pod, read, seconds, start, told, wait

if TYPE_CHECKING:
    from emu.cluster.cluster import Cluster

PORTS: Final = [{"containerPort": 80}]


def hooked(hook: dict[str, Any]) -> dict[str, Any]:
    """Return a container with a preStop hook."""
    return container(image="nginx", ports=PORTS, lifecycle={"preStop": hook})


def is_there(cluster: Cluster, name: str = "web") -> bool:
    """Return whether there is such a pod."""
    return cluster.store.find(Pod, name, "default") is not None


@pytest.mark.parametrize(
    ("hook", "grace", "lasts"),
    [
        ({"sleep": {"seconds": 5}}, 30, 5),
        ({"exec": {"command": ["sleep", "5"]}}, 30, 5),
        ({"exec": {"command": ["/bin/sh", "-c", "sleep 5; nginx -s quit"]}}, 30, 5),
        ({"sleep": {"seconds": 60}}, 20, 20),  # the grace period ends it
        ({"exec": {"command": ["nginx", "-s", "quit"]}}, 30, 0),
    ],
)
def test_a_hook_that_sleeps_holds_the_end_back(hook: dict[str, Any], grace: int, lasts: int) -> None:
    """Within the grace period; the pod is Terminating and serves on meanwhile."""
    cluster = start(pod("web", hooked(hook), terminationGracePeriodSeconds=grace), pod("client"))
    address = found(cluster).status.pod_ip
    begun = seconds(cluster)
    cluster.do(["delete", "pod/web"], settle=False)
    if lasts:
        wait(cluster, begun + lasts - 1)
        assert found(cluster).metadata.is_terminating
        assert " Terminating " in cluster.do(["get", "pods"], settle=False).stdout
        assert cluster.pod("client").run(f"curl -s http://{address}") == "web\n"
    wait(cluster, begun + lasts + 0.1)
    assert not is_there(cluster)
    with pytest.raises(CommandError):
        cluster.pod("client").run(f"curl -s --connect-timeout 1 http://{address}")


def test_nothing_is_left_of_a_pod() -> None:
    """Its namespace, its device on the node, its address and its listeners are gone."""
    cluster = start(pod("web", container(image="nginx")))
    address = found(cluster).status.pod_ip
    before = set(cluster.node("node-1").net.devices)
    cluster.do(["delete", "pod/web"])
    assert "default/web" not in cluster.fabric.namespaces
    assert len(before - set(cluster.node("node-1").net.devices)) == 1
    assert address not in cluster.node("node-1").run("ip route")
    assert told(cluster, "Killing") == ["Stopping container main"]


def test_a_pod_of_the_same_name_comes_after_it() -> None:
    """As another pod, with another address."""
    cluster = start(pod("web", container(image="nginx")))
    before = found(cluster)
    cluster.do(["delete", "pod/web"])
    cluster.apply(read(pod("web")))
    after = found(cluster)
    assert after.is_ready
    assert after.metadata.uid != before.metadata.uid
    assert after.status.pod_ip != before.status.pod_ip


def test_the_listeners_of_a_pod_on_the_nodes_network_are_closed() -> None:
    """The node's port is free again; the node itself stays."""
    cluster = start(pod("web", container(image="nginx"), hostNetwork=True), pod("client"))
    client = cluster.pod("client")
    assert client.run("curl -s http://172.18.0.2") == "web\n"
    cluster.do(["delete", "pod/web"])
    with pytest.raises(CommandError, match=r"Could not connect|refused"):
        client.run("curl -sS http://172.18.0.2")
    assert ":80 " not in cluster.node("node-1").run("ss -tln")


def test_force_does_not_wait() -> None:
    """The object is gone at once, and the pod with it."""
    cluster = start(pod("web", hooked({"sleep": {"seconds": 20}})))
    begun = seconds(cluster)
    cluster.do(["delete", "pod/web", "--force"])
    assert not is_there(cluster)
    assert "default/web" not in cluster.fabric.namespaces
    assert seconds(cluster) == begun


def test_a_shorter_grace_ends_it_sooner() -> None:
    """Who deletes it a second time may be in a hurry."""
    cluster = start(pod("web", hooked({"sleep": {"seconds": 60}}), terminationGracePeriodSeconds=100))
    begun = seconds(cluster)
    cluster.do(["delete", "pod/web"], settle=False)
    wait(cluster, begun + 2)
    cluster.writer.delete(found(cluster), grace_seconds=3)
    wait(cluster, begun + 4.9)
    assert is_there(cluster)
    wait(cluster, begun + 5.1)
    assert not is_there(cluster)


@pytest.mark.parametrize(
    ("lifecycle", "words"),
    [
        (
            {"preStop": {"exec": {"command": ["nginx", "-s", "quit"]}}},
            "preStop hooks whose command is not modelled take no time and do nothing",
        ),
        (
            {"postStart": {"exec": {"command": ["x"]}}},
            "postStart hooks are not modelled: nothing is done after the start of a container",
        ),
    ],
)
def test_other_hooks_are_named(lifecycle: dict[str, Any], words: str) -> None:
    """In a line of the cluster's warnings."""
    cluster = start(pod("web", container(image="nginx", lifecycle=lifecycle)))
    assert cluster.warnings == [words]


class TestHooks:
    """Hooks that ask, and programs that take their time."""

    def test_a_hook_by_http_asks_from_the_node(self) -> None:
        """By a request as any other, and the program is told to end when it is answered."""
        hook = {"httpGet": {"port": 80, "path": "/stop"}}
        cluster = start(pod("web", hooked(hook)))
        with cluster.capture("web/eth0", condition="tcp dst port 80") as capture:
            cluster.do(["delete", "pod/web"])
        assert any(b"GET /stop HTTP/1.1" in frame for frame in capture.frames)
        assert not is_there(cluster)

    def test_a_hook_that_is_a_command_runs_in_the_pod(self) -> None:
        """With the pod's address; SIGTERM comes when it has ended."""
        cluster = start(pod("other", container(image="nginx", ports=PORTS)), pod("client"))
        address = found(cluster, "other").status.pod_ip
        hook = {"exec": {"command": ["curl", "-s", f"http://{address}/bye"]}}
        cluster.apply(read(pod("web", hooked(hook))))
        with cluster.capture("other/eth0", condition="tcp dst port 80") as capture:
            cluster.do(["delete", "pod/web"])
        assert any(b"GET /bye" in frame for frame in capture.frames)
        assert not is_there(cluster)

    def test_a_program_that_drains_refuses_new_connections_alone(self) -> None:
        """Those it has go on until its time is over."""
        notes = {"emu/shutdown": "drain 6s"}
        cluster = start(pod("web", container(image="nginx", ports=PORTS), notes=notes), pod("client"))
        address, begun = found(cluster).status.pod_ip, seconds(cluster)
        cluster.do(["delete", "pod/web"], settle=False)
        wait(cluster, begun + 5)
        assert is_there(cluster)
        with pytest.raises(CommandError, match=r"Could not connect|refused"):
            cluster.pod("client").run(f"curl -sS http://{address}")
        wait(cluster, begun + 6.1)
        assert not is_there(cluster)

    def test_a_program_that_ignores_sigterm_is_killed(self) -> None:
        """At the end of its grace period, and answers until then."""
        notes = {"emu/shutdown.main": "ignore"}
        sleeper = container(image="nginx", ports=PORTS)
        cluster = start(pod("web", sleeper, notes=notes, terminationGracePeriodSeconds=8), pod("client"))
        address, begun = found(cluster).status.pod_ip, seconds(cluster)
        cluster.do(["delete", "pod/web"], settle=False)
        wait(cluster, begun + 7.9)
        assert cluster.pod("client").run(f"curl -s http://{address}") == "web\n"
        wait(cluster, begun + 8.1)
        assert not is_there(cluster)

    def test_after_a_hook_there_are_two_seconds_at_least(self) -> None:
        """Where the hook has taken the whole grace period, a program that ignores SIGTERM gets two more."""
        notes = {"emu/shutdown": "ignore"}
        cluster = start(
            pod("web", hooked({"sleep": {"seconds": 60}}), notes=notes, terminationGracePeriodSeconds=5)
        )
        begun = seconds(cluster)
        cluster.do(["delete", "pod/web"], settle=False)
        wait(cluster, begun + 6.9)
        assert is_there(cluster)
        wait(cluster, begun + 7.1)
        assert not is_there(cluster)

    def test_sidecars_end_after_the_others(self) -> None:
        """The proxy still answers while the main container drains."""
        notes = {"emu/shutdown.main": "drain 4s"}
        side = container("side", image="nginx", ports=[{"containerPort": 81}], restartPolicy="Always")
        cluster = start(
            pod(
                "web",
                container(image="nginx", ports=PORTS),
                notes=notes,
                initContainers=[side],
            ),
            pod("client"),
        )
        address, begun = found(cluster).status.pod_ip, seconds(cluster)
        cluster.do(["delete", "pod/web"], settle=False)
        wait(cluster, begun + 3.9)
        assert cluster.pod("client").run(f"curl -s http://{address}:81") == "web\n"
        wait(cluster, begun + 4.1)
        assert not is_there(cluster)

    def test_an_annotation_that_makes_no_sense_is_refused(self) -> None:
        """With the words that it may have."""
        with pytest.raises(DocumentError, match="must be exit, ignore, or drain"):
            start(pod("web", container(image="nginx"), notes={"emu/shutdown": "drain"}))
