# SPDX-License-Identifier: GPL-2.0-only
"""Writing to the API server: defaults, addresses, admission, and what it refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

import attrs

from emu.errors import DocumentError, Fault
from emu.kube.api import admission, deletion
from emu.kube.api.objects import (
    ConfigMap,
    CronJob,
    DaemonSet,
    Deployment,
    Endpoints,
    EndpointSlice,
    Job,
    Namespace,
    NetworkPolicy,
    Other,
    Pod,
    ReplicaSet,
    ReplicationController,
    Service,
    StatefulSet,
)
from emu.kube.api.objects.meta import Meta
from emu.kube.ipam.errors import RefusedError, RefusedObjectsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from emu.cluster.topology.spec import Source
    from emu.kube.api.objects import Known, Object
    from emu.kube.api.store import Change, Store
    from emu.kube.ipam.services import ServiceRanges

K = TypeVar("K", bound="Known")

_CONTROLLERS: Final = ("deployment.kubernetes.io/", "deprecated.daemonset.template.generation")
_NEEDED: Final = (ConfigMap, EndpointSlice, Endpoints, NetworkPolicy, Other)
"""What is there before the first pod starts: its files, its policies, and slices that came with the input."""

_NAME_LABEL: Final = "kubernetes.io/metadata.name"
_WORKLOADS: Final = (
    Pod,
    Deployment,
    ReplicaSet,
    ReplicationController,
    StatefulSet,
    DaemonSet,
    Job,
    CronJob,
)


class Writer:
    """Who writes to the store for users and installers.

    Attributes:
        warnings: what was taken in another way than it was said, a line each.
    """

    def __init__(self, store: Store, ranges: ServiceRanges, warnings: list[str]) -> None:
        self._store = store
        self._ranges = ranges
        self.warnings = warnings
        store.watch(Service, self._release)

    def apply(self, objects: Iterable[Object], sources: Sequence[Source] = ()) -> None:
        """Write objects: namespaces first, then what pods may need to start, the others in their order.

        Args:
            objects: what is to be there.
            sources: where each stands in the input, to say so where it is refused.

        Raises:
            DocumentError: some are refused; nothing of them is written then.
        """
        given = list(objects)
        places = {id(each): source for each, source in zip(given, sources, strict=False)}
        latest = {_key(each): each for each in given}  # as with kubectl apply, the last one of a name counts
        found = list(latest.values())
        services = [each for each in found if isinstance(each, Service)]
        written = self._write_services(services, places)
        self._make_namespaces(found)
        for each in found:
            if isinstance(each, Namespace):
                self._store.put(_named(each))
        for each in found:
            if isinstance(each, _NEEDED):
                self._store.keep(each if isinstance(each, Other) else self._completed(each))
        before: type[Known] | None = None
        for each in found:
            if isinstance(each, _WORKLOADS) and before is not None and type(each) is not before:
                self._store.loop.run_until(self._store.loop.now)  # what came first gets the first addresses
            if isinstance(each, _WORKLOADS):
                before = type(each)
            if isinstance(each, Service):
                self._store.put(written[_key(each)])
            elif isinstance(each, Pod):
                self._write_pod(each)
            elif not isinstance(each, (Namespace, *_NEEDED)):
                self._store.keep(each if isinstance(each, Other) else self._completed(each))

    def delete(self, obj: Known, *, grace_seconds: int | None = None, force: bool = False) -> None:
        """Delete an object, or begin to."""
        deletion.delete(self._store, obj, grace_seconds, force=force)

    def _release(self, change: Change) -> None:
        """Take back the addresses of a Service that is gone, whoever deleted it."""
        if change.new is None and isinstance(change.old, Service):
            self._ranges.delete(change.old)

    def _write_services(
        self, services: Sequence[Service], places: dict[int, Source]
    ) -> dict[tuple[str, str, str], Service]:
        """Return the Services complete, by their keys."""
        known = {
            _key(each): self._store.find(Service, each.metadata.name, each.metadata.namespace)
            for each in services
        }
        try:
            made = self._ranges.create(each for each in services if known[_key(each)] is None)
            changed = [
                self._ranges.update(old, each) for each in services if (old := known[_key(each)]) is not None
            ]
        except RefusedObjectsError as error:
            raise DocumentError(_fault(each, services, places) for each in error.refusals) from None
        return {_key(each): each for each in (*made, *changed)}

    def _write_pod(self, pod: Pod) -> None:
        """Write a bare pod; one that is there already keeps what only the cluster knows."""
        old = self._store.find(Pod, pod.metadata.name, pod.metadata.namespace)
        pod = admission.admit(self._completed(pod), admission.priorities_of(self._store))
        if old is not None and not pod.spec.node_name:
            pod = attrs.evolve(pod, spec=attrs.evolve(pod.spec, node_name=old.spec.node_name))
        self._store.put(pod)

    def _completed(self, obj: K) -> K:
        """Return `obj` with what only the cluster writes of it: its status, and the controllers' notes."""
        old = self._store.find(type(obj), obj.metadata.name, obj.metadata.namespace)
        if old is None:
            return obj
        notes = {
            key: text
            for key, text in old.metadata.annotations.items()
            if key.startswith(_CONTROLLERS) and key not in obj.metadata.annotations
        }
        if notes:
            annotations = {**obj.metadata.annotations, **notes}
            obj = attrs.evolve(obj, metadata=attrs.evolve(obj.metadata, annotations=annotations))
        field = attrs.fields_dict(type(obj)).get("status")
        if field is None or getattr(obj, field.name) != field.default:
            return obj
        return attrs.evolve(obj, **{field.name: getattr(old, field.name)})

    def _make_namespaces(self, objects: Sequence[Object]) -> None:
        """Make the namespaces that are used and that nobody makes, and say so."""
        given = {each.metadata.name for each in objects if isinstance(each, Namespace)}
        used = {each.metadata.namespace: each for each in objects if each.metadata.namespace}
        made = [name for name in used if name not in given and self._store.find(Namespace, name) is None]
        for name in made:
            self._store.put(_named(Namespace(Meta(name))))
        if made:
            what = f"namespace {made[0]} is" if len(made) == 1 else f"namespaces {', '.join(made)} are"
            was = "it was" if len(made) == 1 else "they were"
            self.warnings.append(f"{what} used and not in the input: {was} made")


def _key(obj: Object) -> tuple[str, str, str]:
    kind = obj.kind if isinstance(obj, Other) else obj.KIND
    return kind, obj.metadata.namespace, obj.metadata.name


def _named(namespace: Namespace) -> Namespace:
    """Return a namespace with the label that each has."""
    meta = namespace.metadata
    labels = {**meta.labels, _NAME_LABEL: meta.name}
    return attrs.evolve(namespace, metadata=attrs.evolve(meta, labels=labels))


def _fault(refused: RefusedError, services: Sequence[Service], places: dict[int, Source]) -> Fault:
    """Return a refusal with its place in the input."""
    for each in services:
        if (each.metadata.namespace, each.metadata.name) == (refused.namespace, refused.name):
            source = places.get(id(each))
            if source is not None:
                path = f"{source.path}.{refused.path}" if refused.path else source.path
                return Fault(source.file, source.line, path, refused.message)
    return Fault("<cluster>", 1, f"$.{refused.path}", str(refused))
