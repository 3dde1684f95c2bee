# SPDX-License-Identifier: GPL-2.0-only
"""Conditions of workloads: set, kept and replaced as the controllers do it.

Source: pkg/controller/deployment/util/deployment_util.go `SetDeploymentCondition`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from emu.kube.api.objects.meta import Condition

if TYPE_CHECKING:
    from collections.abc import Sequence


def find(conditions: Sequence[Condition], kind: str) -> Condition | None:
    """Return the condition of type `kind`, None if there is none."""
    return next((each for each in conditions if each.type == kind), None)


def is_true(conditions: Sequence[Condition], kind: str) -> bool:
    """Return whether there is such a condition and it is True."""
    found = find(conditions, kind)
    return found is not None and found.status == "True"


def made(kind: str, status: str, reason: str, message: str, now: str) -> Condition:
    """Return a condition that came about `now`."""
    return Condition(kind, status, reason, message, now)


def updated(conditions: Sequence[Condition], new: Condition) -> tuple[Condition, ...]:
    """Return `conditions` with `new` at the end, in the place of the one of its type.

    One with the same status and reason stays as it is; one with the same
    status keeps the time of its last transition.
    """
    old = find(conditions, new.type)
    if old is not None and old.status == new.status:
        if old.reason == new.reason:
            return tuple(conditions)
        new = attrs.evolve(new, last_transition_time=old.last_transition_time)
    return (*(each for each in conditions if each.type != new.type), new)


def without(conditions: Sequence[Condition], kind: str) -> tuple[Condition, ...]:
    """Return `conditions` but the one of type `kind`."""
    return tuple(each for each in conditions if each.type != kind)


def placed(conditions: Sequence[Condition], new: Condition) -> tuple[Condition, ...]:
    """Return `conditions` with `new` where the one of its type stood, or at the end.

    Its time is that of the one there was, if the status is the same.
    """
    old = find(conditions, new.type)
    if old is None:
        return (*conditions, new)
    if old.status == new.status:
        new = attrs.evolve(new, last_transition_time=old.last_transition_time)
    return tuple(new if each is old else each for each in conditions)
