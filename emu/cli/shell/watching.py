# SPDX-License-Identifier: GPL-2.0-only
"""What passes while time does: decisions about packets, events of Kubernetes."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

import attrs

from emu.kube.api.objects.other import Event
from emu.observe.recording import Kind
from emu.sim.time import to_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from emu.kube.api.store import Change, Store
    from emu.observe.recording import Step

_TAPS: Final = frozenset((Kind.IN, Kind.OUT))


@attrs.define
class Steps:
    """All that is done to packets while it listens."""

    heard: list[Step] = attrs.field(factory=list)

    def hear(self, step: Step) -> None:
        """Take note of `step`."""
        self.heard.append(step)

    def decisions(self) -> Iterator[str]:
        """Yield a line for each decision: who, at which stage, what."""
        for step in self.heard:
            if step.kind not in _TAPS:
                ended = f" ({step.reason.name})" if step.reason is not None else ""
                yield f"  {step.net}: {step.stage} {step.detail}{ended}".rstrip()


class EventLog:
    """Tells of each event of Kubernetes when it is recorded, with the virtual time.

    Args:
        store: whose events.
        tell: who is told a line.
    """

    is_still: ClassVar[bool] = True  # it stands beside the cluster, and is no part of it

    def __init__(self, store: Store, tell: Callable[[str], None]) -> None:
        self._store = store
        self._tell = tell
        store.watch(Event, self._hear)

    def _hear(self, change: Change) -> None:
        event = change.new
        if isinstance(event, Event):
            about = event.involved_object
            now = to_seconds(self._store.loop.now)
            self._tell(
                f"{now:.3f} s  {event.type} {event.reason} {about.kind.lower()}/{about.name}: {event.message}"
            )
