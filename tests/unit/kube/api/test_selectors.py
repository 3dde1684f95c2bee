# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import pytest

from emu.kube.api.objects.meta import LabelSelector, Requirement
from emu.kube.api.selectors import all_hold, contains, holds, selects

LABELS = {"app": "web", "tier": "", "cpus": "8"}


@pytest.mark.parametrize(
    ("key", "operator", "values", "expected"),
    [
        ("app", "In", ("api", "web"), True),
        ("app", "In", ("api",), False),
        ("none", "In", ("web",), False),
        ("app", "NotIn", ("api",), True),
        ("app", "NotIn", ("web",), False),
        ("none", "NotIn", ("web",), True),  # a label that is not there is in no list
        ("tier", "Exists", (), True),  # the empty value is one
        ("none", "Exists", (), False),
        ("none", "DoesNotExist", (), True),
        ("tier", "DoesNotExist", (), False),
        ("cpus", "Gt", ("7",), True),
        ("cpus", "Gt", ("8",), False),
        ("cpus", "Lt", ("9",), True),
        ("app", "Gt", ("1",), False),  # what is no number compares with nothing
        ("none", "Lt", ("1",), False),
        ("cpus", "Gt", (), False),
        ("app", "Like", ("web",), False),  # no such operator
    ],
)
def test_a_condition_holds_as_the_api_defines_it(
    key: str, operator: str, values: tuple[str, ...], *, expected: bool
) -> None:
    """Each operator, with the label there and not there."""
    assert holds(Requirement(key, operator, values), LABELS) is expected


def test_no_selector_selects_nothing_and_an_empty_one_everything() -> None:
    """As everywhere in the API."""
    assert not selects(None, LABELS)
    assert selects(LabelSelector(), LABELS)
    assert selects(LabelSelector(), {})


def test_all_conditions_have_to_hold() -> None:
    """Those of `matchLabels` and those of `matchExpressions` together."""
    wanted = LabelSelector({"app": "web"}, (Requirement("tier", "Exists"),))
    assert selects(wanted, LABELS)
    assert not selects(wanted, {"app": "web"})
    assert not selects(wanted, {"tier": ""})


def test_a_pair_without_a_value_is_not_a_missing_one() -> None:
    """`tier: ""` selects the label with the empty value alone."""
    assert contains(LABELS, {"tier": ""})
    assert not contains({"app": "web"}, {"tier": ""})


def test_no_conditions_hold_for_everything() -> None:
    """Nothing is asked."""
    assert all_hold((), {})
