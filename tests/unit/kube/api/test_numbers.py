# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emu.kube.api.numbers import MOST, whole


@given(st.integers(0, MOST))
def test_numbers_are_read(number: int) -> None:
    """With or without zeros in front."""
    assert whole(str(number)) == whole(f"000{number}") == number


@pytest.mark.parametrize(
    "text", ["", "-1", "+1", " 1", "1 ", "1_0", "1.0", "0x1", "\N{SUPERSCRIPT TWO}", "٣"]
)
def test_other_text_is_no_number(text: str) -> None:
    """Nor are digits of other scripts."""
    assert whole(text) is None


@pytest.mark.parametrize("text", [str(MOST + 1), "9" * 5000])
def test_what_is_too_large_is_no_number(text: str) -> None:
    """However many digits there are."""
    assert whole(text) is None
    assert whole("0" * 5000 + "1") == 1
