# SPDX-License-Identifier: GPL-2.0-only
"""What is between the nodes and lets no tunnel pass: another port, or no tunnel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.verify.fixes.documents import network_option
from emu.verify.fixes.fix import Proposal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.verify.fixes.case import Case

_STANDARD: Final = 4789  # IANA's; Linux's own is 8472


def take_another_way(case: Case) -> Iterator[Proposal]:
    """Have the tunnel take the port that VXLAN was given, or have flannel write plain routes."""
    if case.cluster is None or case.cluster.topology.cluster.network.provider != "flannel":
        return
    options = case.cluster.topology.cluster.network.options
    if options.get("backend", "vxlan") == "vxlan":
        if options.get("port") != _STANDARD:
            words = f"what is between the nodes lets no VXLAN pass: try {_STANDARD}, the port it was given"
            yield Proposal(words, (network_option(case.cluster, "port", _STANDARD),))
        words = "what is between the nodes lets no VXLAN pass: nodes on one segment need no tunnel"
        yield Proposal(words, (network_option(case.cluster, "backend", "host-gw"),))
