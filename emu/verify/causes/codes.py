# SPDX-License-Identifier: GPL-2.0-only
"""Reason codes: the words for why a question failed, stable for people and machines.

Most are the kernel's own drop reasons, which users of `pwru` know. Where the
kernel has one word for several mistakes that people make, or none at all because
nothing was dropped, the code is ours. Each has a page (`emu explain CODE`, `emu/reasons`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kernel.drops import DropReason

if TYPE_CHECKING:
    from collections.abc import Mapping

IP_FORWARD_OFF: Final = "IP_FORWARD_OFF"
TTL_EXPIRED: Final = "TTL_EXPIRED"
NO_ANSWER: Final = "NO_ANSWER"
FRAME_STORM: Final = "FRAME_STORM"
SEND_REFUSED: Final = "SEND_REFUSED"
FORWARD_POLICY_DROP: Final = "FORWARD_POLICY_DROP"
REPLY_NOT_UNNATED: Final = "REPLY_NOT_UNNATED"
CT_TABLE_FULL: Final = "CT_TABLE_FULL"
CT_INSERT_FAILED: Final = "CT_INSERT_FAILED"
DNS_NXDOMAIN: Final = "DNS_NXDOMAIN"
DNS_TIMEOUT: Final = "DNS_TIMEOUT"

OURS: Final[Mapping[str, str]] = {
    IP_FORWARD_OFF: "the destination is not ours and this host does not forward",
    TTL_EXPIRED: "the TTL is spent",
    NO_ANSWER: "it arrived, and nothing was sent back",
    FRAME_STORM: "frames go round in circles",
    SEND_REFUSED: "the system call that was to send it failed",
    FORWARD_POLICY_DROP: "no rule accepts it, and the policy of FORWARD is DROP",
    REPLY_NOT_UNNATED: "the answer comes from where the request was translated to",
    CT_TABLE_FULL: "the table of connections is full",
    CT_INSERT_FAILED: "another connection has the same addresses and ports",
    DNS_NXDOMAIN: "there is no such name",
    DNS_TIMEOUT: "no name server says whose address is wanted",
}
"""The codes that no kernel has, and what they say."""

CODES: Final[Mapping[str, str]] = {**{reason.name: reason.value for reason in DropReason}, **OURS}
"""Every code, and what it says in a few words."""
