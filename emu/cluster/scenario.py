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
    from emu.cluster.editing import Deed, Edit

_REPLICAS: Final = re.compile(r"--replicas=(\d{1,6})")
_DRAINING: Final = ("--force", "--ignore-daemonsets", "--delete-emptydir-data")
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
        return _read(words)(cluster, given)
    except CommandError as error:
        return Finished(error.stdout, f"{error}\n", error.status)
    except EmuError as error:
        return Finished("", f"error: {error}\n", 1)


def fault_of(words: Sequence[str]) -> str:
    """Return what is wrong with a step, whatever cluster it is for; empty if nothing is."""
    try:
        _read(words)
    except EmuError as error:
        return str(error).removeprefix("error: ")
    return ""


def _read(words: Sequence[str]) -> Edit:
    verb, *rest = words
    if verb in editing.VERBS:
        return editing.VERBS[verb](rest)
    deed = VERBS[verb](rest)
    return lambda cluster, _given: deed(cluster)


def _exec(words: Sequence[str]) -> Deed:
    left = [*words]
    chosen = {"-n": DEFAULT_NAMESPACE, "-c": ""}
    while len(left) > 1 and left[0] in chosen:
        chosen[left[0]] = left[1]
        del left[:2]
    if not left:
        raise CommandError("error: exec [-n NS] [-c CONTAINER] TARGET -- COMMAND", 1)
    target, *argv = left
    argv = argv[1:] if argv[:1] == ["--"] else argv

    def deed(cluster: Cluster) -> Finished:
        return cluster.host(target, namespace=chosen["-n"], container=chosen["-c"]).execute(argv)

    return deed


def _get(words: Sequence[str]) -> Deed:

    def deed(cluster: Cluster) -> Finished:
        return cluster.kubectl("get", words)

    return deed


def _describe(words: Sequence[str]) -> Deed:

    def deed(cluster: Cluster) -> Finished:
        return cluster.kubectl("describe", words)

    return deed


def _scale(words: Sequence[str]) -> Deed:
    numbers = [found for word in words if (found := _REPLICAS.fullmatch(word)) is not None]
    names = [word for word in words if not word.startswith("--")]
    if len(numbers) != 1 or len(names) != 1 or len(words) != 2:
        raise CommandError("error: scale KIND/[NS/]NAME --replicas=N", 1)

    def deed(cluster: Cluster) -> Finished:
        return Finished(scale(cluster, names[0], int(numbers[0][1])))

    return deed


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


def _cordon(words: Sequence[str]) -> Deed:
    name = _node(words)

    def deed(cluster: Cluster) -> Finished:
        return Finished(drain.cordon(cluster.store, name))

    return deed


def _uncordon(words: Sequence[str]) -> Deed:
    name = _node(words)

    def deed(cluster: Cluster) -> Finished:
        return Finished(drain.uncordon(cluster.store, name))

    return deed


def _drain(words: Sequence[str]) -> Deed:
    """Drain a node, and wait until it is empty or it is clear that it will not be."""
    unknown = [word for word in words if word.startswith("-") and word not in _DRAINING]
    if unknown:
        raise CommandError(f"error: unknown option {unknown[0]}: drain NODE [{'] ['.join(_DRAINING)}]", 1)
    name = _node([word for word in words if not word.startswith("-")])
    options = drain.Options(
        force="--force" in words,
        ignore_daemonsets="--ignore-daemonsets" in words,
        delete_emptydir_data="--delete-emptydir-data" in words,
    )

    def deed(cluster: Cluster) -> Finished:
        draining = drain.Drain(cluster.store, name, options)
        loop = cluster.fabric.loop
        cluster.run_until(lambda: draining.status is not None, later(loop.now, _PATIENCE))
        return Finished(draining.stdout, draining.stderr, 1 if draining.status is None else draining.status)

    return deed


def _node(words: Sequence[str]) -> str:
    """Return the one node that is named."""
    if len(words) != 1:
        raise CommandError("error: name one node", 1)
    return words[0].removeprefix("node/")


VERBS: Final[Mapping[str, Callable[[Sequence[str]], Deed]]] = {
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
