# SPDX-License-Identifier: GPL-2.0-only
"""The `Scenario` document of `emu/v1`: what is done, and when."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Final

from emu.cluster.topology.spec import STEP_VERBS, StepSpec
from emu.document.fields import Fields, text
from emu.errors import did_you_mean
from emu.sim.time import MILLISECOND, SECOND, Duration

if TYPE_CHECKING:
    from emu.document.fields import Place

_TIME: Final = re.compile(r"(?:(\d{1,6})m)?(?:(\d{1,6}(?:\.\d{1,3})?)s)?(?:(\d{1,6})ms)?")
_LONGEST: Final = 365 * 86_400 * SECOND


def read_scenario(place: Place) -> tuple[StepSpec, ...]:
    """Return the steps of a document, in the order of their times."""
    fields = Fields(place)
    for key in ("apiVersion", "kind", "metadata"):
        fields.ignore(key)
    return fields.done(fields.get("spec", _spec, ()))


def _spec(place: Place) -> tuple[StepSpec, ...]:
    fields = Fields(place)
    if fields.has("expect"):
        fields.place.at("expect").fault("is not modelled yet: of a Scenario, steps are")
    fields.ignore("expect")
    steps: list[StepSpec] = []
    for at, words, line in fields.done(fields.each("steps", _step)):
        before = steps[-1].at if steps else 0
        steps.append(StepSpec(before if at is None else at, words, line=line))
    return tuple(sorted(steps, key=lambda step: step.at))


def _step(place: Place) -> tuple[Duration | None, tuple[str, ...], int]:
    """Read a step: when (None: after the one before it), what, and the line."""
    fields = Fields(place)
    at = fields.get("at", _instant, None)
    return fields.done((at, fields.must("run", _words), place.line))


def _instant(place: Place) -> Duration:
    """Read a time like `9s`, `1m30s` or `250ms`."""
    value = text(place)
    found = _TIME.fullmatch(value) if value else None
    if found is None:
        if isinstance(place.value, str):
            place.wrong("a time, like 9s, 1m30s or 250ms")
        return 0
    minutes, seconds, milliseconds = (part or "0" for part in found.groups())
    total = int(minutes) * 60 * SECOND + round(float(seconds) * SECOND) + int(milliseconds) * MILLISECOND
    if total > _LONGEST:
        place.fault("is more than a year away")
        return 0
    return total


def _words(place: Place) -> tuple[str, ...]:
    value = text(place)
    try:
        words = tuple(shlex.split(value))
    except ValueError as error:
        place.fault(f"cannot be read: {error}")
        return ()
    if isinstance(place.value, str) and (not words or words[0] not in STEP_VERBS):
        word = words[0] if words else ""
        place.fault(f"begins with {', '.join(STEP_VERBS)}, not with {word!r}{did_you_mean(word, STEP_VERBS)}")
    return words
