# SPDX-License-Identifier: GPL-2.0-only
"""Names, labels, annotations and selectors.

Source: staging/src/k8s.io/apimachinery/pkg/api/validation/objectmeta.go and
pkg/apis/meta/v1/validation/validation.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.errors import EmuError
from emu.kube.api.codec import read_as
from emu.kube.api.objects.meta import LabelSelector
from emu.kube.api.selectors import selects
from emu.kube.api.validation import names

if TYPE_CHECKING:
    from emu.kube.api.validation.field import Field
    from emu.kube.api.validation.names import Rule

_MAX_ANNOTATIONS: Final = 256 * 1024  # octets of all keys and values


def check_metadata(metadata: Field, name_rule: Rule, *, namespaced: bool = True) -> None:
    """Check what all objects have; `name_rule` says what this kind may be called."""
    name, prefix = metadata.text("name"), metadata.text("generateName")
    if prefix:
        masked = f"{prefix[:-1]}a" if prefix.endswith("-") else prefix
        metadata.at("generateName").each_invalid(name_rule(masked))
    if name:
        metadata.at("name").each_invalid(name_rule(name))
    elif not prefix:
        metadata.at("name").required("name or generateName is required")
    if namespaced and (namespace := metadata.text("namespace")):
        metadata.at("namespace").each_invalid(names.label(namespace))
    check_labels(metadata.at("labels"))
    check_annotations(metadata.at("annotations"))


def check_labels(labels: Field) -> None:
    """Check the keys and values of labels; each fault stands on the line of its label."""
    for key, field in labels.entries():
        for complaint in names.qualified_name(key):
            labels.invalid(complaint, value=key, line=field.line)
        if isinstance(field.value, str):
            for complaint in names.label_value(field.value):
                labels.invalid(complaint, value=field.value, line=field.line)


def check_annotations(annotations: Field) -> None:
    """Check the keys of annotations, and how much they hold."""
    size = 0
    for key, field in annotations.entries():
        for complaint in names.qualified_name(key.lower()):
            annotations.invalid(complaint, value=key, line=field.line)
        size += len(key) + (len(field.value) if isinstance(field.value, str) else 0)
    if size > _MAX_ANNOTATIONS:
        annotations.error(f"Too long: may not be more than {_MAX_ANNOTATIONS} bytes")


def check_values(operator: str, values: Field) -> bool:
    """Check how many values an operator of all selectors has; return whether it is one."""
    match operator:
        case "In" | "NotIn":
            if not values.value:
                values.required("must be specified when `operator` is 'In' or 'NotIn'")
        case "Exists" | "DoesNotExist":
            if values.value:
                values.forbidden("may not be specified when `operator` is 'Exists' or 'DoesNotExist'")
        case _:
            return False
    return True


def check_selector(selector: Field) -> None:
    """Check a label selector."""
    if not selector.value:
        return
    check_labels(selector.at("matchLabels"))
    for expression in selector.items("matchExpressions"):
        values = expression.at("values")
        if not check_values(expression.text("operator"), values) and expression.has("operator"):
            expression.at("operator").invalid("not a valid selector operator")
        if expression.has("key"):
            expression.at("key").each_invalid(names.qualified_name(expression.text("key")))
        for value in values.elements():
            if isinstance(value.value, str):
                value.each_invalid(names.label_value(value.value))


def selected(selector: Field, labels: Field) -> bool:
    """Return whether labels meet a selector; of what cannot be read it is not known that they do not."""
    wanted = selector.value
    if not isinstance(wanted, dict):
        return True
    given = {key: field.value for key, field in labels.entries() if isinstance(field.value, str)}
    try:
        return selects(read_as(LabelSelector, wanted), given)
    except EmuError:
        return True
