# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import random

import attrs
import pytest

from emu.errors import UnknownNameError
from emu.kube.api import codec
from emu.kube.api.objects import DaemonSet, Node, Pod, ReplicaSet
from emu.kube.api.objects.meta import Condition, Meta, OwnerReference
from emu.kube.api.objects.pod import PodSpec, PodStatus
from emu.kube.api.objects.workload import ReplicaSetSpec
from emu.kube.api.store import Store
from emu.kube.nodes.drain import Drain, Options, cordon, uncordon
from emu.sim.loop import EventLoop
from emu.sim.time import SECOND, Instant


def make_store() -> Store:
    """Return an API server with two nodes."""
    store = Store(EventLoop(), 0, random.Random(1))
    store.put(Node(Meta("n1")))
    store.put(Node(Meta("n2")))
    return store


def pod(
    name: str, owner: str = "ReplicaSet", where: str = "n1", phase: str = "Running", **rest: object
) -> Pod:
    """Return a ready pod on a node, owned by `OWNER/own`."""
    owners = (OwnerReference(owner, "own", controller=True),) if owner else ()
    status = PodStatus(phase, conditions=(Condition("Ready", "True"),))
    metadata = Meta(name, "default", labels={"app": "web"}, owner_references=owners)
    found = Pod(metadata, PodSpec(node_name=where), status)
    volumes = [{"name": name, name: {}} for name in rest]
    if not volumes:
        return found
    return attrs.evolve(found, spec=attrs.evolve(found.spec, rest={"volumes": volumes}))  # type: ignore[dict-item]  # plain data


def budget(**spec: object) -> dict[str, object]:
    """Return the manifest of a budget for `app=web`."""
    selector = {"matchLabels": {"app": "web"}}
    return {
        "kind": "PodDisruptionBudget",
        "apiVersion": "policy/v1",
        "metadata": {"name": "pdb", "namespace": "default"},
        "spec": {"selector": selector, **spec},
    }


def test_cordon_and_uncordon_say_what_they_did() -> None:
    """Twice is once, and is said."""
    store = make_store()
    assert cordon(store, "n1") == "node/n1 cordoned\n"
    assert store.get(Node, "n1").spec.unschedulable
    assert cordon(store, "n1") == "node/n1 already cordoned\n"
    assert uncordon(store, "n1") == "node/n1 uncordoned\n"
    assert uncordon(store, "n1") == "node/n1 already uncordoned\n"
    with pytest.raises(UnknownNameError):
        cordon(store, "n9")


def test_a_drain_evicts_and_waits_for_the_end() -> None:
    """Pods of other nodes stay; it is over when the last pod has gone."""
    store = make_store()
    for name in ("a", "b"):
        store.put(pod(name))
    store.put(pod("c", where="n2"))
    drain = Drain(store, "n1")
    assert drain.stdout == "node/n1 cordoned\nevicting pod default/a\nevicting pod default/b\n"
    assert [key.name for key in drain.waits_for] == ["a", "b"]
    assert store.get(Pod, "a", "default").metadata.is_terminating
    store.delete(Pod, "a", "default")
    store.delete(Pod, "b", "default")
    assert drain.stdout.endswith("pod/a evicted\npod/b evicted\nnode/n1 drained\n")
    assert drain.status == 0
    assert not store.get(Pod, "c", "default").metadata.is_terminating


def test_an_empty_node_is_drained_at_once() -> None:
    """There is nothing to wait for."""
    store = make_store()
    cordon(store, "n1")
    assert Drain(store, "n1").stdout == "node/n1 already cordoned\nnode/n1 drained\n"


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (pod("a", ""), "cannot delete Pods that declare no controller (use --force to override): default/a"),
        (
            pod("a", emptyDir=True),
            "cannot delete Pods with local storage (use --delete-emptydir-data to override): default/a",
        ),
        (
            pod("a", "DaemonSet"),
            "cannot delete DaemonSet-managed Pods (use --ignore-daemonsets to ignore): default/a",
        ),
    ],
)
def test_what_kubectl_refuses_to_delete(found: Pod, words: str) -> None:
    """The node stays cordoned, and all its pods stay."""
    store = make_store()
    store.put(DaemonSet(Meta("own", "default")))
    store.put(found)
    store.put(pod("fine"))
    drain = Drain(store, "n1")
    assert drain.status == 1
    assert drain.stderr == (
        f'error: unable to drain node "n1" due to error: {words}, continuing command...\n'
        f"There are pending nodes to be drained:\n n1\n{words}\n"
    )
    assert not store.get(Pod, "fine", "default").metadata.is_terminating
    assert store.get(Node, "n1").spec.unschedulable


def test_flags_override_the_refusals() -> None:
    """With a warning; pods of DaemonSets stay."""
    store = make_store()
    store.put(DaemonSet(Meta("own", "default")))
    store.put(pod("alone", ""))
    store.put(pod("daemon", "DaemonSet"))
    store.put(pod("local", emptyDir=True))
    drain = Drain(store, "n1", Options(force=True, ignore_daemonsets=True, delete_emptydir_data=True))
    assert drain.stderr == (
        "Warning: deleting Pods that declare no controller: default/alone; "
        "deleting Pods with local storage: default/local; "
        "ignoring DaemonSet-managed Pods: default/daemon\n"
    )
    assert [key.name for key in drain.waits_for] == ["alone", "local"]


def test_mirror_pods_stay_and_finished_ones_go() -> None:
    """A mirror is the kubelet's own; one that has ended needs no owner."""
    store = make_store()
    mirror = pod("mirror", "Node")
    metadata = attrs.evolve(mirror.metadata, annotations={"kubernetes.io/config.mirror": "x"})
    store.put(attrs.evolve(mirror, metadata=metadata))
    store.put(pod("done", "", phase="Succeeded"))
    drain = Drain(store, "n1")
    assert drain.stdout == (
        "node/n1 cordoned\nevicting pod default/done\npod/done evicted\nnode/n1 drained\n"
    )
    assert store.find(Pod, "mirror", "default") is not None


@pytest.mark.parametrize("spec", [{"minAvailable": 2}, {"maxUnavailable": 0}, {"minAvailable": "100%"}])
def test_a_budget_is_respected_and_tried_again(spec: dict[str, object]) -> None:
    """Every five seconds, until there are enough elsewhere."""
    store = make_store()
    store.keep(codec.read(budget(**spec)))
    store.put(ReplicaSet(Meta("own", "default"), ReplicaSetSpec(replicas=2)))
    store.put(pod("a"))
    store.put(pod("b", where="n2"))
    drain = Drain(store, "n1")
    assert drain.stderr == (
        'error when evicting pods/"a" -n "default" (will retry after 5s): '
        "Cannot evict pod as it would violate the pod's disruption budget.\n"
    )
    assert not store.get(Pod, "a", "default").metadata.is_terminating
    store.loop.run_until_idle()
    store.put(pod("c", where="n2"))
    store.loop.run_until(Instant(6 * SECOND))
    assert store.get(Pod, "a", "default").metadata.is_terminating
    assert drain.stdout.count("evicting pod default/a") == 2


def test_a_budget_that_names_no_namespace_is_one_of_default() -> None:
    """As every manifest is that names none."""
    store = make_store()
    manifest = budget(maxUnavailable=0)
    store.keep(codec.read({**manifest, "metadata": {"name": "pdb"}}))
    store.put(pod("a"))
    assert "violate the pod's disruption budget" in Drain(store, "n1").stderr


def test_a_budget_lets_one_go_at_a_time() -> None:
    """A pod that is ending is not healthy any more."""
    store = make_store()
    store.keep(codec.read(budget(maxUnavailable=1)))
    store.put(ReplicaSet(Meta("own", "default"), ReplicaSetSpec(replicas=2)))
    store.put(pod("a"))
    store.put(pod("b"))
    drain = Drain(store, "n1")
    assert [store.get(Pod, name, "default").metadata.is_terminating for name in "ab"] == [True, False]
    assert drain.stderr.count("will retry") == 1


def test_without_eviction_budgets_do_not_count() -> None:
    """Pods are deleted, and that is what is said."""
    store = make_store()
    store.keep(codec.read(budget(maxUnavailable=0)))
    store.put(pod("a"))
    drain = Drain(store, "n1", Options(disable_eviction=True, grace_seconds=0))
    assert drain.stdout.endswith("pod/a deleted\nnode/n1 drained\n")
