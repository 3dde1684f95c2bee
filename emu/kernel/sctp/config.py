# SPDX-License-Identifier: GPL-2.0-only
"""The parameters of SCTP, as Linux has them when nothing is configured.

Source: net/sctp/protocol.c `sctp_defaults_init` (sysctls `net.sctp.*`), RFC 9260 §16.
"""

from __future__ import annotations

from typing import Final

from emu.sim.time import MILLISECOND, SECOND

RTO_INITIAL: Final = 3 * SECOND
RTO_MIN: Final = 1 * SECOND
RTO_MAX: Final = 60 * SECOND
MAX_INIT_RETRANSMISSIONS: Final = 8
MAX_RETRANSMISSIONS: Final = 10
"""`association_max_retrans`: so often in a row nothing is acknowledged, then the peer counts as gone."""
COOKIE_LIFE: Final = 60 * SECOND
SACK_DELAY: Final = 200 * MILLISECOND
SACK_FREQUENCY: Final = 2  # packets with DATA to a SACK

OUTBOUND_STREAMS: Final = 10
INBOUND_STREAMS: Final = 65535
RECEIVE_WINDOW: Final = 106_496  # octets: half of net.core.rmem_default
SEND_BUFFER: Final = 212_992  # octets: net.core.wmem_default
WINDOW_UPDATE: Final = RECEIVE_WINDOW // 8
"""So many octets have to become free until the peer is told without being asked (`rwnd_update_shift`)."""

HEADERS: Final = 32  # octets: IPv4 without options, and SCTP's
SMALLEST_MTU: Final = 512  # SCTP_DEFAULT_MINSEGMENT


def initial_window(mtu: int) -> int:
    """Return the octets that may be under way without acknowledgement. Source: RFC 9260 §7.2.1."""
    return min(4 * mtu, max(2 * mtu, 4380))
