# SPDX-License-Identifier: GPL-2.0-only
"""ConfigMap, Event, and what emu keeps without reading it."""

from __future__ import annotations

from typing import ClassVar

import attrs

from emu.kube.api.objects.field import Labels, Rest, label_map, rest
from emu.kube.api.objects.meta import Meta, Reference


@attrs.frozen
class ConfigMap:
    """Texts for programs, such as CoreDNS's Corefile."""

    KIND: ClassVar = "ConfigMap"
    API_VERSION: ClassVar = "v1"
    NAMESPACED: ClassVar = True

    metadata: Meta
    data: Labels = label_map()
    binary_data: Labels = label_map()
    immutable: bool = False
    rest: Rest = rest()


@attrs.frozen
class EventSource:
    """Which component tells."""

    component: str = ""
    host: str = ""
    rest: Rest = rest()


@attrs.frozen
class Event:
    """Something that happened to an object; `type` is Normal or Warning."""

    KIND: ClassVar = "Event"
    API_VERSION: ClassVar = "v1"
    NAMESPACED: ClassVar = True

    metadata: Meta
    involved_object: Reference = Reference()
    type: str = "Normal"
    reason: str = ""
    message: str = ""
    source: EventSource = EventSource()
    count: int = 1
    first_timestamp: str | None = None
    last_timestamp: str | None = None
    rest: Rest = rest()


@attrs.frozen
class Other:
    """An object of a kind that does not matter to the network; `rest` is all of it but its metadata."""

    kind: str
    api_version: str
    metadata: Meta
    rest: Rest = rest()
