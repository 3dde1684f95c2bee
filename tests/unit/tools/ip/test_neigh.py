# SPDX-License-Identifier: GPL-2.0-only
"""What `ip -s neigh` adds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from emu.kernel.neighbour import Neighbour
from emu.kernel.nud import Nud
from emu.sim.time import SECOND, Instant
from emu.tools.ip.neigh import Selection, render
from emu.tools.ip.options import Options
from emu.wire.addresses import IpAddress, MacAddress

if TYPE_CHECKING:
    from emu.kernel.skb import Skb


@pytest.mark.parametrize(
    ("state", "ages", "probes", "line"),
    [
        (Nud.PERMANENT, (2, 2, 2), 0, "lladdr 02:00:c0:a8:00:50  used 2/2/2probes 0 PERMANENT "),
        (Nud.FAILED, (2, 62, 2), 0, " used 2/62/2probes 0 FAILED "),
        (Nud.PROBE, (2, 62, 2), 3, "lladdr 02:00:c0:a8:00:50  ref 1 used 2/62/2probes 3 PROBE "),
        (Nud.STALE, (35, 35, 2), 1, "lladdr 02:00:c0:a8:00:50  used 35/35/2probes 1 STALE "),
    ],
)
def test_ages_are_those_since_use_confirmation_and_change(
    state: Nud, ages: tuple[int, int, int], probes: int, line: str
) -> None:
    """Lines as recorded of iproute2 6.1.0, blanks and all; a running timer holds a reference."""
    now = 100 * SECOND
    mac = MacAddress.parse("02:00:c0:a8:00:50")
    entry: Neighbour[Skb] = Neighbour("eth0", IpAddress.parse("192.168.0.50"), state, mac, Instant(now))
    used, confirmed, updated = (Instant(now - age * SECOND - 1) for age in ages)
    entry.used, entry.confirmed, entry.updated, entry.probes = used, confirmed, updated, probes
    record = render(entry, Selection(), Options(statistics=True), now)
    assert record.text == f"192.168.0.50 dev eth0 {line}\n"
    assert [record.fields[key] for key in ("used", "confirmed", "updated")] == list(ages)
