# SPDX-License-Identifier: GPL-2.0-only
"""What Deployments and the other makers of pods are refused for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.unit.kube.api.validation.conftest import Check

CONTAINERS = "containers: [{name: a, image: b}]"
TEMPLATE = f"  template: {{metadata: {{labels: {{app: a}}}}, spec: {{{CONTAINERS}}}}}\n"
SELECTOR = "  selector: {matchLabels: {app: a}}\n"
MISMATCH = "`selector` does not match template `labels`"
APPS = ("DaemonSet", "Deployment", "ReplicaSet", "StatefulSet")


def head(kind: str) -> str:
    """Return the first four lines of a manifest."""
    version = "batch/v1" if "Job" in kind else "v1" if kind.endswith("Controller") else "apps/v1"
    return f"apiVersion: {version}\nkind: {kind}\nmetadata: {{name: web}}\nspec:\n"


@pytest.mark.parametrize("kind", APPS)
def test_the_selector_has_to_be_there(errors: Check, kind: str) -> None:
    """Nothing is selected by default."""
    assert errors(head(kind) + TEMPLATE) == ["4 $.spec.selector Required value"]


@pytest.mark.parametrize(
    ("kind", "word"), list(zip(APPS, ("daemonset", "deployment", "deployment", "statefulset"), strict=True))
)
def test_the_selector_must_not_be_empty(errors: Check, kind: str, word: str) -> None:
    """It would own every pod."""
    assert errors(f"{head(kind)}{TEMPLATE}  selector: {{}}") == [
        f"6 $.spec.selector Invalid value: {{}}: empty selector is invalid for {word}"
    ]


@pytest.mark.parametrize("kind", APPS)
def test_the_selector_has_to_meet_the_template(errors: Check, kind: str) -> None:
    """Else it would make pods for ever."""
    text = (
        f"{head(kind)}  selector: {{matchLabels: {{app: b}}}}\n  template:\n    metadata:\n"
        f"      labels: {{app: a}}\n    spec: {{{CONTAINERS}}}"
    )
    assert errors(text) == [f'8 $.spec.template.metadata.labels Invalid value: {{"app":"a"}}: {MISMATCH}']


@pytest.mark.parametrize("kind", APPS)
def test_pods_of_a_set_are_always_restarted(errors: Check, kind: str) -> None:
    """Other policies are for jobs."""
    template = TEMPLATE.replace("spec: {", "spec: {restartPolicy: Never, ")
    assert errors(head(kind) + SELECTOR + template) == [
        '6 $.spec.template.spec.restartPolicy Unsupported value: "Never": supported values: "Always"'
    ]


@pytest.mark.parametrize("kind", APPS)
def test_a_template_has_the_rules_of_pods(errors: Check, kind: str) -> None:
    """What would be refused later is refused now."""
    template = TEMPLATE.replace("image: b", "image: b, ports: [{containerPort: 0}]")
    assert errors(head(kind) + SELECTOR + template) == [
        "6 $.spec.template.spec.containers[0].ports[0].containerPort Required value"
    ]


@pytest.mark.parametrize(
    ("kind", "spec", "expected"),
    [
        ("Deployment", "  replicas: -1", ["replicas Invalid value: -1: must be greater than or equal to 0"]),
        (
            "Deployment",
            "  strategy: {type: Recreate, rollingUpdate: {maxSurge: 1}}",
            ["strategy.rollingUpdate Forbidden: may not be specified when strategy `type` is 'Recreate'"],
        ),
        (
            "Deployment",
            "  strategy: {type: rolling}",
            [('strategy.type Unsupported value: "rolling": supported values: "Recreate", "RollingUpdate"')],
        ),
        (
            "Deployment",
            "  strategy: {rollingUpdate: {maxSurge: 0, maxUnavailable: 0}}",
            [("strategy.rollingUpdate.maxUnavailable Invalid value: 0: may not be 0 when `maxSurge` is 0")],
        ),
        (
            "Deployment",
            "  strategy: {rollingUpdate: {maxSurge: half, maxUnavailable: 120%}}",
            [
                (
                    'strategy.rollingUpdate.maxSurge Invalid value: "half": a valid percent string must be a '
                    "numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for "
                    "validation is '[0-9]+%')"
                ),
                'strategy.rollingUpdate.maxUnavailable Invalid value: "120%": must not be greater than 100%',
            ],
        ),
        (
            "StatefulSet",
            "  podManagementPolicy: Any",
            ["podManagementPolicy Invalid value: \"Any\": must be 'OrderedReady' or 'Parallel'"],
        ),
        (
            "StatefulSet",
            "  updateStrategy: {type: Recreate}",
            ["updateStrategy Invalid value: {\"type\":\"Recreate\"}: must be 'RollingUpdate' or 'OnDelete'"],
        ),
        (
            "DaemonSet",
            "  updateStrategy: {type: Recreate}",
            [
                (
                    'updateStrategy.type Unsupported value: "Recreate": '
                    'supported values: "OnDelete", "RollingUpdate"'
                )
            ],
        ),
    ],
)
def test_each_kind_has_rules_of_its_own(errors: Check, kind: str, spec: str, expected: list[str]) -> None:
    """They are about how many pods there are, and how they are replaced."""
    assert errors(head(kind) + SELECTOR + TEMPLATE + spec) == [f"7 $.spec.{one}" for one in expected]


def test_a_controllers_selector_may_be_left_out(errors: Check) -> None:
    """It is then what the template is labelled with."""
    assert errors(head("ReplicationController") + TEMPLATE) == []
    assert errors(head("ReplicationController") + TEMPLATE + "  selector: {app: b}") == [
        f'5 $.spec.template.metadata.labels Invalid value: {{"app":"a"}}: {MISMATCH}'
    ]
    assert errors(head("ReplicationController") + "  replicas: 1") == [
        "4 $.spec.selector Required value",
        "4 $.spec.template Required value",
    ]


def test_a_jobs_pods_end(errors: Check) -> None:
    """The policy has no default that a job could have."""
    assert errors(head("Job") + TEMPLATE) == [
        '5 $.spec.template.spec.restartPolicy Required value: valid values: "OnFailure", "Never"'
    ]
    never = TEMPLATE.replace("spec: {", "spec: {restartPolicy: Never, ")
    assert errors(head("Job") + never) == []
    assert errors(head("Job") + never + "  completionMode: Indexed\n  parallelism: -2") == [
        "4 $.spec.completions Required value: when completion mode is Indexed",
        "7 $.spec.parallelism Invalid value: -2: must be greater than or equal to 0",
    ]


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("'*/5 * * * *'", []),
        ("'@hourly'", []),
        ("''", ["5 $.spec.schedule Required value"]),
        (
            "hourly",
            ['5 $.spec.schedule Invalid value: "hourly": expected exactly 5 fields, found 1: [hourly]'],
        ),
        (
            "TZ=UTC 1 * * * *",
            [
                (
                    '5 $.spec.schedule Invalid value: "TZ=UTC 1 * * * *": '
                    "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
                )
            ],
        ),
    ],
)
def test_a_schedule_has_five_fields(errors: Check, schedule: str, expected: list[str]) -> None:
    """Or one of the words that stand for five."""
    job = TEMPLATE.replace("spec: {", "spec: {restartPolicy: Never, ").strip().partition(": ")[2]
    text = f"{head('CronJob')}  schedule: {schedule}\n  jobTemplate: {{spec: {{template: {job}}}}}"
    assert errors(text) == expected


def test_a_cron_job_has_a_shorter_name(errors: Check) -> None:
    """Eleven characters are needed for the names of its jobs."""
    job = TEMPLATE.replace("spec: {", "spec: {restartPolicy: Never, ").strip().partition(": ")[2]
    text = f"{head('CronJob')}  schedule: '@daily'\n  jobTemplate: {{spec: {{template: {job}}}}}"
    name = "a" * 53
    assert errors(text.replace("web", name)) == [
        f'3 $.metadata.name Invalid value: "{name}": must be no more than 52 characters'
    ]
