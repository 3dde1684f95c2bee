# SPDX-License-Identifier: GPL-2.0-only
"""One case: rules, packets, and what is known about both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import attrs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.kernel.verdicts.script import Step

RUN: Final = "@RUN@"
Backend: TypeAlias = Literal["legacy", "nft"]


@attrs.frozen
class Case:
    """Something to be tried in the kernel and in emu.

    Attributes:
        name: how it is drawn again.
        rules: what iptables-restore reads; text of nft for an nft case. For `RUN` a number
            is put, another one each time: the kernel keeps what rules remember under a name
            while other rules have it.
        steps: what is done.
        backend: which of iptables' variants restores the rules in the kernel.
        ipsets: what `ipset restore` reads first.
        nft: whether `rules` are nft's.
        sysctls: settings of the router.
        identifications: those of the packets of `steps`.
        ports: all ports and ICMP identifiers in the rules and packets.
    """

    name: str
    rules: str
    steps: tuple[Step, ...]
    backend: Backend = "legacy"
    ipsets: str = ""
    nft: bool = False
    sysctls: Mapping[str, int] = attrs.field(factory=dict)
    identifications: frozenset[int] = frozenset()
    ports: frozenset[int] = frozenset()
