# SPDX-License-Identifier: GPL-2.0-only
"""Notes in each property's report on how many generated clusters its invariants held."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.properties.held import HELD

if TYPE_CHECKING:
    from collections.abc import Generator


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    """Have the report of a test say what it adds to the tally, whichever worker runs it."""
    clusters, checked = HELD.clusters, HELD.checked.copy()
    try:
        yield
    finally:
        if HELD.clusters > clusters:
            item.user_properties.append(("held", (HELD.clusters - clusters, dict(HELD.checked - checked))))
