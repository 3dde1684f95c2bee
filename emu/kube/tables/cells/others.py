# SPDX-License-Identifier: GPL-2.0-only
"""The tables of ConfigMaps, Events, and of what emu keeps without reading it.

Source: `printConfigMap`, `printEvent`, `printSecret`, `printServiceAccount`,
`printLease`, `printIPAddress`, `printServiceCIDR`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kube.tables.cells.printer import Cells, Column, Printer, columns
from emu.kube.tables.cells.words import NONE

if TYPE_CHECKING:
    from emu.kube.api.objects import ConfigMap, Event, Other
    from emu.kube.api.objects.field import Json
    from emu.kube.tables.world import World


def _config_map(one: ConfigMap, world: World) -> Cells:
    metadata = one.metadata
    return metadata.name, len(one.data) + len(one.binary_data), world.since(metadata.creation_timestamp)


# --- Events ---


def _event(event: Event, world: World) -> Cells:
    first, last, count = times(event)
    about = event.involved_object
    source = event.source.component or str(event.rest.get("reportingComponent") or "")
    host = event.source.host or str(event.rest.get("reportingInstance") or "")
    return (
        world.since(last),
        event.type,
        event.reason,
        about.kind.lower() + (f"/{about.name}" if about.name else ""),
        about.field_path,
        ", ".join(filter(None, (source, host))),
        event.message.strip(),
        world.since(first),
        count,
        event.metadata.name,
    )


def times(event: Event) -> tuple[str | None, str | None, int]:
    """Return when an event was first and last seen, and how often."""
    moment = event.rest.get("eventTime")
    first = event.first_timestamp or (moment if isinstance(moment, str) else None)
    series = event.rest.get("series")
    if isinstance(series, dict):
        seen, count = series.get("lastObservedTime"), series.get("count")
        return first, seen if isinstance(seen, str) else first, count if isinstance(count, int) else 1
    return first, event.last_timestamp or first, event.count or 1


# --- kinds that are not read ---


def inner(value: Json, *path: str) -> Json:
    """Return what is under a path of keys, None if there is nothing."""
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _number(value: Json) -> int:
    return len(value) if isinstance(value, dict | list) else 0


def _secret(one: Other, world: World) -> Cells:
    parts = [one.rest.get(key) for key in ("data", "stringData")]
    names = {name for part in parts if isinstance(part, dict) for name in part}
    kind = str(one.rest.get("type") or "Opaque")
    return one.metadata.name, kind, len(names), world.since(one.metadata.creation_timestamp)


def _service_account(one: Other, world: World) -> Cells:
    metadata = one.metadata
    return metadata.name, _number(one.rest.get("secrets")), world.since(metadata.creation_timestamp)


def _lease(one: Other, world: World) -> Cells:
    holder = inner(dict(one.rest), "spec", "holderIdentity")
    return one.metadata.name, str(holder or ""), world.since(one.metadata.creation_timestamp)


def _ip_address(one: Other, world: World) -> Cells:
    del world
    parent = inner(dict(one.rest), "spec", "parentRef")
    words = [str(inner(parent, key) or "") for key in ("resource", "namespace", "name")]
    return one.metadata.name, "/".join(filter(None, words)) or NONE


def _service_cidr(one: Other, world: World) -> Cells:
    cidrs = inner(dict(one.rest), "spec", "cidrs")
    text = ",".join(map(str, cidrs)) if isinstance(cidrs, list) else ""
    return one.metadata.name, text, world.since(one.metadata.creation_timestamp)


def _other(one: Other, world: World) -> Cells:
    return one.metadata.name, world.since(one.metadata.creation_timestamp)


CONFIG_MAPS: Final = Printer(columns("Name", "Data", "Age"), _config_map)
EVENTS: Final = Printer(
    (
        *columns("Last Seen", "Type", "Reason", "Object"),
        *columns(wide=("Subobject", "Source")),
        Column("Message"),
        *columns(wide=("First Seen", "Count", "Name")),
    ),
    _event,
)
SECRETS: Final = Printer(columns("Name", "Type", "Data", "Age"), _secret)
SERVICE_ACCOUNTS: Final = Printer(
    (Column("Name"), Column("Secrets", until=(1, 34)), Column("Age")), _service_account
)
LEASES: Final = Printer(columns("Name", "Holder", "Age"), _lease)
IP_ADDRESSES: Final = Printer(columns("Name", "ParentRef"), _ip_address)
SERVICE_CIDRS: Final = Printer(columns("Name", "CIDRs", "Age"), _service_cidr)
OTHERS: Final = Printer(columns("Name", "Age"), _other)
