# SPDX-License-Identifier: GPL-2.0-only
"""`-l` and `--field-selector`: which objects of a kind are meant.

Source: `k8s.io/apimachinery/pkg/labels/selector.go`, `pkg/fields/selector.go`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from emu.errors import CommandError
from emu.kube.api.selectors import all_hold, parse
from emu.kube.tables.cells.others import inner

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from emu.kube.api.objects.field import Json
    from emu.kube.tables.kinds import Kind

FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "Pod": (
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "spec.hostNetwork",
        "status.phase",
        "status.podIP",
        "status.nominatedNodeName",
    ),
    "Node": ("spec.unschedulable",),
    "Namespace": ("status.phase",),
    "Service": ("spec.clusterIP", "spec.type"),
    "ReplicaSet": ("status.replicas",),
    "ReplicationController": ("status.replicas",),
    "Job": ("status.successful",),
    "Secret": ("type",),
    "Event": (
        "involvedObject.kind",
        "involvedObject.namespace",
        "involvedObject.name",
        "involvedObject.uid",
        "involvedObject.apiVersion",
        "involvedObject.fieldPath",
        "reason",
        "type",
    ),
}
"""The fields by which each kind can be chosen, beside name and namespace."""

_NUMBERS: Final = frozenset({"status.replicas", "status.successful"})  # 0 where an object has none
_TRUTHS: Final = frozenset({"spec.unschedulable", "spec.hostNetwork"})  # false where an object has none


def by_labels(text: str, kind: Kind) -> Callable[[Mapping[str, str]], bool]:
    """Return what tells whether labels meet the selector `a=b,c!=d,e in (f,g),!h`.

    Raises:
        CommandError: it is no selector.
    """
    try:
        found = parse(text)
    except ValueError as error:
        raise _refusal(kind, text, "", f"unable to parse requirement: {error}") from None
    return lambda labels: all_hold(found, labels)


def by_fields(text: str, kind: Kind) -> Callable[[Json], bool]:
    """Return what tells whether a manifest meets the selector `a.b=c,d.e!=f`.

    Raises:
        CommandError: it is no selector, or of a field by which the kind cannot be chosen.
    """
    known = {
        "metadata.name",
        *(("metadata.namespace",) if kind.is_namespaced else ()),
        *FIELDS.get(kind.name, ()),
    }
    terms = []
    for term in filter(None, text.split(",")):
        parts = re.fullmatch(r"([^=!]*)(!=|==?)(.*)", term)
        if parts is None:
            raise _refusal(kind, "", text, f"invalid selector: '{text}'; can't understand '{term}'")
        if parts[1] not in known:
            names = ", ".join(f'"{name}"' for name in ("metadata.name", "metadata.namespace"))
            detail = f'"{parts[1]}" is not a known field selector: only {names}'
            if kind.name in FIELDS:
                detail = f"field label not supported: {parts[1]}"
            raise _refusal(kind, "", text, detail)
        terms.append((parts[1], parts[2] != "!=", parts[3]))
    return lambda manifest: all((_field(manifest, path) == value) is equal for path, equal, value in terms)


def _field(manifest: Json, path: str) -> str:
    value = inner(manifest, *path.split("."))
    if value is None:
        return "0" if path in _NUMBERS else "false" if path in _TRUTHS else ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _refusal(kind: Kind, labels: str, fields: str, detail: str) -> CommandError:
    """Return what the server says of a list that it cannot make."""
    group, _, version = kind.api_version.rpartition("/")
    return CommandError(
        f'Error from server (BadRequest): Unable to find "{group}/{version}, Resource={kind.plural}" '
        f'that match label selector "{labels}", field selector "{fields}": {detail}',
        1,
    )
