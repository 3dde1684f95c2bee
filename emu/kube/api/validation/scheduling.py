# SPDX-License-Identifier: GPL-2.0-only
"""The rules of what a pod asks of its node: selectors, affinity, tolerations, spreading; and of taints.

Source: `ValidateTolerations`, `validateAffinity`, `validateTopologySpreadConstraints`,
`validateNodeTaints` of pkg/apis/core/validation/validation.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kube.api.validation import names
from emu.kube.api.validation.metadata import check_labels, check_selector, check_values

if TYPE_CHECKING:
    from emu.kube.api.validation.field import Field

_EFFECTS: Final = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_REQUIRED: Final = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED: Final = "preferredDuringSchedulingIgnoredDuringExecution"


def check_scheduling(spec: Field) -> None:
    """Check where a pod wants to run."""
    check_labels(spec.at("nodeSelector"))
    for toleration in spec.items("tolerations"):
        _check_toleration(toleration)
    for constraint in spec.items("topologySpreadConstraints"):
        _check_spread(constraint)
    affinity = spec.at("affinity")
    if affinity.is_given:
        _check_node_affinity(affinity.at("nodeAffinity"))
        for key in ("podAffinity", "podAntiAffinity"):
            _check_pod_affinity(affinity.at(key))


def _check_toleration(toleration: Field) -> None:
    key, operator = toleration.text("key"), toleration.text("operator")
    effect = toleration.at("effect")
    if key:
        toleration.at("key").each_invalid(names.qualified_name(key))
    elif operator != "Exists":
        toleration.at("operator").invalid(
            'operator must be Exists when `key` is empty, which means "match all values and all keys"',
            value=operator,
        )
    if toleration.has("tolerationSeconds") and effect.value != "NoExecute":
        text = "effect must be 'NoExecute' when `tolerationSeconds` is set"
        effect.invalid(text, value=toleration.text("effect"))
    if operator == "Exists" and toleration.text("value"):
        toleration.at("operator").invalid(
            "value must be empty when `operator` is 'Exists'", value=toleration.text("value")
        )
    toleration.at("operator").one_of("Equal", "Exists", "", "Lt", "Gt")
    if effect.value:
        effect.one_of(*_EFFECTS)


def _check_spread(constraint: Field) -> None:
    skew = constraint.at("maxSkew")
    if type(skew.value) is int and skew.value <= 0:
        skew.invalid("must be greater than zero")
    if key := constraint.text("topologyKey"):
        constraint.at("topologyKey").each_invalid(names.qualified_name(key))
    constraint.at("whenUnsatisfiable").one_of("DoNotSchedule", "ScheduleAnyway")
    check_selector(constraint.at("labelSelector"))


def _check_node_affinity(affinity: Field) -> None:
    required = affinity.at(_REQUIRED)
    if required.is_given:
        terms = required.at("nodeSelectorTerms")
        if not terms.value:
            terms.required("must have at least one node selector term")
        for term in terms.elements():
            _check_node_term(term)
    for preferred in affinity.items(_PREFERRED):
        _check_weight(preferred.at("weight"))
        _check_node_term(preferred.at("preference"))


def _check_node_term(term: Field) -> None:
    for requirement in term.items("matchExpressions"):
        values = requirement.at("values")
        operator = requirement.text("operator")
        if operator in {"Gt", "Lt"}:
            if len(values.elements()) != 1:
                values.required("must be specified single value when `operator` is 'Lt' or 'Gt'")
        elif operator and not check_values(operator, values):
            requirement.at("operator").invalid("not a valid selector operator")
        if key := requirement.text("key"):
            requirement.at("key").each_invalid(names.qualified_name(key))


def _check_pod_affinity(affinity: Field) -> None:
    for term in affinity.items(_REQUIRED):
        _check_pod_term(term)
    for preferred in affinity.items(_PREFERRED):
        _check_weight(preferred.at("weight"))
        _check_pod_term(preferred.at("podAffinityTerm"))


def _check_pod_term(term: Field) -> None:
    check_selector(term.at("labelSelector"))
    check_selector(term.at("namespaceSelector"))
    key = term.at("topologyKey")
    if key.value == "":
        key.required("can not be empty")
    elif isinstance(key.value, str):
        key.each_invalid(names.qualified_name(key.value))


def _check_weight(weight: Field) -> None:
    if type(weight.value) is int and not 1 <= weight.value <= 100:
        weight.invalid("must be in the range 1-100")


def check_taints(taints: Field) -> None:
    """Check the taints of a node."""
    seen: set[tuple[str, str]] = set()
    for taint in taints.elements():
        key, effect = taint.text("key"), taint.text("effect")
        if key:
            taint.at("key").each_invalid(names.qualified_name(key))
        if value := taint.text("value"):
            taint.at("value").each_invalid(names.label_value(value))
        taint.at("effect").one_of(*_EFFECTS)
        if key and (key, effect) in seen:
            taint.duplicate()
        seen.add((key, effect))
