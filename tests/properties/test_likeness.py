# SPDX-License-Identifier: GPL-2.0-only
"""Pods that are said to be alike fare alike, whatever policies there are and whatever is odd."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given, settings

from tests.properties.alike import check_classes, crowds
from tests.properties.held import holding

if TYPE_CHECKING:
    from tests.properties.alike import Crowd

FEW = settings(max_examples=max(settings().max_examples // 8, 5))


@FEW
@given(crowds())
def test_questions_of_one_class_have_one_answer(crowd: Crowd) -> None:
    """Every question between all pods is asked; those of one key and one class of ports end alike."""
    with holding() as found:
        check_classes(found, crowd)
