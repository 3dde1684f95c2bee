# SPDX-License-Identifier: GPL-2.0-only
"""The `Scenario` document of `emu/v1`: what is done, when, and what is expected afterwards."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Final

import attrs

from emu.cluster.expectation import Expectation, parse_expectation
from emu.cluster.sources import read_all
from emu.cluster.step_output import OutputExpectation, read_output
from emu.cluster.timeline.expectation import PREFIX, TrafficExpectation, parse_traffic_expectation
from emu.cluster.timeline.reader import instant, read_races, read_traffic
from emu.cluster.topology.flatten import flatten
from emu.cluster.topology.spec import STEP_VERBS
from emu.document import MappingNode, SequenceNode
from emu.document.fields import Fields, text
from emu.errors import DocumentError, ExpectationError, did_you_mean
from emu.kube.api.validation import ManifestNode

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from emu.cluster.timeline.traffic import TrafficSpec
    from emu.document.fields import Place
    from emu.kernel.netfilter.conntrack.race import Race
    from emu.sim.time import Duration

_FILE: Final = re.compile(r"-f(.+)|--filename=(.+)")
_WITH_FILES: Final = frozenset(("apply", "delete"))
_INLINE: Final = ("apply", "-f", "-")  # as a line that reads its standard input


@attrs.frozen
class Draft:
    """A step whose manifests are not read yet.

    Attributes:
        at: when.
        words: what is done.
        manifests: of the files that it names, or those that stand in it.
        file: where it stands.
        line: the same.
        said: what it is expected to print; None for anything.
    """

    at: Duration
    words: tuple[str, ...]
    manifests: tuple[ManifestNode, ...]
    file: str
    line: int
    said: OutputExpectation | None = None


@attrs.frozen
class Scenario:
    """A whole document."""

    steps: tuple[Draft, ...] = ()
    traffic: tuple[TrafficSpec, ...] = ()
    until: Duration | None = None
    race: Race | None = None
    expect: tuple[Expectation, ...] = ()
    seen: tuple[TrafficExpectation, ...] = ()


def read_scenario(place: Place, file: str) -> Scenario:
    """Return what a document in `file` says; the files that it names are relative to that one."""
    fields = Fields(place)
    for key in ("apiVersion", "kind", "metadata"):
        fields.ignore(key)

    def spec(place: Place) -> Scenario:
        fields = Fields(place)
        steps: list[Draft] = []
        for at, draft in fields.each("steps", lambda each: _step(each, file)):
            before = steps[-1].at if steps else 0
            steps.append(attrs.evolve(draft, at=before if at is None else at))
        traffic = fields.each("traffic", lambda each: read_traffic(each, file))
        until = fields.get("until", instant, None)
        race = fields.get("races", read_races, None)
        expect = fields.each("expect", lambda each: _expectation(each, file))
        met = tuple(each for each in expect if isinstance(each, Expectation))
        seen = tuple(each for each in expect if isinstance(each, TrafficExpectation))
        return fields.done(Scenario(tuple(steps), traffic, until, race, met, seen))

    return fields.done(fields.get("spec", spec, Scenario()))


def _expectation(place: Place, file: str) -> Expectation | TrafficExpectation | None:
    line = text(place)
    if not isinstance(place.value, str):
        return None
    try:
        parse = parse_traffic_expectation if line.startswith(PREFIX) else parse_expectation
        return parse(line, file=file, line=place.line, path=place.path)
    except ExpectationError as error:
        for fault in error.faults:
            place.fault(fault)
        return None


def _step(place: Place, file: str) -> tuple[Duration | None, Draft]:
    """Read a step; its time is None where it is right after the one before it."""
    fields = Fields(place)
    at = fields.get("at", instant, None)
    if fields.has("apply"):
        fields.ignore("apply")
        if fields.has("run"):
            fields.ignore("run")
            place.fault("has either run or apply")
        manifests = tuple(_inline(place.at("apply"), file))
        return fields.done((at, Draft(0, _INLINE, manifests, file, place.line)))
    words = fields.must("run", _words)
    manifests = (
        tuple(_of_files(place.at("run"), words, file)) if words[:1] and words[0] in _WITH_FILES else ()
    )
    said = read_output(fields, words, file, place.line)
    return fields.done((at, Draft(0, words, manifests, file, place.line, said)))


def _words(place: Place) -> tuple[str, ...]:
    from emu.cluster import scenario  # noqa: PLC0415 - it does steps in a cluster, which is read here

    value = text(place)
    try:
        words = tuple(shlex.split(value))
    except ValueError as error:
        place.fault(f"cannot be read: {error}")
        return ()
    if isinstance(place.value, str) and (not words or words[0] not in STEP_VERBS):
        word = words[0] if words else ""
        place.fault(f"begins with {', '.join(STEP_VERBS)}, not with {word!r}{did_you_mean(word, STEP_VERBS)}")
    elif words and (fault := scenario.fault_of(words)):
        place.fault(fault)
    return words


# --- manifests ---


def _inline(place: Place, file: str) -> Iterator[ManifestNode]:
    """Yield the manifest that stands in a step, or those of a list of them."""
    value = place.value
    places = [place.at(index) for index in range(len(value))] if isinstance(value, SequenceNode) else [place]
    for each in places:
        if isinstance(each.value, MappingNode):
            yield from flatten(ManifestNode(file, each.value, each.path))
        else:
            each.wrong("a manifest")


def _of_files(place: Place, words: Sequence[str], file: str) -> Iterator[ManifestNode]:
    """Yield the manifests of the files that a step names; report what is wrong with them at their lines."""
    folder = Path(file).parent
    names = filenames(words)
    for name in names:
        if name == "-":
            place.fault("a step has no standard input: name a file, or write the manifest as apply:")
            continue
        if not (folder / name).exists():
            place.fault(f"{name}: no such file or folder in {folder}")
            continue
        try:
            documents = read_all([str(folder / name)], recursive="-R" in words or "--recursive" in words)
        except DocumentError as error:
            place.take(error.faults)
            continue
        for each in documents:
            place.take(each.faults)
            node = each.value
            if not isinstance(node, MappingNode):
                place.fault_in(each.file, each.line, "must be an object, with apiVersion and kind")
            elif str(node.get("apiVersion", "")).startswith(("emu/", "kind.x-k8s.io/")):
                place.fault_in(each.file, node.line, "a step applies objects of Kubernetes alone")
            elif not each.faults:
                yield from flatten(ManifestNode(each.file, node))


def filenames(words: Sequence[str]) -> list[str]:
    """Return what `-f` and `--filename` name in a line."""
    names = []
    rest = iter(words)
    for word in rest:
        if word in {"-f", "--filename"}:
            names.append(next(rest, ""))
        elif found := _FILE.fullmatch(word):
            names.append(found[1] or found[2])
    return names
