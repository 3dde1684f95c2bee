# SPDX-License-Identifier: GPL-2.0-only
"""What happens to containers from inside: a program is killed, a probe is answered badly.

    kill [-9] POD [-c CONTAINER]
    probe POD readiness|liveness|startup fail|pass [-c CONTAINER]
    unready POD [-c CONTAINER]          # probe POD readiness fail
    ready POD [-c CONTAINER]            # probe POD readiness pass

A probe that fails is asked and answered as ever, with packets, but the answer
counts as a bad one: so everything takes the time that it takes in a cluster,
period by period, up to the thresholds.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from emu.apps.tools.finished import Finished
from emu.cluster.points import DEFAULT_NAMESPACE, parse_point, pods_of
from emu.errors import CommandError, did_you_mean
from emu.kube.controller import Key
from emu.kube.kubelet.container import ENDED, KILLED
from emu.kube.kubelet.prober import probe_of
from emu.kube.kubelet.probes import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from emu.cluster.cluster import Cluster
    from emu.cluster.editing import Deed
    from emu.kube.kubelet.container import ContainerRun
    from emu.kube.kubelet.kubelet import Kubelet
    from emu.kube.kubelet.pod import PodRun

_SIGNALS: Final = {"-9": KILLED, "-KILL": KILLED, "-15": ENDED, "-TERM": ENDED}
_KINDS: Final = {kind.value.lower(): kind for kind in Kind}
_TURNS: Final = ("fail", "pass")


def kill(words: Sequence[str]) -> Deed:
    """End the programs of a container by a signal; the kubelet sees to it as its restart policy says."""
    signals = [word for word in words if word in _SIGNALS]
    rest, options = _options([word for word in words if word not in _SIGNALS])
    if len(rest) != 1 or len(signals) > 1:
        raise CommandError("error: kill [-9|-15] [NS/]POD [-c CONTAINER]", 1)
    code = _SIGNALS[signals[0]] if signals else ENDED

    def deed(cluster: Cluster) -> Finished:
        for kubelet, run in _runs(cluster, rest[0], options["-n"]):
            kubelet.kill(run, _container(run, options["-c"]), code)
        return Finished()

    return deed


def probe(words: Sequence[str]) -> Deed:
    """Have a probe of a container fail from now on, or pass again."""
    rest, options = _options(words)
    if len(rest) != 3:
        raise CommandError(f"error: probe [NS/]POD {'|'.join(_KINDS)} {'|'.join(_TURNS)} [-c CONTAINER]", 1)
    name, kind, turn = rest
    if kind not in _KINDS:
        raise CommandError(f"error: {kind!r} is no probe: {', '.join(_KINDS)}{did_you_mean(kind, _KINDS)}", 1)
    if turn not in _TURNS:
        raise CommandError(f"error: a probe can fail or pass, not {turn!r}", 1)
    return partial(_turn, name=name, kind=_KINDS[kind], options=options, fails=turn == "fail")


def ready(words: Sequence[str]) -> Deed:
    """Have the readiness probes of a pod pass again."""
    return _readiness(words, "ready", fails=False)


def unready(words: Sequence[str]) -> Deed:
    """Have the readiness probes of a pod fail from now on."""
    return _readiness(words, "unready", fails=True)


def _readiness(words: Sequence[str], verb: str, *, fails: bool) -> Deed:
    rest, options = _options(words)
    if len(rest) != 1:
        raise CommandError(f"error: {verb} [NS/]POD [-c CONTAINER]", 1)
    return partial(_turn, name=rest[0], kind=Kind.READINESS, options=options, fails=fails)


def _turn(cluster: Cluster, *, name: str, kind: Kind, options: dict[str, str], fails: bool) -> Finished:
    lines = []
    for kubelet, run in _runs(cluster, name, options["-n"]):
        wanted = options["-c"]
        found = [
            each
            for each in run.containers
            if probe_of(each, kind) is not None and wanted in {"", each.spec.name}
        ]
        if not found:
            about = f"container {wanted} of pod" if wanted else "pod"
            raise CommandError(f"error: {about} {run.key.name} has no {kind.value.lower()} probe", 1)
        for each in found:
            kubelet.turn_probe(run, each, kind, fails=fails)
            words = "fails from now on" if fails else "passes again"
            lines.append(
                f"pod/{run.key.name} container {each.spec.name}: {kind.value.lower()} probe {words}\n"
            )
    return Finished("".join(lines))


# --- whom it is about ---


def _options(words: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Return the words, and the values of `-n` and `-c` among them."""
    options = {"-n": DEFAULT_NAMESPACE, "-c": ""}
    rest, left = [], list(words)
    while left:
        word = left.pop(0)
        if word in options:
            if not left:
                raise CommandError(f"error: {word} needs a value", 1)
            options[word] = left.pop(0)
        elif word.startswith("-"):
            raise CommandError(f"error: unknown option {word}", 1)
        else:
            rest.append(word)
    return rest, options


def _runs(cluster: Cluster, name: str, namespace: str) -> Iterator[tuple[Kubelet, PodRun]]:
    """Yield the pods that a word means, each with its kubelet.

    Raises:
        CommandError: one of them does not run.
    """
    pods = pods_of(cluster.store, parse_point(name, namespace))
    if not pods:
        raise CommandError(f"error: {name} has no pods", 1)
    for pod in pods:
        kubelet = cluster.kubelets.by_node.get(pod.spec.node_name)
        key = Key(pod.metadata.namespace, pod.metadata.name)
        run = kubelet.pods.get(key) if kubelet is not None else None
        if kubelet is None or run is None:
            raise CommandError(f"error: pod {pod.metadata.name} does not run: it is {pod.status.phase}", 1)
        yield kubelet, run


def _container(run: PodRun, name: str) -> ContainerRun:
    """Return the container of that name; without one the first that runs."""
    found = [each for each in run.containers if each.is_running and name in {"", each.spec.name}]
    found.sort(key=lambda each: each.is_init)
    if not found:
        about = f"container {name}" if name else "container"
        raise CommandError(f"error: no {about} of pod {run.key.name} runs", 1)
    return found[0]
