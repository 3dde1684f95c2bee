# SPDX-License-Identifier: GPL-2.0-only
"""Where the packets of clients end, and why; and that none is lost without a word."""

from __future__ import annotations

from functools import cache
from itertools import count
from typing import TYPE_CHECKING, Any, Final

import pytest

from emu.cluster.source import ClusterSource, source_of
from emu.cluster.timeline import telling
from emu.cluster.timeline.report import report
from emu.document import scan
from emu.fabric.driver import Fabric
from emu.kernel import ipv4, netdev
from emu.kernel.link import bridge, vxlan
from emu.sim.time import SECOND
from emu.testing.stories import lost_without_reason
from tests.unit.cluster.timeline.test_story import HEAD

if TYPE_CHECKING:
    from emu.cluster.cluster import Cluster
    from emu.cluster.timeline.story import Story
    from emu.cluster.timeline.windows import Window

CLIENTS: Final = """
  traffic:
  - {name: fresh, from: client, to: svc/web:h, until: UNTIL}
  - {name: kept, from: client, to: "svc/web:80", keepAlive: true, until: UNTIL}
  - {name: sends, from: client, to: "web:53/udp", sourcePort: 5555, waitForAnswer: false, until: UNTIL}
  - {name: ping, from: node/one, to: web, kind: ping, until: UNTIL}
  - {name: host, from: node/one, to: svc/web:h, until: UNTIL}
"""
NAMES: Final = ("fresh", "kept", "sends", "ping", "host")


def play(steps: str, *, until: str = "30s", provider: str = "kindnet") -> Cluster:
    """Return a cluster after steps, while clients of several kinds asked."""
    head = HEAD.replace("spec: {nodes:", f"spec: {{network: {{provider: {provider}}}, nodes:")
    text = f"{head}  steps: {steps}\n{CLIENTS.replace('UNTIL', until)}"
    source = source_of(scan(text.encode(), "s.yaml"), "s.yaml")
    assert isinstance(source, ClusterSource)
    return source.start()


def story_of(cluster: Cluster) -> Story:
    """Return what happened."""
    assert cluster.story is not None
    return cluster.story


def ends(windows: tuple[Window, ...]) -> dict[tuple[str, str], int]:
    """Return where packets ended in a client's windows, and how many."""
    found: dict[tuple[str, str], int] = {}
    for window in windows:
        for end, number in window.drops.items():
            found[end] = found.get(end, 0) + number
    return found


@cache
def cut_off(how: str) -> Cluster:
    """Return a cluster one of whose nodes was cut off at 5 s, while it was asked until 50 s."""
    return play(f"[{{at: 5s, run: {how}}}, {{at: 55s, run: get nodes}}]", until="50s")


@pytest.mark.parametrize("how", ["fail two", "fail two --power", "link two down"])
class TestCutOff:
    """A node that is not to be reached any more, by three ways."""

    def test_each_packet_that_is_lost_has_a_reason_and_a_place(self, how: str) -> None:
        """The switch knows no port for it, until the neighbours have noticed: then nobody answers ARP."""
        story = story_of(cut_off(how))
        found = {each.spec.name: each.summary for each in story.clients}
        for name in NAMES:
            assert 44 <= found[name].lost <= 46, name
            where = ends(found[name].windows)
            assert where.keys() == {("OTHERHOST", "switch/underlay"), ("NEIGH_FAILED", "node/one")}, name
            assert sum(where.values()) >= found[name].lost, name

    def test_it_is_told_in_words_and_in_json(self, how: str) -> None:
        """By the codes of `emu explain`."""
        story = story_of(cut_off(how))
        assert "OTHERHOST at switch/underlay" in telling.text(story)
        found: Any = report(story, name="x", seed=0)
        drops = [drop for client in found["traffic"] for each in client["windows"] for drop in each["drops"]]
        assert {each["reason"] for each in drops} == {"OTHERHOST", "NEIGH_FAILED"}


def test_what_is_under_way_when_the_story_ends_has_no_reason_yet() -> None:
    """A packet that waits for a neighbour: where it waits is told."""
    story = story_of(play("[{at: 5s, run: fail two}]", until="51s"))
    fresh = next(each.summary for each in story.clients if each.spec.name == "fresh")
    assert ends(fresh.windows)["", "node/one"] >= 1
    assert "under way at node/one" in telling.text(story)


def test_what_does_not_even_leave_its_pod_has_a_reason() -> None:
    """A rule in the pod itself drops it."""
    story = story_of(play('[{at: 5s, run: "exec client -- iptables -A OUTPUT -p udp --dport 53 -j DROP"}]'))
    sends = next(each.summary for each in story.clients if each.spec.name == "sends")
    assert ends(sends.windows) == {("NETFILTER_DROP", "default/client"): sends.lost}


def test_an_answer_that_is_lost_has_a_reason() -> None:
    """The requests have all arrived."""
    story = story_of(play('[{at: 5s, run: "exec node/one -- iptables -I FORWARD -s 10.244.1.3 -j DROP"}]'))
    for each in story.clients:
        found = each.summary
        if each.spec.name in {"fresh", "kept"}:
            assert ends(found.windows)["NETFILTER_DROP", "node/one"] >= found.lost, each.spec.name
            assert "NETFILTER_DROP" not in found.codes  # they count what was sent here
        elif each.spec.name == "sends":
            assert found.lost == 0


@pytest.mark.parametrize("client", ["kind: dns", "kind: http"])
def test_a_question_for_a_name_that_is_lost_has_a_reason(client: str) -> None:
    """It is a packet of the attempt."""
    spec = f"""
  until: 12s
  steps: [{{at: 5s, run: "exec node/one -- iptables -I FORWARD -p udp --dport 53 -j DROP"}}]
  traffic: [{{name: a, from: client, to: web.default, {client}}}]
"""
    source = source_of(scan((HEAD + spec).encode(), "s.yaml"), "s.yaml")
    assert isinstance(source, ClusterSource)
    (found,) = story_of(source.start()).clients
    assert found.summary.lost >= 6
    (end,) = ends(found.summary.windows).items()
    assert end[0] == ("NETFILTER_DROP", "node/one")
    assert end[1] == 2 * found.summary.lost  # A and AAAA


def test_a_datagram_arrives_at_a_node_as_at_a_pod() -> None:
    """Where a program of the node waits for it; where none does it is refused there."""
    spec = """
  traffic:
  - {name: dns, from: client, to: "10.96.0.10:53/udp", waitForAnswer: false, until: 5s}
  - {name: node, from: client, to: "node/two:5555/udp", waitForAnswer: false, until: 5s}
"""
    source = source_of(scan((HEAD + spec).encode(), "s.yaml"), "s.yaml")
    assert isinstance(source, ClusterSource)
    found = {each.spec.name: each.summary for each in story_of(source.start()).clients}
    assert found["dns"].lost == 0
    assert found["node"].answered == 0


STORIES: Final = {
    "quiet": "[]",
    "cut": "[{at: 5s, run: fail two}, {at: 12s, run: recover two}]",
    "power": "[{at: 5s, run: fail two --power}, {at: 12s, run: recover two}]",
    "bad": "[{at: 5s, run: link two loss=30% duplicate=20%}]",
    "gone": "[{at: 5s, run: delete pod/web --grace-period=0 --force}]",
    "denied": '[{at: 5s, run: "exec node/two -- iptables -I FORWARD -p udp -j DROP"}]',
}


@pytest.mark.parametrize("provider", ["kindnet", "flannel"])
@pytest.mark.parametrize("name", STORIES)
def test_no_packet_is_lost_without_a_reason(name: str, provider: str) -> None:
    """Each has come to its host, or was dropped somewhere by somebody who says why."""
    cluster = play(STORIES[name], until="16s", provider=provider)
    assert lost_without_reason(cluster, story_of(cluster).packets) == []


PLANTED: Final = {
    "a device sends nothing": (netdev, "transmit", 0),
    "a bridge forwards nothing": (bridge, "receive", 0),
    "IP takes nothing in": (ipv4, "receive", 0),
    "no protocol gets anything": (ipv4, "_protocols", 0),
    "a tunnel ends nowhere": (vxlan, "receive", 0),
    "a cable carries nothing": (Fabric, "_transmit", 1),
}


@pytest.mark.parametrize("fault", PLANTED)
def test_a_function_that_loses_a_packet_without_a_reason_is_found(
    monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    """Planted: each forgets every fiftieth packet from 5 s on, on nodes and switches."""
    owner, name, place = PLANTED[fault]
    genuine = getattr(owner, name)
    turn = count(1)

    def forgetful(*args: Any) -> Any:  # noqa: ANN401 - whatever the function takes
        net = args[place]
        is_on_the_way = net.name.startswith(("node/", "switch/")) and net.now > 5 * SECOND
        if not is_on_the_way or next(turn) % 50:
            return genuine(*args)
        return True if owner is vxlan else None  # it says whether it was for it

    monkeypatch.setattr(owner, name, forgetful)
    cluster = play("[]", until="16s", provider="flannel")
    assert lost_without_reason(cluster, story_of(cluster).packets)
