# SPDX-License-Identifier: GPL-2.0-only
"""Stories that take time, with clients that ask: a node fails, a workload grows and shrinks."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from click.testing import CliRunner

from emu import lab
from emu.cli import cli
from emu.cluster.timeline import telling
from emu.kube.api.objects import Node, Pod
from emu.kube.api.objects.service import EndpointSlice
from emu.sim.time import SECOND
from emu.verify.expect import Checker
from emu.verify.expect.traffic import check_traffic

if TYPE_CHECKING:
    from emu.cluster.timeline.story import Story
    from emu.cluster.timeline.windows import Summary

FOLDER: Final = Path(__file__).parents[2] / "topologies"
FAILED_AT: Final = 30 * SECOND


@cache
def played(name: str) -> lab.Cluster:
    """Return a topology after its story."""
    found = lab.load(str(FOLDER / f"{name}.yaml"))
    assert isinstance(found, lab.Cluster)
    return found


def story_of(name: str) -> Story:
    """Return what happened."""
    story = played(name).story
    assert story is not None
    return story


def seen(name: str) -> dict[str, Summary]:
    """Return what each client saw."""
    return {each.spec.name: each.summary for each in story_of(name).clients}


def pods(cluster: lab.Cluster, *, namespace: str = "default") -> dict[str, Pod]:
    """Return the pods that are not on their way out."""
    return {
        each.metadata.name: each
        for each in cluster.store.list(Pod, namespace)
        if not each.metadata.is_terminating
    }


@pytest.mark.parametrize("name", ["node-failure", "scaling"])
def test_all_that_a_story_expects_comes_true(name: str) -> None:
    """What clients saw, and what becomes of packets afterwards."""
    cluster = played(name)
    findings = list(check_traffic(story_of(name), cluster.topology.seen))
    findings += Checker(cluster).check_all(cluster.topology.expectations)
    assert len(findings) == len(cluster.topology.seen) + len(cluster.topology.expectations) > 5
    assert all(findings), [each.line for each in findings]


class TestNodeFailure:
    """Two workers, three replicas, and one worker that loses its power."""

    def test_all_pods_end_on_the_other_worker(self) -> None:
        """Three of them, and none elsewhere."""
        web = [each for name, each in pods(played("node-failure")).items() if name.startswith("web-")]
        assert [each.spec.node_name for each in web] == ["worker-1"] * 3
        assert all(each.is_ready for each in web)

    def test_the_new_ones_have_new_names_and_addresses(self) -> None:
        """None of those that were on the node that failed."""
        fresh = lab.load(str(FOLDER / "node-failure.yaml"), steps=False)
        assert isinstance(fresh, lab.Cluster)
        before = {name: each for name, each in pods(fresh).items() if each.spec.node_name == "worker-2"}
        after = pods(played("node-failure"))
        assert len(before) == 2
        assert not before.keys() & after.keys()
        gone = {each.status.pod_ip for each in before.values()}
        assert not gone & {each.status.pod_ip for each in after.values()}

    def test_the_service_follows(self) -> None:
        """Its slices name the pods of worker-1 alone as ready, and so do the rules of the nodes that live."""
        cluster = played("node-failure")
        web = {each.status.pod_ip for name, each in pods(cluster).items() if name.startswith("web-")}
        ready = {
            address
            for piece in cluster.store.list(EndpointSlice, "default")
            if piece.service == "web"
            for endpoint in piece.endpoints
            if endpoint.conditions.ready
            for address in endpoint.addresses
        }
        assert ready == web
        for node in ("control-plane", "worker-1"):
            rules = cluster.node(node).run("iptables-save -t nat")
            behind = {
                line.rpartition(" ")[2].partition(":")[0]
                for line in rules.splitlines()
                if "--to-destination" in line and "default/web" in line
            }
            assert behind == web
        assert cluster.flow("client", "svc/web:http").always

    def test_the_control_plane_is_untouched(self) -> None:
        """Its node is Ready, its pods are those that were there before, and it was always to be reached."""
        cluster = played("node-failure")
        fresh = lab.load(str(FOLDER / "node-failure.yaml"), steps=False)
        assert isinstance(fresh, lab.Cluster)
        assert {each.metadata.name: each.is_ready for each in cluster.store.list(Node)} == {
            "control-plane": True,
            "worker-1": True,
            "worker-2": False,
        }
        system = [
            {name: (each.metadata.uid, each.status.pod_ip) for name, each in found.items()}
            for found in (pods(cluster, namespace="kube-system"), pods(fresh, namespace="kube-system"))
        ]
        assert system[0] == system[1]
        assert seen("node-failure")["api"].lost == 0
        touched = [each for each in story_of("node-failure").entries if each.object == "node/control-plane"]
        assert {each.kind for each in touched} == {"rules"}

    def test_it_happens_when_it_happens_in_a_cluster(self) -> None:
        """NotReady after 50 s and no later than 55 s; eviction after 300 s more; rules within a second."""
        entries = story_of("node-failure").entries
        silent = next(each for each in entries if each.text.startswith("is NotReady"))
        assert 40 * SECOND <= silent.time - FAILED_AT <= 55 * SECOND
        evicted = next(each for each in entries if each.reason == "TaintManagerEviction")
        assert 300 * SECOND <= evicted.time - silent.time <= 301 * SECOND
        for change in (silent, evicted):
            rules = next(each for each in entries if each.kind == "rules" and each.time >= change.time)
            assert rules.time - change.time <= SECOND

    def test_the_black_hole_ends_with_the_grace_period(self) -> None:
        """No client loses anything before the node fails, or when its pods are no endpoints any more."""
        entries = story_of("node-failure").entries
        silent = next(each for each in entries if each.text.startswith("is NotReady"))
        found = seen("node-failure")
        for name in ("inside", "outside", "kept"):
            assert found[name].windows, name
            for window in found[name].windows:
                assert window.begin >= FAILED_AT, name
                assert window.begin <= silent.time + SECOND, name
                assert not window.is_open, name

    def test_an_older_release_notices_it_ten_seconds_sooner(self, tmp_path: Path) -> None:
        """40 s before 1.32."""
        text = (FOLDER / "node-failure.yaml").read_text().replace("until: 15m", "until: 90s")
        text = text[: text.index("  traffic:")].replace("  seed: 1\n", '  kubernetes: "1.31"\n')
        (tmp_path / "old.yaml").write_text(text)
        old = lab.load(str(tmp_path / "old.yaml"))
        assert isinstance(old, lab.Cluster)
        assert old.story is not None
        silent = next(each for each in old.story.entries if each.text.startswith("is NotReady"))
        assert 30 * SECOND <= silent.time - FAILED_AT <= 45 * SECOND


class TestScaling:
    """One replica, four, one, none, two."""

    def test_nobody_loses_a_request_to_scaling(self) -> None:
        """As long as there is a replica, and pods take their leave."""
        assert seen("scaling")["up-and-down"].lost == 0

    def test_new_connections_spread_and_kept_ones_stay(self) -> None:
        """Four pods answer the one client, and the other's pod is the same until it is gone."""
        found = seen("scaling")
        assert len(found["up-and-down"].servers) == 4
        assert found["kept"].connections == 2

    def test_without_replicas_clients_are_refused(self) -> None:
        """From the end of the last pod to the first that is ready, and rules a second later at the most."""
        (window,) = seen("scaling")["through-none"].windows
        assert window.outcomes["refused"] > 0
        assert 53 * SECOND <= window.begin <= 54 * SECOND
        assert 61 * SECOND <= window.end <= 62 * SECOND


class TestForms:
    """What `emu run` prints."""

    @staticmethod
    def run(*words: str) -> str:
        """Return what it prints for the shorter story."""
        result = CliRunner().invoke(cli, ["run", *words, str(FOLDER / "scaling.yaml")])
        assert result.exit_code == 0, result.output
        return result.stdout

    def test_json_has_all_of_it(self) -> None:
        """Steps, timeline, clients and expectations, with the keys that its page names."""
        found: dict[str, Any] = json.loads(self.run("-o", "json"))
        assert list(found) == [
            "cluster",
            "seed",
            "begin_ns",
            "end_ns",
            "steps",
            "timeline",
            "traffic",
            "expectations",
        ]
        page = (FOLDER.parent / "docs/reference/timeline-json.md").read_text()
        client = found["traffic"][1]
        window = client["windows"][0]
        outage = client["outages"][0]
        parts = [found, found["steps"][0], found["timeline"][0], client, window, window["drops"][0], outage]
        for part in (*parts, found["expectations"][0]):
            for key in part:
                assert f"`{key}`" in page, key
        assert all(each["met"] for each in found["expectations"])

    def test_the_same_seed_gives_the_same_bytes(self) -> None:
        """Two runs, byte for byte; another seed gives others."""
        first = self.run("-o", "json")
        assert first == self.run("-o", "json")
        assert first != self.run("-o", "json", "--seed", "6")

    def test_markdown_is_a_table_and_a_section_for_each_client(self) -> None:
        """And what was expected."""
        told = self.run("-o", "md")
        assert told.startswith("# scaling\n\n## Timeline\n\n| s | since the step | who | what |\n")
        assert "\n## traffic/kept: client -> svc/web:http (http, one connection, every 500 ms)\n" in told
        assert "* PASS  traffic/up-and-down lost 0" in told

    def test_text_tells_the_timeline_and_the_clients(self) -> None:
        """In this order, a step among what happened."""
        told = telling.text(story_of("scaling"))
        words = ("timeline (s,", "scale deploy/web --replicas=4", "traffic/kept:")
        places = [told.index(each) for each in words]
        assert places == sorted(places)


class TestPolicies:
    """A connection that stands when a policy comes."""

    @pytest.mark.parametrize(("setting", "is_cut"), [("keep", False), ("recheck", True)])
    def test_it_is_cut_only_where_policies_are_asked_again(
        self, tmp_path: Path, setting: str, *, is_cut: bool
    ) -> None:
        """`networkPolicy.establishedConnections` says whether."""
        text = (FOLDER / "failures/policy-leaves-connections.yaml").read_text()
        path = tmp_path / "policy.yaml"
        path.write_text(text.replace("establishedConnections: keep", f"establishedConnections: {setting}"))
        cluster = lab.load(str(path))
        assert isinstance(cluster, lab.Cluster)
        assert cluster.story is not None
        found = {each.spec.name: each.summary for each in cluster.story.clients}
        assert bool(found["open"].lost) == is_cut
        assert found["fresh"].lost > 15
