# SPDX-License-Identifier: GPL-2.0-only
"""Which objects are in a namespace, and in which one those are that name none.

Of kinds that emu keeps without reading them Kubernetes' own are known by name. Of
one that Kubernetes has not, only what it names itself is known.

Source: `kubectl api-resources --namespaced`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

import attrs

from emu.kube.api.objects import KINDS, Other

if TYPE_CHECKING:
    from emu.kube.api.objects import Object

AnyT = TypeVar("AnyT", bound="Object")

DEFAULT_NAMESPACE: Final = "default"

_UNREAD: Final = frozenset(
    (
        ("", "LimitRange"),
        ("", "PersistentVolumeClaim"),
        ("", "PodTemplate"),
        ("", "ResourceQuota"),
        ("", "Secret"),
        ("", "ServiceAccount"),
        ("apps", "ControllerRevision"),
        ("autoscaling", "HorizontalPodAutoscaler"),
        ("coordination.k8s.io", "Lease"),
        ("events.k8s.io", "Event"),
        ("policy", "PodDisruptionBudget"),
        ("rbac.authorization.k8s.io", "Role"),
        ("rbac.authorization.k8s.io", "RoleBinding"),
        ("storage.k8s.io", "CSIStorageCapacity"),
    )
)
"""Group and kind of what is in a namespace and is not read."""


def is_namespaced(kind: str, api_version: str) -> bool:
    """Return whether objects of a kind are known to be in a namespace."""
    known = KINDS.get(kind)
    if known is not None and _group(known.API_VERSION) == _group(api_version):
        return known.NAMESPACED
    return (_group(api_version), kind) in _UNREAD


def with_namespace(found: AnyT) -> AnyT:
    """Return an object in `default` if it belongs to a namespace and names none."""
    if isinstance(found, Other):
        kind, version = found.kind, found.api_version
    else:
        kind, version = found.KIND, found.API_VERSION
    if found.metadata.namespace or not is_namespaced(kind, version):
        return found
    return attrs.evolve(found, metadata=attrs.evolve(found.metadata, namespace=DEFAULT_NAMESPACE))


def _group(api_version: str) -> str:
    group, slash, _ = api_version.partition("/")
    return group if slash else ""
