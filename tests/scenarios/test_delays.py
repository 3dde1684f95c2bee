# SPDX-License-Identifier: GPL-2.0-only
"""Caches that live for a while: names, neighbours, ports of bridges, connections; and what clients see of it.

All times are the defaults of CoreDNS and of the kernel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from emu.cluster.source import ClusterSource, source_of
from emu.document import scan
from emu.kernel.drops import DropReason
from emu.sim.time import SECOND

if TYPE_CHECKING:
    from emu.cluster.cluster import Cluster
    from emu.cluster.timeline.windows import Outage, Summary

CLUSTER: Final = """
apiVersion: emu/v1
kind: Cluster
spec: {SETTINGS nodes: [{name: one}, {name: two}, {name: three}]}
---
apiVersion: v1
kind: Pod
metadata: {name: client}
spec: {nodeName: one, containers: [{name: c, image: curl, command: [sleep, infinity]}]}
"""
POD: Final = """---
apiVersion: v1
kind: Pod
metadata: {name: NAME, labels: {app: web}}
spec:
  nodeName: NODE
  containers: [{name: c, image: nginx, ports: [{containerPort: 80}, {containerPort: 53, protocol: UDP}]}]
"""
SERVICE: Final = """---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {KEYS selector: {app: web}, ports: [{name: h, port: 80}, {name: u, port: 53, protocol: UDP}]}
"""


def pod(name: str, node: str = "two") -> str:
    """Return the manifest of a server."""
    return POD.replace("NAME", name).replace("NODE", node)


def service(keys: str = "") -> str:
    """Return the manifest of the Service."""
    return SERVICE.replace("KEYS", keys)


def play(objects: str, scenario: str, *, settings: str = "") -> Cluster:
    """Return a cluster after a scenario."""
    head = CLUSTER.replace("SETTINGS", settings)
    text = f"{head}{objects}---\napiVersion: emu/v1\nkind: Scenario\nspec:\n{scenario}"
    source = source_of(scan(text.encode(), "delays.yaml"), "delays.yaml")
    assert isinstance(source, ClusterSource)
    return source.start()


def seen(cluster: Cluster) -> dict[str, Summary]:
    """Return what each client saw."""
    assert cluster.story is not None
    return {each.spec.name: each.summary for each in cluster.story.clients}


def said(cluster: Cluster) -> list[str]:
    """Return what each step printed."""
    assert cluster.story is not None
    return [each.finished.stdout.strip() for each in cluster.story.steps]


def outage_of(cluster: Cluster, name: str) -> Outage:
    """Return the one outage of a client."""
    (found,) = seen(cluster)[name].outages
    return found


class TestNames:
    """A name's old address is used until its time to live is over, if somebody keeps it."""

    HEADLESS = """
  until: 50s
  steps:
  - {at: 10s, run: "delete pod/old --grace-period=1"}
  - {at: 10s, run: "label pod/new app=web --overwrite"}
  traffic: [{name: asks, from: client, to: "web.default.svc.cluster.local.:80", at: 3s}]
"""

    def headless(self, settings: str) -> Cluster:
        """Return a cluster in which another pod takes the place of the one behind a headless Service."""
        new = pod("new", "three").replace("app: web", "app: later")
        return play(pod("old") + new + service("clusterIP: None,"), self.HEADLESS, settings=settings)

    def test_coredns_answers_from_its_cache_for_thirty_seconds(self) -> None:
        """As kubeadm configured it before 1.32: who is asked first at 3 s gives the old one until 33 s."""
        outage = outage_of(self.headless('kubernetes: "1.31",'), "asks")
        assert 10 * SECOND <= outage.window.begin <= 12 * SECOND
        assert 33 * SECOND <= outage.window.end <= 40 * SECOND
        assert outage.window.lost >= 20

    def test_since_1_32_names_of_the_cluster_are_not_kept(self) -> None:
        """Who asks for each connection is led to the new pod at once."""
        assert seen(self.headless(""))["asks"].lost <= 1

    def test_a_name_outside_counts_down_and_is_asked_for_again(self) -> None:
        """30 s at the most, at each of two name servers: one is asked first at 5 s, the other at 6 s."""
        ask = "exec client -- dig +noall +answer laptop"
        steps = ", ".join(f'{{at: {at}s, run: "{ask}"}}' for at in (5, 6, 12, 34, 36))
        lives = [int(each.split()[1]) for each in said(play("", f"  steps: [{steps}]\n"))]
        assert lives == [30, 30, 23, 2, 30]


class TestNeighbours:
    """Who has learned a neighbour's MAC address believes it for a while."""

    VANISHES = """
  until: 80s
  traffic:
  - {name: first, from: client, to: "web:80", until: 4s}
  - {name: later, from: client, to: "web:80", at: 60s, every: 500ms, timeout: 400ms}
  - {name: patient, from: node/one, to: web, kind: ping, at: 60s, timeout: 4s}
  steps:
  - {at: 5s, run: fail two}
  - {at: 59s, run: "exec node/one -- ip neigh show 172.18.0.3"}
  - {at: 62s, run: "exec node/one -- ip neigh show 172.18.0.3"}
  - {at: 66500ms, run: "exec node/one -- ip neigh show 172.18.0.3"}
  - {at: 68100ms, run: "exec node/one -- ip neigh show 172.18.0.3"}
"""

    def test_a_neighbour_that_vanishes_is_asked_again_and_given_up(self) -> None:
        """STALE when nobody needs it; then DELAY for 5 s, three questions in PROBE, and then nothing."""
        cluster = play(pod("web"), self.VANISHES)
        states = [each.split()[-1] for each in said(cluster)[1:]]
        assert states == ["STALE", "DELAY", "PROBE", "INCOMPLETE"]
        drops = outage_of(cluster, "later").window.drops
        assert drops.keys() == {("OTHERHOST", "switch/underlay"), ("NEIGH_FAILED", "node/one")}
        assert drops["OTHERHOST", "switch/underlay"] == 16  # of two a second for 8 s
        patient = seen(cluster)["patient"]
        assert patient.outcomes == {"timeout": 9, "unreachable": 11}

    MOVES = """
  until: 70s
  traffic: [{name: asks, from: ext/laptop, to: svc/web:h, at: 2s, every: 500ms, timeout: 400ms}]
  steps: [{at: 20s, run: fail three}]
"""

    @pytest.mark.parametrize(("tells", "least", "most"), [("true", 5, 6), ("false", 9, 54)])
    def test_who_takes_an_address_over_tells_it(self, tells: str, least: int, most: int) -> None:
        """Speakers notice after 5 s; whom nobody tells has to find out: 15 to 45 s, and 8 s of questions."""
        fabric = f"""---
apiVersion: emu/v1
kind: Fabric
spec: {{loadBalancers: [{{name: metal, kind: l2, gratuitousARP: {tells}}}]}}
"""
        objects = pod("web") + service("type: LoadBalancer,") + fabric
        outage = outage_of(play(objects, self.MOVES), "asks")
        assert outage.is_blackhole
        assert least * SECOND <= outage.duration <= most * SECOND


class TestPortsOfBridges:
    """A bridge forgets where a silent station is after 300 s."""

    LISTENS = """---
apiVersion: v1
kind: Pod
metadata: {name: listens}
spec: {nodeName: two, containers: [{name: c, image: tools, command: [nc, -u, -l, -k, "53"]}]}
"""
    SILENT = """
  until: 402s
  steps:
  - {at: 1s, run: "exec node/one -- sysctl -w net.ipv4.neigh.eth0.base_reachable_time_ms=3600000"}
  traffic: [{name: sends, from: client, to: "listens:53/udp", waitForAnswer: false, at: 2s, every: 10s}]
"""

    def test_frames_for_it_are_flooded_from_then_on(self) -> None:
        """Nothing is lost, but others get what is not for them: all that is sent behind 302 s."""
        cluster = play(self.LISTENS, self.SILENT)
        assert (seen(cluster)["sends"].sent, seen(cluster)["sends"].lost) == (40, 0)
        assert cluster.fabric.namespaces["node/three"].drops[DropReason.OTHERHOST] == 9


class TestConnections:
    """What connection tracking has forgotten is translated anew, and perhaps otherwise."""

    SERVERS: Final = pod("a") + pod("b", "three") + service()

    @pytest.mark.parametrize(("every", "servers"), [(29, 1), (31, 2)])
    def test_a_datagram_and_its_answer_are_remembered_for_thirty_seconds(
        self, every: int, servers: int
    ) -> None:
        """Who asks later may come to another pod."""
        ask = f'from: client, to: "svc/web:u/udp", at: 2s, every: {every}s, sourcePort: 7000'
        scenario = f"  until: {every * 8}s\n  traffic: [{{name: asks, {ask}}}]\n"
        found = seen(play(self.SERVERS, scenario))["asks"]
        assert found.lost == 0
        assert len(found.servers) == servers

    @pytest.mark.parametrize(("idle", "stay"), [(119, True), (121, False)])
    def test_a_stream_of_datagrams_is_remembered_for_two_minutes(self, idle: int, *, stay: bool) -> None:
        """One that has lasted two seconds; six of them are silent for a while."""
        ask = "from: client, to: svc/web:u/udp, every: 5s, sourcePort: 700"
        clients = [
            f"{{name: {name}{port}, {ask}{port}, at: {at}s, until: {at + 13}s}}"
            for port in range(6)
            for name, at in (("first", 2), ("again", 12 + idle))
        ]
        found = seen(play(self.SERVERS, f"  traffic: [{', '.join(clients)}]\n"))
        assert all(each.lost == 0 and len(each.servers) == 1 for each in found.values())
        same = [found[f"first{port}"].servers == found[f"again{port}"].servers for port in range(6)]
        assert all(same) == stay

    @pytest.mark.parametrize(("every", "cut"), [(50, False), (70, True)])
    def test_a_connection_whose_translation_is_forgotten_comes_to_a_pod_that_knows_it_not(
        self, every: int, *, cut: bool
    ) -> None:
        """Five days are the default; with 60 s, some of eight connections are led elsewhere, and reset."""
        name = "net.netfilter.nf_conntrack_tcp_timeout_established"
        scenario = f"""
  until: {4 * every + 3}s
  steps:
  - {{at: 1s, run: "exec node/one -- sysctl {name}"}}
  - {{at: 1s, run: "exec node/one -- sysctl -w {name}=60"}}
  traffic:
  - {{name: idle, from: client, to: svc/web:h, kind: tcp, keepAlive: true, connections: 8, every: {every}s}}
"""
        cluster = play(self.SERVERS, scenario)
        assert said(cluster)[0] == f"{name} = {5 * 24 * 3600}"
        idle = seen(cluster)["idle"]
        assert (idle.connections > 8) == cut
        assert idle.outcomes.keys() == ({"ok", "reset"} if cut else {"ok"})
