# SPDX-License-Identifier: GPL-2.0-only
"""Sandboxes: namespaces of pods, the node's own, and ports of the node that lead to pods."""

from __future__ import annotations

from typing import Any, Final

import pytest

from emu.errors import CommandError
from tests.unit.kube.kubelet.lab import container, found, pod, start, status, told, wait

NODE_IP: Final = "172.18.0.2"


def one_node(**spec: Any) -> dict[str, Any]:  # noqa: ANN401 - a document
    """Return the document of a cluster of one node with kube-proxy."""
    return {"apiVersion": "emu/v1", "kind": "Cluster", "spec": {"nodes": [{"name": "node-1"}], **spec}}


class TestHostNetwork:
    """`hostNetwork: true` is the node's own namespace."""

    def test_has_the_nodes_address_and_name(self) -> None:
        """No sandbox is made."""
        cluster = start(pod("web", container(image="nginx"), hostNetwork=True))
        assert (found(cluster).status.pod_ip, found(cluster).status.host_ip) == (NODE_IP, NODE_IP)
        assert "default/web" not in cluster.fabric.namespaces
        assert cluster.pod("web").run("hostname") == "node-1\n"
        assert cluster.pod("web").net is cluster.node("node-1").net

    def test_sees_the_nodes_files_but_its_own_environment(self) -> None:
        """The hosts file and the resolvers are the node's."""
        env = [{"name": "MINE", "value": "1"}]
        cluster = start(pod("web", container(env=env), hostNetwork=True))
        assert cluster.pod("web").run("cat /etc/resolv.conf") == "nameserver 192.0.2.53\n"
        assert (
            cluster.pod("web")
            .run("cat /etc/hosts")
            .startswith("# Kubernetes-managed hosts file (host network).\n")
        )
        assert "MINE=1\n" in cluster.pod("web").run("env")
        assert "MINE" not in cluster.node("node-1").run("env")

    def test_ports_collide_on_the_node(self) -> None:
        """Two pods that say nothing of their ports listen on the same one."""
        cluster = start(
            pod("web", container(image="nginx"), hostNetwork=True),
            pod("too", container(image="nginx"), hostNetwork=True),
        )
        assert [status(cluster, name).ready for name in ("web", "too")] == [True, False]
        last = status(cluster, "too").last_state.terminated
        assert last is not None
        assert last.message == "Address already in use"

    def test_the_dns_policy_may_ask_the_clusters_dns(self) -> None:
        """`ClusterFirstWithHostNet`."""
        cluster = start(pod("web", hostNetwork=True, dnsPolicy="ClusterFirstWithHostNet"))
        assert "nameserver 10.96.0.10\n" in cluster.pod("web").run("cat /etc/resolv.conf")


class TestHostPort:
    """`hostPort` is a port of the node that leads to the pod."""

    def test_is_reached_from_outside_and_from_the_node(self) -> None:
        """By the node's address, and from the node by its loopback."""
        ports = [{"containerPort": 80, "hostPort": 8080}]
        cluster = start(pod("web", container(image="nginx", ports=ports)), pod("client"), head=one_node())
        assert cluster.external("laptop").run(f"curl -s http://{NODE_IP}:8080") == "web\n"
        assert cluster.node("node-1").run("curl -s http://127.0.0.1:8080") == "web\n"
        assert cluster.node("node-1").run(f"curl -s http://{NODE_IP}:8080") == "web\n"
        assert cluster.pod("client").run(f"curl -s http://{NODE_IP}:8080") == "web\n"
        assert cluster.pod("web").run(f"curl -s http://{NODE_IP}:8080") == "web\n"  # hairpin

    def test_is_free_again_when_the_pod_is_gone(self) -> None:
        """Its rules go with it."""
        ports = [{"containerPort": 80, "hostPort": 8080}]
        cluster = start(pod("web", container(image="nginx", ports=ports)), head=one_node())
        cluster.do(["delete", "pod/web"])
        with pytest.raises(CommandError):
            cluster.external("laptop").run(f"curl -s --connect-timeout 2 http://{NODE_IP}:8080")
        assert "8080" not in cluster.node("node-1").run("iptables-save")

    def test_only_its_protocol_and_address_lead_to_the_pod(self) -> None:
        """`hostIP` and `protocol` narrow it."""
        ports = [
            {"containerPort": 53, "hostPort": 5353, "protocol": "UDP"},
            {"containerPort": 80, "hostPort": 8080, "hostIP": "127.0.0.1"},
        ]
        cluster = start(pod("web", container(image="x", ports=ports)), head=one_node())
        laptop = cluster.external("laptop")
        for target in (f"http://{NODE_IP}:5353", f"http://{NODE_IP}:8080"):
            with pytest.raises(CommandError):
                laptop.run(f"curl -s --connect-timeout 2 {target}")
        assert cluster.node("node-1").run("curl -s http://127.0.0.1:8080") == "web\n"


class TestFailure:
    """A sandbox that cannot be made is tried again."""

    def test_without_a_network_pods_wait(self) -> None:
        """An event tells why; every two seconds it is tried again."""
        tolerations = [{"operator": "Exists"}]
        head = one_node(network={"provider": "none"})
        cluster = start(pod("web", tolerations=tolerations), head=head)
        pods = found(cluster).status
        assert (pods.phase, pods.pod_ip) == ("Pending", "")
        waiting = status(cluster).state.waiting
        assert waiting is not None
        assert waiting.reason == "ContainerCreating"
        words = "rpc error: code = Unknown desc = network plugin not ready: cni plugin not initialized"
        assert told(cluster, "FailedCreatePodSandBox") == [f"Failed to create pod sandbox: {words}"]
        conditions = {each.type: each.status for each in pods.conditions}
        assert conditions["PodReadyToStartContainers"] == "False"

    def test_it_is_tried_by_one_timer_alone(self) -> None:
        """However often the kubelet looks at it meanwhile."""
        cluster = start(
            pod("web", tolerations=[{"operator": "Exists"}]), head=one_node(network={"provider": "none"})
        )
        for _ in range(20):
            cluster.kubelets.look_again("node-1")
        wait(cluster, 130)
        run = next(run for key, run in cluster.kubelets.by_node["node-1"].pods.items() if key.name == "web")
        before = run.attempt
        wait(cluster, 140)
        assert run.attempt - before == 5

    def test_no_address_left_is_told_by_the_plugins_words(self) -> None:
        """A range of one address has room for one pod."""
        head = one_node(podCIDR="10.244.0.0/24", kubeProxy={"mode": "none"})
        head["spec"]["nodes"] = [{"name": "node-1", "podCIDR": "10.244.0.0/29"}]
        cluster = start(*(pod(f"p{number}") for number in range(5)), head=head)
        stuck = [number for number in range(5) if not found(cluster, f"p{number}").is_ready]
        assert stuck
        words = told(cluster, "FailedCreatePodSandBox", f"p{stuck[0]}")[0]
        assert "failed to setup network for sandbox" in words
        assert "no IP addresses available in range set" in words
        assert f"default/p{stuck[0]}" not in cluster.fabric.namespaces


class TestSettings:
    """`securityContext.sysctls` are settings of the pod's namespace."""

    def test_are_set_before_the_first_container(self) -> None:
        """In the pod alone."""
        context = {"sysctls": [{"name": "net.ipv4.ip_local_port_range", "value": "40000 40100"}]}
        cluster = start(pod("web", securityContext=context))
        words = "sysctl net.ipv4.ip_local_port_range"
        assert cluster.pod("web").run(words) == "net.ipv4.ip_local_port_range = 40000\t40100\n"
        assert "40100" not in cluster.node("node-1").run(words)


def test_an_address_that_the_input_brings_is_kept() -> None:
    """`status.podIP` of a dump."""
    dumped = {**pod("web"), "status": {"podIP": "10.244.0.77"}}
    cluster = start(dumped)
    assert found(cluster).status.pod_ip == "10.244.0.77"
    assert "inet 10.244.0.77/" in cluster.pod("web").run("ip addr show eth0")
