# SPDX-License-Identifier: GPL-2.0-only
"""Templates that a StatefulSet or DaemonSet had: ControllerRevisions.

emu keeps them as objects like any other, with the whole template as data.

Source: pkg/controller/history/controller_history.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, cast

import attrs

from emu.kube.api.codec import read_as, write_part
from emu.kube.api.objects import Other
from emu.kube.api.objects.meta import Meta
from emu.kube.api.objects.pod import PodTemplateSpec
from emu.kube.workloads.children import owned_by
from emu.kube.workloads.names import template_hash

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from emu.kube.api.objects import DaemonSet, StatefulSet
    from emu.kube.api.objects.field import Json
    from emu.kube.api.store import Store

KIND: Final = "ControllerRevision"
LABEL: Final = "controller-revision-hash"


class Revision(NamedTuple):
    """A template that was in force: its object's name, hash, number and content."""

    name: str
    digest: str
    number: int
    template: PodTemplateSpec


@attrs.define
class History:
    """The revisions of all workloads of a kind.

    What a dump has is read once; from then on nobody else writes them.
    """

    store: Store
    _known: dict[str, list[Revision]] = attrs.field(factory=dict, init=False)

    def current(self, owner: StatefulSet | DaemonSet, presumed: str = "") -> Revision:
        """Return the revision of the owner's template, which gets the highest number.

        Args:
            owner: as it is.
            presumed: the hash that pods of a dump have, if there is no revision yet.
        """
        known = self.of(owner)
        template = owner.spec.template
        if known and (known[-1].template is template or known[-1].template == template):
            return known[-1]
        number = known[-1].number + 1 if known else 1
        same = next((each for each in known if each.template == template), None)
        if same is not None:
            known.remove(same)
            revision = same._replace(number=number)
        else:
            digest = (not known and presumed) or template_hash(template, owner.status.collision_count)
            revision = Revision(f"{owner.metadata.name}-{digest}", digest, number, template)
        known.append(revision)
        self._keep(owner, revision)
        return revision

    def of(self, owner: StatefulSet | DaemonSet) -> list[Revision]:
        """Return the owner's revisions, oldest first."""
        known = self._known.get(owner.metadata.uid)
        if known is None:
            known = self._known[owner.metadata.uid] = sorted(self._read(owner), key=lambda each: each.number)
        return known

    def trim(self, owner: StatefulSet | DaemonSet, live: Collection[str]) -> None:
        """Drop the oldest revisions beyond the owner's limit whose names and hashes are not `live`."""
        known = self.of(owner)
        limit = owner.spec.revision_history_limit
        if len(known) <= limit:
            return
        unused = [each for each in known if each.name not in live and each.digest not in live]
        for each in unused[: max(0, len(unused) - limit)]:
            known.remove(each)
            self.store.others.pop((KIND, owner.metadata.namespace, each.name), None)

    def forget(self, owner: StatefulSet | DaemonSet) -> None:
        """Drop all revisions of an owner that is gone."""
        for each in self.of(owner):
            self.store.others.pop((KIND, owner.metadata.namespace, each.name), None)
        del self._known[owner.metadata.uid]

    def _read(self, owner: StatefulSet | DaemonSet) -> Iterator[Revision]:
        for (kind, namespace, name), other in self.store.others.items():
            above = other.metadata.controller
            if kind != KIND or namespace != owner.metadata.namespace or above is None:
                continue
            if (above.kind, above.name) == (owner.KIND, owner.metadata.name):
                yield _read(name, other, owner)

    def _keep(self, owner: StatefulSet | DaemonSet, revision: Revision) -> None:
        metadata = Meta(
            name=revision.name,
            namespace=owner.metadata.namespace,
            uid=self.store.new_uid(),
            labels={**revision.template.metadata.labels, LABEL: revision.digest},
            owner_references=(owned_by(owner),),
            creation_timestamp=self.store.now,
        )
        template: dict[str, Json] = {**write_part(revision.template), "$patch": "replace"}
        data: Json = {"spec": {"template": template}}
        rest: dict[str, Json] = {"data": data, "revision": revision.number}
        self.store.keep(Other(KIND, "apps/v1", metadata, rest=rest))


def _read(name: str, other: Other, owner: StatefulSet | DaemonSet) -> Revision:
    """Return what stands in a revision; without a template that can be read it is the owner's."""
    number = other.rest.get("revision")
    digest = other.metadata.labels.get(LABEL, name.rpartition("-")[2])
    data = other.rest.get("data")
    spec = data.get("spec") if isinstance(data, dict) else None
    template = spec.get("template") if isinstance(spec, dict) else None
    content = owner.spec.template
    if isinstance(template, dict):
        given = {key: value for key, value in template.items() if key != "$patch"}
        content = read_as(PodTemplateSpec, cast("dict[str, object]", given))
    return Revision(name, digest, number if isinstance(number, int) else 0, content)
