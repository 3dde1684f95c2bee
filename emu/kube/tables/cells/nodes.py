# SPDX-License-Identifier: GPL-2.0-only
"""The tables of nodes and namespaces. Source: `printNode`, `printNamespace`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kube.api.objects.node import NodeInfo
from emu.kube.tables.cells.printer import Cells, Printer, columns
from emu.kube.tables.cells.words import NONE, roles

if TYPE_CHECKING:
    from emu.kube.api.objects import Namespace, Node
    from emu.kube.tables.world import World

_UNKNOWN: Final = "<unknown>"


def _node(node: Node, world: World) -> Cells:
    ready = next((one.status for one in node.status.conditions if one.type == "Ready"), None)
    words = ["Unknown" if ready is None else "Ready" if ready == "True" else "NotReady"]
    if node.spec.unschedulable:
        words.append("SchedulingDisabled")
    info = node.status.node_info or NodeInfo()
    kernel = info.kernel_version or _UNKNOWN
    if world.is_from(1, 36) and info.architecture:
        kernel += f" ({info.architecture})"
    return (
        node.metadata.name,
        ",".join(words),
        roles(node.metadata.labels),
        world.since(node.metadata.creation_timestamp),
        info.kubelet_version,
        next(iter(node.addresses("InternalIP")), NONE),
        next(iter(node.addresses("ExternalIP")), NONE),
        info.os_image or _UNKNOWN,
        kernel,
        info.container_runtime_version or _UNKNOWN,
    )


def _namespace(namespace: Namespace, world: World) -> Cells:
    metadata = namespace.metadata
    return metadata.name, namespace.status.phase, world.since(metadata.creation_timestamp)


NODES: Final = Printer(
    columns(
        "Name", "Status", "Roles", "Age", "Version",
        wide=("Internal-IP", "External-IP", "OS-Image", "Kernel-Version", "Container-Runtime"),
    ),
    _node,
)  # fmt: skip
NAMESPACES: Final = Printer(columns("Name", "Status", "Age"), _namespace)
