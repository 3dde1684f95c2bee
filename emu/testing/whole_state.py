# SPDX-License-Identifier: GPL-2.0-only
"""All that a fabric is made of, as text: to see whether anything has changed, whoever kept it in mind.

Unlike `emu.fabric.memento` it stops almost nowhere, so it finds what that forgets.
"""

from __future__ import annotations

import enum
import random
import types
from collections import deque
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final

from emu.fabric.memento import names_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.fabric.driver import Fabric

_ATOMS: Final = (int, str, bytes, float, complex, type(None), type, enum.Enum, types.ModuleType)
_NO_STATE: Final = frozenset(
    (
        ("Fabric", "packet_ids"),  # numbers that name packets go on, whatever is undone
        ("Namespace", "_packet_ids"),
        ("Fabric", "_recorder"),  # who looks on
        ("Fabric", "_observer"),
        ("Namespace", "recorder"),
        ("Recording", "_count"),
        ("Recording", "key_log"),
        ("LiveRule", "program"),
        ("LiveTable", "_changing"),
        ("Index", "stale"),
        ("Index", "_exact"),
        ("Chain", "compiled"),  # what is worked out of other state when somebody asks, and kept
        ("Userland", "_contents"),
        ("Userland", "_environment"),
        ("Store", "_sorted"),
    )
)
"""Attributes that may change, by class and name."""

_CALLED: Final = (partial, types.MethodType, types.FunctionType)
_HASHES: Final = "_attrs_cached_hash"
_PASSING: Final = frozenset(("connection", "datagram", "answer", "association", "result"))
"""Variables of a server that mean nothing where it waits for the next."""


def whole_state(fabric: Fabric) -> dict[str, str]:
    """Return every value behind a fabric, by the way that leads there."""
    found: dict[str, str] = {}
    seen: dict[int, tuple[str, object]] = {}
    todo: list[tuple[str, object]] = [("", fabric)]
    while todo:
        path, each = todo.pop()
        if isinstance(each, _ATOMS):
            found[path] = repr(each)
            continue
        known = seen.get(id(each))
        if known is not None:
            found[path] = f"as {known[0]}"
            continue
        seen[id(each)] = path, each
        if isinstance(each, random.Random):
            found[path] = str(hash(each.getstate()))
        else:
            inside = list(_inside(each))
            found[path] = f"{type(each).__name__} of {len(inside)}"
            todo += [(f"{path}.{name}", value) for name, value in inside]
    return found


def _inside(each: object) -> Iterator[tuple[str, object]]:
    """Yield what an object holds, with the names of the ways there."""
    if isinstance(each, dict):
        for number, (key, value) in enumerate(each.items()):
            if isinstance(key, str):
                yield key, value  # in whatever order they stand: nobody walks them
            else:
                yield f"{number}", value
                yield f"{number} (key)", key
    elif isinstance(each, list | tuple | deque):
        yield from ((str(number), value) for number, value in enumerate(each))
    elif isinstance(each, set | frozenset):
        yield "members", tuple(sorted(each, key=repr))
    elif isinstance(each, bytearray):
        yield "octets", bytes(each)
    elif isinstance(each, _CALLED):
        yield from _enclosed(each)
    elif isinstance(each, types.GeneratorType):
        frame = each.gi_frame
        yield "from", each.gi_yieldfrom
        if frame is not None:
            yield "locals", {name: value for name, value in frame.f_locals.items() if name not in _PASSING}
    elif type(each).__module__.startswith("emu."):
        yield from (
            (name, getattr(each, name))
            for name in names_of(each)
            if name != _HASHES and (type(each).__name__, name) not in _NO_STATE
        )


def _enclosed(function: object) -> Iterator[tuple[str, object]]:
    """Yield what something that can be called holds."""
    if isinstance(function, partial):
        yield from (
            ("function", function.func),
            ("arguments", function.args),
            ("keywords", function.keywords),
        )
    if isinstance(function, types.MethodType):
        yield "self", function.__self__
    if not isinstance(function, types.FunctionType):
        return
    for number, cell in enumerate(function.__closure__ or ()):
        with suppress(ValueError):  # not filled yet
            yield f"cell {number}", cell.cell_contents
