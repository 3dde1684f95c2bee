# SPDX-License-Identifier: GPL-2.0-only
"""Taints, and what tolerates them: for the scheduler, DaemonSets, and eviction.

Source: staging/src/k8s.io/api/core/v1/toleration.go `ToleratesTaint`,
staging/src/k8s.io/component-helpers/scheduling/corev1/helpers.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from emu.kube.api.objects.scheduling import Taint, Toleration

NO_SCHEDULE: Final = "NoSchedule"
PREFER_NO_SCHEDULE: Final = "PreferNoSchedule"
NO_EXECUTE: Final = "NoExecute"

REPELLING: Final = frozenset({NO_SCHEDULE, NO_EXECUTE})
"""Effects that keep new pods off."""

UNSCHEDULABLE: Final = "node.kubernetes.io/unschedulable"


def tolerates(toleration: Toleration, taint: Taint) -> bool:
    """Return whether `toleration` is for `taint`.

    An empty effect is any effect; an empty key with Exists is any key.
    """
    if toleration.effect and toleration.effect != taint.effect:
        return False
    if toleration.key and toleration.key != taint.key:
        return False
    match toleration.operator:
        case "Exists":
            return True
        case "" | "Equal":
            return bool(toleration.key) and toleration.value == taint.value
        case _:
            return False


def is_tolerated(taint: Taint, tolerations: Iterable[Toleration]) -> bool:
    """Return whether any of `tolerations` is for `taint`."""
    return any(tolerates(each, taint) for each in tolerations)


def untolerated(
    taints: Iterable[Taint], tolerations: Collection[Toleration], effects: Collection[str]
) -> list[Taint]:
    """Return the taints of certain effects that nothing of `tolerations` is for."""
    return [taint for taint in taints if taint.effect in effects and not is_tolerated(taint, tolerations)]
