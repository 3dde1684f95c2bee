# SPDX-License-Identifier: GPL-2.0-only
"""From a request to the objects it means."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import field, frozen

from emu.errors import CommandError
from emu.kube.api.codec import write
from emu.kube.api.objects import KINDS, Other
from emu.kube.tables import kinds
from emu.kube.tables.selection import by_fields, by_labels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.kube.api.objects import Object
    from emu.kube.tables.kinds import Kind
    from emu.kube.tables.request import Request, Target
    from emu.kube.tables.world import Objects


@frozen
class Group:
    """Objects of one kind that are shown together; `kind` without objects is silent."""

    kind: Kind
    objects: list[Object] = field(factory=list)


@frozen
class Found:
    """The groups in the order in which they were asked for, and the complaints about what is missing."""

    groups: tuple[Group, ...]
    missing: tuple[str, ...] = ()


def find(request: Request, objects: Objects) -> Found:
    """Return what a request means.

    Raises:
        CommandError: a kind is unknown, a selector wrong, or a name is asked for in all namespaces.
    """
    groups: list[Group] = []
    missing: dict[str, None] = {}
    wanted = [(target, kinds.find(target.kind, objects)) for target in request.targets]
    for target, kind in wanted:
        if target.name is None:
            groups.append(Group(kind, _list(request, kind, objects)))
            continue
        found = _named(request, target, kind, objects)
        if found is None:
            missing[not_found(kind, target.name)] = None
        elif groups and groups[-1].kind == kind:
            groups[-1].objects.append(found)
        else:
            groups.append(Group(kind, [found]))
    return Found(tuple(groups), tuple(missing))


def not_found(kind: Kind, name: str) -> str:
    """Return what the server says of an object that is missing."""
    return f'Error from server (NotFound): {kind.resource} "{name}" not found'


def everything(kind: Kind, namespace: str | None, objects: Objects) -> list[Object]:
    """Return all objects of a kind in a namespace, or in all, sorted by namespace and name."""
    known = KINDS.get(kind.name)
    if known is not None:
        return list(objects.list(known, namespace))
    kept = [one for (name, _, _), one in sorted(objects.others.items()) if name == kind.name]
    return [one for one in kept if namespace in {None, one.metadata.namespace}]


def manifest_kind(one: Object) -> str:
    """Return the kind of an object."""
    return one.kind if isinstance(one, Other) else one.KIND


def _list(request: Request, kind: Kind, objects: Objects) -> list[Object]:
    options = request.options
    namespace = options.namespace if kind.is_namespaced and not options.all_namespaces else None
    has_labels = by_labels(options.selector, kind)
    found = [one for one in everything(kind, namespace, objects) if has_labels(one.metadata.labels)]
    if not options.field_selector:
        return found
    has_fields = by_fields(options.field_selector, kind)
    return [one for one in found if has_fields(write(one))]


def _named(request: Request, target: Target, kind: Kind, objects: Objects) -> Object | None:
    options = request.options
    if kind.is_namespaced and options.all_namespaces:
        raise CommandError("error: a resource cannot be retrieved by name across all namespaces", 1)
    namespace = options.namespace if kind.is_namespaced else None
    candidates = everything(kind, namespace, objects)
    return next((one for one in candidates if one.metadata.name == target.name), None)


def warnings(groups: Sequence[Group], version: tuple[int, int]) -> list[str]:
    """Return what the server says about kinds that are going out of use."""
    if version >= (1, 33) and any(group.kind.name == "Endpoints" for group in groups):
        return ["Warning: v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"]
    return []
