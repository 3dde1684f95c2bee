# SPDX-License-Identifier: GPL-2.0-only
"""What all objects have: metadata, selectors of labels, conditions.

Source: staging/src/k8s.io/apimachinery/pkg/apis/meta/v1/types.go.
"""

from __future__ import annotations

import attrs

from emu.kube.api.objects.field import Labels, Rest, label_map, rest


@attrs.frozen
class OwnerReference:
    """Who an object belongs to and goes with."""

    kind: str
    name: str
    uid: str = ""
    api_version: str = "v1"
    controller: bool = False
    block_owner_deletion: bool = False
    rest: Rest = rest()


@attrs.frozen
class Meta:
    """Metadata. Times are text as RFC 3339 has it; `namespace` is empty for what belongs to none."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    labels: Labels = label_map()
    annotations: Labels = label_map()
    owner_references: tuple[OwnerReference, ...] = ()
    generate_name: str = ""
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    deletion_grace_period_seconds: int | None = None
    resource_version: str = ""
    generation: int | None = None
    finalizers: tuple[str, ...] = ()
    rest: Rest = rest()

    @property
    def controller(self) -> OwnerReference | None:
        """The owner that manages the object, None if it stands alone."""
        return next((owner for owner in self.owner_references if owner.controller), None)

    @property
    def is_terminating(self) -> bool:
        """Whether somebody has asked for its end."""
        return self.deletion_timestamp is not None


@attrs.frozen
class Requirement:
    """One condition on labels: `operator` is In, NotIn, Exists, DoesNotExist, on nodes also Gt and Lt."""

    key: str
    operator: str
    values: tuple[str, ...] = ()
    rest: Rest = rest()


@attrs.frozen
class LabelSelector:
    """Conditions on labels, all of which have to hold; without any it selects everything."""

    match_labels: Labels = label_map()
    match_expressions: tuple[Requirement, ...] = ()
    rest: Rest = rest()


@attrs.frozen
class Condition:
    """One thing that is so, is not, or is not known: `status` is True, False or Unknown."""

    type: str
    status: str = "Unknown"
    reason: str = ""
    message: str = ""
    last_transition_time: str | None = None
    rest: Rest = rest()


@attrs.frozen
class Reference:
    """Another object, as a slice's endpoint or an event names it."""

    kind: str = ""
    name: str = ""
    namespace: str = ""
    uid: str = ""
    api_version: str = ""
    field_path: str = ""
    rest: Rest = rest()
