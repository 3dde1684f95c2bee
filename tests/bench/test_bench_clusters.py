# SPDX-License-Identifier: GPL-2.0-only
"""What clusters cost to build: time of the whole, of one pod, and memory.

`pytest tests/bench/test_bench_clusters.py --benchmark-enable -s` prints the figures.
The largest one, 1,000 nodes with 30,000 pods, takes a minute and a gibibyte and is
built where `--large` is given in its place:

    python tests/bench/test_bench_clusters.py --large

Each cluster is built in a process of its own: the peak of its memory is its own then.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
import yaml

from emu.cluster.source import ClusterSource, read_source
from emu.cluster.underlay.plain import PlainUnderlay
from emu.fabric.driver import Fabric
from emu.kube import cni
from emu.kube.api.objects import EndpointSlice, Node, Pod, Service
from emu.kube.cni import Disk
from emu.kube.providers import PROVIDERS, NodeNetwork, Written, apply
from emu.wire.addresses import Interface, Prefix

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pytest_benchmark.fixture import BenchmarkFixture

    from emu.cluster.cluster import Cluster
    from emu.kernel.namespace import Namespace
    from emu.kube.cni import NetConfList

Manifest = dict[str, object]

ROOT: Final = Path(__file__).parents[2]
ROUNDS: Final = 5
SIZE: Final = (100, 1_000, 200)
"""Nodes, pods and Services of the cluster that is built again and again."""

SMALL: Final = (10, 60, 20)
"""What is built where nothing is measured."""

LARGE: Final = (1_000, 30_000, 1_000)
PODS_A_NODE: Final = 110
PODS: Final = 10 * PODS_A_NODE
CLUSTER: Final[Manifest] = {
    "apiVersion": "emu/v1",
    "kind": "Cluster",
    "metadata": {"name": "measured"},
    "spec": {"podCIDR": "10.128.0.0/9", "network": {"provider": "kindnet"}},
}


# --- what is measured ---


def manifests(nodes: int, pods: int, services: int) -> Iterator[Manifest]:
    """Yield Nodes, Services and bound Pods, with what matters to the network."""
    for number in range(nodes):
        labels = {"topology.kubernetes.io/zone": f"zone-{number % 3}"}
        address = f"172.{16 + number // 250}.{number % 250}.10"
        yield {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": f"node-{number:04}", "labels": labels},
            "spec": {"podCIDR": f"10.{128 + number // 256}.{number % 256}.0/24"},
            "status": {
                "addresses": [{"type": "InternalIP", "address": address}],
                "allocatable": {"cpu": "32", "memory": "128Gi", "pods": str(PODS_A_NODE)},
            },
        }
    for number in range(services):
        yield {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": f"service-{number:04}", "namespace": "default"},
            "spec": {
                "selector": {"app": f"app-{number:04}"},
                "ports": [{"port": 80, "targetPort": 8080}],
            },
        }
    for number in range(pods):
        container = {"name": "main", "image": "emu/http", "ports": [{"containerPort": 8080}]}
        labels = {"app": f"app-{number % services:04}"}
        yield {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": f"pod-{number:05}", "namespace": "default", "labels": labels},
            "spec": {"nodeName": f"node-{number % nodes:04}", "containers": [container]},
        }


def write(folder: Path, size: tuple[int, int, int], suffix: str) -> list[str]:
    """Write the files of a cluster and return their names."""
    cluster, objects = folder / "cluster.yaml", folder / f"objects{suffix}"
    cluster.write_text(yaml.safe_dump(CLUSTER))
    with objects.open("w") as stream:
        if suffix == ".json":
            json.dump({"apiVersion": "v1", "kind": "List", "items": list(manifests(*size))}, stream)
        else:
            yaml.dump_all(manifests(*size), stream, Dumper=yaml.CSafeDumper)
    return [str(cluster), str(objects)]


def source_of(names: list[str]) -> ClusterSource:
    """Read the files of a cluster."""
    source = read_source(names)
    assert isinstance(source, ClusterSource)
    return source


def build(names: list[str]) -> dict[str, float]:
    """Build a cluster, ask a Service from a pod, and return what there is and what it took."""
    begun, processor = time.perf_counter(), time.process_time()
    cluster = source_of(names).start()
    found = figures(cluster)
    answered = ask(cluster)
    return found | {
        "answered": float(answered),
        "wall": time.perf_counter() - begun,
        "processor": time.process_time() - processor,
        "peak": float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024),
    }


def figures(cluster: Cluster) -> dict[str, float]:
    """Return how many there are of what was to be built."""
    own = [pod for pod in cluster.store.each(Pod) if pod.metadata.namespace == "default"]
    return {
        "nodes": sum(node.is_ready for node in cluster.store.each(Node)),
        "pods": sum(pod.is_ready for pod in own),
        "services": sum(each.metadata.namespace == "default" for each in cluster.store.each(Service)) - 1,
        "endpoints": sum(
            len(each.endpoints)
            for each in cluster.store.each(EndpointSlice)
            if each.metadata.namespace == "default" and each.service != "kubernetes"
        ),
        "routes": sum(sum(1 for _ in machine.net.fib.routes(254)) for machine in cluster.machines.values()),
    }


def ask(cluster: Cluster) -> bool:
    """Return whether a pod gets an answer from a Service, by its address."""
    service = cluster.store.get(Service, "service-0005", "default")
    answer = cluster.pod("pod-00000").run(f"curl -s http://{service.spec.cluster_ip}/")
    return answer.startswith("pod-")


def in_a_process(names: list[str]) -> dict[str, float]:
    """Do the same in a new process, imports and all."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    argv = [sys.executable, __file__, *names]
    done = subprocess.run(argv, env=environment, stdout=subprocess.PIPE, check=True, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def check(found: Mapping[str, float], size: tuple[int, int, int]) -> None:
    """Look whether all that was to be built is there."""
    nodes, pods, services = size
    wanted = {"nodes": nodes, "pods": pods, "services": services, "endpoints": pods, "answered": 1.0}
    assert {key: found[key] for key in wanted} == wanted
    assert found["routes"] >= nodes * (nodes - 1)


def words(found: Mapping[str, float]) -> str:
    """Return the figures of one cluster as a line."""
    return (
        f"{found['wall']:.2f} s, {found['processor']:.2f} s of processor time, "
        f"{found['peak'] / 2**20:.0f} MiB at the peak"
    )


# --- pods alone ---


def some(config: NetConfList | None) -> NetConfList:
    """Return a configuration that there is."""
    assert config is not None
    return config


class Nodes:
    """Nodes of a provider, to which pods are attached as a runtime does it."""

    def __init__(self, provider: str) -> None:
        self.fabric = Fabric()
        underlay = PlainUnderlay(self.fabric, [Prefix.parse("172.18.0.0/16")], frozenset())
        configured = PROVIDERS[provider]({})
        networks = [
            NodeNetwork(f"node-{number}", f"172.18.1.{number + 2}", [f"10.244.{number}.0/24"])
            for number in range(PODS // PODS_A_NODE)
        ]
        self.nodes: list[tuple[Namespace, Disk, NetConfList]] = []
        for network in networks:
            net, disk = self.fabric.add_namespace(f"node/{network.name}"), Disk()
            underlay.attach(net, [(Interface(network.internal_ip, 16),)])
            written = configured.configure(network, networks)
            apply(self.fabric, net, Written(), written, disk=disk)
            self.nodes.append((net, disk, some(written.config)))

    def add_all(self) -> None:
        """Add as many pods as the nodes take, and let happen what that causes at once."""
        for number in range(PODS):
            node, disk, network = self.nodes[number // PODS_A_NODE]
            pod = self.fabric.add_namespace(f"default/pod-{number}")
            container = f"{number:064x}"
            cni.add(cni.LOOPBACK, cni.Call(self.fabric, node, pod, container, disk=disk, ifname="lo"))
            cni.add(network, cni.Call(self.fabric, node, pod, container, disk=disk))
        self.fabric.loop.run_until(self.fabric.loop.now)


@pytest.fixture(params=["kindnet", "kubenet"])
def provider(request: pytest.FixtureRequest) -> str:
    """Return a provider: pods are routed one by one, or on a bridge, where each tells others its address."""
    name: str = request.param
    return name


@pytest.mark.benchmark(
    group=f"{PODS} pods, {PODS_A_NODE} on each node", timer=time.process_time, disable_gc=True
)
def test_pods_are_attached(benchmark: BenchmarkFixture, provider: str) -> None:
    """Namespace, veth pair, addresses and routes by CNI ADD."""
    made: list[Nodes] = []

    def prepare() -> tuple[tuple[Nodes], dict[str, object]]:
        made[:] = [Nodes(provider)]
        return (made[0],), {}

    benchmark.pedantic(Nodes.add_all, setup=prepare, rounds=ROUNDS)  # type: ignore[no-untyped-call]
    assert sum(name.startswith("default/") for name in made[0].fabric.namespaces) == PODS
    if benchmark.stats is not None:
        least, median = benchmark.stats.stats.min, benchmark.stats.stats.median
        sys.stdout.write(f"\n{provider}: {PODS / least:,.0f} pods/s at best, {PODS / median:,.0f} median\n")


def test_memory_of_a_pod(benchmark: BenchmarkFixture, provider: str) -> None:
    """What a namespace takes with all that CNI ADD makes, in the pod and on the node."""
    Nodes(provider).add_all()  # what is made once
    nodes = Nodes(provider)
    gc.collect()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    benchmark.pedantic(nodes.add_all, rounds=1)  # type: ignore[no-untyped-call]
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(nodes.fabric.namespaces) > PODS
    sys.stdout.write(f"\n{provider}: {(after - before) / PODS:,.0f} octets a pod\n")


# --- whole clusters ---


@pytest.mark.parametrize("suffix", [".yaml", ".json"])
@pytest.mark.benchmark(group="100 nodes, 1,000 pods, 200 Services, and the first request answered")
def test_cluster(benchmark: BenchmarkFixture, tmp_path: Path, suffix: str) -> None:
    """From the start of the process to the answer."""
    size = SMALL if benchmark.disabled else SIZE
    names = write(tmp_path, size, suffix)
    found: list[dict[str, float]] = []
    benchmark.pedantic(lambda: found.append(in_a_process(names)), rounds=ROUNDS)  # type: ignore[no-untyped-call]
    for each in found:
        check(each, size)
    sys.stdout.write(f"\n{suffix}: at best {words(min(found, key=lambda each: each['wall']))}\n")


def test_memory_of_a_pod_with_its_program_and_objects(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    """What each further pod of a cluster takes: namespace, sockets, program, objects of the API, rules."""
    sizes = (10, 100, 10), ((10, 200, 10) if benchmark.disabled else (10, PODS, 10))
    taken = []
    for place, size in enumerate(sizes):
        folder = tmp_path / str(place)
        folder.mkdir()
        source = source_of(write(folder, size, ".json"))
        gc.collect()
        tracemalloc.start()
        cluster = source.start() if place else benchmark.pedantic(source.start, rounds=1)  # type: ignore[no-untyped-call]
        gc.collect()
        taken.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()
        assert cluster.store.count(Pod) >= size[1]
    whole = (taken[1] - taken[0]) / (sizes[1][1] - sizes[0][1])
    sys.stdout.write(f"\n{whole:,.0f} octets a pod, all in all\n")


def main() -> None:
    """Build what is named, or with `--large` the largest cluster, and tell the figures."""
    if sys.argv[1:] != ["--large"]:
        sys.stdout.write(json.dumps(build(sys.argv[1:])))
        return
    from tempfile import TemporaryDirectory  # noqa: PLC0415 - only here

    with TemporaryDirectory() as folder:
        found = in_a_process(write(Path(folder), LARGE, ".json"))
    check(found, LARGE)
    sys.stdout.write(f"{LARGE[0]:,} nodes, {LARGE[1]:,} pods, {LARGE[2]:,} Services: {words(found)}\n")


if __name__ == "__main__":
    main()
