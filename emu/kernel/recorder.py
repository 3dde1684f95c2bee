# SPDX-License-Identifier: GPL-2.0-only
"""Who looks on while a packet walks: taps and traces. The kernel only ever calls this."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from emu.kernel.effects import Drop
    from emu.kernel.facts import Fact
    from emu.kernel.link.device import Device
    from emu.kernel.namespace import Namespace
    from emu.kernel.netfilter.nftables.ruleset import Rule as NftRule
    from emu.kernel.netfilter.ruleset import Rule
    from emu.kernel.netfilter.verdict import Verdict
    from emu.kernel.skb import Skb
    from emu.wire.frame import Frame


class Direction(enum.Enum):
    """Which way a frame passes a tap, seen from the namespace."""

    IN = "in"
    OUT = "out"


class Tap(Protocol):
    """Sees what passes devices and what ends, and nothing between: cheaper than a `Recorder`."""

    def seen(self, net: Namespace, device: Device, direction: Direction, frame: Frame) -> None:
        """`frame` passes the tap of `device`."""

    def sent(self, net: Namespace, packet: Skb) -> None:
        """`packet` is made by this host, and begins its way."""

    def arrived(self, net: Namespace, packet: Skb) -> None:
        """`packet` is handed to its protocol, for it is this host's."""

    def dropped(self, net: Namespace, packet: Frame | Skb, drop: Drop) -> None:
        """`packet` ended here."""


class Recorder(Protocol):
    """Takes down what happens, in order. It may set `trail` of what it is given, nothing else."""

    def seen(self, net: Namespace, device: Device, direction: Direction, frame: Frame) -> None:
        """`frame` passes the tap of `device`.

        Inbound before anything has looked at it, outbound last of all: where
        packet sockets of Linux listen (`ptype_all`).
        """

    def note(self, net: Namespace, packet: Frame | Skb, stage: str, detail: str | Fact) -> None:
        """`packet` is at `stage` (like `route input`), where `detail` was decided."""

    def ruled(
        self, net: Namespace, packet: Skb, place: tuple[str, str], number: int, rule: Rule | NftRule
    ) -> None:
        """`rule` holds for `packet`: it is number `number`, from 1, of `place`, a table and its chain.

        A table of nftables has its family before its name (`ip filter`).
        """

    def ended(self, net: Namespace, packet: Skb, place: tuple[str, str], policy: Verdict) -> None:
        """`packet` came to the end of `place`, a table and its built-in chain, whose policy decides."""

    def dropped(self, net: Namespace, packet: Frame | Skb, drop: Drop) -> None:
        """`packet` ended here."""
