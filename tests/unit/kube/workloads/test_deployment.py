# SPDX-License-Identifier: GPL-2.0-only
"""Deployments: rollouts, rollbacks, and what is known of them."""

from __future__ import annotations

import json
import re

import attrs
import pytest

from emu.kube.api.codec import read, write
from emu.kube.api.deletion import delete
from emu.kube.api.objects import Deployment, Pod, ReplicaSet
from emu.kube.api.objects.field import NOTHING
from emu.kube.api.objects.meta import LabelSelector, Meta, OwnerReference
from emu.kube.api.objects.pod import PodSpec, PodTemplateSpec
from emu.kube.api.objects.workload import DeploymentSpec, RollingUpdate, UpdateStrategy
from emu.kube.conditions import find
from emu.kube.workloads.deployment.revisions import HASH, REVISION
from emu.kube.workloads.deployment.rollout import Bounds, bounds
from emu.testing.control_plane import NAMESPACE, ControlPlane, bare_pod, deployment, template


@pytest.fixture
def plane() -> ControlPlane:
    """Three nodes."""
    plane = ControlPlane()
    plane.add_nodes("a", "b", "c")
    return plane


def change(plane: ControlPlane, name: str = "web", **changes: object) -> Deployment:
    """Change fields of a Deployment's spec."""
    known = plane.store.get(Deployment, name, NAMESPACE)
    spec = attrs.evolve(known.spec, **changes)  # type: ignore[arg-type]  # by the tests' care
    metadata = attrs.evolve(known.metadata, generation=(known.metadata.generation or 0) + 1)
    return plane.store.put(attrs.evolve(known, metadata=metadata, spec=spec))


def found(plane: ControlPlane, name: str = "web") -> Deployment:
    """Return a Deployment as it is."""
    return plane.store.get(Deployment, name, NAMESPACE)


@pytest.mark.parametrize(
    ("replicas", "surge", "unavailable", "result"),
    [
        (3, None, None, (1, 0)),
        (4, None, None, (1, 1)),
        (10, None, None, (3, 2)),
        (1, None, None, (1, 0)),
        (10, 0, 0, (0, 1)),
        (10, "0%", "1%", (0, 1)),
        (10, 2, 3, (2, 3)),
        (3, "100%", "50%", (3, 1)),
        (2, 0, 5, (0, 2)),
    ],
)
def test_surge_is_rounded_up_and_unavailable_down(
    replicas: int, surge: int | str | None, unavailable: int | str | None, result: tuple[int, int]
) -> None:
    """Both 0 is one unavailable, as nothing could ever change otherwise."""
    strategy = UpdateStrategy(rolling_update=RollingUpdate(surge, unavailable))
    spec = DeploymentSpec(replicas=replicas, strategy=strategy)
    assert bounds(Deployment(Meta(name="web"), spec)) == Bounds(*result)


class TestMaking:
    """A Deployment becomes a ReplicaSet, and that becomes pods."""

    def test_names_labels_and_owners_are_those_of_kubernetes(self, plane: ControlPlane) -> None:
        """Hashes and suffixes have the look of real ones."""
        plane.store.put(deployment("web", 2))
        plane.settle()
        (replica_set,) = plane.store.list(ReplicaSet)
        digest = replica_set.metadata.labels[HASH]
        assert re.fullmatch("[456789bcdf]{1,10}", digest)
        assert replica_set.metadata.name == f"web-{digest}"
        assert replica_set.spec.selector == LabelSelector({"app": "web", HASH: digest})
        assert dict(replica_set.metadata.annotations) == {
            REVISION: "1",
            "deployment.kubernetes.io/desired-replicas": "2",
            "deployment.kubernetes.io/max-replicas": "3",
        }
        assert found(plane).metadata.annotations == {REVISION: "1"}
        for pod in plane.pods():
            assert re.fullmatch(f"web-{digest}-[bcdfghjklmnpqrstvwxz2456789]{{5}}", pod.metadata.name)
            assert pod.metadata.generate_name == f"web-{digest}-"
            assert pod.metadata.labels == {"app": "web", HASH: digest}
            owner = OwnerReference(
                "ReplicaSet",
                replica_set.metadata.name,
                replica_set.metadata.uid,
                "apps/v1",
                controller=True,
                block_owner_deletion=True,
            )
            assert pod.metadata.owner_references == (owner,)

    def test_pods_of_a_template_share_its_spec(self, plane: ControlPlane) -> None:
        """Until they are bound they are one object."""
        seen = []
        plane.store.watch(Pod, lambda each: seen.append(each.new) if each.old is None else None)
        plane.store.put(deployment("web", 3))
        plane.settle()
        assert len({id(pod.spec) for pod in seen if isinstance(pod, Pod)}) == 1

    def test_pods_are_admitted(self, plane: ControlPlane) -> None:
        """They tolerate a lost node for five minutes, and have an account and a priority."""
        plane.store.put(deployment("web", 1))
        plane.settle()
        (pod,) = plane.pods()
        assert [(each.key, each.toleration_seconds) for each in pod.spec.tolerations] == [
            ("node.kubernetes.io/not-ready", 300),
            ("node.kubernetes.io/unreachable", 300),
        ]
        assert (pod.spec.service_account_name, pod.spec.priority) == ("default", 0)
        assert pod.status.qos_class == "BestEffort"

    def test_status_and_conditions_tell_that_it_serves(self, plane: ControlPlane) -> None:
        """The words are those of Kubernetes."""
        plane.store.put(deployment("web", 2))
        plane.settle()
        status = found(plane).status
        numbers = (status.replicas, status.updated_replicas, status.ready_replicas, status.available_replicas)
        assert numbers == (2, 2, 2, 2)
        assert status.unavailable_replicas is None
        assert status.observed_generation == 1
        assert sorted((each.type, each.status, each.reason) for each in status.conditions) == [
            ("Available", "True", "MinimumReplicasAvailable"),
            ("Progressing", "True", "NewReplicaSetAvailable"),
        ]
        (name,) = plane.sets()
        assert plane.messages("ScalingReplicaSet") == [f"Scaled up replica set {name} from 0 to 2"]
        pods = [pod.metadata.name for pod in plane.pods()]
        assert sorted(plane.messages("SuccessfulCreate")) == [f"Created pod: {pod}" for pod in pods]

    def test_applied_again_it_changes_nothing(self, plane: ControlPlane) -> None:
        """Twice is the same as once."""
        plane.store.put(deployment("web", 2))
        plane.settle()
        before = plane.store.revision
        plane.store.put(attrs.evolve(found(plane)))
        plane.settle()
        assert plane.store.revision == before


class TestRolling:
    """One template follows another."""

    def test_pods_are_never_fewer_than_wanted_with_the_defaults(self, plane: ControlPlane) -> None:
        """Three replicas: one more, one less, and so on."""
        plane.store.put(deployment("web", 3))
        plane.settle()
        counts = set()

        def count(_: object) -> None:
            pods = plane.pods()
            counts.add((len(pods), sum(pod.is_ready for pod in pods)))

        plane.store.watch(Pod, count)
        change(plane, template=template("web", "nginx:2"))
        plane.settle()
        assert max(total for total, _ in counts) == 4
        assert min(ready for _, ready in counts) == 3
        assert {pod.spec.containers[0].image for pod in plane.pods()} == {"nginx:2"}
        old, new = (
            plane.messages("ScalingReplicaSet")[0].split()[4],
            plane.messages("ScalingReplicaSet")[1].split()[4],
        )
        assert plane.messages("ScalingReplicaSet") == [
            f"Scaled up replica set {old} from 0 to 3",
            f"Scaled up replica set {new} from 0 to 1",
            f"Scaled down replica set {old} from 3 to 2",
            f"Scaled up replica set {new} from 1 to 2",
            f"Scaled down replica set {old} from 2 to 1",
            f"Scaled up replica set {new} from 2 to 3",
            f"Scaled down replica set {old} from 1 to 0",
        ]
        assert found(plane).metadata.annotations[REVISION] == "2"

    def test_a_rollout_that_fails_stops_after_its_first_step(self, plane: ControlPlane) -> None:
        """The old pods serve on, and after its deadline the Deployment says so."""
        plane.store.put(deployment("web", 3))
        plane.settle()

        def never_ready(_: object) -> None:
            plane.kubelet.broken.update(
                pod.metadata.name for pod in plane.pods() if pod.spec.containers[0].image == "broken"
            )

        plane.store.watch(Pod, never_ready)
        change(plane, template=template("web", "broken"))
        plane.settle()
        assert sorted(plane.sets().values()) == [1, 3]
        plane.settle(601)
        condition = find(found(plane).status.conditions, "Progressing")
        assert condition is not None
        assert (condition.status, condition.reason) == ("False", "ProgressDeadlineExceeded")
        available = find(found(plane).status.conditions, "Available")
        assert available is not None
        assert available.status == "True"

    def test_going_back_takes_the_old_set_again(self, plane: ControlPlane) -> None:
        """Its revision becomes the highest, and the ones it had are remembered."""
        plane.store.put(deployment("web", 2))
        plane.settle()
        (first,) = plane.sets()
        change(plane, template=template("web", "nginx:2"))
        plane.settle()
        change(plane, template=template("web", "nginx"))
        plane.settle()
        assert len(plane.sets()) == 2
        assert plane.sets()[first] == 2
        annotations = plane.store.get(ReplicaSet, first, NAMESPACE).metadata.annotations
        assert annotations[REVISION] == "3"
        assert annotations["deployment.kubernetes.io/revision-history"] == "1"
        assert found(plane).metadata.annotations[REVISION] == "3"

    def test_recreate_waits_for_the_last_old_pod(self, plane: ControlPlane) -> None:
        """Two templates never run side by side."""
        plane.store.put(deployment("web", 3))
        plane.settle()
        change(plane, strategy=UpdateStrategy("Recreate"))
        plane.settle()
        images: set[frozenset[str]] = set()

        def look(_: object) -> None:
            images.add(frozenset(pod.spec.containers[0].image for pod in plane.store.list(Pod)))

        plane.store.watch(Pod, look)
        change(plane, template=template("web", "nginx:2"))
        plane.settle()
        assert images == {frozenset({"nginx"}), frozenset(), frozenset({"nginx:2"})}
        assert len(plane.pods()) == 3

    def test_scaling_in_the_middle_is_shared_out(self, plane: ControlPlane) -> None:
        """Both sets grow by their share, so that a bad template does not get it all."""
        strategy = UpdateStrategy(rolling_update=RollingUpdate(3, 2))
        plane.store.put(deployment("web", 10))
        change(plane, strategy=strategy)
        plane.settle()
        plane.kubelet.start = 10**15
        change(plane, template=template("web", "nginx:2"))
        plane.loop.run_until(type(plane.loop.now)(plane.loop.now + 10**10))
        assert sorted(plane.sets().values()) == [5, 8]
        change(plane, replicas=15)
        plane.loop.run_until(type(plane.loop.now)(plane.loop.now + 10**10))
        assert sorted(plane.sets().values()) == [7, 11]

    def test_a_paused_deployment_scales_but_does_not_roll(self, plane: ControlPlane) -> None:
        """Resumed, it does."""
        plane.store.put(deployment("web", 2))
        plane.settle()
        change(plane, paused=True)
        change(plane, template=template("web", "nginx:2"), replicas=4)
        plane.settle()
        assert {pod.spec.containers[0].image for pod in plane.pods()} == {"nginx"}
        assert len(plane.pods()) == 4
        condition = find(found(plane).status.conditions, "Progressing")
        assert condition is not None
        assert condition.reason == "DeploymentPaused"
        change(plane, paused=False)
        plane.settle()
        assert {pod.spec.containers[0].image for pod in plane.pods()} == {"nginx:2"}

    def test_the_history_has_a_limit(self, plane: ControlPlane) -> None:
        """Only so many old sets are kept."""
        plane.store.put(deployment("web", 1))
        change(plane, revision_history_limit=2)
        for number in range(5):
            change(plane, template=template("web", f"nginx:{number}"))
            plane.settle()
        assert len(plane.sets()) == 3

    def test_min_ready_seconds_slow_a_rollout_down(self, plane: ControlPlane) -> None:
        """A pod counts when it has been ready long enough."""
        plane.store.put(deployment("web", 1))
        change(plane, min_ready_seconds=30)
        plane.settle()
        start = plane.loop.now
        change(plane, template=template("web", "nginx:2"))
        plane.settle()
        assert plane.loop.now - start >= 30 * 10**9


class TestScaling:
    """More pods, and fewer."""

    def test_the_ones_that_serve_stay(self, plane: ControlPlane) -> None:
        """Pods that are not ready go first."""
        plane.store.put(deployment("web", 4))
        plane.settle()
        first = plane.pods()[0]
        plane.kubelet._say(first, "Running", is_ready=False)
        plane.settle()
        change(plane, replicas=3)
        plane.settle()
        assert first.metadata.name not in {pod.metadata.name for pod in plane.pods()}

    def test_to_nothing(self, plane: ControlPlane) -> None:
        """The set stays, without pods; the pods were Terminating first."""
        plane.store.put(deployment("web", 4))
        plane.settle()
        change(plane, replicas=0)
        plane.kubelet.stop = 10**9
        plane.settle()
        assert plane.store.list(Pod) == []
        assert list(plane.sets().values()) == [0]

    def test_a_pod_that_loses_its_labels_is_let_go(self, plane: ControlPlane) -> None:
        """It runs on by itself, and another takes its place; with its labels it comes back."""
        plane.store.put(deployment("web", 2))
        plane.settle()
        pod = plane.pods()[0]
        plane.store.put(attrs.evolve(pod, metadata=attrs.evolve(pod.metadata, labels={"app": "look"})))
        plane.settle()
        freed = plane.store.get(Pod, pod.metadata.name, NAMESPACE)
        assert freed.metadata.controller is None
        assert len(plane.pods(app="web")) == 2
        plane.store.put(
            attrs.evolve(freed, metadata=attrs.evolve(freed.metadata, labels=pod.metadata.labels))
        )
        plane.settle()
        assert len(plane.pods()) == 2


class TestDeleting:
    """What a Deployment leaves behind."""

    def test_all_that_it_made_goes_after_it(self, plane: ControlPlane) -> None:
        """ReplicaSets at once, pods when their kubelet is done."""
        plane.store.put(deployment("web", 3))
        plane.settle()
        delete(plane.store, found(plane))
        plane.loop.run_until(plane.loop.now)
        assert plane.sets() == {}
        assert {pod.metadata.deletion_grace_period_seconds for pod in plane.store.list(Pod)} == {30}
        plane.settle()
        assert plane.store.list(Pod) == []

    def test_orphans_stay_and_are_adopted_again(self, plane: ControlPlane) -> None:
        """A Deployment of the same template takes them over as they are."""
        plane.store.put(deployment("web", 3))
        plane.settle()
        before = {pod.metadata.uid for pod in plane.pods()}
        delete(plane.store, found(plane), orphan=True)
        plane.settle()
        assert len(plane.pods()) == 3
        plane.store.put(deployment("web", 3))
        plane.settle()
        assert {pod.metadata.uid for pod in plane.pods()} == before
        assert len(plane.sets()) == 1


class TestDumps:
    """A cluster's objects, taken up as they are."""

    def dump(self) -> list[Deployment | ReplicaSet | Pod]:
        """Return a Deployment with all that belongs to it, under names of a real cluster."""
        one = ControlPlane()
        one.add_nodes("a", "b", "c")
        one.store.put(deployment("web", 3))
        one.settle()
        (old,) = (each.metadata.labels[HASH] for each in one.store.list(ReplicaSet))
        found: list[Deployment | ReplicaSet | Pod] = [
            *one.store.list(Deployment),
            *one.store.list(Pod),
            *one.store.list(ReplicaSet),
        ]
        manifests = json.loads(json.dumps([write(each) for each in found]).replace(old, "7d8f9c6b5d"))
        objects = [read(each) for each in manifests]
        return [each for each in objects if isinstance(each, Deployment | ReplicaSet | Pod)]

    @pytest.mark.parametrize("missing", [(), ("ReplicaSet",)])
    @pytest.mark.parametrize("stripped", ["", "uid", "owner"])
    def test_pods_stay_what_they_are(self, missing: tuple[str, ...], stripped: str) -> None:
        """With their sets or without, with UIDs and owners or without: no pod is made, none goes."""
        plane = ControlPlane()
        plane.add_nodes("a", "b", "c")
        names = set()
        for each in self.dump():
            if each.KIND in missing:
                continue
            metadata = attrs.evolve(
                each.metadata,
                uid="" if stripped else each.metadata.uid,
                owner_references=() if stripped == "owner" else each.metadata.owner_references,
            )
            if isinstance(each, Pod):
                names.add(metadata.name)
            plane.store.put(attrs.evolve(each, metadata=metadata))
        plane.settle()
        assert {pod.metadata.name for pod in plane.store.list(Pod)} == names
        assert list(plane.sets()) == ["web-7d8f9c6b5d"]

    def test_of_two_hashes_the_younger_is_the_template(self) -> None:
        """The other is taken for what came before, and rolled on."""
        plane = ControlPlane()
        plane.add_nodes("a")
        for digest, time, number in (("aaa", "2025-01-01T00:00:00Z", 1), ("bbb", "2025-01-02T00:00:00Z", 2)):
            for index in range(number):
                pod = bare_pod(f"web-{digest}-{index}", PodSpec(node_name="a"), app="web", **{HASH: digest})
                plane.store.put(
                    attrs.evolve(pod, metadata=attrs.evolve(pod.metadata, creation_timestamp=time))
                )
        plane.store.put(deployment("web", 3))
        plane.settle()
        assert plane.sets() == {"web-aaa": 0, "web-bbb": 3}
        assert {"web-bbb-0", "web-bbb-1"} <= {pod.metadata.name for pod in plane.pods()}


def test_two_templates_of_one_hash_get_two_names(plane: ControlPlane) -> None:
    """A name that another owner's set has is not taken from it."""
    plane.store.put(deployment("web", 1))
    plane.settle()
    (name,) = plane.sets()
    known = plane.store.get(ReplicaSet, name, NAMESPACE)
    stranger = attrs.evolve(
        known,
        metadata=attrs.evolve(
            known.metadata, uid="", owner_references=(OwnerReference("Thing", "x", "1", controller=True),)
        ),
        spec=attrs.evolve(known.spec, replicas=0, template=PodTemplateSpec(Meta(labels=NOTHING))),
    )
    other = ControlPlane()
    other.add_nodes("a")
    other.store.put(stranger)
    other.store.put(deployment("web", 1))
    other.settle()
    assert len(other.sets()) == 2
    assert found(other).status.collision_count == 1
