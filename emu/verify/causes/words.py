# SPDX-License-Identifier: GPL-2.0-only
"""Words that several causes have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.wire.ipv4 import ICMP, SCTP, TCP, UDP

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.verify.fivetuple import FiveTuple

PROTOCOLS: Final = {TCP: "TCP", UDP: "UDP", SCTP: "SCTP", ICMP: "ICMP"}
_MOST_LISTED: Final = 4


def listed(names: Sequence[str]) -> str:
    """Return names as a sentence has them; of many the first ones and how many more there are."""
    if len(names) > _MOST_LISTED:
        return f"{', '.join(names[: _MOST_LISTED - 1])} and {len(names) - _MOST_LISTED + 1} more"
    return " and ".join((*((", ".join(names[:-1]),) if len(names) > 1 else ()), *names[-1:]))


def port_words(there: FiveTuple) -> str:
    """Return protocol and destination port, as in `TCP 80`."""
    name = PROTOCOLS.get(there.protocol, f"protocol {there.protocol}")
    return f"{name} {there.dport}" if there.has_ports else name
