# SPDX-License-Identifier: GPL-2.0-only
"""The names that iptables knows by itself."""

from __future__ import annotations

from emu.tools.iptables import extensions
from emu.tools.iptables.names import UNMODELLED_MATCHES, UNMODELLED_TARGETS


def test_no_extension_is_among_the_matches_that_are_not_modelled() -> None:
    """A match is either modelled or not."""
    assert UNMODELLED_MATCHES.isdisjoint(extensions.MATCHES)


def test_no_extension_is_among_the_targets_that_are_not_modelled() -> None:
    """A target is either modelled or not."""
    assert UNMODELLED_TARGETS.isdisjoint(extensions.TARGETS)
