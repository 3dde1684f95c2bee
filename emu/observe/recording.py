# SPDX-License-Identifier: GPL-2.0-only
"""What happened, step by step, told to whoever listens.

The kernel reports each thing it does with a packet. A `Recording` numbers these
steps and links each to the one before it for the same copy of the packet: a
flood makes several steps with one parent. Captures and traces listen.
"""

from __future__ import annotations

import enum
from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar, Final, NamedTuple, Protocol

from emu.kernel.facts import DecidedAt
from emu.kernel.netfilter.conntrack.entry import CtInfo
from emu.kernel.recorder import Direction as Side
from emu.wire.ethernet import HEADER_LENGTH
from emu.wire.frame import Frame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from emu.kernel.drops import DropReason
    from emu.kernel.effects import Drop
    from emu.kernel.facts import Fact
    from emu.kernel.link.device import Device
    from emu.kernel.namespace import Namespace
    from emu.kernel.netfilter.nftables.ruleset import Rule as NftRule
    from emu.kernel.netfilter.ruleset import Rule
    from emu.kernel.netfilter.verdict import Verdict
    from emu.kernel.recorder import Recorder
    from emu.kernel.skb import Skb
    from emu.sim.time import Instant


class Kind(enum.Enum):
    """What a step is."""

    IN = "in"
    OUT = "out"
    NOTE = "note"
    DROP = "drop"


_IN, _OUT, _NOTE, _ = Kind  # looked up for every step
_INWARD: Final = Side.IN
_SECRETS: Final = 100_000  # connections whose secrets are kept


class Step(NamedTuple):
    """One thing that happened to one copy of a packet.

    Attributes:
        number: counted from 1.
        parent: the step before it, 0 for the first.
        time: virtual time.
        kind: passed a tap inwards or outwards, a decision, or the end.
        net: name of the namespace.
        device: name of the device, empty where there is none.
        packet_id: which packet.
        octets: the frame at a tap, the packet elsewhere.
        stage: where in the stack; at a tap empty.
        detail: what was decided, in words.
        reason: why it ended, None for other steps.
        framed: `octets` begins with the Ethernet header.
        chain: table and chain that the packet is in, None outside of any.
        rule: the text of the rule that holds for it, empty for none.
        conntrack: what the packet is to its connection, empty while that is not known.
        fact: what was decided, as a value; None where there are words alone.
    """

    number: int
    parent: int
    time: Instant
    kind: Kind
    net: str
    device: str
    packet_id: int
    octets: bytes
    stage: str = ""
    detail: str = ""
    reason: DropReason | None = None
    framed: bool = True
    chain: tuple[str, str] | None = None
    rule: str = ""
    conntrack: str = ""
    fact: Fact | None = None


class Listener(Protocol):
    """Who wants to know."""

    def hear(self, step: Step) -> None:
        """Take note of `step`."""


class Recording:
    """The recorder of a fabric: numbers the steps and tells the listeners."""

    is_still: ClassVar[bool] = True

    def __init__(self) -> None:
        self._listeners: list[Listener] = []
        self._count = 0
        self._record: Callable[[Recorder | None], None] | None = None
        self.key_log: dict[bytes, bytes] = {}  # of TLS connections, the newest ones, by the client's random

    def add(self, listener: Listener) -> None:
        """Tell `listener` from now on."""
        self._listeners.append(listener)
        if self._record is not None:
            self._record(self)

    def remove(self, listener: Listener) -> None:
        """Tell `listener` no more."""
        self._listeners.remove(listener)
        if self._record is not None and not self._listeners:
            self._record(None)

    @contextmanager
    def resting(self, record: Callable[[Recorder | None], None]) -> Iterator[None]:
        """Be told nothing inside the block as long as nobody listens; `record` sets who is told."""
        self._record = record
        if not self._listeners:
            record(None)
        try:
            yield
        finally:
            self._record = None
            record(self)

    def seen(self, net: Namespace, device: Device, direction: Side, frame: Frame) -> None:
        """`frame` passes the tap of `device`."""
        kind = _IN if direction is _INWARD else _OUT
        number = self._count = self._count + 1
        step = Step(number, frame.trail, net.now, kind, net.name, device.name, frame.packet_id, frame.octets)
        if not device.has_link_header:
            step = step._replace(octets=frame.octets[HEADER_LENGTH:], framed=False)
        self._tell(frame, step)

    def note(self, net: Namespace, packet: Frame | Skb, stage: str, detail: str | Fact) -> None:
        """`packet` is at `stage`, where `detail` was decided."""
        if isinstance(packet, Frame):
            number = self._count = self._count + 1
            parent, packet_id = packet.trail, packet.packet_id
            words, octets = str(detail), packet.octets
            step = Step(number, parent, net.now, _NOTE, net.name, "", packet_id, octets, stage, words)
            self._tell(packet, step if isinstance(detail, str) else step._replace(fact=detail))
        else:
            self._note(net, packet, stage, str(detail), None if isinstance(detail, str) else detail)

    def _note(
        self,
        net: Namespace,
        packet: Skb,
        stage: str,
        detail: str,
        fact: Fact | None = None,
        *,
        chain: tuple[str, str] | None = None,
        rule: str = "",
    ) -> None:
        number = self._count = self._count + 1
        step = Step(
            number,
            packet.trail,
            net.now,
            _NOTE,
            net.name,
            packet.iif,
            packet.packet_id,
            packet.packet,
            stage,
            detail,
            framed=False,
            chain=chain,
            rule=rule,
            conntrack=_conntrack(packet),
            fact=fact,
        )
        self._tell(packet, step)

    def ruled(
        self, net: Namespace, packet: Skb, place: tuple[str, str], number: int, rule: Rule | NftRule
    ) -> None:
        """`rule` holds for `packet`."""
        from emu.observe.rule_text import text_of  # noqa: PLC0415 - few runs have rules

        text = text_of(place, rule)
        fact = DecidedAt(net.name, *place, number)
        self._note(net, packet, "/".join(place), f"rule {number}: {text}", fact, chain=place, rule=text)

    def ended(self, net: Namespace, packet: Skb, place: tuple[str, str], policy: Verdict) -> None:
        """`packet` came to the end of a built-in chain, whose policy is `policy`."""
        self._note(net, packet, "/".join(place), f"policy {policy.value}", chain=place)

    def dropped(self, net: Namespace, packet: Frame | Skb, drop: Drop) -> None:
        """`packet` ended here."""
        number = self._count = self._count + 1
        step = Step(
            number,
            packet.trail,
            net.now,
            Kind.DROP,
            net.name,
            drop.iface,
            packet.packet_id,
            drop.octets,
            detail=drop.detail,
            reason=drop.reason,
            framed=isinstance(packet, Frame),
            fact=drop.fact,
        )
        self._tell(packet, step)

    def disclosed(self, random: bytes, key_log: bytes) -> None:
        """Keep the secrets of a TLS connection; those of the oldest ones go."""
        self.key_log[random] = self.key_log.get(random, b"") + key_log
        if len(self.key_log) > _SECRETS:
            del self.key_log[next(iter(self.key_log))]

    def _tell(self, packet: Frame | Skb, step: Step) -> None:
        packet.trail = step.number
        for listener in self._listeners:
            listener.hear(step)


def _conntrack(skb: Skb) -> str:
    """Return what rules know of the packet's state; empty where nobody has looked."""
    if skb.connection is not None:
        return skb.ctinfo.name.removesuffix("_REPLY")
    return skb.ctinfo.name if skb.ctinfo in {CtInfo.UNTRACKED, CtInfo.INVALID} else ""
