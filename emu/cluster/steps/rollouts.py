# SPDX-License-Identifier: GPL-2.0-only
"""Roll-outs of workloads: another image, all pods anew, back to what was before; and waiting for the end.

Source: k8s.io/kubectl/pkg/polymorphichelpers (objectrestarter.go, rollback.go, rollout_status.go).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, TypeAlias

import attrs

from emu.apps.tools.finished import Finished
from emu.cluster.editing import called, meant, parser_of
from emu.errors import CommandError
from emu.kube.api.objects import DaemonSet, Deployment, ReplicaSet, StatefulSet
from emu.kube.workloads.deployment.revisions import HASH, is_same, revision
from emu.kube.workloads.names import without
from emu.sim.time import SECOND, later

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping, Sequence

    from emu.cluster.cluster import Cluster
    from emu.cluster.editing import Deed
    from emu.kube.api.objects.pod import PodTemplateSpec

Rolling: TypeAlias = "Deployment | DaemonSet | StatefulSet"

RESTARTED_AT: Final = "kubectl.kubernetes.io/restartedAt"
_TIMEOUT: Final = re.compile(r"(?:(\d{1,4})m)?(?:(\d{1,6})s)?")
_PATIENCE: Final = 600  # seconds, of a status that names no time
_ROLLING: Final = (Deployment, DaemonSet, StatefulSet)


def rollout(words: Sequence[str]) -> Deed:
    """Restart a workload's pods, go back, wait for the end, pause: `rollout restart deploy/web`."""
    parser = parser_of("rollout")
    parser.add_argument("--to-revision", type=int, default=0)
    parser.add_argument("--timeout", default="")
    parser.add_argument("--watch", default="true")
    asked = parser.parse_intermixed_args(list(words))
    verb, *asked.words = asked.words or [""]
    if verb not in _VERBS or not asked.words:
        raise CommandError(f"error: rollout {'|'.join(_VERBS)} KIND/[NS/]NAME", 1)
    _patience(asked.timeout)

    def deed(cluster: Cluster) -> Finished:
        found = _rolling(cluster, asked)
        return Finished("".join(_VERBS[verb](cluster, each, asked) for each in found))

    return deed


def set_(words: Sequence[str]) -> Deed:
    """Give containers other images: `set image deploy/web nginx=nginx:2 [*=IMAGE]`."""
    parser = parser_of("set")
    asked = parser.parse_intermixed_args(list(words))
    what, *rest = asked.words or [""]
    images: dict[str, str] = {}
    for word in rest:
        name, sign, image = word.partition("=")
        if sign:
            images[name] = image
    asked.words = [word for word in rest if "=" not in word]
    if what != "image" or not images or not asked.words:
        raise CommandError("error: set image KIND/[NS/]NAME CONTAINER=IMAGE...", 1)

    def deed(cluster: Cluster) -> Finished:
        lines = []
        for each in _rolling(cluster, asked):
            template = each.spec.template
            names = {container.name for container in template.spec.containers}
            unknown = [name for name in images if name != "*" and name not in names]
            if unknown:
                raise CommandError(f'error: unable to find container named "{unknown[0]}"', 1)
            containers = tuple(
                attrs.evolve(one, image=images.get(one.name, images.get("*", one.image)))
                for one in template.spec.containers
            )
            spec = attrs.evolve(template.spec, containers=containers)
            if spec != template.spec:
                _put(cluster, each, attrs.evolve(template, spec=spec))
                lines.append(f"{called(each)}/{each.metadata.name} image updated\n")
        return Finished("".join(lines))

    return deed


def _patience(text: str) -> int:
    """Return how many seconds a time is; empty for those of a status that names none."""
    found = _TIMEOUT.fullmatch(text)
    if found is None:
        raise CommandError(f"error: {text!r} is no time, like 30s or 5m", 1)
    return (int(found[1] or 0) * 60 + int(found[2] or 0)) or _PATIENCE


def _rolling(cluster: Cluster, asked: argparse.Namespace) -> list[Rolling]:
    found = []
    for each in meant(cluster, asked):
        if not isinstance(each, _ROLLING):
            raise CommandError(f"error: {called(each)} has no roll-outs", 1)
        found.append(each)
    return found


def _put(cluster: Cluster, workload: Rolling, template: PodTemplateSpec) -> None:
    spec = attrs.evolve(workload.spec, template=template)
    _write(cluster, attrs.evolve(workload, spec=spec))  # type: ignore[arg-type]  # the spec of its own kind


def _write(cluster: Cluster, workload: Rolling) -> None:
    meta = workload.metadata
    generation = (meta.generation or 0) + 1
    cluster.store.put(attrs.evolve(workload, metadata=attrs.evolve(meta, generation=generation)))


# --- what is done ---


def _restart(cluster: Cluster, workload: Rolling, _asked: argparse.Namespace) -> str:
    template = workload.spec.template
    annotations = {**template.metadata.annotations, RESTARTED_AT: cluster.store.now}
    _put(
        cluster,
        workload,
        attrs.evolve(template, metadata=attrs.evolve(template.metadata, annotations=annotations)),
    )
    return f"{called(workload)}/{workload.metadata.name} restarted\n"


def _undo(cluster: Cluster, workload: Rolling, asked: argparse.Namespace) -> str:
    """Take the template of an earlier ReplicaSet again: by default that of the last but one."""
    if not isinstance(workload, Deployment):
        raise CommandError(
            f"error: undo of a {workload.KIND} is not modelled: apply what was there before", 1
        )
    sets = [
        each
        for each in cluster.store.list(ReplicaSet, workload.metadata.namespace)
        if each.metadata.controller is not None and each.metadata.controller.uid == workload.metadata.uid
    ]
    earlier = sorted(
        (each for each in sets if not is_same(each.spec.template, workload.spec.template)), key=revision
    )
    if asked.to_revision:
        earlier = [each for each in sets if revision(each) == asked.to_revision]
        if not earlier:
            raise CommandError(f"error: unable to find specified revision {asked.to_revision} in history", 1)
    if not earlier:
        raise CommandError(f'error: no rollout history found for deployment "{workload.metadata.name}"', 1)
    template = earlier[-1].spec.template
    labels = dict(without(template.metadata.labels, HASH))
    _put(cluster, workload, attrs.evolve(template, metadata=attrs.evolve(template.metadata, labels=labels)))
    return f"{called(workload)}/{workload.metadata.name} rolled back\n"


def _pause(cluster: Cluster, workload: Rolling, _asked: argparse.Namespace) -> str:
    return _paused(cluster, workload, paused=True)


def _resume(cluster: Cluster, workload: Rolling, _asked: argparse.Namespace) -> str:
    return _paused(cluster, workload, paused=False)


def _paused(cluster: Cluster, workload: Rolling, *, paused: bool) -> str:
    if not isinstance(workload, Deployment):
        raise CommandError(f"error: {called(workload)} pausing is not supported", 1)
    word = "paused" if paused else "resumed"
    if workload.spec.paused == paused:
        raise CommandError(
            f'error: deployments.apps "{workload.metadata.name}" is {"already " if paused else "not "}paused',
            1,
        )
    _write(cluster, attrs.evolve(workload, spec=attrs.evolve(workload.spec, paused=paused)))
    return f"{called(workload)}/{workload.metadata.name} {word}\n"


def _status(cluster: Cluster, workload: Rolling, asked: argparse.Namespace) -> str:
    """Wait until a roll-out is complete, and say so.

    Raises:
        CommandError: it is not complete in time, or has missed its own deadline.
    """
    name, namespace, kind = workload.metadata.name, workload.metadata.namespace, type(workload)
    loop = cluster.fabric.loop
    seconds = _patience(asked.timeout)
    told: list[str] = []

    def is_over() -> bool:
        now = cluster.store.find(kind, name, namespace)
        words, done = _progress(now)
        if words and (not told or told[-1] != words):
            told.append(words)
        return done

    cluster.fabric.loop.run_until(loop.now)  # what the controller has to say of the last change
    if asked.watch != "false":
        cluster.run_until(is_over, later(loop.now, seconds * SECOND))
    if not is_over() and asked.watch != "false":
        raise CommandError("error: timed out waiting for the condition", 1, stdout="".join(told))
    return "".join(told)


def _progress(workload: Rolling | None) -> tuple[str, bool]:
    """Return what kubectl says of a roll-out, and whether it is over."""
    if workload is None:
        return "", True
    name = workload.metadata.name
    if isinstance(workload, Deployment):
        return _of_deployment(workload, name)
    if isinstance(workload, StatefulSet):
        return _of_stateful_set(workload)
    return _of_daemon_set(workload, name)


def _of_stateful_set(workload: StatefulSet) -> tuple[str, bool]:
    status, wanted = workload.status, workload.spec.replicas
    ready = status.ready_replicas or 0
    if ready < wanted:
        return f"Waiting for {wanted - ready} pods to be ready...\n", False
    if status.update_revision != status.current_revision:
        words = f"{status.updated_replicas or 0} pods at revision {status.update_revision}"
        return f"waiting for statefulset rolling update to complete {words}...\n", False
    words = f"{status.current_replicas or 0} pods at revision {status.current_revision}"
    return f"statefulset rolling update complete {words}...\n", True


def _of_deployment(deployment: Deployment, name: str) -> tuple[str, bool]:
    status, wanted = deployment.status, deployment.spec.replicas
    waiting = f'Waiting for deployment "{name}" rollout to finish: '
    updated, total, available = (
        status.updated_replicas or 0,
        status.replicas or 0,
        status.available_replicas or 0,
    )
    if any(each.reason == "ProgressDeadlineExceeded" for each in status.conditions):
        raise CommandError(f'error: deployment "{name}" exceeded its progress deadline', 1)
    if (status.observed_generation or 0) < (deployment.metadata.generation or 0):
        return "Waiting for deployment spec update to be observed...\n", False
    if updated < wanted:
        return f"{waiting}{updated} out of {wanted} new replicas have been updated...\n", False
    if total > updated:
        return f"{waiting}{total - updated} old replicas are pending termination...\n", False
    if available < updated:
        return f"{waiting}{available} of {updated} updated replicas are available...\n", False
    return f'deployment "{name}" successfully rolled out\n', True


def _of_daemon_set(daemons: DaemonSet, name: str) -> tuple[str, bool]:
    status = daemons.status
    wanted = status.desired_number_scheduled or 0
    updated, available = status.updated_number_scheduled or 0, status.number_available or 0
    waiting = f'Waiting for daemon set "{name}" rollout to finish: '
    if updated < wanted:
        return f"{waiting}{updated} out of {wanted} new pods have been updated...\n", False
    if available < wanted:
        return f"{waiting}{available} of {wanted} updated pods are available...\n", False
    return f'daemon set "{name}" successfully rolled out\n', True


_VERBS: Final[Mapping[str, Callable[[Cluster, Rolling, argparse.Namespace], str]]] = {
    "restart": _restart,
    "undo": _undo,
    "status": _status,
    "pause": _pause,
    "resume": _resume,
}
