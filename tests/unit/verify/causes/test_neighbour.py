# SPDX-License-Identifier: GPL-2.0-only
"""A next hop that nobody hears of: the cause is what keeps it from being heard, not the silence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from emu.cluster.source import read_source
from emu.verify.asker import Asker
from emu.verify.verdict import Word

if TYPE_CHECKING:
    from pathlib import Path

    from emu.cluster.cluster import Cluster
    from emu.verify.causes.cause import Cause

CLUSTER: Final = """\
apiVersion: emu/v1
kind: Cluster
spec: {nodes: [{name: a}, {name: b}, {name: c}]}
---
apiVersion: v1
kind: Pod
metadata: {name: one}
spec: {nodeName: a, containers: [{name: c, image: busybox}]}
---
apiVersion: v1
kind: Pod
metadata: {name: two}
spec: {nodeName: b, containers: [{name: c, image: nginx, ports: [{containerPort: 80}]}]}
---
apiVersion: emu/v1
kind: Fabric
spec: {FABRIC}
"""


def cluster_with(tmp_path: Path, fabric: str = "{}") -> Cluster:
    """Return a cluster of two pods on two nodes, with a third node beside them."""
    path = tmp_path / "lab.yaml"
    path.write_text(CLUSTER.replace("{FABRIC}", fabric))
    return read_source([str(path)]).start()  # type: ignore[return-value]  # it is a cluster


def cause_of(cluster: Cluster) -> Cause:
    """Return why the one pod does not reach the other."""
    verdict = Asker(cluster).judge("pod/default/one", "pod/default/two:80")
    (outcome,) = verdict.outcomes
    assert outcome.cause is not None
    return outcome.cause


@pytest.mark.parametrize(
    ("fabric", "code", "words"),
    [
        (
            "{filters: [{at: underlay, accept: tcp}]}",
            "UNDERLAY_FILTER",
            "ARP question of Node a for 172.18.0.3",
        ),
        ("{filters: [{at: b, drop: arp}]}", "UNDERLAY_FILTER", "is lost at Node b"),
        (
            '{links: [{endpoints: ["b:eth0", underlay], loss: 100%}]}',
            "CABLE_LOSS",
            "is lost at switch/underlay",
        ),
        (
            '{links: [{endpoints: ["a:eth0", underlay], dropNth: [1, 2, 3, 4, 5, 6, 7, 8]}]}',
            "CABLE_LOSS",
            "for 172.18.0.3",
        ),
        ('{links: [{endpoints: ["b:eth0", underlay], down: true}]}', "CABLE_UNPLUGGED", "eth0 of Node b"),
    ],
)
def test_what_loses_the_question_is_the_cause(tmp_path: Path, fabric: str, code: str, words: str) -> None:
    """Nobody has talked before, so an ARP request is the first to be lost."""
    found = cause_of(cluster_with(tmp_path, fabric))
    assert (found.code, words in found.words) == (code, True), found.words


@pytest.mark.parametrize("is_known", [False, True])
@pytest.mark.parametrize(
    ("line", "code", "fix"),
    [
        ("fail b", "HOST_DOWN", "recover b"),
        ("fail b --power", "HOST_DOWN", "recover b"),
        ("link b down", "CABLE_UNPLUGGED", "link b:eth0 up"),
    ],
)
def test_a_host_without_a_link_is_the_cause(
    tmp_path: Path, line: str, code: str, fix: str, *, is_known: bool
) -> None:
    """Whether neighbours ask for its address in vain, or still know it; and the fix is one."""
    cluster = cluster_with(tmp_path)
    if is_known:
        address = cluster.pod("two").run("hostname -i").strip()
        cluster.pod("one").run(f"ping -c 1 {address}")
    cluster.do(line, settle=False)
    found = cause_of(cluster)
    assert (found.code, found.object, found.fix) == (code, "Node b", fix)
    assert found.place == "node/b/eth0"
    assert cluster.do(fix, settle=False).status == 0
    if "--power" not in line:
        assert Asker(cluster).judge("pod/default/one", "pod/default/two:80").word is Word.ALWAYS
