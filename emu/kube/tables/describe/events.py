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


class Index:
    """All events, by the namespace they are in and the name of what they are about."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._events: dict[tuple[str, str], list[Event]] = {}
        for event in world.objects.list(Event):
            for namespace in {event.metadata.namespace, ""}:
                self._events.setdefault((namespace, event.involved_object.name), []).append(event)

    def about(self, one: Object) -> list[Event]:
        """Return the events of an object in the order in which they were last seen.

        Events of what is in no namespace may be in any. The kubelet gives events of
        its node the node's name for a UID.
        """
        metadata = one.metadata
        uids = {"", metadata.uid, metadata.name}
        return sorted(
            (
                event
                for event in self._events.get((metadata.namespace, metadata.name), ())
                if event.involved_object.kind == manifest_kind(one)
                and event.involved_object.namespace in {"", metadata.namespace}
                and event.involved_object.uid in uids
            ),
            key=lambda event: times(event)[1] or "",
        )

    def write(self, page: Page, about: Object) -> None:
        """Write the events of an object, the latest last."""
        found = self.about(about)
        if not found:
            page.field("Events", "<none>")
            return
        page.line("Events:")
        page.line("Type\tReason\tAge\tFrom\tMessage", 1)
        page.line("----\t------\t----\t----\t-------", 1)  # one dash more than Age has letters
        for event in found:
            page.line(self._row(event), 1)

    def _row(self, event: Event) -> str:
        first, last, count = times(event)
        age = self._world.since(first)
        if count > 1:
            age = f"{self._world.since(last)} (x{count} over {age})"
        source = event.source.component or str(event.rest.get("reportingComponent") or "")
        message = event.message.strip()
        if event.involved_object.field_path:
            message = f"{event.involved_object.field_path}: {message}"
        return f"{event.type}\t{event.reason}\t{age}\t{source}\t{message}"
