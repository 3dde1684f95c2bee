# SPDX-License-Identifier: GPL-2.0-only
"""What people do to a cluster, in a line: the steps of a `Scenario`.

exec shop/client -- curl http://web
get pods -o wide
apply -f policy.yaml
label pod/web-0 app=web2 --overwrite
scale deploy/web --replicas=5
delete pod/web-0
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import attrs

from emu.apps.tools.finished import Finished
from emu.cluster import editing, steps
from emu.cluster.editing import Given, called
from emu.cluster.points import DEFAULT_NAMESPACE
from emu.errors import CommandError, EmuError
from emu.kube.api.objects import Deployment, ReplicaSet, ReplicationController, StatefulSet
from emu.kube.nodes import drain
from emu.sim.time import SECOND, later

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from emu.cluster.cluster import Cluster

_REPLICAS: Final = re.compile(r"--replicas=(\d{1,6})")
_PATIENCE: Final = 600 * SECOND  # of a drain
_SCALABLE: Final = (Deployment, ReplicaSet, ReplicationController, StatefulSet)


def perform(cluster: Cluster, words: Sequence[str], given: Given) -> Finished:
    """Do what a step says and return what is printed; a refusal is told there, never raised.

    Args:
        cluster: to do it in.
        words: the step.
        given: the objects of the files that `words` name.
    """
    try:
        if words[0] in editing.VERBS:
            return editing.VERBS[words[0]](cluster, words[1:], given)
        return VERBS[words[0]](cluster, words[1:])
    except CommandError as error:
        return Finished(error.stdout, f"{error}\n", error.status)
    except EmuError as error:
        return Finished("", f"error: {error}\n", 1)


def _exec(cluster: Cluster, words: Sequence[str]) -> Finished:
    left = [*words]
    chosen = {"-n": DEFAULT_NAMESPACE, "-c": ""}
    while len(left) > 1 and left[0] in chosen:
        chosen[left[0]] = left[1]
        del left[:2]
    if not left:
        raise CommandError("error: exec [-n NS] [-c CONTAINER] TARGET -- COMMAND", 1)
    target, *argv = left
    argv = argv[1:] if argv[:1] == ["--"] else argv
    return cluster.host(target, namespace=chosen["-n"], container=chosen["-c"]).execute(argv)


def _get(cluster: Cluster, words: Sequence[str]) -> Finished:
    return cluster.kubectl("get", words)


def _describe(cluster: Cluster, words: Sequence[str]) -> Finished:
    return cluster.kubectl("describe", words)


def _scale(cluster: Cluster, words: Sequence[str]) -> Finished:
    numbers = [found for word in words if (found := _REPLICAS.fullmatch(word)) is not None]
    names = [word for word in words if not word.startswith("--")]
    if len(numbers) != 1 or len(names) != 1 or len(words) != 2:
        raise CommandError("error: scale KIND/[NS/]NAME --replicas=N", 1)
    return Finished(scale(cluster, names[0], int(numbers[0][1])))


def scale(cluster: Cluster, name: str, replicas: int) -> str:
    """Give a workload another number of replicas, and return kubectl's words.

    Raises:
        EndPointError: `name` is no end point.
        UnknownNameError: there is no such workload.
        CommandError: it has no number of replicas.
    """
    found = cluster.find(name)
    if not isinstance(found, _SCALABLE):
        raise CommandError(f"error: {found.KIND} has no replicas to scale", 1)
    spec = attrs.evolve(found.spec, replicas=replicas)
    cluster.store.put(attrs.evolve(found, spec=spec))  # type: ignore[arg-type]  # the spec of its own kind
    return f"{called(found)}/{found.metadata.name} scaled\n"


def _cordon(cluster: Cluster, words: Sequence[str]) -> Finished:
    return Finished(drain.cordon(cluster.store, _node(words)))


def _uncordon(cluster: Cluster, words: Sequence[str]) -> Finished:
    return Finished(drain.uncordon(cluster.store, _node(words)))


def _drain(cluster: Cluster, words: Sequence[str]) -> Finished:
    """Drain a node, and wait until it is empty or it is clear that it will not be."""
    names = [word for word in words if not word.startswith("--")]
    options = drain.Options(
        force="--force" in words,
        ignore_daemonsets="--ignore-daemonsets" in words,
        delete_emptydir_data="--delete-emptydir-data" in words,
    )
    draining = drain.Drain(cluster.store, _node(names), options)
    loop = cluster.fabric.loop
    cluster.run_until(lambda: draining.status is not None, later(loop.now, _PATIENCE))
    return Finished(draining.stdout, draining.stderr, 1 if draining.status is None else draining.status)


def _node(words: Sequence[str]) -> str:
    """Return the one node that is named."""
    if len(words) != 1:
        raise CommandError("error: name one node", 1)
    return words[0].removeprefix("node/")


VERBS: Final[Mapping[str, Callable[[Cluster, Sequence[str]], Finished]]] = {
    "exec": _exec,
    "get": _get,
    "describe": _describe,
    "scale": _scale,
    "cordon": _cordon,
    "uncordon": _uncordon,
    "drain": _drain,
    **steps.VERBS,
}
"""What a step may begin with, beside those of `editing`."""

LOOKING: Final = frozenset(("exec", "get", "describe"))
"""Those that change nothing, or (`exec`) are remembered by where they run."""
