# SPDX-License-Identifier: GPL-2.0-only
"""Many manifests, all their faults, and nothing that could break the look at them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emu.document import MappingNode, SequenceNode, parse
from emu.errors import DocumentError
from emu.kube.api import codec
from emu.kube.api.validation import Findings, ManifestNode, Mode, validate
from emu.kube.api.validation.kinds import CHECKS
from emu.kube.api.validation.report import Report
from emu.kube.api.validation.schemas import definition_of, homes, validator
from emu.kube.api.validation.structure import walk

if TYPE_CHECKING:
    from emu.document import Value
    from tests.unit.kube.api.validation.conftest import Check

Plain: TypeAlias = "dict[str, Plain] | list[Plain] | str | int | float | bool | None"

DUMP = Path(__file__).parent / "dump.yaml"
TEN_FAULTS = """\
apiVersion: v1
kind: Service
metadata:
  name: Web
  labels: {a: 1}
spec:
  type: Cluster
  selektor: {app: web}
  externalIPs: [127.0.0.1]
  ports:
  - name: http
    port: 70000
  - name: http
    port: 80
    protocol: tcp
  - name: admin
    port: '81'
    targetPort: 0x12345
"""


def manifests(file: Path) -> list[ManifestNode]:
    """Return the objects in a file."""
    documents = parse(file.read_text(encoding="utf-8"), file.name)
    return [ManifestNode(file.name, d.value) for d in documents if isinstance(d.value, MappingNode)]


def test_ten_faults_are_ten_faults(errors: Check) -> None:
    """Nobody mends one after the other."""
    found = errors(TEN_FAULTS)
    assert [fault.split()[:2] for fault in found] == [
        ["4", "$.metadata.name"],
        ["5", "$.metadata.labels.a"],
        ["7", "$.spec.type"],
        ["8", "$.spec.selektor"],
        ["9", "$.spec.externalIPs[0]"],
        ["12", "$.spec.ports[0].port"],
        ["13", "$.spec.ports[1].name"],
        ["15", "$.spec.ports[1].protocol"],
        ["17", "$.spec.ports[2].port"],
        ["18", "$.spec.ports[2].targetPort"],
    ]


def test_what_kubectl_writes_is_taken() -> None:
    """With status, managed fields, nulls and all."""
    assert validate(manifests(DUMP)) == Findings()


def test_every_kind_with_rules_has_a_schema_and_the_other_way_round() -> None:
    """There is no kind that is half looked at."""
    assert [kind for kind in CHECKS if not homes(kind)] == []
    assert definition_of("v1", "ObjectReference") is None
    assert definition_of("v1", "Pod") == "io.k8s.api.core.v1.Pod"


def test_errors_can_be_raised_at_once() -> None:
    """All of them, as a document's faults are."""
    node = parse("apiVersion: v1\nkind: Pod\nmetadata: {name: A}", "a.yaml")[0].value
    assert isinstance(node, MappingNode)
    findings = validate([ManifestNode("a.yaml", node, "$.items[3]")])
    with pytest.raises(DocumentError) as caught:
        findings.check()
    assert caught.value.faults == findings.errors
    assert [fault.path for fault in findings.errors] == [
        "$.items[3].spec.containers",
        "$.items[3].metadata.name",
    ]
    Findings().check()


def test_an_object_that_comes_twice_is_warned_of(warnings: Check) -> None:
    """The later one wins, as with `kubectl apply`; namespaces and kinds keep objects apart."""
    one = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---\n"
    other = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: b}\n---\n"
    hidden = "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\n---\n"
    again = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: default}\n"
    assert warnings(one + other + hidden + again) == [
        "15 $.metadata.name ConfigMap default/a is in the input before, at a.yaml:1; this one replaces it"
    ]
    node = "apiVersion: v1\nkind: Node\nmetadata: {name: n}\n"
    assert warnings(f"{node}---\n{node}") == [
        "7 $.metadata.name Node n is in the input before, at a.yaml:1; this one replaces it"
    ]


def test_a_thousand_errors_are_enough() -> None:
    """Whoever has more has another kind of file."""
    ports = "".join(f"  - {{name: p{i}, port: 0, x: 1}}\n" for i in range(2000))
    text = f"apiVersion: v1\nkind: Service\nmetadata: {{name: a}}\nspec:\n  ports:\n{ports}"
    node = parse(text, "a.yaml")[0].value
    assert isinstance(node, MappingNode)
    assert len(validate([ManifestNode("a.yaml", node)] * 3).errors) == 1000


def rebuilt(value: Plain) -> Value:
    """Return plain values as a document holds them."""
    if isinstance(value, dict):
        mapping = MappingNode(1)
        for key, one in value.items():
            mapping[key] = rebuilt(one)
            mapping.lines.append(1)
        return mapping
    if isinstance(value, list):
        sequence = SequenceNode(1)
        for one in value:
            sequence.append(rebuilt(one))
            sequence.lines.append(1)
        return sequence
    return value


def plain(value: Value) -> Plain:
    """Return a document's values without their lines."""
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, list) else value


def places(value: Plain, way: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Return the ways to all values below."""
    below: list[tuple[str | int, ...]] = []
    if isinstance(value, dict):
        below = [place for key, one in value.items() for place in places(one, (*way, key))]
    elif isinstance(value, list):
        below = [place for index, one in enumerate(value) for place in places(one, (*way, index))]
    return [way, *below] if way else below


def replaced(value: Plain, way: tuple[str | int, ...], by: Plain) -> Plain:
    """Return a value in which another stands at the end of a way."""
    if not way:
        return by
    if isinstance(value, dict):
        return {key: replaced(one, way[1:], by) if key == way[0] else one for key, one in value.items()}
    assert isinstance(value, list)
    return [replaced(one, way[1:], by) if index == way[0] else one for index, one in enumerate(value)]


OBJECTS = [plain(manifest.node) for manifest in manifests(DUMP)]
WORDS = st.sampled_from(
    [
        "",
        "01",
        "None",
        "Local",
        "10.0.0.0/8",
        "::ffff:1.2.3.4",
        "0",
        "a/b/c",
        "%",
        "name",
        "port",
        "ports",
        "spec",
    ]
)


def trees(*, odd: bool = True) -> st.SearchStrategy[Plain]:
    """Anything that JSON can say, with words that mean something; nulls and fractions only if `odd`."""
    text = st.one_of(WORDS, st.text(st.characters(exclude_categories=["Cs"]), max_size=8))
    strange = st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False)) if odd else st.nothing()
    scalars = st.one_of(strange, st.booleans(), st.integers(), text)
    return st.recursive(
        scalars,
        lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(text, inner, max_size=3)),
        max_leaves=8,
    )


@given(data=st.data(), tree=trees(), mode=st.sampled_from(Mode), minor=st.integers(27, 37))
def test_whatever_stands_anywhere_is_at_most_a_fault(
    data: st.DataObject, tree: Plain, mode: Mode, minor: int
) -> None:
    """No tree in place of a value raises anything, and every fault has a line and a place."""
    base = data.draw(st.sampled_from(OBJECTS))
    changed = rebuilt(replaced(base, data.draw(st.sampled_from(places(base))), tree))
    assert isinstance(changed, MappingNode)
    findings = validate([ManifestNode("a", changed), ManifestNode("a", changed)], mode, f"1.{minor}")
    for fault in (*findings.errors, *findings.warnings):
        assert fault.line == 1
        assert fault.path.startswith("$.")
        assert fault.message


@given(kind=st.sampled_from(sorted(CHECKS)), tree=trees())
def test_an_object_may_hold_anything(kind: str, tree: Plain) -> None:
    """Every kind's rules bear every tree as `spec`, `metadata` and the rest."""
    parts = dict.fromkeys(("metadata", "spec", "status", "data", "subsets", "endpoints", "ports"), tree)
    node = rebuilt({"apiVersion": homes(kind)[0], "kind": kind, **parts})
    assert isinstance(node, MappingNode)
    assert validate([ManifestNode("a", node)]).errors != ()


@given(data=st.data(), tree=trees())
def test_the_walk_finds_something_where_the_validator_does(data: st.DataObject, tree: Plain) -> None:
    """The two read the schemas alike: what is refused is told of, and nothing else is."""
    base = data.draw(st.sampled_from([one for one in OBJECTS if isinstance(one, dict)][:9]))
    changed = rebuilt(replaced(base, data.draw(st.sampled_from(places(base))), tree))
    assert isinstance(changed, MappingNode)
    definition = definition_of(str(base["apiVersion"]), str(base["kind"]))
    assert definition is not None
    report = Report(ManifestNode("a", changed))
    walk(report, definition, Mode.STRICT)
    found = bool(report.errors or report.missing)
    valid = validator(definition).is_valid(changed)
    assert found != valid or "status" in changed  # where what is required is not asked for


@given(data=st.data(), tree=trees(odd=False))
def test_what_is_taken_can_be_read(data: st.DataObject, tree: Plain) -> None:
    """The codec makes an object of every manifest that has no errors."""
    base = data.draw(st.sampled_from(OBJECTS))
    changed = rebuilt(replaced(base, data.draw(st.sampled_from(places(base))), tree))
    assert isinstance(changed, MappingNode)
    if not validate([ManifestNode("a", changed)], Mode.IGNORE).errors:
        codec.read(changed)
