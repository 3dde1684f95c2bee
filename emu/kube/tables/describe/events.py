# SPDX-License-Identifier: GPL-2.0-only
"""The last block of most descriptions: what happened to the object."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu.kube.api.objects import Event
from emu.kube.tables.cells.others import times
from emu.kube.tables.find import manifest_kind

if TYPE_CHECKING:
    from emu.kube.api.objects import Object
    from emu.kube.tables.describe.page import Page
    from emu.kube.tables.world import World


def write(page: Page, about: Object, world: World) -> None:
    """Write the events of an object, the latest last."""
    found = of(about, world)
    if not found:
        page.field("Events", "<none>")
        return
    page.line("Events:")
    page.line("Type\tReason\tAge\tFrom\tMessage", 1)
    page.line("----\t------\t----\t----\t-------", 1)
    for event in found:
        first, last, count = times(event)
        age = world.since(first)
        if count > 1:
            age = f"{world.since(last)} (x{count} over {age})"
        source = event.source.component or str(event.rest.get("reportingComponent") or "")
        message = event.message.strip()
        if event.involved_object.field_path:
            message = f"{event.involved_object.field_path}: {message}"
        page.line(f"{event.type}\t{event.reason}\t{age}\t{source}\t{message}", 1)


def of(about: Object, world: World) -> list[Event]:
    """Return the events of an object in the order in which they were last seen.

    The kubelet gives events of its node the node's name for a UID.
    """
    metadata = about.metadata
    uids = {"", metadata.uid, metadata.name}
    return sorted(
        (
            event
            for event in world.objects.list(Event, metadata.namespace or None)
            if event.involved_object.name == metadata.name
            and event.involved_object.kind == manifest_kind(about)
            and event.involved_object.namespace in {"", metadata.namespace}
            and event.involved_object.uid in uids
        ),
        key=lambda event: times(event)[1] or "",
    )
