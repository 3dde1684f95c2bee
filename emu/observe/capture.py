# SPDX-License-Identifier: GPL-2.0-only
"""A capture: what chosen devices saw, each frame with what was decided about it on the way."""

from __future__ import annotations

import heapq
from operator import attrgetter
from typing import TYPE_CHECKING, BinaryIO, Final

import attrs

from emu import __version__
from emu.observe.comments import ending, remark
from emu.observe.pcap import PcapWriter
from emu.observe.pcapng import PcapngWriter
from emu.observe.record import (
    LINK_TYPE_ETHERNET,
    LINK_TYPE_RAW,
    CapturedFrame,
    CapturePoint,
    Direction,
)
from emu.observe.recording import Kind, Step
from emu.observe.secrets import secrets
from emu.sim.time import EPOCH, Instant
from emu.wire.ethernet import NO_HEADER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from emu.fabric.driver import Fabric
    from emu.observe.comments import Explainer
    from emu.observe.filter import CaptureFilter
    from emu.wire.addresses import IpAddress

# Looked up for every step.
_NOTE: Final = Kind.NOTE
_DROP: Final = Kind.DROP
_IN: Final = Kind.IN
_INWARD: Final = Direction.IN
_OUTWARD: Final = Direction.OUT

_MOST_COMMENTS: Final = 100  # of a frame; a packet that goes round in circles gathers more


class _Trail:
    """What is known of a copy of a packet at a step, since it last passed a capture point.

    Attributes:
        last: index in `frames` of its last appearance, -1 for none.
        hop: how many steps there were up to here.
        remark: what was decided at this step, empty at a capture point.
        before: the step before, with a remark of its own.
    """

    __slots__ = ("before", "hop", "last", "remark")

    def __init__(self, last: int, hop: int = 0, remark: str = "", before: _Trail | None = None) -> None:
        self.last = last
        self.hop = hop
        self.remark = remark
        self.before = before

    def comments(self) -> tuple[str, ...]:
        """Return the remarks up to here, the oldest first."""
        found: list[str] = []
        at: _Trail | None = self
        while at is not None and at.remark and len(found) < _MOST_COMMENTS:
            found.append(at.remark)
            at = at.before
        return tuple(reversed(found))


_NOTHING: Final = _Trail(-1)
_TRAILS: Final = 100_000  # steps that are remembered at least


@attrs.define(eq=False)
class Capture:
    """Frames at capture points, in the order in which they were seen.

    Attributes:
        points: namespace and device of each point.
        condition: only frames that match are kept; None keeps all.
        epoch: ns since the Unix epoch at the start of the run.
        limit: stop after so many frames; None for no limit.
        explainer: who knows whose doing a decision was; None leaves that out.
        key_log: secrets of TLS connections by the random of the client's hello, from whoever keeps them.
        frames: what was seen.
        endings: a repetition of a packet's last frame, with why it ended there.
        last: when the last frame was seen, whether it matched or not.
    """

    points: Sequence[tuple[str, str]]
    condition: CaptureFilter | None = None
    epoch: int = EPOCH
    limit: int | None = None
    explainer: Explainer | None = None
    key_log: Mapping[bytes, bytes] = attrs.field(factory=dict)
    frames: list[CapturedFrame] = attrs.field(factory=list, init=False)
    endings: list[CapturedFrame] = attrs.field(factory=list, init=False)
    last: Instant = attrs.field(default=Instant(0), init=False)
    _index: dict[tuple[str, str], int] = attrs.field(init=False)
    _trails: dict[int, _Trail] = attrs.field(factory=dict, init=False)
    _older_trails: dict[int, _Trail] = attrs.field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        self._index = {point: index for index, point in enumerate(self.points)}

    @property
    def is_full(self) -> bool:
        """Whether `limit` frames are there."""
        return self.limit is not None and len(self.frames) >= self.limit

    def hear(self, step: Step) -> None:
        """Take note of `step`: keep a frame at one of the points, or a remark for the next one."""
        if self.explainer is not None:
            self.explainer.hear(step)
        if step.kind is _NOTE:
            before = self._known(step.parent)
            hop = before.hop + 1
            whose = "" if self.explainer is None else self.explainer.object(step)
            self._remember(step.number, _Trail(before.last, hop, remark(step, hop, whose), before))
        elif step.kind is _DROP:
            self._end(step)
        else:
            self._see(step)

    def _see(self, step: Step) -> None:
        before = self._known(step.parent)
        point = self._index.get((step.net, step.device))
        if point is None:
            self._remember(step.number, before)
            return
        self.last = step.time
        if self.is_full or not self._is_wanted(step):
            self._remember(step.number, before)
            return
        self._remember(step.number, _Trail(len(self.frames), before.hop + 1))
        way = _INWARD if step.kind is _IN else _OUTWARD
        frame = CapturedFrame(
            self.epoch + step.time, point, step.octets, way, step.packet_id, before.comments()
        )
        self.frames.append(frame if step.framed else frame._replace(link_type=LINK_TYPE_RAW))

    def _is_wanted(self, step: Step) -> bool:
        condition = self.condition
        if condition is None:
            return True
        return condition.matches(step.octets) if step.framed else condition.matches_packet(step.octets)

    def _remember(self, number: int, trail: _Trail) -> None:
        """Keep what is known at a step, for the steps after it; the oldest are forgotten."""
        if len(self._trails) >= _TRAILS:
            self._older_trails, self._trails = self._trails, {}
        self._trails[number] = trail

    def _known(self, number: int) -> _Trail:
        return self._trails.get(number) or self._older_trails.get(number, _NOTHING)

    def _end(self, step: Step) -> None:
        before = self._known(step.parent)
        if before.last < 0 or step.reason is None:
            return
        whose = code = ""
        if self.explainer is not None:
            whose, code = self.explainer.object(step), self.explainer.code(step)
        why = ending(step, before.hop + 1, whose, code)
        seen = self.frames[before.last]
        self.endings.append(seen._replace(time_ns=self.epoch + step.time, comments=(*before.comments(), why)))

    def at(self, point: tuple[str, str]) -> list[CapturedFrame]:
        """Return the frames of one point."""
        index = self._index[point]
        return [frame for frame in self.frames if frame.point == index]

    def keep(self, wanted: Callable[[CapturedFrame], bool]) -> None:
        """Forget the frames that are not `wanted`, and how they ended."""
        self.frames = [frame for frame in self.frames if wanted(frame)]
        self.endings = [frame for frame in self.endings if wanted(frame)]

    def in_order(self) -> Iterator[CapturedFrame]:
        """Yield frames and endings as pcapng has them: by their times."""
        return heapq.merge(self.frames, self.endings, key=attrgetter("time_ns"))

    def split(self) -> list[Capture]:
        """Return a capture for each point."""
        parts = [Capture([point], epoch=self.epoch, key_log=self.key_log) for point in self.points]
        for frame in self.frames:
            parts[frame.point].frames.append(frame._replace(point=0))
        for frame in self.endings:
            parts[frame.point].endings.append(frame._replace(point=0))
        return parts

    # --- writing ---

    def write_pcapng(
        self, stream: BinaryIO, points: Iterable[CapturePoint], names: Mapping[IpAddress, str] | None = None
    ) -> None:
        """Write everything, endings too, as pcapng."""
        writer = PcapngWriter(stream, application=f"emu {__version__}")
        for point in points:
            writer.add_point(point)
        if names:
            writer.add_names(names.items())
        opening = secrets(self.frames, self.key_log) if self.key_log else b""
        if opening:
            writer.add_secrets(opening)
        writer.write_all(self.in_order())

    def write_pcap(self, stream: BinaryIO, *, point: int | None = None) -> None:
        """Write the frames of one point (or of all) as classic pcap with nanoseconds.

        Such a file knows one kind of frame: among Ethernet, packets of tunnels get a link
        header of zeros.
        """
        wanted = [frame for frame in self.frames if point is None or frame.point == point]
        if all(frame.link_type == LINK_TYPE_RAW for frame in wanted) and wanted:
            PcapWriter(stream, link_type=LINK_TYPE_RAW).write_all(wanted)
        else:
            PcapWriter(stream).write_all(map(_framed, wanted))


def _framed(frame: CapturedFrame) -> CapturedFrame:
    if frame.link_type != LINK_TYPE_RAW:
        return frame
    return frame._replace(octets=NO_HEADER + frame.octets, link_type=LINK_TYPE_ETHERNET)


def describe(fabric: Fabric, points: Sequence[tuple[str, str]]) -> list[CapturePoint]:
    """Return how the capture points are named in a file: `DEVICE@NAMESPACE`, kind and MAC address."""
    found: list[CapturePoint] = []
    for owner, name in points:
        device = fabric.namespace(owner).devices.get(name)
        kind = "former device" if device is None else device.link.kind or "loopback"
        text = f"{kind} {name} of namespace {owner}"
        if device is None or device.has_link_header:
            found.append(CapturePoint(f"{name}@{owner}", text, None if device is None else device.mac))
        else:
            found.append(CapturePoint(f"{name}@{owner}", text, link_type=LINK_TYPE_RAW))
    return found


def name_table(fabric: Fabric) -> dict[IpAddress, str]:
    """Return whose each address is, to be shown in place of it."""
    names: dict[IpAddress, str] = {}
    for net in fabric.namespaces.values():
        for device in net.devices.values():
            if not device.is_loopback:
                names.update((own.address, net.name) for own in device.addresses)
    return names
