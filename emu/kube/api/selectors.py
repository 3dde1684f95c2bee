# SPDX-License-Identifier: GPL-2.0-only
"""Whether labels meet a selector.

Source: staging/src/k8s.io/apimachinery/pkg/labels/selector.go `Requirement.Matches`,
pkg/apis/meta/v1/helpers.go `LabelSelectorAsSelector`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from emu.kube.api.objects.meta import Requirement

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from emu.kube.api.objects.field import Labels
    from emu.kube.api.objects.meta import LabelSelector

_KEY: Final = r"[A-Za-z0-9](?:[-A-Za-z0-9_./]*[A-Za-z0-9])?"
_VALUE: Final = r"(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?)?"
_TERM: Final = re.compile(
    rf"\s*(?:!\s*(?P<absent>{_KEY})"
    rf"|(?P<key>{_KEY})\s*(?:(?P<sign>==?|!=|>|<)\s*(?P<value>{_VALUE})"
    rf"|\s(?P<word>in|notin)\s*\((?P<values>[^()]*)\))?)\s*(?:,|\Z)"
)
_SIGNS: Final = {"=": "In", "==": "In", "!=": "NotIn", ">": "Gt", "<": "Lt", "in": "In", "notin": "NotIn"}


def parse(text: str) -> tuple[Requirement, ...]:
    """Return the conditions of a selector as it is typed: `a=b,c!=d,e in (f,g),!h`.

    Raises:
        ValueError: it is no selector.
    """
    found = []
    at = 0
    while at < len(text):
        term = _TERM.match(text, at)
        if term is None:
            raise ValueError(f"unexpected text at {text[at:]!r}")
        at = term.end()
        if term["absent"]:
            found.append(Requirement(term["absent"], "DoesNotExist"))
        elif sign := term["sign"] or term["word"]:
            values = term["values"].split(",") if term["word"] else [term["value"]]
            found.append(Requirement(term["key"], _SIGNS[sign], tuple(value.strip() for value in values)))
        else:
            found.append(Requirement(term["key"], "Exists"))
    return tuple(found)


def selects(selector: LabelSelector | None, labels: Labels) -> bool:
    """Return whether `selector` holds for `labels`: None holds for nothing, an empty one for everything."""
    if selector is None:
        return False
    return contains(labels, selector.match_labels) and all_hold(selector.match_expressions, labels)


def contains(labels: Labels, wanted: Labels) -> bool:
    """Return whether `labels` have all pairs that are `wanted`."""
    return all(labels.get(key) == value for key, value in wanted.items())


def all_hold(requirements: Iterable[Requirement], labels: Mapping[str, str]) -> bool:
    """Return whether each of some conditions holds."""
    return all(holds(requirement, labels) for requirement in requirements)


def holds(requirement: Requirement, labels: Mapping[str, str]) -> bool:
    """Return whether a condition holds for `labels`; an operator that is none never does."""
    value = labels.get(requirement.key)
    match requirement.operator:
        case "In":
            return value is not None and value in requirement.values
        case "NotIn":
            return value is None or value not in requirement.values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case "Gt" | "Lt":
            return _compare(requirement, value)
        case _:
            return False


def _compare(requirement: Requirement, value: str | None) -> bool:
    """Compare as whole numbers; what is none compares with nothing."""
    try:
        number, bound = int(value or ""), int(requirement.values[0])
    except (ValueError, IndexError):
        return False
    return number > bound if requirement.operator == "Gt" else number < bound
