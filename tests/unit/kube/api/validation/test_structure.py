# SPDX-License-Identifier: GPL-2.0-only
"""What the published schemas refuse, in the words of an API server's decoder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from emu.kube.api.validation import Mode

if TYPE_CHECKING:
    from tests.unit.kube.api.validation.conftest import Check

SERVICE = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec:\n  ports: [{port: 80}]\n"
POD = "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec:\n  containers: [{name: a, image: b}]\n"
UNMARSHAL = "json: cannot unmarshal"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            f"{SERVICE}  selectr: {{app: a}}",
            ["6 $.spec.selectr unknown field \"spec.selectr\"; did you mean 'selector'?"],
        ),
        (
            "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec:\n  portz: [{port: 80}]\n",
            ["5 $.spec.portz unknown field \"spec.portz\"; did you mean 'ports'?"],
        ),
        (
            "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec:\n  ports:\n  - port: 80\n    zzz: 1",
            ['7 $.spec.ports[0].zzz unknown field "spec.ports[0].zzz"'],
        ),
        (
            "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec:\n  ports:\n  - port: '80'",
            [
                (
                    f"6 $.spec.ports[0].port {UNMARSHAL} string into Go struct field "
                    "ServicePort.spec.ports.port of type int32"
                )
            ],
        ),
        (
            f"{SERVICE}  selector:\n    version: 1.5",
            [
                (
                    f"7 $.spec.selector.version {UNMARSHAL} number into Go struct field "
                    "ServiceSpec.spec.selector of type string; quote it"
                )
            ],
        ),
        (
            f"{SERVICE}  healthCheckNodePort: 99999999999",
            [
                (
                    f"6 $.spec.healthCheckNodePort {UNMARSHAL} number 99999999999 into Go struct field "
                    "ServiceSpec.spec.healthCheckNodePort of type int32"
                )
            ],
        ),
        (
            f"{SERVICE}  publishNotReadyAddresses: 'true'",
            [
                (
                    f"6 $.spec.publishNotReadyAddresses {UNMARSHAL} string into Go struct field "
                    "ServiceSpec.spec.publishNotReadyAddresses of type bool"
                )
            ],
        ),
        (
            f"{SERVICE}  externalIPs: 10.0.0.1",
            [
                (
                    f"6 $.spec.externalIPs {UNMARSHAL} string into Go struct field "
                    "ServiceSpec.spec.externalIPs of type []string"
                )
            ],
        ),
        (
            f"{SERVICE}  selector: [app]",
            [
                (
                    f"6 $.spec.selector {UNMARSHAL} array into Go struct field "
                    "ServiceSpec.spec.selector of type map[string]string"
                )
            ],
        ),
        (
            "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: 3",
            [f"4 $.spec {UNMARSHAL} number into Go struct field Service.spec of type v1.ServiceSpec"],
        ),
        (
            f"{POD}  - {{}}".replace("  - {}", "  nodeSelector: {a: yes}"),
            [
                (
                    f"6 $.spec.nodeSelector.a {UNMARSHAL} bool into Go struct field "
                    "PodSpec.spec.nodeSelector of type string; quote it"
                )
            ],
        ),
        (
            f"{POD}  volumes: [{{emptyDir: {{}}}}]",
            ["6 $.spec.volumes[0].name Required value"],
        ),
        (
            f"{POD}  overhead:\n    cpu: much",
            [
                (
                    "7 $.spec.overhead.cpu quantities must match the regular expression "
                    "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
                )
            ],
        ),
        (
            (
                "apiVersion: v1\nkind: Pod\nmetadata:\n  name: web\n  creationTimestamp: 2025-01-01\n"
                "spec: {containers: [{name: a, image: b}]}"
            ),
            ['5 $.metadata.creationTimestamp parsing time "2025-01-01" as "2006-01-02T15:04:05Z07:00"'],
        ),
    ],
)
def test_the_place_is_told_in_the_words_of_the_decoder(errors: Check, text: str, expected: list[str]) -> None:
    """Unknown fields, wrong types and missing fields are what an API server calls them."""
    assert errors(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("metadata: {name: a}\nkind: Pod", ["1 $.apiVersion Object 'apiVersion' is missing"]),
        ("apiVersion: v1\nkind: [Pod]", ["2 $.kind Object 'Kind' is missing"]),
        (
            "apiVersion: v1\nkind: Deployment",
            ['1 $.apiVersion no matches for kind "Deployment" in version "v1"; it is in apps/v1'],
        ),
        (
            "apiVersion: extensions/v1beta1\nkind: Ingress",
            [
                (
                    '1 $.apiVersion no matches for kind "Ingress" in version "extensions/v1beta1"; '
                    "it is in networking.k8s.io/v1"
                )
            ],
        ),
        (
            "apiVersion: apps/v1\nkind: Deploymnt",
            ['2 $.kind no matches for kind "Deploymnt" in version "apps/v1"; did you mean \'Deployment\'?'],
        ),
        ("apiVersion: serving.knative.dev/v1\nkind: Service\nspec: {anything: goes}", []),
        ("apiVersion: v1\nkind: PersistentVolume\nspec: 3", []),
        ("apiVersion: networking.k8s.io/v1beta1\nkind: ServiceCIDR", []),
        ("apiVersion: batch/v1beta1\nkind: Nothing", []),
    ],
)
def test_kinds_are_those_that_an_api_server_serves(errors: Check, text: str, expected: list[str]) -> None:
    """Of its own groups it knows every kind; other groups may hold anything."""
    assert errors(text) == expected


def test_unknown_fields_are_what_the_mode_says(errors: Check, warnings: Check) -> None:
    """An error, a warning, or nothing."""
    text = f"{SERVICE}  selectr: {{app: a}}"
    message = "6 $.spec.selectr unknown field \"spec.selectr\"; did you mean 'selector'?"
    assert errors(text, mode=Mode.STRICT) == [message]
    assert warnings(text, mode=Mode.WARN) == [message]
    assert warnings(text, mode=Mode.IGNORE) == []


def test_other_faults_are_errors_in_every_mode(errors: Check) -> None:
    """An API server refuses a port of 70000 whatever kubectl asked it to overlook."""
    text = SERVICE.replace("80", "70000")
    assert errors(text, mode=Mode.IGNORE) == errors(text)
    assert errors(text) != []


def test_a_misspelt_field_is_not_also_missing(errors: Check) -> None:
    """Whoever wrote `conatiners` hears of that alone."""
    text = "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec:\n  conatiners: [{name: a}]"
    (error,) = errors(text)
    assert "did you mean 'containers'?" in error
    assert errors(text, mode=Mode.IGNORE) == ["4 $.spec.containers Required value"]


def test_a_number_of_thousands_of_digits_is_told_without_them(errors: Check) -> None:
    """Such a number cannot be written, but it can be refused."""
    (error,) = errors(SERVICE.replace("80", f"0x{'f' * 9000}"))
    assert error.startswith("5 $.spec.ports[0].port Invalid value: a number too big to show: must be")


def test_an_object_in_a_list_has_the_lists_path(errors: Check) -> None:
    """Null stands for what is not given, and for a whole element of a list too."""
    text = "apiVersion: v1\nkind: Pod\nmetadata: {name: web, labels: null}\nspec:\n  containers: [null]"
    assert errors(text) == [
        "5 $.spec.containers[0].image Required value",
        "5 $.spec.containers[0].name Required value",
    ]
