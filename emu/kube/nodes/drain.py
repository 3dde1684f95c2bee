# SPDX-License-Identifier: GPL-2.0-only
"""`kubectl cordon`, `uncordon` and `drain`, with kubectl's words.

Source: staging/src/k8s.io/kubectl/pkg/drain/{drain,filters,cordon}.go, pkg/cmd/drain/drain.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.kube.api import deletion
from emu.kube.api.objects import DaemonSet, Node, Pod
from emu.kube.controller import Key
from emu.kube.nodes import budgets
from emu.sim.time import SECOND, Duration, later

if TYPE_CHECKING:
    from collections.abc import Iterable

    from emu.kube.api.store import Change, Store

RETRY: Final[Duration] = 5 * SECOND

_DAEMON_SET: Final = "cannot delete DaemonSet-managed Pods (use --ignore-daemonsets to ignore)"
_LOCAL: Final = "cannot delete Pods with local storage (use --delete-emptydir-data to override)"
_ALONE: Final = "cannot delete Pods that declare no controller (use --force to override)"
_NO_SUCH: Final = "cannot delete"
_MIRROR: Final = "kubernetes.io/config.mirror"


def cordon(store: Store, name: str) -> str:
    """Keep new pods off a node; return what kubectl prints.

    Raises:
        UnknownNameError: there is no such node.
    """
    return _set(store, name, unschedulable=True, word="cordoned")


def uncordon(store: Store, name: str) -> str:
    """Let new pods onto a node again; return what kubectl prints.

    Raises:
        UnknownNameError: there is no such node.
    """
    return _set(store, name, unschedulable=False, word="uncordoned")


def _set(store: Store, name: str, *, unschedulable: bool, word: str) -> str:
    node = store.get(Node, name)
    if node.spec.unschedulable is unschedulable:
        return f"node/{name} already {word}\n"
    store.put(attrs.evolve(node, spec=attrs.evolve(node.spec, unschedulable=unschedulable)))
    return f"node/{name} {word}\n"


@attrs.frozen
class Options:
    """What `kubectl drain` is told."""

    force: bool = False
    ignore_daemonsets: bool = False
    delete_emptydir_data: bool = False
    disable_eviction: bool = False
    grace_seconds: int | None = None


@attrs.frozen
class Selection:
    """The pods of a node: who goes, what is said of whom, and why it cannot be done."""

    pods: tuple[Pod, ...] = ()
    warnings: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()


def select(store: Store, name: str, options: Options) -> Selection:
    """Return which pods of the node `name` are to go."""
    pods: list[Pod] = []
    warned: dict[str, list[str]] = {}
    refused: dict[str, list[str]] = {}
    for pod in (each for each in store.list(Pod) if each.spec.node_name == name):
        goes, warning, refusal = _judge(store, pod, options)
        text = f"{pod.metadata.namespace}/{pod.metadata.name}"
        if refusal:
            refused.setdefault(refusal, []).append(text)
        else:
            if warning:
                warned.setdefault(warning, []).append(text)
            if goes:
                pods.append(pod)
    return Selection(tuple(pods), _told(warned), _told(refused))


def _told(found: dict[str, list[str]]) -> tuple[str, ...]:
    return tuple(f"{words}: {', '.join(found[words])}" for words in sorted(found))


def _judge(store: Store, pod: Pod, options: Options) -> tuple[bool, str, str]:
    """Return whether a pod goes, a warning, and a refusal."""
    owner = pod.metadata.controller
    if owner is not None and owner.kind == "DaemonSet" and not pod.is_finished:
        known = store.find(DaemonSet, owner.name, pod.metadata.namespace) is not None
        if known and not options.ignore_daemonsets:
            return False, "", _DAEMON_SET
        if known:
            return False, "ignoring DaemonSet-managed Pods", ""
        if not options.force:
            return False, "", f'{_NO_SUCH} daemonsets.apps "{owner.name}" not found'
    if _MIRROR in pod.metadata.annotations:
        return False, "", ""
    if pod.is_finished:
        return True, "", ""
    warning = ""
    if _has_empty_dir(pod):
        if not options.delete_emptydir_data:
            return False, "", _LOCAL
        warning = "deleting Pods with local storage"
    if owner is None:
        if not options.force:
            return False, "", _ALONE
        warning = "deleting Pods that declare no controller"
    return True, warning, ""


def _has_empty_dir(pod: Pod) -> bool:
    volumes = pod.spec.rest.get("volumes")
    found = volumes if isinstance(volumes, list) else []
    return any(isinstance(each, dict) and each.get("emptyDir") is not None for each in found)


class Drain:
    """A `kubectl drain` under way: cordons, evicts, waits.

    Attributes:
        stdout: what it has printed.
        stderr: what it has complained of.
        status: its exit status; None while it waits for pods to go.
    """

    def __init__(self, store: Store, name: str, options: Options | None = None) -> None:
        """Begin.

        Raises:
            UnknownNameError: there is no such node.
        """
        self._store = store
        self._name = name
        self._options = options or Options()
        self._waiting: dict[Key, str] = {}  # pods that are to go, and their UIDs
        self.stdout = cordon(store, name)
        self.stderr = ""
        self.status: int | None = None
        found = select(store, name, self._options)
        if found.refusals:
            self._refuse(found.refusals)
            return
        if found.warnings:
            self.stderr += f"Warning: {'; '.join(found.warnings)}\n"
        self._waiting = {_key(pod): pod.metadata.uid for pod in found.pods}
        store.watch(Pod, self._pod_changed)
        self._evict(found.pods)
        self._see_end()

    @property
    def waits_for(self) -> tuple[Key, ...]:
        """The pods that have not gone yet."""
        return tuple(self._waiting)

    def _refuse(self, refusals: tuple[str, ...]) -> None:
        words = refusals[0] if len(refusals) == 1 else f"[{', '.join(refusals)}]"
        self.stderr += (
            f'error: unable to drain node "{self._name}" due to error: {words}, continuing command...\n'
            f"There are pending nodes to be drained:\n {self._name}\n"
        )
        self.stderr += "".join(f"{each}\n" for each in refusals)
        self.status = 1

    def _evict(self, pods: Iterable[Pod]) -> None:
        """Evict pods; those that a budget protects are tried again in five seconds."""
        for pod in pods:
            space, name = pod.metadata.namespace, pod.metadata.name
            current = self._store.find(Pod, name, space)
            if current is None or current.metadata.uid != pod.metadata.uid:
                continue
            self.stdout += f"evicting pod {space}/{name}\n"
            if self._is_protected(current):
                self.stderr += (
                    f'error when evicting pods/"{name}" -n "{space}" (will retry after 5s): '
                    "Cannot evict pod as it would violate the pod's disruption budget.\n"
                )
                loop = self._store.loop
                loop.periodic_at(later(loop.now, RETRY), self._evict, (current,))
                continue
            deletion.delete(self._store, current, self._options.grace_seconds)

    def _is_protected(self, pod: Pod) -> bool:
        if self._options.disable_eviction or pod.metadata.is_terminating or pod.is_finished:
            return False
        return not all(budgets.allows(self._store, each, pod) for each in budgets.of_pod(self._store, pod))

    def _pod_changed(self, change: Change) -> None:
        """Note that a pod has gone, or that another has come in its place."""
        pod = change.object
        key = Key(pod.metadata.namespace, pod.metadata.name)
        uid = self._waiting.get(key)
        if uid is None or (change.new is not None and change.new.metadata.uid == uid):
            return
        del self._waiting[key]
        self.stdout += f"pod/{key.name} {'deleted' if self._options.disable_eviction else 'evicted'}\n"
        self._see_end()

    def _see_end(self) -> None:
        if not self._waiting and self.status is None:
            self.status = 0
            self.stdout += f"node/{self._name} drained\n"


def _key(pod: Pod) -> Key:
    return Key(pod.metadata.namespace, pod.metadata.name)
