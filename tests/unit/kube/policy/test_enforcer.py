# SPDX-License-Identifier: GPL-2.0-only
"""Who enforces policies."""

from __future__ import annotations

import pytest

from emu.kube.policy.enforcer import AGENT, KINDNET, Enforcer, absence, enforcer_of


@pytest.mark.parametrize(
    ("provider", "policy", "expected"),
    [
        ("kindnet", "provider", KINDNET),
        ("kindnet", "none", None),
        ("kindnet", "iptables", AGENT),
        ("flannel", "provider", None),
        ("flannel", "iptables", AGENT),
        ("kubenet", "provider", None),
        ("none", "provider", None),
    ],
)
def test_the_provider_enforces_unless_the_cluster_says_otherwise(
    provider: str, policy: str, expected: Enforcer | None
) -> None:
    """Of the providers kindnet alone does; any has the agent beside it if that is asked for."""
    assert enforcer_of(provider, policy) is expected


def test_it_is_said_why_nobody_does() -> None:
    """In words that name the setting or the provider."""
    assert absence("kindnet", "none") == "network.policy is none"
    assert absence("flannel") == "flannel enforces none"
    assert absence("none") == "there is no network provider"
