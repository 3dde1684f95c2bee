# SPDX-License-Identifier: GPL-2.0-only
"""The properties of NetworkPolicies fail on faults that implementers make: each is planted and found."""

from __future__ import annotations

import pytest

from tests.properties.planted_policies import FAULTS, discover, findings_on


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found(name: str) -> None:
    """Packets experience something else than policies mean; without the fault they do not."""
    situation = discover(FAULTS[name])
    assert findings_on(FAULTS[name], situation).faults
    assert findings_on(FAULTS[name], situation, planted=False).faults == [], (
        "it is wrong without the fault, too"
    )
