# SPDX-License-Identifier: GPL-2.0-only
"""Scenarios that are played while clients ask."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING

import pytest

from emu.cluster.source import ClusterSource, read_source, source_of
from emu.cluster.timeline import telling
from emu.cluster.timeline.report import report
from emu.document import scan
from emu.errors import DocumentError
from emu.fabric.driver import Fabric
from emu.lab import Cluster as Lab
from emu.sim.time import MILLISECOND, SECOND
from emu.testing.whole_state import whole_state
from emu.verify.expect.traffic import check_traffic

if TYPE_CHECKING:
    from pathlib import Path

    from emu.cluster.cluster import Cluster
    from emu.cluster.timeline.story import Story
    from emu.cluster.timeline.windows import Summary

HEAD = """
apiVersion: emu/v1
kind: Cluster
spec: {nodes: [{name: one}, {name: two}]}
---
apiVersion: v1
kind: Pod
metadata: {name: client}
spec: {nodeName: one, containers: [{name: c, image: curl, command: [sleep, infinity]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  nodeName: two
  terminationGracePeriodSeconds: 2
  containers: [{name: c, image: nginx, ports: [{containerPort: 80}, {containerPort: 53, protocol: UDP}]}]
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{name: h, port: 80}, {name: d, port: 53, protocol: UDP}]}
---
apiVersion: emu/v1
kind: Scenario
spec:
"""


def play(path: Path, spec: str) -> Cluster:
    """Return a cluster after a scenario."""
    path.write_text(HEAD + spec)
    source = read_source([str(path)])
    assert isinstance(source, ClusterSource)
    return source.start()


def story_of(cluster: Cluster) -> Story:
    """Return what happened."""
    assert cluster.story is not None
    return cluster.story


def seen(cluster: Cluster) -> dict[str, Summary]:
    """Return what each client saw."""
    return {each.spec.name: each.summary for each in story_of(cluster).clients}


EVERYBODY = """
  until: 8s
  steps: [{at: 4s, run: "exec node/two -- iptables -I FORWARD -d 10.244.1.3/32 -j DROP"}]
  traffic:
  - {name: http, from: client, to: svc/web:h, every: 500ms, timeout: 300ms}
  - {name: kept, from: client, to: "web.default:80", every: 500ms, timeout: 300ms, keepAlive: true}
  - {name: tcp, from: client, to: "svc/web:80", kind: tcp, rate: 2/s, timeout: 300ms}
  - {name: long, from: client, to: "web:80", kind: tcp, every: 500ms, timeout: 300ms, keepAlive: true}
  - {name: udp, from: client, to: "svc/web:53/udp", sourcePort: 5555, every: 500ms, timeout: 300ms}
  - {name: send, from: client, to: "svc/web:53/udp", waitForAnswer: false, every: 500ms, timeout: 300ms}
  - {name: ping, from: node/one, to: web, kind: ping, every: 500ms, timeout: 300ms}
  - {name: dns, from: client, to: web.default, kind: dns, every: 500ms, timeout: 300ms}
"""


class TestTraffic:
    """Clients of each kind see when a way is there, and when it is not."""

    def test_each_kind_sees_the_same_black_hole(self, tmp_path: Path) -> None:
        """From the step on nothing more arrives at the pod; who asks for its name alone sees none."""
        cluster = play(tmp_path / "s.yaml", EVERYBODY)
        found = seen(cluster)
        pods = {"http", "kept", "tcp", "long", "udp", "send", "ping"}
        assert found.keys() == {*pods, "dns"}
        for name in pods:
            (window,) = found[name].windows or (None,)
            assert window is not None, name
            assert 4 * SECOND <= window.begin <= 4500 * MILLISECOND, name
            assert window.is_open, name
            assert found[name].answered == found[name].sent - window.lost > 3, name
            assert set(found[name].servers) == {"default/web"}, name
            assert ("NETFILTER_DROP", "node/two") in window.drops, (name, window.drops)
        assert found["dns"].lost == 0

    def test_a_kept_connection_is_one(self, tmp_path: Path) -> None:
        """Until it breaks; the others make one for each attempt."""
        found = seen(play(tmp_path / "s.yaml", EVERYBODY))
        assert found["http"].connections == found["http"].sent
        assert found["tcp"].connections == found["tcp"].sent
        assert found["kept"].connections == 1 + found["kept"].lost - 1

    def test_an_end_of_a_client_may_lie_before_that_of_the_scenario(self, tmp_path: Path) -> None:
        """It begins at `at` and nothing at `until` or later."""
        spec = """
  until: 10s
  traffic: [{name: a, from: client, to: svc/web:h, at: 3s, until: 6s}]
"""
        cluster = play(tmp_path / "s.yaml", spec)
        assert seen(cluster)["a"].sent == 3
        assert cluster.fabric.loop.now == 10 * SECOND

    def test_a_client_that_is_gone_says_so(self, tmp_path: Path) -> None:
        """What it asked before still counts."""
        spec = """
  until: 10s
  steps: [{at: 4s, run: delete pod/client --grace-period=0 --force}]
  traffic: [{name: a, from: client, to: svc/web:h}, {name: b, from: client, at: 6s, to: svc/web:h}]
"""
        first, second = story_of(play(tmp_path / "s.yaml", spec)).clients
        assert first.failure == "client is gone"
        assert first.summary.answered >= 3
        assert "no pod client" in second.failure
        assert second.summary.sent == 0


HALF = """
  until: 80s
  steps: [{at: 20s, run: fail node/two}]
  traffic:
  - {name: asks, from: client, to: svc/both:h, every: 250ms, timeout: 200ms}
  - {name: sends, from: client, to: "far:53/udp", waitForAnswer: false, every: 1s, timeout: 1s}
  - {name: kept, from: client, to: svc/both:h, every: 500ms, timeout: 1s, keepAlive: true, connections: 4}
  expect: ["traffic/asks outage <= 55s", "traffic/asks outage > 40s", "traffic/asks blackhole < 4s"]
---
apiVersion: v1
kind: Pod
metadata: {name: near, labels: {app: both}}
spec:
  nodeName: one
  containers: [{name: c, image: nginx, ports: [{containerPort: 80}, {containerPort: 53, protocol: UDP}]}]
---
apiVersion: v1
kind: Pod
metadata: {name: far, labels: {app: both}}
spec:
  nodeName: two
  containers: [{name: c, image: nginx, ports: [{containerPort: 80}, {containerPort: 53, protocol: UDP}]}]
---
apiVersion: v1
kind: Service
metadata: {name: both}
spec: {selector: {app: both}, ports: [{name: h, port: 80}, {name: d, port: 53, protocol: UDP}]}
"""


@cache
def half_lost() -> Cluster:
    """Return a cluster after this."""
    source = source_of(scan((HEAD + HALF).encode(), "half.yaml"), "half.yaml")
    assert isinstance(source, ClusterSource)
    return source.start()


class TestHalf:
    """One of two pods behind a Service is on a node that is cut off."""

    def test_what_is_lost_in_part_is_one_outage(self) -> None:
        """From the failure of the node to the end of its grace period, and about half of the requests."""
        half = half_lost()
        (outage,) = seen(half)["asks"].outages
        assert 20 * SECOND <= outage.window.begin <= 22 * SECOND
        assert 60 * SECOND <= outage.window.end <= 76 * SECOND
        assert 0.4 < outage.window.lost / outage.sent < 0.6
        assert len(outage.blackholes) > 20
        assert all(check_traffic(story_of(half), half.topology.seen))

    def test_it_is_told_in_a_line(self) -> None:
        """How long, since when, how much of what, and how long at a time nothing got through."""
        half = half_lost()
        (outage,) = seen(half)["asks"].outages
        begin = f"outage of {outage.duration / SECOND:g} s from {outage.window.begin / SECOND:.3f} s to "
        lost = (
            f"{outage.window.lost} of {outage.sent} requests lost (timeout {outage.window.lost}), black holes"
        )
        for told in (telling.text(story_of(half)), telling.markdown(story_of(half))):
            (line,) = [each for each in told.splitlines() if begin in each]
            assert lost in line
            assert "client -> svc/both:h (http, 4 connections, every " in told

    def test_a_flow_that_stays_loses_all_or_gets_away(self) -> None:
        """Datagrams to the pod itself, until the end; kept connections find the other pod."""
        found = seen(half_lost())
        (sends,) = found["sends"].outages
        assert sends.is_blackhole
        assert sends.window.is_open
        (kept,) = found["kept"].outages
        assert 0 < kept.window.lost < kept.sent
        assert 20 * SECOND <= kept.window.begin < kept.window.end <= 30 * SECOND


class TestTimeline:
    """What happens in the cluster is told, with the step before it."""

    SPEC = """
  until: 12s
  steps:
  - {at: 2s, run: get pods}
  - {at: 3s, run: delete pod/web}
  traffic: [{name: a, from: client, to: svc/web:h, every: 200ms}]
"""

    def test_pods_endpoints_rules_and_events_are_entries(self, tmp_path: Path) -> None:
        """In their order, with the instants of the virtual clock."""
        entries = story_of(play(tmp_path / "s.yaml", self.SPEC)).entries
        told = [(each.kind, each.object, each.text) for each in entries if each.time >= 3 * SECOND]
        assert ("pod", "default/web", "is Terminating") in told
        assert ("event", "default/web", "Stopping container c") in told
        assert ("endpoints", "svc/default/web", "10.244.1.3 (web) is gone") in told
        assert ("rules", "node/one", "kube-proxy has written its rules") in told
        assert ("pod", "default/web", "is gone") in told

    def test_instants_are_told_from_the_last_step_that_changes_something(self, tmp_path: Path) -> None:
        """A step that only looks causes nothing."""
        cluster = play(tmp_path / "s.yaml", self.SPEC)
        found = report(story_of(cluster), name="x", seed=0)
        entries = found["timeline"]
        assert isinstance(entries, list)
        last = entries[-1]
        assert isinstance(last, dict)
        assert last["step"] == 2
        assert last["after_ns"] == last["time_ns"] - 3 * SECOND  # type: ignore[operator]  # numbers

    def test_markdown_and_text_tell_the_same_rows(self, tmp_path: Path) -> None:
        """A table with as many lines."""
        story = story_of(play(tmp_path / "s.yaml", self.SPEC))
        text, markdown = telling.text(story), telling.markdown(story)
        rows = [line for line in markdown.splitlines() if line.startswith("|")]
        assert len(rows) - 2 == text[: text.index("\n\n")].count("\n")
        assert "traffic/a: client -> svc/web:h (http, every 200 ms)" in text
        assert "## traffic/a: client -> svc/web:h (http, every 200 ms)" in markdown

    def test_the_same_seed_gives_the_same_bytes(self, tmp_path: Path) -> None:
        """Of the whole report."""
        first, second = (
            json.dumps(report(story_of(play(tmp_path / "s.yaml", EVERYBODY)), name="x", seed=0)) for _ in "12"
        )
        assert first == second


class TestAgain:
    """What was played can be played again, and asked about."""

    def test_a_copy_has_played_the_same(self, tmp_path: Path) -> None:
        """Its network is the same, traffic and all; nobody has listened there."""
        cluster = play(tmp_path / "s.yaml", EVERYBODY)
        copy = cluster.again()
        assert copy.fabric.loop.now == cluster.fabric.loop.now
        for name, net in cluster.fabric.namespaces.items():
            theirs = copy.fabric.namespaces[name]
            assert net.drops == theirs.drops, name
            assert list(net.netfilter.conntrack) == list(theirs.netfilter.conntrack) or name, name
            assert list(map(str, net.neighbours)) == list(map(str, theirs.neighbours)), name

    def test_a_question_leaves_everything_as_it_was(self, tmp_path: Path) -> None:
        """Also where traffic has been."""
        path = tmp_path / "s.yaml"
        path.write_text(HEAD + EVERYBODY)
        source = read_source([str(path)])
        assert isinstance(source, ClusterSource)
        cluster = source.start(kind=Lab)
        assert isinstance(cluster, Lab)
        cluster.flow("client", "svc/web:h")
        before = whole_state(cluster.fabric)
        assert cluster.flow("client", "svc/web:h").never
        assert whole_state(cluster.fabric) == before
        assert isinstance(cluster.fabric, Fabric)


class TestFaults:
    """What is wrong with a client is told, all of it."""

    @pytest.mark.parametrize(
        ("traffic", "fault"),
        [
            ("{from: client, to: svc/web}", "lacks name"),
            ("{name: a, to: svc/web}", "lacks from"),
            ("{name: a, from: client}", "lacks to"),
            ("{name: A b, from: client, to: svc/web}", "must be a name of lower-case letters"),
            ("{name: a, from: svc/web, to: svc/web}", "nothing runs in a Service"),
            ("{name: a, from: client, to: svc/web, kind: htp}", "did you mean 'http'?"),
            ("{name: a, from: client, to: svc/web, every: 1s, rate: 1/s}", "has either every or rate"),
            ("{name: a, from: client, to: svc/web, rate: fast}", "like 10/s or 30/m"),
            ("{name: a, from: client, to: svc/web, at: 9s, until: 3s}", "ends before it begins"),
            ("{name: a, from: client, to: svc/web, kind: ping, keepAlive: true}", "keepAlive is for http"),
            ("{name: a, from: client, to: svc/web, kind: ping, sourcePort: 5}", "sourcePort is for http"),
            ("{name: a, from: client, to: svc/web, waitForAnswer: false}", "waitForAnswer is for udp"),
            ("{name: a, from: client, to: svc/web, kind: tcp, path: /x}", "path is for http"),
            ("{name: a, from: client, to: svc/web, sourcePort: 70000}", "from 1 to 65535"),
            ("{name: a, from: client, to: svc/web, evry: 1s}", "unknown key; did you mean 'every'?"),
        ],
    )
    def test_a_wrong_client_is_refused(self, tmp_path: Path, traffic: str, fault: str) -> None:
        """With the line, and what it might be."""
        with pytest.raises(DocumentError) as caught:
            play(tmp_path / "s.yaml", f"  traffic: [{traffic}]\n")
        assert fault in str(caught.value)

    def test_names_are_told_apart(self, tmp_path: Path) -> None:
        """Two clients of one name, and a line about nobody."""
        spec = """
  traffic: [{name: a, from: client, to: svc/web}, {name: a, from: client, to: svc/web}]
  expect: ["traffic/aa lost 0"]
"""
        with pytest.raises(DocumentError) as caught:
            play(tmp_path / "s.yaml", spec)
        assert "two clients are called a" in str(caught.value)
        assert "no traffic is called aa (there is a, a); did you mean 'a'?" in str(caught.value)


def test_links_that_go_down_and_up_are_entries(tmp_path: Path) -> None:
    """Those of machines, whether somebody cuts them or a node fails."""
    spec = """
  steps:
  - {at: 2s, run: link two down}
  - {at: 3s, run: link two up}
  - {at: 4s, run: fail two}
"""
    entries = story_of(play(tmp_path / "s.yaml", spec)).entries
    told = [(each.time // SECOND, each.object, each.text) for each in entries if each.kind == "link"]
    assert told == [
        (2, "node/two", "eth0 has lost its carrier"),
        (3, "node/two", "eth0 has its carrier again"),
        (4, "node/two", "eth0 has lost its carrier"),
    ]
