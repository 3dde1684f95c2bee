# SPDX-License-Identifier: GPL-2.0-only
"""A case in emu."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from emu.cluster.network.build import build
from emu.cluster.network.rules import load
from emu.kernel import raw, sockets
from emu.kernel.netfilter.conntrack.entry import Status
from emu.kernel.netfilter.ruleset import BUILTIN
from emu.kernel.netfilter.xtables import ChainCounts
from emu.sim.time import MILLISECOND, SECOND, later
from emu.tools.ipset.listing import render_save
from emu.tools.iptables.restore import parse
from emu.tools.nft import listing
from emu.wire.addresses import ANY_IP4, IpAddress
from tests.kernel.verdicts.case import RUN
from tests.kernel.verdicts.outcome import Connection, Count, Outcome, state_lines
from tests.kernel.verdicts.script import Answer, Complaint, Local, Pause, Seen, Send, frame_of
from tests.kernel.verdicts.topology import ECHO_PORT, ENDS, MACS, ROUTER, document

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.fabric.driver import Fabric
    from emu.kernel.effects import Drop
    from emu.kernel.facts import Fact
    from emu.kernel.link.device import Device
    from emu.kernel.namespace import Namespace
    from emu.kernel.netfilter.conntrack.entry import Connection as Entry
    from emu.kernel.netfilter.conntrack.tuples import Tuple
    from emu.kernel.netfilter.verdict import Verdict
    from emu.kernel.recorder import Direction
    from emu.kernel.skb import Skb
    from emu.wire.frame import Frame
    from tests.kernel.verdicts.case import Case
    from tests.kernel.verdicts.script import Step

_DOCUMENT: Final = document()
_PRIMER: Final = b"\xff" * 6
_PRIMER_TYPE: Final = b"\x88\xb6"
_ECHO: Final = b"echo"


class _Watch:
    """Takes down what comes out at the ends, and what the router thought."""

    def __init__(self) -> None:
        self.seen_frames: list[Seen] = []
        self.story: list[str] = []

    def seen(self, net: Namespace, device: Device, direction: Direction, frame: Frame) -> None:
        if net.name == ENDS and direction.value == "in" and frame.octets[12:14] != _PRIMER_TYPE:
            self.seen_frames.append(Seen(device.name, frame.octets))

    def note(self, net: Namespace, packet: Frame | Skb, stage: str, detail: str | Fact) -> None:
        del packet
        if net.name == ROUTER:
            self.story.append(f"{stage}: {detail}")

    def ruled(self, net: Namespace, packet: Skb, place: tuple[str, str], number: int, rule: object) -> None:
        del net, packet, rule
        self.story.append(f"{'/'.join(place)} rule {number}")

    def ended(self, net: Namespace, packet: Skb, place: tuple[str, str], policy: Verdict) -> None:
        del net, packet
        self.story.append(f"{'/'.join(place)} policy {policy.name}")

    def dropped(self, net: Namespace, packet: Frame | Skb, drop: Drop) -> None:
        del packet
        if net.name == ROUTER:
            self.story.append(f"dropped: {drop.reason.name} {drop.detail}")


class EmuRouter:
    """The network of `topology` in emu, anew for each case."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._fabric: Fabric = build(_DOCUMENT)
        self._ends = self._fabric.namespace(ENDS)
        self._router = self._fabric.namespace(ROUTER)
        for net in self._fabric.namespaces.values():
            net.has_sctp = False  # the kernel that is compared with may have no module for it
        self._watch = _Watch()
        self._fabric.record(self._watch)
        for name, value in case.sysctls.items():
            self._router.sysctl.set(name, value)
        self._load()
        self._echo = self._fabric.call(self._router, partial(sockets.create, kind=sockets.SocketKind.UDP))
        sockets.bind(self._router, self._echo, ANY_IP4, ECHO_PORT)
        for end in ("low", "high"):
            self._fabric.send_frame(self._ends, end, _PRIMER + bytes(MACS[end]) + _PRIMER_TYPE)
        self._pass()
        self.stories: list[list[str]] = []

    def _load(self) -> None:
        netfilter = self._router.netfilter
        netfilter.is_legacy = self._case.backend == "legacy"
        for name in BUILTIN if self._case.backend == "legacy" else ():
            netfilter.table(name)
        for kind, text in (("ipset", self._case.ipsets), ("nft", self._case.rules if self._case.nft else "")):
            if text:
                self._fabric.call(self._router, partial(load, kind=kind, text=text))
        if self._case.nft:
            return
        for name, snapshot in parse(self._case.rules.replace(RUN, "")).items():
            counts = {
                chain.name: ChainCounts(snapshot.of(chain.name).rules) for chain in snapshot.table.chains
            }
            assert name == snapshot.table.name
            netfilter.replace(snapshot.table, counts)

    def play(self) -> Outcome:
        """Take the steps of the case."""
        steps: list[tuple[Seen, ...]] = []
        events: list[tuple[str, ...]] = []
        for step in self._case.steps:
            self._watch.story = []
            happened = self._take(step, steps)
            self._pass()
            happened += self._answer()
            steps.append(tuple(sorted(self._watch.seen_frames, key=lambda seen: seen.end)))
            events.append(tuple(happened))
            self._watch.seen_frames = []
            self.stories.append(self._watch.story)
        return Outcome(
            tuple(steps),
            tuple(events),
            dict(self._counts()),
            tuple(self._connections()),
            state_lines(self._texts()),
        )

    def _texts(self) -> Iterator[str]:
        netfilter, now = self._router.netfilter, self._fabric.loop.now
        if self._case.nft:
            yield listing.render(netfilter.nft.snapshot(now))
        if self._case.ipsets:
            yield render_save(netfilter.ipsets, now)

    def _pass(self) -> None:
        loop = self._fabric.loop
        loop.run_until(later(loop.now, MILLISECOND))

    def _take(self, step: Step, steps: list[tuple[Seen, ...]]) -> list[str]:
        if isinstance(step, Answer | Complaint):
            made = frame_of(step, steps[step.to])
            if made is None:
                return ["nothing to answer"]
            step = made
        if isinstance(step, Send):
            self._fabric.send_frame(self._ends, step.end, step.octets)
        elif isinstance(step, Pause):
            loop = self._fabric.loop
            loop.run_until(later(loop.now, round(step.seconds * SECOND)))
        elif isinstance(step, Local):
            try:
                self._fabric.call(
                    self._router, partial(raw.send_packet, packet=step.packet, socket=self._echo.number)
                )
            except OSError as error:
                return [f"errno {error.errno}"]
        return []

    def _answer(self) -> list[str]:
        """Answer what came to the router's own program."""
        found = []
        while True:
            try:
                datagram = sockets.receive_from(self._router, self._echo)
            except BlockingIOError:
                break
            except OSError as error:
                found.append(f"errno {error.errno}")
                continue
            found.append(f"{datagram.data.hex()} from {datagram.address}")
            send = partial(
                sockets.send_to,
                socket=self._echo,
                data=_ECHO + datagram.data,
                address=IpAddress(datagram.address),
                port=datagram.port,
            )
            try:
                self._fabric.call(self._router, send)
            except OSError as error:
                found.append(f"errno {error.errno}")
            self._pass()
        return found

    def _counts(self) -> Iterator[tuple[tuple[str, str, int], Count]]:
        for name, table in self._router.netfilter.tables.items():
            for chain in table.table.chains:
                counts = table.counts(chain.name)
                if chain.policy is not None:
                    yield (name, chain.name, 0), Count(*counts.policy)
                for number, count in enumerate(counts.rules, start=1):
                    yield (name, chain.name, number), Count(*count)

    def _connections(self) -> Iterator[Connection]:
        now = self._router.now
        for entry in self._router.netfilter.conntrack.entries(now):
            yield Connection(
                entry.protocol,
                getattr(entry.tracker, "name", "") if entry.protocol in (6, 132) else "",
                _words(entry.original),
                _words(entry.reply),
                _flags(entry),
                entry.mark,
                entry.zones,
                (entry.expires - now) // SECOND,
            )


def _words(tuple_: Tuple) -> tuple[str, ...]:
    addresses = str(IpAddress(tuple_.src)), str(IpAddress(tuple_.dst))
    if tuple_.protocol == 1:
        return (*addresses, str(tuple_.dport >> 8), str(tuple_.dport & 255), str(tuple_.sport))
    if tuple_.protocol in (6, 17, 132, 136):
        return (*addresses, str(tuple_.sport), str(tuple_.dport))
    return addresses


def _flags(entry: Entry) -> tuple[str, ...]:
    found = [] if entry.status & Status.SEEN_REPLY else ["UNREPLIED"]
    return tuple(sorted([*found, *(["ASSURED"] if entry.status & Status.ASSURED else [])]))
