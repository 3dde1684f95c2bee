# SPDX-License-Identifier: GPL-2.0-only
"""What questions cost: one, ten thousand probes, matrices of 200 and of 1,000 pods.

`pytest tests/bench/test_bench_verdicts.py --benchmark-enable -s` prints the figures; the
largest matrix, every range of ports between 1,000 pods, is asked where `--large` is
given in its place:

    python tests/bench/test_bench_verdicts.py --large
"""

from __future__ import annotations

import json
import random
import sys
import time
from typing import TYPE_CHECKING, Final

from emu import lab
from emu.cluster.cluster import Cluster
from emu.kube.api.objects import Pod
from emu.verify.asker import Asker
from emu.verify.jobs import processors
from emu.verify.matrix.matrix import ask
from emu.verify.matrix.plan import make_plan
from emu.verify.probing import guests
from emu.verify.probing.ask import ask_all
from emu.verify.probing.probe import Probe

if TYPE_CHECKING:
    from pathlib import Path

    import pytest
    from pytest_benchmark.fixture import BenchmarkFixture

Manifest = dict[str, object]

APPS: Final = ("web", "api", "db", "cache", "queue")
POLICIES: Final = 50
PODS_A_NODE: Final = 100


def documents(pods: int, namespaces: int) -> list[Manifest]:
    """Return a cluster of Deployments in some namespaces, with policies drawn by a fixed seed."""
    draw = random.Random(5)
    nodes: list[Manifest] = [{"name": f"worker-{number}"} for number in range(max(2, pods // PODS_A_NODE))]
    nodes.append({"name": "control-plane", "role": "control-plane"})
    found: list[Manifest] = [{"apiVersion": "emu/v1", "kind": "Cluster", "spec": {"nodes": nodes}}]
    for number in range(namespaces):
        meta = {"name": f"ns{number}", "labels": {"team": f"t{number % 3}"}}
        found.append({"apiVersion": "v1", "kind": "Namespace", "metadata": meta})
        found += [_deployment(f"ns{number}", app, pods // namespaces // len(APPS)) for app in APPS]
    return found + [_policy(draw, f"p{number}", namespaces) for number in range(POLICIES)]


def _deployment(namespace: str, app: str, replicas: int) -> Manifest:
    labels = {"app": app}
    ports = [{"containerPort": 80, "name": "http"}, {"containerPort": 5432}]
    container = {"name": "c", "image": "i", "ports": ports}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": app, "namespace": namespace},
        "spec": spec,
    }


def _policy(draw: random.Random, name: str, namespaces: int) -> Manifest:
    def pods() -> Manifest:
        return {"matchLabels": {"app": draw.choice(APPS)}}

    peers: list[Manifest] = [{"podSelector": pods()}]
    if draw.random() < 0.5:
        team = {"matchLabels": {"team": f"t{draw.randrange(3)}"}}
        peers.append({"namespaceSelector": team, "podSelector": pods()})
    if draw.random() < 0.2:
        peers.append({"ipBlock": {"cidr": "10.244.0.0/16", "except": ["10.244.1.0/25"]}})
    ports = [{"port": 80}] if draw.random() < 0.7 else [{"port": 5000, "endPort": 6000}]
    kind, peer = ("Egress", "to") if draw.random() < 0.3 else ("Ingress", "from")
    spec = {"podSelector": pods(), "policyTypes": [kind], kind.lower(): [{peer: peers, "ports": ports}]}
    meta = {"name": name, "namespace": f"ns{draw.randrange(namespaces)}"}
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": meta, "spec": spec}


def built(folder: Path, pods: int, namespaces: int) -> Cluster:
    """Return the cluster, its neighbours known."""
    file = folder / "cluster.yaml"
    file.write_text("\n---\n".join(map(json.dumps, documents(pods, namespaces))), encoding="utf-8")
    found = lab.load(str(file))
    assert isinstance(found, Cluster)
    guests.warm(found)
    return found


def pods_of(cluster: Cluster) -> list[str]:
    """Return the end points of the pods of Deployments."""
    names = (each.metadata for each in cluster.store.each(Pod))
    return [f"{each.namespace}/{each.name}" for each in names if each.namespace != "kube-system"]


def test_one_question(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    """Pod to pod across nodes, both with policies, as `emu probe` asks."""
    cluster = built(tmp_path, 100, 4)
    draw, pods = random.Random(1), pods_of(cluster)
    asker = Asker(cluster, is_brief=True)
    verdict = benchmark(lambda: asker.judge(draw.choice(pods), f"{draw.choice(pods)}:80"))
    assert verdict.outcomes


def test_ten_thousand_probes(
    benchmark: BenchmarkFixture, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """100 pods and 50 policies, each pair once."""
    cluster = built(tmp_path, 100, 4)
    pods = pods_of(cluster)[: 100 if benchmark.enabled else 5]  # where nothing is timed, see that it works
    probes = [Probe(f"{a} {b}", a, b, 80) for a in pods for b in pods]
    answers = benchmark.pedantic(  # type: ignore[no-untyped-call]  # of a library
        ask_all, args=(cluster, probes), kwargs={"jobs": processors()}, rounds=1
    )
    assert len(answers) == len(probes)
    with capsys.disabled():
        sys.stdout.write(f"\n{len(probes)} probes\n")


def test_a_matrix_of_two_hundred_pods(
    benchmark: BenchmarkFixture, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """50 policies, one port, all pairs."""
    cluster = built(tmp_path, 200 if benchmark.enabled else 40, 4)
    plan = make_plan(cluster, ports=["80"])
    matrix = benchmark.pedantic(  # type: ignore[no-untyped-call]  # of a library
        ask, args=(cluster, plan), kwargs={"jobs": processors()}, rounds=1
    )
    with capsys.disabled():
        sys.stdout.write(f"\n{matrix.questions} questions, {matrix.asked} asked\n")


def _large(folder: Path) -> None:
    began = time.perf_counter()
    cluster = built(folder, 1000, 10)
    sys.stdout.write(f"built: {time.perf_counter() - began:.1f} s\n")
    for ports in ("80", "all"):
        began = time.perf_counter()
        matrix = ask(cluster, make_plan(cluster, ports=[ports]), jobs=processors())
        words = f"{matrix.questions} questions, {matrix.asked} asked"
        sys.stdout.write(f"ports {ports}: {words}, {time.perf_counter() - began:.1f} s\n")


if __name__ == "__main__" and sys.argv[1:] == ["--large"]:
    import tempfile
    from pathlib import Path as _Path

    with tempfile.TemporaryDirectory() as scratch:
        _large(_Path(scratch))
