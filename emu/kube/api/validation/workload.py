# SPDX-License-Identifier: GPL-2.0-only
"""The rules of what makes pods: Deployments, ReplicaSets, StatefulSets, DaemonSets, controllers, jobs.

Source: pkg/apis/apps/validation/validation.go, pkg/apis/batch/validation/validation.go;
`ValidateReplicationController` of pkg/apis/core/validation/validation.go.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from emu.kube.api.validation import names
from emu.kube.api.validation.metadata import check_metadata, check_selector, selected
from emu.kube.api.validation.pod import check_template

if TYPE_CHECKING:
    from emu.kube.api.validation.field import Field

_MISMATCH: Final = "`selector` does not match template `labels`"
_PERCENT: Final = (
    "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', "
    "regex used for validation is '[0-9]+%')"
)
_MAX_CRON_NAME: Final = 52  # eleven characters less than a job's: its pods' names are longer
_ROLLING: Final = "rollingUpdate"


def check_deployment(deployment: Field) -> None:
    """Check a Deployment."""
    spec = _check_set(deployment, "deployment")
    strategy = spec.at("strategy")
    kind = strategy.at("type")
    if kind.value:
        kind.one_of("Recreate", "RollingUpdate")
    if kind.value == "Recreate":
        if strategy.has(_ROLLING):
            strategy.at(_ROLLING).forbidden("may not be specified when strategy `type` is 'Recreate'")
    elif kind.value in (None, "", "RollingUpdate"):
        _check_rolling(strategy.at(_ROLLING), when_surge_is="`maxSurge` is 0")
    for key in ("revisionHistoryLimit", "progressDeadlineSeconds"):
        spec.at_least(key)


def check_replica_set(replica_set: Field) -> None:
    """Check a ReplicaSet."""
    _check_set(replica_set, "deployment")  # the API server says so here too


def check_daemon_set(daemon_set: Field) -> None:
    """Check a DaemonSet."""
    spec = _check_set(daemon_set, "daemonset")
    strategy = spec.at("updateStrategy")
    if strategy.text("type"):
        strategy.at("type").one_of("OnDelete", "RollingUpdate")
    if strategy.text("type") in {"", "RollingUpdate"}:
        _check_rolling(strategy.at(_ROLLING), surge_if_absent=0)


def check_stateful_set(stateful_set: Field) -> None:
    """Check a StatefulSet."""
    spec = _check_set(stateful_set, "statefulset")
    policy = spec.at("podManagementPolicy")
    if policy.value and policy.value not in ("OrderedReady", "Parallel"):
        policy.invalid("must be 'OrderedReady' or 'Parallel'")
    strategy = spec.at("updateStrategy")
    match strategy.text("type"):
        case "" | "RollingUpdate":
            strategy.at(_ROLLING).at_least("partition")
        case "OnDelete":
            if strategy.has(_ROLLING):
                strategy.at(_ROLLING).invalid("only allowed for updateStrategy 'RollingUpdate'")
        case _:
            strategy.invalid("must be 'RollingUpdate' or 'OnDelete'")
    if name := spec.text("serviceName"):
        spec.at("serviceName").each_invalid(names.label(name) if spec.version >= (1, 36) else ())


def check_replication_controller(controller: Field) -> None:
    """Check a ReplicationController, whose selector is by default what its template is labelled with."""
    check_metadata(controller.at("metadata"), names.subdomain)
    spec = controller.at("spec")
    template, selector = spec.at("template"), spec.at("selector")
    labels = template.at("metadata", "labels")
    if not template.is_given:
        template.required()
    if not selector.value and not labels.value:
        selector.required()
    if any(labels.at(key).value != field.value for key, field in selector.entries()):
        labels.invalid(_MISMATCH)
    _check_counts(spec)
    if template.is_given:
        _check_always(template)


def _check_set(workload: Field, word: str) -> Field:
    """Check what the kinds of `apps` have in common; return the `spec`."""
    check_metadata(workload.at("metadata"), names.subdomain)
    spec = workload.at("spec")
    selector, template = spec.at("selector"), spec.at("template")
    if selector.value is None:
        selector.required()
    else:
        check_selector(selector)
        if not selector.at("matchLabels").value and not selector.at("matchExpressions").value:
            selector.invalid(f"empty selector is invalid for {word}")
        elif not selected(selector, template.at("metadata", "labels")):
            labels = template.at("metadata", "labels")
            labels.invalid(_MISMATCH)
    _check_counts(spec)
    if template.is_given:
        _check_always(template)
    return spec


def _check_counts(spec: Field) -> None:
    for key in ("replicas", "minReadySeconds"):
        spec.at_least(key)


def _check_always(template: Field) -> None:
    """Check a template whose pods run for ever."""
    check_template(template)
    policy = template.at("spec", "restartPolicy")
    if policy.value in ("OnFailure", "Never"):
        policy.one_of("Always")
    if template.at("spec").has("activeDeadlineSeconds"):
        template.at("spec", "activeDeadlineSeconds").forbidden("must not be specified")


def _check_rolling(
    rolling: Field, *, surge_if_absent: int = 1, when_surge_is: str = "`maxSurge` is 0"
) -> None:
    surge, missing = rolling.at("maxSurge"), rolling.at("maxUnavailable")
    for field in (surge, missing):
        _check_share(field)
    surging = surge.value if surge.is_given else surge_if_absent
    if missing.value in (0, "0%") and surging in (0, "0%"):
        missing.invalid(f"may not be 0 when {when_surge_is}")
    percent = missing.value if isinstance(missing.value, str) else ""
    if re.fullmatch("[0-9]{3,9}%", percent) and int(percent[:-1]) > 100:
        missing.invalid("must not be greater than 100%")


def _check_share(field: Field) -> None:
    value = field.value
    if isinstance(value, str) and not re.fullmatch("[0-9]+%", value):
        field.invalid(_PERCENT)
    elif type(value) is int and value < 0:
        field.invalid("must be greater than or equal to 0")


def check_job(job: Field) -> None:
    """Check a Job."""
    check_metadata(job.at("metadata"), names.subdomain)
    _check_job_spec(job.at("spec"))


def check_cron_job(cron_job: Field) -> None:
    """Check a CronJob."""
    metadata = cron_job.at("metadata")
    check_metadata(metadata, names.subdomain)
    if len(metadata.text("name")) > _MAX_CRON_NAME:
        metadata.at("name").invalid(f"must be no more than {_MAX_CRON_NAME} characters")
    spec = cron_job.at("spec")
    schedule = spec.at("schedule")
    if not schedule.value:
        schedule.required()
    elif isinstance(schedule.value, str):
        _check_schedule(schedule, schedule.value)
    spec.at("concurrencyPolicy").one_of("Allow", "Forbid", "Replace")
    for key in ("startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit"):
        spec.at_least(key)
    if spec.has("jobTemplate"):
        _check_job_spec(spec.at("jobTemplate", "spec"))


def _check_schedule(schedule: Field, text: str) -> None:
    if "TZ" in text:
        schedule.invalid("cannot use TZ or CRON_TZ in schedule, use timeZone field instead")
    elif not text.startswith("@") and len(fields := text.split()) != 5:
        schedule.invalid(f"expected exactly 5 fields, found {len(fields)}: [{' '.join(fields)}]")


def _check_job_spec(spec: Field) -> None:
    for key in (
        "parallelism",
        "completions",
        "activeDeadlineSeconds",
        "backoffLimit",
        "ttlSecondsAfterFinished",
    ):
        spec.at_least(key)
    spec.at("completionMode").one_of("Indexed", "NonIndexed")
    if spec.text("completionMode") == "Indexed" and not spec.has("completions"):
        spec.at("completions").required("when completion mode is Indexed")
    check_selector(spec.at("selector"))
    template = spec.at("template")
    if not template.is_given:
        template.required()
        return
    check_template(template)
    policy = template.at("spec", "restartPolicy")
    if policy.value in (None, "", "Always"):
        policy.required('valid values: "OnFailure", "Never"')
