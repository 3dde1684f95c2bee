# SPDX-License-Identifier: GPL-2.0-only
"""NetworkPolicies on living clusters: which packets meet them."""

from __future__ import annotations

from textwrap import dedent
from typing import TYPE_CHECKING, Final

import attrs
import pytest
import yaml
from scapy.layers.inet import IP, UDP

from emu import lab
from emu.cluster.policies import enforcer, why_not_enforced
from emu.cluster.topology.spec import NetworkSpec
from emu.kube.api.objects import NetworkPolicy, Pod
from emu.sim.time import SECOND, later
from emu.verify.asker import Asker
from emu.verify.verdict import Word

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from emu.lab import Cluster

    Start = Callable[..., Cluster]

PODS: Final = """
apiVersion: v1
kind: Pod
metadata: {name: server, labels: {app: server}}
spec:
  nodeName: worker-1
  containers:
  - name: c
    image: web
    ports: [{name: web, containerPort: 80}, {name: echo, containerPort: 7, protocol: UDP}]
---
apiVersion: v1
kind: Pod
metadata: {name: near, labels: {app: client}}
spec: {nodeName: worker-1, containers: [{name: c, image: web, ports: [{name: web, containerPort: 8080}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: far, labels: {app: client}}
spec: {nodeName: worker-2, containers: [{name: c, image: web, ports: [{name: web, containerPort: 8081}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: server}
spec: {type: NodePort, selector: {app: server}, ports: [{port: 80, nodePort: 30080}]}
---
"""
HOST: Final = """
apiVersion: v1
kind: Pod
metadata: {name: host, labels: {app: host}}
spec:
  nodeName: worker-2
  hostNetwork: true
  containers: [{name: c, image: web, ports: [{containerPort: 9000}]}]
---
"""
KINDNET: Final = "{provider: kindnet}"
AGENT: Final = "{provider: flannel, policy: iptables}"
both = pytest.mark.parametrize("network", [KINDNET, AGENT])


def policy(spec: str, name: str = "p") -> str:
    """Return a manifest of the namespace default."""
    head = f"apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: {name}}}\nspec:\n"
    return head + "".join(f"  {line}\n" for line in dedent(spec).strip().splitlines()) + "---\n"


DENY_SERVER: Final = policy("podSelector: {matchLabels: {app: server}}")


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Return what builds a cluster of the pods above with some policies."""

    def build(network: str, *manifests: str, settings: str = "{}", nodes: str = "") -> Cluster:
        path = tmp_path / "cluster.yaml"
        nodes = nodes or "[{name: control-plane, role: control-plane}, {name: worker-1}, {name: worker-2}]"
        spec = f"{{network: {network}, networkPolicy: {settings}, nodes: {nodes}}}"
        path.write_text(f"apiVersion: emu/v1\nkind: Cluster\nspec: {spec}\n---\n" + PODS + "".join(manifests))
        found = lab.load(str(path))
        assert isinstance(found, lab.Cluster)
        return found

    return build


def words(cluster: Cluster, *questions: str) -> list[str]:
    """Return the answers to some questions like `far -> server:80`."""
    asker = Asker(cluster)
    return [asker.judge(*each.split(" -> ")).word.value for each in questions]


ALWAYS, NEVER = Word.ALWAYS.value, Word.NEVER.value


class TestWhoIsJudged:
    """Sources and destinations as they arrive."""

    @both
    def test_a_node_reaches_its_own_pods_and_another_is_a_stranger(self, start: Start, network: str) -> None:
        """Probes of the kubelet have to pass; what comes from elsewhere is an address like any other."""
        cluster = start(network, DENY_SERVER)
        assert words(
            cluster,
            "node/worker-1 -> server:80",
            "node/worker-1 -> svc/server:80",
            "node/worker-2 -> server:80",
            "node/worker-2 -> svc/server:80",
            "near -> server:80",
            "far -> server:80",
            "ext/laptop -> server:80",
        ) == [ALWAYS, ALWAYS, NEVER, NEVER, NEVER, NEVER, NEVER]

    @both
    def test_what_is_marked_for_masquerading_is_judged_like_all_else(
        self, start: Start, network: str
    ) -> None:
        """Rules of kube-proxy that accept marked packets stand behind those of policies."""
        cluster = start(network, DENY_SERVER)
        asked = "ext/laptop -> node/worker-1:30080", "ext/laptop -> node/worker-2:30080"
        assert words(cluster, *asked) == [NEVER, NEVER]
        cluster.do("delete networkpolicy/p")
        assert words(cluster, *asked) == [ALWAYS, ALWAYS]

    @both
    def test_a_client_is_known_by_its_address_only_where_nobody_has_rewritten_it(
        self, start: Start, network: str
    ) -> None:
        """Through the node of the pod it is judged before masquerading, through another one behind."""
        block = "ingress: [{from: [{ipBlock: {cidr: 198.51.100.0/24}}]}]"
        cluster = start(network, policy(f"podSelector: {{matchLabels: {{app: server}}}}\n{block}"))
        asked = "ext/laptop -> node/worker-1:30080", "ext/laptop -> node/worker-2:30080"
        assert words(cluster, *asked) == [ALWAYS, NEVER]

    @both
    def test_egress_covers_services_the_own_node_and_the_outside(self, start: Start, network: str) -> None:
        """The destination counts behind the translation of the Service: its own address opens nothing."""
        cluster = start(network)
        address = cluster.find("svc/server").spec.cluster_ip  # type: ignore[union-attr]  # a Service
        block = f"ipBlock: {{cidr: {address}/32}}"
        closed = "podSelector: {matchLabels: {app: client}}\npolicyTypes: [Egress]\n"
        closed += f"egress: [{{to: [{{{block}}}]}}]"
        cluster.apply(*_manifests(policy(closed)))
        asked = (
            "near -> server:80",
            "far -> svc/server:80",
            "near -> node/worker-1:10250",
            "far -> ext/laptop",
        )
        assert words(cluster, *asked) == [NEVER] * 4
        cluster.apply(*_manifests(policy(closed.replace(block, "podSelector: {}"))))
        assert words(cluster, *asked) == [ALWAYS, ALWAYS, NEVER, NEVER]

    @both
    def test_both_ends_have_to_agree(self, start: Start, network: str) -> None:
        """What the target allows does not help a source that is cut off."""
        into = policy("podSelector: {matchLabels: {app: server}}\ningress: [{}]", "in")
        out = policy("podSelector: {matchLabels: {app: client}}\npolicyTypes: [Egress]", "out")
        assert words(start(network, into, out), "far -> server:80", "near -> server:80") == [NEVER, NEVER]

    @both
    def test_a_named_port_is_that_of_each_destination(self, start: Start, network: str) -> None:
        """One rule of egress opens another number on each pod."""
        out = "podSelector: {}\npolicyTypes: [Egress]\negress: [{ports: [{port: web}]}]"
        cluster = start(network, policy(out))
        assert words(
            cluster, "far -> server:80", "far -> near:8080", "near -> far:8081", "near -> far:8080"
        ) == [
            ALWAYS,
            ALWAYS,
            ALWAYS,
            NEVER,
        ]

    @pytest.mark.parametrize(("peer", "expected"), [("node", NEVER), ("pod", ALWAYS)])
    def test_a_pod_on_its_nodes_network_is_the_node_or_a_pod(
        self, start: Start, peer: str, expected: str
    ) -> None:
        """As the cluster says; it is never isolated itself."""
        into = policy("podSelector: {}\ningress: [{from: [{podSelector: {matchLabels: {app: host}}}]}]")
        cluster = start(KINDNET, HOST, into, settings=f"{{hostNetworkPeer: {peer}}}")
        assert words(cluster, "host -> server:80", "near -> host:9000") == [expected, ALWAYS]


class TestConnections:
    """What belongs to a connection passes."""

    @both
    def test_errors_about_what_is_allowed_come_back(self, start: Start, network: str) -> None:
        """A pod that nobody may reach hears that a port is closed, instead of waiting."""
        deny = policy("podSelector: {matchLabels: {app: client}}")
        verdict = Asker(start(network, deny)).judge("far", "server:99/udp")
        assert [each.result.value for each in verdict.outcomes] == ["refused"]

    @both
    def test_isolation_is_for_every_protocol(self, start: Start, network: str) -> None:
        """A rule without ports allows an echo, a rule with ports does not."""
        spec = "podSelector: {matchLabels: {app: server}}\ningress: [{ports: [{port: 80}]}]"
        cluster = start(network, policy(spec))
        assert words(cluster, "far -> server/icmp", "far -> server:80") == [NEVER, ALWAYS]
        cluster.apply(*_manifests(policy(spec.replace("{ports: [{port: 80}]}", "{}"))))
        assert words(cluster, "far -> server/icmp") == [ALWAYS]

    @both
    @pytest.mark.parametrize(("settings", "stays"), [("keep", "yes"), ("recheck", "no")])
    def test_a_connection_that_stood_before_the_policy(
        self, start: Start, network: str, settings: str, stays: str
    ) -> None:
        """It goes on, or is judged again, as the cluster says; a new one is refused either way."""
        cluster = start(network, settings=f"{{establishedConnections: {settings}}}")
        server = cluster.store.get(Pod, "server", "default").status.pod_ip
        old = IP(dst=server) / UDP(sport=4000, dport=7) / b"x"
        new = IP(dst=server) / UDP(sport=4001, dport=7) / b"x"
        assert cluster.pod("far").sr1(old) is not None
        cluster.apply(*_manifests(DENY_SERVER))
        assert (cluster.pod("far").sr1(old) is not None) is (stays == "yes")
        assert cluster.pod("far").sr1(new) is None


class TestChanges:
    """Policies follow what happens, at once."""

    @both
    def test_labels_and_policies_that_change_count_at_once(self, start: Start, network: str) -> None:
        """A pod that gets the label is a peer, and is none without it."""
        peer = "{podSelector: {matchLabels: {may: enter}}}"
        spec = f"podSelector: {{matchLabels: {{app: server}}}}\ningress: [{{from: [{peer}]}}]"
        cluster = start(network, policy(spec))
        assert words(cluster, "far -> server:80") == [NEVER]
        pod = cluster.store.get(Pod, "far", "default")
        labels = {**pod.metadata.labels, "may": "enter"}
        cluster.apply(attrs.evolve(pod, metadata=attrs.evolve(pod.metadata, labels=labels)))
        assert words(cluster, "far -> server:80", "near -> server:80") == [ALWAYS, NEVER]

    @both
    def test_a_pod_that_starts_is_not_open_before_its_policies_are_there(
        self, start: Start, network: str
    ) -> None:
        """What its first program sends in the instant in which it starts is judged."""
        cluster = start(network, policy("podSelector: {matchLabels: {app: new}}\npolicyTypes: [Egress]"))
        server = cluster.store.get(Pod, "server", "default").status.pod_ip
        manifest = f"""
            apiVersion: v1
            kind: Pod
            metadata: {{name: new, labels: {{app: new}}}}
            spec:
              nodeName: worker-2
              restartPolicy: Never
              containers: [{{name: c, image: busybox, command: [curl, -m, "2", "http://{server}/"]}}]
        """
        with cluster.capture("server/eth0", condition="tcp port 80") as capture:
            cluster.apply(*_manifests(dedent(manifest)))
        assert len(capture) == 0
        with cluster.capture("server/eth0", condition="tcp port 80") as capture:
            cluster.apply(*_manifests(dedent(manifest).replace("new", "free")))
        assert len(capture) > 0

    def test_rules_that_somebody_flushes_come_back(self, start: Start) -> None:
        """The agent looks once a minute."""
        cluster = start(AGENT, DENY_SERVER)
        cluster.node("worker-1").run("iptables -F FORWARD")
        assert words(cluster, "far -> server:80") == [ALWAYS]
        cluster.wait_until(later(cluster.fabric.loop.now, 61 * SECOND))
        assert words(cluster, "far -> server:80") == [NEVER]

    def test_nothing_is_left_of_the_last_policy(self, start: Start) -> None:
        """Tables are as they were before the first."""
        cluster = start(KINDNET)
        node = cluster.node("worker-1")
        before = node.run("iptables-save")
        cluster.apply(*_manifests(DENY_SERVER))
        assert "NETPOL-FORWARD" in node.run("iptables-save -t mangle")
        cluster.do("delete networkpolicy/p")
        after = node.run("iptables-save")
        assert _rules(after) == _rules(before)
        assert node.run("ipset save") == ""

    def test_a_node_that_was_cut_off_catches_up(self, start: Start) -> None:
        """Its agent works on when the node is back."""
        cluster = start(KINDNET)
        cluster.do("fail node/worker-1")
        cluster.apply(*_manifests(DENY_SERVER))
        cluster.do("recover node/worker-1")
        assert words(cluster, "far -> server:80") == [NEVER]


class TestBridges:
    """Pods on one bridge."""

    def test_the_agent_has_bridged_packets_come_by(self, start: Start) -> None:
        """A node whose own settings forbid it enforces nothing between its own pods."""
        nodes = "[{name: worker-1, role: control-plane}, {name: worker-2}]"
        off = nodes.replace(
            "control-plane}", "control-plane, sysctls: {net.bridge.bridge-nf-call-iptables: 0}}"
        )
        assert words(start(AGENT, DENY_SERVER, nodes=nodes), "near -> server:80") == [NEVER]
        assert words(start(AGENT, DENY_SERVER, nodes=off), "near -> server:80", "far -> server:80") == [
            ALWAYS,
            NEVER,
        ]


class TestNobody:
    """Where policies have no effect, and that it is said."""

    @pytest.mark.parametrize(
        ("network", "words_"),
        [
            ("{provider: flannel}", "flannel enforces none"),
            ("{provider: kubenet}", "kubenet enforces none"),
            ("{provider: kindnet, policy: none}", "network.policy is none"),
        ],
    )
    def test_it_is_warned_of_once(self, start: Start, network: str, words_: str) -> None:
        """One line however many policies, and everything passes."""
        cluster = start(network, DENY_SERVER, policy("podSelector: {}", "other"))
        warning = f"NETPOL_NOT_ENFORCED: NetworkPolicies have no effect: {words_}"
        assert cluster.warnings == [warning]
        assert words(cluster, "far -> server:80") == [ALWAYS]

    @pytest.mark.parametrize(("network", "is_blind"), [(KINDNET, False), (AGENT, True)])
    def test_what_mode_ipvs_keeps_from_policies_is_said(
        self, start: Start, network: str, *, is_blind: bool
    ) -> None:
        """Which packets agents do not see as they are depends on where they judge."""
        (warning,) = start(f"{network}, kubeProxy: {{mode: ipvs}}", DENY_SERVER).warnings
        assert warning.startswith("NetworkPolicies and mode ipvs: ")
        assert ("of the same node" in warning) is is_blind

    def test_without_policies_there_is_no_warning(self, start: Start) -> None:
        """It comes with the first one."""
        cluster = start("{provider: flannel}")
        assert cluster.warnings == []
        cluster.apply(*_manifests(DENY_SERVER))
        assert len(cluster.warnings) == 1
        assert cluster.store.count(NetworkPolicy) == 1

    def test_who_explains_can_ask_who_enforces(self) -> None:
        """By the network of the Cluster document."""
        found = enforcer(NetworkSpec("kindnet"))
        assert found is not None
        assert found.name == "kindnet"
        assert enforcer(NetworkSpec("flannel")) is None
        assert why_not_enforced(NetworkSpec("flannel")) == "flannel enforces none"


def _manifests(text: str) -> list[dict[str, object]]:
    return [each for each in yaml.safe_load_all(text) if each]


def _rules(saved: str) -> list[str]:
    """Return what iptables-save printed, but for times and counters."""
    return [line.partition(" [")[0] for line in saved.splitlines() if line[0] != "#"]
