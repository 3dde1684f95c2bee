# SPDX-License-Identifier: GPL-2.0-only
"""Documents to a topology: who describes the cluster, and which objects it holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.cluster.timeline.reader import check_names, unknown_clients
from emu.cluster.topology import installed, pools, sizes
from emu.cluster.topology.annotations import faults_of
from emu.cluster.topology.cluster_reader import read_cluster
from emu.cluster.topology.fabric.spec import FabricSpec, joined
from emu.cluster.topology.fabric_reader import read_fabric
from emu.cluster.topology.flatten import flatten
from emu.cluster.topology.kind_reader import API_VERSION as KIND
from emu.cluster.topology.kind_reader import read_kind
from emu.cluster.topology.places import line_of
from emu.cluster.topology.scenario_reader import read_scenario
from emu.cluster.topology.spec import (
    DEFAULT_VERSION,
    ClusterSpec,
    Source,
    StepSpec,
)
from emu.document import MappingNode
from emu.document.fields import Place, Report
from emu.errors import DocumentError, Fault, did_you_mean
from emu.kube.api import codec
from emu.kube.api.objects import Other
from emu.kube.api.scope import with_namespace
from emu.kube.api.validation import ManifestNode, Mode, validate

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from emu.cluster.expectation import Expectation
    from emu.cluster.timeline.expectation import TrafficExpectation
    from emu.cluster.timeline.traffic import TrafficSpec
    from emu.cluster.topology.scenario_reader import Draft
    from emu.document import Document, Value
    from emu.kernel.netfilter.conntrack.race import Race
    from emu.kube.api.objects import Object
    from emu.sim.time import Duration

OURS: Final = "emu/v1"
_KINDS: Final = frozenset(("Cluster", "Fabric", "Scenario"))


@attrs.frozen
class Topology:
    """All that the input says.

    Attributes:
        cluster: what a `Cluster` document says, or the defaults.
        fabric: what `Fabric` documents say.
        objects: of the API, in document order.
        sources: where each of them stands.
        has_cluster: there is a `Cluster` document.
        steps: what `Scenario` documents do, in the order of their times.
        traffic: who asks meanwhile.
        until: when they are over at the earliest; None for when nothing more is to be done.
        race: which packets overtake each other meanwhile; None for none.
        expectations: what `Scenario` documents expect after them.
        seen: what they expect that those who ask have seen.
        warnings: what is taken, but not as it is said, and what an API server would warn of.
        kept: kinds that do not matter to the network, with their numbers.
    """

    cluster: ClusterSpec
    fabric: FabricSpec
    objects: tuple[Object, ...]
    sources: tuple[Source, ...]
    has_cluster: bool
    steps: tuple[StepSpec, ...] = ()
    traffic: tuple[TrafficSpec, ...] = ()
    until: Duration | None = None
    race: Race | None = None
    expectations: tuple[Expectation, ...] = ()
    seen: tuple[TrafficExpectation, ...] = ()
    warnings: tuple[Fault, ...] = ()

    @property
    def expects(self) -> bool:
        """Whether anything is expected: of flows, of clients, or of what steps print."""
        return bool(self.expectations or self.seen or any(each.said for each in self.steps))

    def sources_of(self, objects: Iterable[Object]) -> list[Source]:
        """Return where some of the objects stand."""
        places = {id(each): source for each, source in zip(self.objects, self.sources, strict=True)}
        return [places[id(each)] for each in objects]

    @property
    def kept(self) -> dict[str, int]:
        """The kinds that do not matter to the network, and how many there are of each."""
        found: dict[str, int] = {}
        for each in self.objects:
            if isinstance(each, Other):
                found[each.kind] = found.get(each.kind, 0) + 1
        return found


def load_topology(documents: Sequence[Document], mode: Mode = Mode.STRICT) -> Topology:
    """Return the topology that some documents describe together.

    Raises:
        DocumentError: with the faults of all documents, at most a thousand.
    """
    faults = [fault for each in documents for fault in each.faults]
    warnings: list[Fault] = []
    sorted_out = _Sorted()
    for each in documents:
        if each.faults:
            continue
        report = Report(each.file)
        try:
            sorted_out.take(each, report)
            report.check()
            warnings += report.warnings
        except DocumentError as error:
            faults += error.faults
    cluster = sorted_out.clusters[0] if sorted_out.clusters else ClusterSpec()
    later = [each for draft in sorted_out.drafts for each in draft.manifests]
    findings = validate([*sorted_out.manifests, *later], mode, cluster.kubernetes or DEFAULT_VERSION)
    faults += findings.errors
    objects, sources = _read(sorted_out.manifests, faults)
    steps = _steps(sorted_out.drafts, faults)
    faults += unknown_clients(sorted_out.seen, sorted_out.traffic)
    if faults:
        raise DocumentError(faults)
    networks = installed.warnings_of(objects, sources, cluster.network.provider)
    found = Topology(
        cluster,
        joined(sorted_out.fabrics),
        tuple(objects),
        tuple(sources),
        has_cluster=bool(sorted_out.clusters),
        steps=steps,
        traffic=tuple(sorted_out.traffic),
        until=sorted_out.until,
        race=sorted_out.race,
        expectations=tuple(sorted_out.expectations),
        seen=tuple(sorted_out.seen),
        warnings=(*warnings, *findings.warnings, *networks),
    )
    faults += pools.faults_of(cluster, found.fabric, objects)
    if found.fabric.vpc is not None:
        from emu.cluster.vpc.check import faults_of as vpc_faults  # noqa: PLC0415 - few clusters are in one

        faults += vpc_faults(found, documents)
    if not faults:
        from emu.cluster import addressing, naming  # noqa: PLC0415 - they make nodes of what is read here

        refused, doubts = addressing.check(found, documents)
        faults += refused or naming.faults_of(found)
        found = attrs.evolve(found, warnings=(*doubts, *found.warnings))
    if faults:
        raise DocumentError(faults)
    return found


@attrs.define
class _Sorted:
    """What kinds of documents there are."""

    clusters: list[ClusterSpec] = attrs.field(factory=list)
    fabrics: list[FabricSpec] = attrs.field(factory=list)
    drafts: list[Draft] = attrs.field(factory=list)
    traffic: list[TrafficSpec] = attrs.field(factory=list)
    until: Duration | None = None
    race: Race | None = None
    seen: list[TrafficExpectation] = attrs.field(factory=list)
    expectations: list[Expectation] = attrs.field(factory=list)
    manifests: list[ManifestNode] = attrs.field(factory=list)

    def take(self, document: Document, report: Report) -> None:
        """Put a document where it belongs."""
        place = Place(document.value, report)
        value = document.value
        if not isinstance(value, MappingNode):
            report.add(document.line, "$", "must be an object, with apiVersion and kind")
            return
        kind = value.get("apiVersion"), value.get("kind")
        meant = _misspelt(*kind)
        if meant:
            place.at("apiVersion").wrong(meant)
        elif kind in {(OURS, "Cluster"), (KIND, "Cluster")}:
            if self.clusters:
                report.add(value.line, "$", "a second Cluster document")
            self.clusters.append(read_cluster(place) if kind[0] == OURS else read_kind(place))
        elif kind == (OURS, "Fabric"):
            self.fabrics.append(read_fabric(place))
        elif kind == (OURS, "Scenario"):
            scenario = read_scenario(place, document.file)
            self.drafts += scenario.steps
            self.expectations += scenario.expect
            self.seen += scenario.seen
            self.race = scenario.race or self.race
            check_names(place, [*self.traffic, *scenario.traffic])
            self.traffic += scenario.traffic
            self.until = max(filter(None, (self.until, scenario.until)), default=None)
        elif kind[0] == OURS:
            report.add(value.line_of("kind"), "$.kind", "must be one of Cluster, Fabric, Scenario in emu/v1")
        elif "namespaces" in value and "kind" not in value:
            report.add(value.line, "$", "a low-level network cannot be part of a cluster: name it alone")
        else:
            self.manifests += flatten(ManifestNode(document.file, value))


def _misspelt(version: Value, kind: Value) -> str:
    """Return the apiVersion that is meant where one is a wrong one of ours or kind's, empty for any other."""
    if not isinstance(version, str) or version in {OURS, KIND}:
        return ""
    group = version.partition("/")[0].lower()
    for known in (OURS, KIND):
        if group == known.partition("/")[0] or (kind in _KINDS and did_you_mean(version.lower(), [known])):
            return known
    return ""


def _steps(drafts: Iterable[Draft], faults: list[Fault]) -> tuple[StepSpec, ...]:
    """Return the steps in the order of their times, each with its objects."""
    steps: list[StepSpec] = []
    for each in drafts:
        objects, sources = _read(each.manifests, faults)
        steps.append(
            StepSpec(
                each.at,
                each.words,
                tuple(objects),
                tuple(sources),
                file=each.file,
                line=each.line,
                said=each.said,
            )
        )
    return tuple(sorted(steps, key=lambda step: step.at))


def _read(manifests: Iterable[ManifestNode], faults: list[Fault]) -> tuple[list[Object], list[Source]]:
    """Return the objects; what cannot be read, and was not found before, becomes a fault."""
    told = {(fault.file, fault.line) for fault in faults}
    objects: list[Object] = []
    sources: list[Source] = []
    for each in manifests:
        try:
            found = codec.read(each.node)
        except codec.ManifestError as error:
            for path, message in error.faults:
                fault = Fault(each.file, line_of(each.node, path), each.path + path[1:], message)
                if (fault.file, fault.line) not in told:
                    faults.append(fault)
            continue
        for path, message in (*faults_of(found), *sizes.faults_of(found)):
            faults.append(Fault(each.file, line_of(each.node, path), each.path + path[1:], message))
        objects.append(with_namespace(found))
        sources.append(Source(each.file, each.node.line, each.path))
    return objects, sources
