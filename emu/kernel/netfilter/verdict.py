# SPDX-License-Identifier: GPL-2.0-only
"""What becomes of a packet at a hook. Source: include/uapi/linux/netfilter.h."""

from __future__ import annotations

import enum


class Verdict(enum.Enum):
    """The answer of a hook function, or of a rule that decides."""

    ACCEPT = "ACCEPT"
    DROP = "DROP"
    STOLEN = "STOLEN"
    """Somebody took the packet and answers for its end: reassembly, REJECT."""
    UNKNOWN = "UNKNOWN"
    """A rule decides by something that is not modelled."""
