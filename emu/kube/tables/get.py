# SPDX-License-Identifier: GPL-2.0-only
"""`kubectl get`: from a request and objects to what is printed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu.errors import CommandError
from emu.kube.api.codec import write
from emu.kube.tables import table
from emu.kube.tables.answer import Answer
from emu.kube.tables.find import Found, Group, find, warnings
from emu.kube.tables.formats import columns, document, jsonpath, sorting
from emu.kube.tables.world import World, version_numbers

if TYPE_CHECKING:
    from emu.kube.api.objects.field import Json
    from emu.kube.tables.request import Request
    from emu.kube.tables.world import Objects


def get(request: Request, objects: Objects, *, now: int, version: str = "1.35") -> Answer:
    """Return what `kubectl get` prints.

    Args:
        request: what is asked, see `emu.kube.tables.request.parse`.
        objects: the store, or anything that lists objects as it does.
        now: nanoseconds since 1970, from which ages are counted.
        version: of Kubernetes; columns and words differ.
    """
    try:
        found = find(request, objects)
    except CommandError as error:
        return Answer(stderr=f"{error}\n", status=error.status)
    world = World(objects, now, version_numbers(version), is_wide=request.output == "wide")
    notes = warnings(found.groups, world.version)
    missing = () if request.options.ignore_not_found else found.missing
    try:
        if request.output in {"", "wide"}:
            text, is_empty = _tables(request, found, world)
            if is_empty and not found.missing and not request.options.ignore_not_found:
                notes.append(nothing(request, found))
        else:
            text = _documents(request, found)
    except CommandError as error:
        lines = [*notes, f"error: {error}".removesuffix("\n")]
        return Answer(stderr="".join(f"{line}\n" for line in lines), status=error.status)
    return Answer(text, "".join(f"{line}\n" for line in (*notes, *missing)), 1 if missing else 0)


def nothing(request: Request, found: Found) -> str:
    """Return what is said when there is nothing to show."""
    if request.options.all_namespaces or not all(group.kind.is_namespaced for group in found.groups):
        return "No resources found"
    return f"No resources found in {request.options.namespace} namespace."


def _tables(request: Request, found: Found, world: World) -> tuple[str, bool]:
    """Return the tables, a blank line between two, and whether there is none."""
    options = request.options
    with_kind = len({group.kind for group in found.groups}) > 1
    texts = []
    for group in found.groups:
        objects = group.objects
        if options.sort_by:
            objects = sorting.sort(objects, options.sort_by, write)
        texts.append(table.render(Group(group.kind, objects), options, world, with_kind=with_kind))
    shown = [text for text in texts if text]
    return ("" if options.no_headers else "\n").join(shown), not shown


def _documents(request: Request, found: Found) -> str:
    """Return objects in a format that programs read."""
    options = request.options
    manifests: list[Json] = [dict(write(one)) for group in found.groups for one in group.objects]
    if options.sort_by:
        manifests = sorting.sort(manifests, options.sort_by, lambda manifest: manifest)
    if request.is_about_one and not manifests:
        return ""
    if request.output == "name":
        return "".join(f"{document.name(one)}\n" for one in manifests)
    if request.output == "custom-columns":
        return columns.render(request.argument, manifests, headers=not options.no_headers)
    if request.output in {"json", "yaml"} and not options.show_managed_fields:
        manifests = [document.without_managed_fields(one) for one in manifests]
    value = manifests[0] if request.is_about_one else document.several(manifests)
    match request.output:
        case "json":
            return document.json_text(value)
        case "yaml":
            return document.yaml_text(value)
        case _:
            as_json = request.output == "jsonpath-as-json"
            return jsonpath.render(request.argument, value, as_json=as_json)
