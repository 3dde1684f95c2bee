# SPDX-License-Identifier: GPL-2.0-only
"""Labels that say what a pod is, without those that controllers give to tell pods apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_OF_CONTROLLERS: Final = frozenset(
    (
        "pod-template-hash",
        "pod-template-generation",
        "controller-revision-hash",
        "statefulset.kubernetes.io/pod-name",
        "apps.kubernetes.io/pod-index",
        "controller-uid",
        "job-name",
        "batch.kubernetes.io/controller-uid",
        "batch.kubernetes.io/job-name",
        "batch.kubernetes.io/job-completion-index",
    )
)

NAMESPACE: Final = "kubernetes.io/metadata.name"
"""The label of each namespace with its name."""


def meaningful(labels: Mapping[str, str]) -> dict[str, str]:
    """Return the labels that people gave."""
    return {key: value for key, value in labels.items() if key not in _OF_CONTROLLERS}
