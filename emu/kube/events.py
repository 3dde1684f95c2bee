# SPDX-License-Identifier: GPL-2.0-only
"""Events: what components tell about objects, counted where they repeat themselves.

Ten messages of one reason about one object are kept each for itself; further
ones count up a single event, whose message says that it stands for others.
The filter that drops a component's events when they come too fast is not
modelled: nothing that happened is left untold.

Source: staging/src/k8s.io/client-go/tools/record/events_cache.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple
from weakref import WeakKeyDictionary

import attrs

from emu.kube.api.objects.meta import Meta, Reference
from emu.kube.api.objects.other import Event, EventSource
from emu.sim.time import SECOND, START, Instant

if TYPE_CHECKING:
    from emu.kube.api.objects import Known
    from emu.kube.api.store import Store

DISTINCT: Final = 10
"""Messages of one reason about one object before further ones are combined."""

INTERVAL: Final = 600 * SECOND
"""Silence after which messages are counted anew."""

COMBINED: Final = "(combined from similar events): "

NORMAL: Final = "Normal"
WARNING: Final = "Warning"


class _Source(NamedTuple):
    """Who tells what sort of thing about which object."""

    component: str
    host: str
    kind: str
    namespace: str
    name: str
    uid: str
    field_path: str
    type: str
    reason: str


@attrs.define
class _Told:
    """What a source has told: the event's name for each message."""

    names: dict[str, str] = attrs.field(factory=dict)
    last: Instant = START


_TOLD: Final[WeakKeyDictionary[Store, dict[_Source, _Told]]] = WeakKeyDictionary()
"""For each store the events that may still be counted up; what is not here is told anew."""


def record(  # noqa: PLR0917  # what, about whom, by whom: in the order in which kubectl shows it
    store: Store,
    obj: Known,
    type: str,  # noqa: A002  # the field's name
    reason: str,
    message: str,
    component: str,
    host: str = "",
    *,
    field_path: str = "",
) -> None:
    """Keep an event about `obj`, or count up the one that says the same.

    Args:
        store: where events are kept: in the object's namespace, `default` for what is in none.
        obj: what it is about.
        type: `NORMAL` or `WARNING`.
        reason: one word in capitals, such as `Scheduled`.
        message: a sentence for people.
        component: who tells, such as `kubelet`.
        host: the node of whoever tells, if it belongs to one.
        field_path: the part of the object, such as `spec.containers{web}`.
    """
    about = obj.metadata
    source = _Source(
        component, host, obj.KIND, about.namespace, about.name, about.uid, field_path, type, reason
    )
    now = store.loop.now
    told = _TOLD.setdefault(store, {}).setdefault(source, _Told())
    if told.names and now - told.last > INTERVAL:
        told.names.clear()
    told.last = now
    key = message
    if key not in told.names and len(told.names) >= DISTINCT:
        key, message = COMBINED, COMBINED + message
    namespace = about.namespace or "default"
    name = told.names.get(key)
    known = None if name is None else store.find(Event, name, namespace)
    if known is not None:
        store.put(attrs.evolve(known, count=known.count + 1, message=message, last_timestamp=store.now))
        return
    name = told.names[key] = _free_name(store, about.name, namespace)
    reference = Reference(obj.KIND, about.name, about.namespace, about.uid, obj.API_VERSION, field_path)
    store.put(
        Event(
            Meta(name=name, namespace=namespace),
            involved_object=reference,
            type=type,
            reason=reason,
            message=message,
            source=EventSource(component, host),
            first_timestamp=store.now,
            last_timestamp=store.now,
        )
    )


def _free_name(store: Store, name: str, namespace: str) -> str:
    """Return `name` and the time in hexadecimal; of one instant each next event counts one more."""
    nanoseconds = store.epoch + store.loop.now
    while store.find(Event, found := f"{name}.{nanoseconds:x}", namespace) is not None:
        nanoseconds += 1
    return found
