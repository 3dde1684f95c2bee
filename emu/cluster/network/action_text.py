# SPDX-License-Identifier: GPL-2.0-only
"""The text of a document's actions, as plain values: what `action_reader` reads, the other way round."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

import attrs

from emu.cluster.network.actions import Inject, IptablesChange, UdpReply, UdpRequest
from emu.sim.time import SECOND
from emu.wire.addresses import IpAddress

if TYPE_CHECKING:
    from emu.cluster.network.actions import Action, Step
    from emu.sim.time import Duration

Value: TypeAlias = "str | int | float | bool | list[Value] | dict[str, Value]"
Fields: TypeAlias = "dict[str, Value]"

_TIMES: Final = frozenset({"duration", "gap", "interval", "lead", "limit", "settle", "timeout"})
_KEYS: Final = {"iface": "if", "duration": "seconds", "payload": "send"}
_PLACE: Final = frozenset({"kind", "action", "line"})


def in_seconds(duration: Duration) -> int | float:
    """Return a time as the format has it."""
    return duration // SECOND if duration % SECOND == 0 else duration / SECOND


def fields_of(step: Step) -> Fields:
    """Return an entry of `actions`, without what is as it is by default."""
    fields = _given(step.action)
    fields |= {key: value for key, value in _given(step).items() if key not in _PLACE}
    return {step.kind: fields}


def _given(what: Action | Step) -> Fields:
    found: Fields = {}
    for field in attrs.fields(type(what)):
        name, value = field.name, getattr(what, field.name)
        if name in _PLACE or value is None or value == field.default:
            continue
        if name == "payload" and isinstance(what, UdpRequest) and _is_counting(what.payload):
            found["size"] = len(what.payload)
        else:
            found[_KEYS.get(name, name)] = _value(what, name, value)
    return found


def _is_counting(payload: bytes) -> bool:
    """Return whether a payload is better told by its size."""
    return payload == bytes(index & 0xFF for index in range(len(payload)))


def _value(what: Action | Step, name: str, value: object) -> Value:
    if name in _TIMES and isinstance(value, int):
        return in_seconds(value)
    if isinstance(what, Inject) and name == "frames":
        return [f"hex:{octets.hex()}" for octets in what.frames]
    if isinstance(what, IptablesChange) and name == "args":
        return " ".join(what.args)
    match value:
        case IpAddress():
            return str(value)
        case bytes():
            return value.decode()
        case UdpReply():
            return value.value
        case str() if name != "capture":
            return value
        case bool() | int() | float():
            return value
        case tuple() if name != "capture":
            return [_value(what, "", each) for each in value]
        case _:
            return str(value)
