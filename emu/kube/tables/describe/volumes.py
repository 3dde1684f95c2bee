# SPDX-License-Identifier: GPL-2.0-only
"""The volumes of a pod or of a template: those that pods of a network lab have, others by their type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kube.tables.cells.others import inner
from emu.kube.tables.cells.words import NONE
from emu.kube.tables.describe.page import UNSET

if TYPE_CHECKING:
    from emu.kube.api.objects.field import Json
    from emu.kube.api.objects.pod import PodSpec
    from emu.kube.tables.describe.page import Page

_KINDS: Final = {
    "hostPath": "HostPath (bare host directory volume)",
    "emptyDir": "EmptyDir (a temporary directory that shares a pod's lifetime)",
    "secret": "Secret (a volume populated by a Secret)",
    "configMap": "ConfigMap (a volume populated by a ConfigMap)",
    "projected": "Projected (a volume that contains injected data from multiple sources)",
    "persistentVolumeClaim": (
        "PersistentVolumeClaim (a reference to a PersistentVolumeClaim in the same namespace)"
    ),
    "nfs": "NFS (an NFS mount that lasts the lifetime of a pod)",
    "downwardAPI": "DownwardAPI (a volume populated by information about the pod)",
}


def write(page: Page, spec: PodSpec, *, in_template: bool = False) -> None:
    """Write the volumes of a pod; those of a template stand deeper."""
    margin, name_margin = ("  ", " ") if in_template else ("", "")
    volumes = spec.rest.get("volumes")
    if not isinstance(volumes, list) or not volumes:
        page.line(f"{margin}Volumes:\t{NONE}")
        return
    page.line(f"{margin}Volumes:")
    for volume in volumes:
        if isinstance(volume, dict):
            page.line(f"{name_margin}{volume.get('name')}:", 1)
            _source(page, volume)


def _source(page: Page, volume: dict[str, Json]) -> None:
    kind = next((key for key in volume if key in _KINDS), None)
    if kind is None:
        others = [key for key in volume if key != "name"]
        page.line(f"Type:\t{others[0]}" if others else "<unknown>", 2 if others else 1)
        return
    source = volume[kind]
    page.field("Type", _KINDS[kind], 2)
    if kind == "projected":
        found = inner(source, "sources")
        for each in found if isinstance(found, list) else []:
            _projected(page, each)
        return
    for title, value in _details(kind, source):
        page.field(title, value, 2)


def _details(kind: str, source: Json) -> list[tuple[str, Json]]:
    """Return what is said of a volume beside its type."""
    optional = _truth(inner(source, "optional"))
    match kind:
        case "hostPath":
            return [("Path", inner(source, "path")), ("HostPathType", inner(source, "type") or "")]
        case "emptyDir":
            return [
                ("Medium", inner(source, "medium") or ""),
                ("SizeLimit", inner(source, "sizeLimit") or UNSET),
            ]
        case "secret":
            return [("SecretName", inner(source, "secretName")), ("Optional", optional)]
        case "configMap":
            return [("Name", inner(source, "name")), ("Optional", optional)]
        case "persistentVolumeClaim":
            return [
                ("ClaimName", inner(source, "claimName")),
                ("ReadOnly", _truth(inner(source, "readOnly"))),
            ]
        case "nfs":
            return [
                ("Server", inner(source, "server")),
                ("Path", inner(source, "path")),
                ("ReadOnly", _truth(inner(source, "readOnly"))),
            ]
        case _:
            return []


def _projected(page: Page, source: Json) -> None:
    """Write one of several sources of a volume."""
    for key, title in (("secret", "SecretName"), ("configMap", "ConfigMapName")):
        if (found := inner(source, key)) is not None:
            page.field(title, inner(found, "name"), 2)
            page.field("Optional", _truth(inner(found, "optional")), 2)
            return
    if inner(source, "downwardAPI") is not None:
        page.field("DownwardAPI", "true", 2)
    elif (token := inner(source, "serviceAccountToken")) is not None:
        page.field("TokenExpirationSeconds", inner(token, "expirationSeconds") or 3600, 2)


def _truth(value: Json) -> str:
    return str(bool(value)).lower()
