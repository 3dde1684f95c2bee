# SPDX-License-Identifier: GPL-2.0-only
"""How long to wait for an acknowledgement (RFC 9260 §6.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from emu.kernel.sctp.config import RTO_INITIAL, RTO_MAX, RTO_MIN

if TYPE_CHECKING:
    from emu.sim.time import Duration


@attrs.define
class Rto:
    """The retransmission timeout of a path.

    Attributes:
        value: the timeout, ns.
    """

    value: Duration = RTO_INITIAL
    _srtt: Duration | None = None
    _variance: Duration = 0

    def measured(self, rtt: Duration) -> None:
        """Take one round trip into account. Source: RFC 9260 §6.3.1 (C2), (C3)."""
        if self._srtt is None:
            self._srtt, self._variance = rtt, rtt // 2
        else:
            self._variance += (abs(self._srtt - rtt) - self._variance) // 4
            self._srtt += (rtt - self._srtt) // 8
        self.value = min(max(self._srtt + 4 * self._variance, RTO_MIN), RTO_MAX)

    def back_off(self) -> None:
        """Wait twice as long, since the timer has expired."""
        self.value = min(2 * self.value, RTO_MAX)
