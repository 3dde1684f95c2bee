# SPDX-License-Identifier: GPL-2.0-only
"""A table with what its rules have counted: what one `iptables-save -c` shows of it."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import attrs

from emu.kernel.netfilter.ruleset import Table, empty
from emu.kernel.netfilter.xtables import Count

if TYPE_CHECKING:
    from collections.abc import Mapping

NOTHING: Final = Count()


@attrs.frozen
class Counted:
    """What a chain has counted.

    Attributes:
        rules: packets and octets of each rule.
        policy: what its policy has decided; nothing for a user's chain.
    """

    rules: tuple[Count, ...] = ()
    policy: Count = NOTHING


@attrs.frozen
class Snapshot:
    """A table, and its counters by chain; a chain that is missing there has counted nothing."""

    table: Table
    counted: Mapping[str, Counted] = attrs.field(factory=lambda: MappingProxyType({}))

    def of(self, chain: str) -> Counted:
        """Return the counters of `chain`, one for each rule."""
        found = self.counted.get(chain)
        return found or Counted((NOTHING,) * len(self.table.by_name[chain].rules))


def blank(name: str) -> Snapshot:
    """Return table `name` as it is before anybody entered a rule.

    Raises:
        KeyError: there is no such table.
    """
    return Snapshot(empty(name))
