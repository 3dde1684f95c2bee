# SPDX-License-Identifier: GPL-2.0-only
"""What the tracker of a protocol answers. Source: include/net/netfilter/nf_conntrack_l4proto.h."""

from __future__ import annotations

import enum


class Tracked(enum.Enum):
    """What the tracker of a protocol makes of a packet of a connection."""

    ACCEPT = "belongs to it"
    UNCOUNTED = "may belong to it: it is let pass, and neither counted nor learned from"
    LAST = "belongs to it and ends it: it is counted, and the entry deleted"
    INVALID = "does not fit: the packet goes on without a connection"
    DROP = "has to be dropped"
    REPEAT = "begins a new connection with the same tuple: the entry was deleted, look again"
