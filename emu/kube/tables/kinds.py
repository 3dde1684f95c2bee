# SPDX-License-Identifier: GPL-2.0-only
"""The kinds that can be asked for, under all their names.

A kind is found by its plural, singular and short name, each with or without
version and group: `deploy`, `deployment.apps`, `deployments.v1.apps`.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from attrs import frozen

from emu.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from emu.kube.tables.world import Objects


@frozen
class Kind:
    """A kind as the API server lists it."""

    name: str
    plural: str
    api_version: str = "v1"
    short: tuple[str, ...] = ()
    is_namespaced: bool = True

    @property
    def group(self) -> str:
        """The group, empty for the core."""
        group, slash, _ = self.api_version.partition("/")
        return group if slash else ""

    @property
    def resource(self) -> str:
        """What messages call it: `pods`, `deployments.apps`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def prefix(self) -> str:
        """What names are given among several kinds: `pod`, `deployment.apps`."""
        return f"{self.name.lower()}.{self.group}" if self.group else self.name.lower()

    @property
    def names(self) -> tuple[str, ...]:
        """All names without version and group."""
        return (self.plural, self.name.lower(), *self.short)


_APPS: Final = "apps/v1"
_BATCH: Final = "batch/v1"
_NETWORKING: Final = "networking.k8s.io/v1"

_ALL: Final = (
    Kind("Pod", "pods", short=("po",)),
    Kind("ReplicationController", "replicationcontrollers", short=("rc",)),
    Kind("Service", "services", short=("svc",)),
    Kind("DaemonSet", "daemonsets", _APPS, ("ds",)),
    Kind("Deployment", "deployments", _APPS, ("deploy",)),
    Kind("ReplicaSet", "replicasets", _APPS, ("rs",)),
    Kind("StatefulSet", "statefulsets", _APPS, ("sts",)),
    Kind("HorizontalPodAutoscaler", "horizontalpodautoscalers", "autoscaling/v2", ("hpa",)),
    Kind("CronJob", "cronjobs", _BATCH, ("cj",)),
    Kind("Job", "jobs", _BATCH),
)
KINDS: Final = (
    *_ALL,
    Kind("Node", "nodes", short=("no",), is_namespaced=False),
    Kind("Namespace", "namespaces", short=("ns",), is_namespaced=False),
    Kind("Endpoints", "endpoints", short=("ep",)),
    Kind("EndpointSlice", "endpointslices", "discovery.k8s.io/v1"),
    Kind("NetworkPolicy", "networkpolicies", _NETWORKING, ("netpol",)),
    Kind("Ingress", "ingresses", _NETWORKING, ("ing",)),
    Kind("IngressClass", "ingressclasses", _NETWORKING, is_namespaced=False),
    Kind("IPAddress", "ipaddresses", _NETWORKING, ("ip",), is_namespaced=False),
    Kind("ServiceCIDR", "servicecidrs", _NETWORKING, is_namespaced=False),
    Kind("ConfigMap", "configmaps", short=("cm",)),
    Kind("Event", "events", short=("ev",)),
    Kind("Secret", "secrets"),
    Kind("ServiceAccount", "serviceaccounts", short=("sa",)),
    Kind("Lease", "leases", "coordination.k8s.io/v1"),
    Kind("PersistentVolumeClaim", "persistentvolumeclaims", short=("pvc",)),
    Kind("PersistentVolume", "persistentvolumes", short=("pv",), is_namespaced=False),
    Kind("StorageClass", "storageclasses", "storage.k8s.io/v1", ("sc",), is_namespaced=False),
    Kind("ResourceQuota", "resourcequotas", short=("quota",)),
    Kind("LimitRange", "limitranges", short=("limits",)),
    Kind("PodDisruptionBudget", "poddisruptionbudgets", "policy/v1", ("pdb",)),
    Kind("Role", "roles", "rbac.authorization.k8s.io/v1"),
    Kind("RoleBinding", "rolebindings", "rbac.authorization.k8s.io/v1"),
    Kind("ClusterRole", "clusterroles", "rbac.authorization.k8s.io/v1", is_namespaced=False),
    Kind("ClusterRoleBinding", "clusterrolebindings", "rbac.authorization.k8s.io/v1", is_namespaced=False),
    Kind(
        "CustomResourceDefinition",
        "customresourcedefinitions",
        "apiextensions.k8s.io/v1",
        ("crd", "crds"),
        is_namespaced=False,
    ),
)
CATEGORIES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {"all": tuple(kind.resource for kind in _ALL)}
)
"""Names that stand for several kinds, in the order in which they are shown."""

_BY_NAME: Final = MappingProxyType({name: kind for kind in reversed(KINDS) for name in kind.names})


def find(word: str, objects: Objects) -> Kind:
    """Return the kind that a user means.

    Kinds of objects that are kept without being read are found by their singular
    and plural, too.

    Raises:
        CommandError: there is no such kind.
    """
    name, _, behind = word.lower().partition(".")
    kind = _BY_NAME.get(name)
    if kind is not None and behind in _qualifiers(kind):
        return kind
    for key, _, _ in objects.others:
        found = _unread(key, objects)
        if name in found.names and behind in _qualifiers(found):
            return found
    raise CommandError(f'error: the server doesn\'t have a resource type "{word}"', 1)


def _qualifiers(kind: Kind) -> set[str]:
    """Return what may stand behind a name and a full stop."""
    version = kind.api_version.rpartition("/")[2]
    return {"", kind.group, version, f"{version}.{kind.group}", kind.group.partition(".")[0]}


def _unread(name: str, objects: Objects) -> Kind:
    """Return a kind that only its objects tell of."""
    kept = [one for (kind, _, _), one in objects.others.items() if kind == name]
    lower = name.lower()
    plural = lower
    if lower.endswith("y") and lower[-2:-1] not in "aeiou":
        plural = lower[:-1] + "ies"
    elif not lower.endswith("s"):
        plural = lower + "s"
    elif lower.endswith("ss"):
        plural = lower + "es"
    is_namespaced = any(one.metadata.namespace for one in kept)
    return Kind(name, plural, kept[0].api_version, is_namespaced=is_namespaced)
