# SPDX-License-Identifier: GPL-2.0-only
"""Names, labels and selectors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from emu.kube.api.validation import names

if TYPE_CHECKING:
    from tests.unit.kube.api.validation.conftest import Check

LABEL = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start "
    "and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
SUBDOMAIN = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must "
    "start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
LABEL_1035 = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic "
    "character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for "
    "validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"
)
KEY = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
    "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)


@pytest.mark.parametrize(
    ("rule", "text", "complaints"),
    [
        (names.label, "web-1", ()),
        (names.label, "Web", (LABEL,)),
        (names.label, "web\n", (LABEL,)),
        (names.label, "a.b", ("must not contain dots",)),
        (names.label, "a" * 64, ("must be no more than 63 characters",)),
        (names.subdomain, "a.b-c.d", ()),
        (names.subdomain, "a..b", (SUBDOMAIN,)),
        (names.subdomain, "a" * 254, ("must be no more than 253 characters",)),
        (names.label_1035, "web", ()),
        (names.label_1035, "1web", (LABEL_1035,)),
        (names.port_name, "http-alt", ()),
        (names.port_name, "a" * 16, ("must be no more than 15 characters",)),
        (names.port_name, "80", ("must contain at least one letter (a-z)",)),
        (names.port_name, "a--b", ("must not contain consecutive hyphens",)),
        (names.port_name, "-a", ("must not begin or end with a hyphen",)),
        (names.port_name, "a_b", ("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)",)),
        (names.qualified_name, "example.com/My_Name", ()),
        (names.qualified_name, "a b", (KEY,)),
        (names.qualified_name, "/a", ("prefix part must be non-empty",)),
        (names.qualified_name, "A/a", (f"prefix part {SUBDOMAIN}",)),
        (names.qualified_name, "a/", ("name part must be non-empty", KEY)),
        (names.label_value, "", ()),
        (names.label_value, "1.0_b", ()),
        (names.wildcard, "*.example.com", ()),
        (names.config_key, "nginx.conf", ()),
        (names.config_key, "..", ("must not start with '..'",)),
    ],
)
def test_each_kind_of_name_has_its_rule(rule: names.Rule, text: str, complaints: tuple[str, ...]) -> None:
    """What is wrong with a name is said in the API's words."""
    assert rule(text) == complaints


def test_two_slashes_are_no_key() -> None:
    """The text then tells of the prefix too."""
    (complaint,) = names.qualified_name("a/b/c")
    assert complaint.startswith("a qualified name must consist of alphanumeric characters")
    assert complaint.endswith("with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')")


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ("  {}", ["3 $.metadata.name Required value: name or generateName is required"]),
        ("  generateName: web-", []),
        ("  generateName: Web-", [f'4 $.metadata.generateName Invalid value: "Web-": {SUBDOMAIN}']),
        ("  name: Web", [f'4 $.metadata.name Invalid value: "Web": {SUBDOMAIN}']),
        ("  name: a\n  namespace: A", [f'5 $.metadata.namespace Invalid value: "A": {LABEL}']),
        (
            "  name: a\n  labels:\n    ok: fine\n    not ok: b",
            [f'7 $.metadata.labels Invalid value: "not ok": {KEY}'],
        ),
        (
            "  name: a\n  annotations: {a b: c}",
            [f'5 $.metadata.annotations Invalid value: "a b": {KEY}'],
        ),
        ("  name: a\n  annotations: {EXAMPLE.com/A: anything at all}", []),
    ],
)
def test_metadata_has_rules_of_its_own(errors: Check, metadata: str, expected: list[str]) -> None:
    """They are the same for every kind but for the form of the name."""
    text = f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n{metadata}\n"
    assert errors(text) == expected


def test_too_many_annotations_are_refused(errors: Check) -> None:
    """All of them together may hold 256 KiB."""
    text = f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  annotations: {{b: {'x' * 262144}}}"
    assert errors(text) == ["5 $.metadata.annotations Too long: may not be more than 262144 bytes"]


def test_namespaces_are_labels(errors: Check) -> None:
    """A namespace's name stands in domain names."""
    text = "apiVersion: v1\nkind: Namespace\nmetadata: {name: a.b}"
    assert errors(text) == ['3 $.metadata.name Invalid value: "a.b": must not contain dots']


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (
            "{key: a, operator: In}",
            "values Required value: must be specified when `operator` is 'In' or 'NotIn'",
        ),
        (
            "{key: a, operator: Exists, values: [b]}",
            "values Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
        ),
        ("{key: a, operator: in}", 'operator Invalid value: "in": not a valid selector operator'),
        ("{key: a}", "operator Required value"),
        ("{key: a b, operator: Exists}", f'key Invalid value: "a b": {KEY}'),
    ],
)
def test_selectors_have_conditions_that_make_sense(errors: Check, expression: str, expected: str) -> None:
    """Each operator takes values or none."""
    text = (
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: a}\nspec:\n"
        f"  podSelector:\n    matchExpressions:\n    - {expression}"
    )
    assert errors(text) == [f"7 $.spec.podSelector.matchExpressions[0].{expected}"]
