# SPDX-License-Identifier: GPL-2.0-only
"""A network to work with from Python: inject, capture, run commands."""

from __future__ import annotations

import shlex
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from emu.apps import console
from emu.cluster.network.reader import load_network
from emu.cluster.network.run import NetworkRun
from emu.errors import CommandError, FrameSyntaxError, OutputError, UnknownNameError
from emu.kernel import netdev, raw
from emu.kernel.routing import route_output
from emu.observe.capture import Capture, describe, name_table
from emu.observe.filter import CaptureFilter
from emu.observe.recording import Kind
from emu.sim.time import SECOND, Instant, from_seconds, later
from emu.wire import craft, ethernet
from emu.wire.addresses import IpAddress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from scapy.packet import Packet

    from emu.apps.console import Finished
    from emu.fabric.driver import Fabric
    from emu.fabric.process import Process
    from emu.kernel.namespace import Namespace
    from emu.observe.recording import Recording, Step
    from emu.wire.craft import SupportsBytes

_PROGRAM_LIMIT = 3600 * SECOND  # a command that takes longer on the virtual clock is given up


def load(path: str | Path, *, seed: int = 0, steps: bool = True) -> Network:
    """Return the network in the document at `path`, after its last step.

    Args:
        path: a network document.
        seed: decides all that is random.
        steps: False leaves the document's actions undone.

    Raises:
        DocumentError: the document cannot be read or has faults; all are told.
    """
    run = NetworkRun(load_network(Path(path)), seed=seed)
    if steps:
        run.run()
    run.fabric.loop.replenish()
    return Network(run)


class Network:
    """A network that lives: namespaces, and time that passes while something is done in them."""

    def __init__(self, run: NetworkRun) -> None:
        self._run = run

    @property
    def fabric(self) -> Fabric:
        """What the network is made of."""
        return self._run.fabric

    @property
    def recording(self) -> Recording:
        """What is told of everything that happens."""
        return self._run.recording

    def namespace(self, name: str) -> Host:
        """Return the namespace `name`.

        Raises:
            UnknownNameError: there is none; the message lists those that are.
        """
        if name not in self.fabric.namespaces:
            known = ", ".join(self.fabric.namespaces)
            raise UnknownNameError(f"no namespace {name} (there are {known})")
        return Host(self, self.fabric.namespaces[name])

    def points(self, pattern: str = "any") -> list[tuple[str, str]]:
        """Return the capture points that `pattern` means: `any`, or `NS/DEVICE` with `*` in either.

        Raises:
            UnknownNameError: it means none.
        """
        from fnmatch import fnmatchcase  # noqa: PLC0415 - only patterns need it

        every = [(net.name, name) for net in self.fabric.namespaces.values() for name in net.devices]
        if pattern == "any":
            return [point for point in every if point[1] != "lo"]
        found = [point for point in every if fnmatchcase("/".join(point), pattern)]
        if not found:
            raise UnknownNameError(
                f"no capture point {pattern} (there are {', '.join(map('/'.join, every))})"
            )
        return found

    @contextmanager
    def capture(self, *patterns: str, condition: str = "", limit: int | None = None) -> Iterator[Recorded]:
        """Record what passes while the block runs.

        Args:
            patterns: capture points, as in `points`; none means any.
            condition: a pcap filter expression.
            limit: keep no more than so many frames.

        Raises:
            UnknownNameError: a pattern means no point.
            FilterError: the condition is wrong.
        """
        points = list(
            dict.fromkeys(point for pattern in patterns or ("any",) for point in self.points(pattern))
        )
        wanted = CaptureFilter.compile(condition) if condition else None
        recorded = Recorded(Capture(points, condition=wanted, limit=limit), self.fabric)
        self.recording.add(recorded.capture)
        try:
            yield recorded
        finally:
            self.recording.remove(recorded.capture)

    def run_until(self, done: Callable[[], bool], deadline: Instant) -> None:
        """Let time pass until `done`, nothing is left to happen, or `deadline`."""
        loop = self.fabric.loop
        while not done():
            due = loop.next_instant
            if due is None or due > deadline:
                loop.run_until(min(deadline, due or deadline))
                return
            loop.step()

    def finish(self, process: Process[Any]) -> None:
        """Let time pass until `process` is done."""
        self.run_until(lambda: process.done, later(self.fabric.loop.now, _PROGRAM_LIMIT))

    def inject(self, point: str, octets: bytes, *, outwards: bool = False) -> int:
        """Have a frame arrive on the device `point` (`NS/DEVICE`), or leave by it, and return its packet id.

        Raises:
            UnknownNameError: there is no such device.
            FrameSyntaxError: the frame is shorter than its header or longer than the MTU.
        """
        owner, _, name = point.rpartition("/")
        net = self.namespace(owner).net
        device = net.device(name)
        check_length(octets, device.mtu)
        put = self.fabric.send_frame if outwards else self.fabric.receive_frame
        return put(net, name, octets)

    def wait_until(self, instant: int) -> None:
        """Let virtual time pass until `instant`."""
        self.fabric.loop.run_until(Instant(instant))

    def settle(self, seconds: float = 1.0) -> None:
        """Let some virtual time pass."""
        loop = self.fabric.loop
        loop.run_until(later(loop.now, from_seconds(seconds)))


@attrs.define(eq=False)
class Recorded:
    """What a capture recorded."""

    capture: Capture
    _fabric: Fabric

    @property
    def frames(self) -> list[bytes]:
        """The octets of all frames, in order."""
        return [frame.octets for frame in self.capture.frames]

    def packets(self) -> list[Packet]:
        """Return all frames as Scapy packets."""
        return [craft.dissect(octets) for octets in self.frames]

    def write(self, path: str | Path) -> None:
        """Write a capture file: classic pcap if it is called so, else pcapng.

        Raises:
            OutputError: it cannot be written.
        """
        try:
            with Path(path).open("wb") as stream:
                if str(path).endswith(".pcap"):
                    self.capture.write_pcap(stream)
                else:
                    points = describe(self._fabric, self.capture.points)
                    self.capture.write_pcapng(stream, points, name_table(self._fabric))
        except OSError as error:
            raise OutputError(f"{path}: {error.strerror}") from None


@attrs.frozen(eq=False)
class Host:
    """A namespace of a network, to do things in."""

    network: Network
    net: Namespace

    def execute(self, argv: Sequence[str]) -> Finished:
        """Run a command and return what it printed, and its status."""
        process = self.network.fabric.spawn(self.net, console.run(argv))
        self.network.finish(process)
        if not process.done:
            process.kill()
            raise CommandError(f"{argv[0]}: no end after {_PROGRAM_LIMIT // SECOND} s")
        return process.result

    def run(self, command: str) -> str:
        """Run a command line and return what it printed.

        Raises:
            CommandError: its status was not 0; the message is what it printed.
        """
        finished = self.execute(shlex.split(command))
        if finished.status:
            raise CommandError((finished.stderr or finished.stdout).strip(), finished.status)
        return finished.stdout

    def send(self, packet: SupportsBytes, *, iface: str = "") -> int:
        """Send a packet and return its id.

        Args:
            packet: a Scapy packet, or anything with `__bytes__`. One that
                begins with IP takes the namespace's route, past no netfilter
                hook of OUTPUT; a frame leaves by `iface` as it is.
            iface: the device for a frame; may be left out where there is but one.

        Raises:
            OSError: there is no route.
            UnknownNameError: no such device, or several and none named.
        """
        if craft.is_frame(packet):
            device = self.net.device(iface or self._only_device())
            octets = craft.octets_of(packet, mac=device.mac)
            check_length(octets, device.mtu)
            return self.network.fabric.send_frame(self.net, device.name, octets)
        dst = IpAddress.parse(craft.destination_of(packet))
        decision = self.network.fabric.call(self.net, partial(route_output, dst=dst))
        octets = craft.octets_of(packet, src=decision.src)
        return self.network.fabric.call(self.net, partial(raw.send_packet, packet=octets))

    def sr1(self, packet: SupportsBytes, *, timeout: float = 2.0, iface: str = "") -> Packet | None:
        """Send a packet and return the first one that answers it, None if none does in `timeout` seconds.

        What answers what is Scapy's to say. The answer begins where the
        question began: with Ethernet, or with IP.

        Raises:
            OSError: there is no route.
        """
        watch = _Watch(self.net.name, packet)
        self.network.recording.add(watch)
        try:
            self.send(packet, iface=iface)
            deadline = later(self.network.fabric.loop.now, from_seconds(timeout))
            self.network.run_until(lambda: watch.answer is not None, deadline)
        finally:
            self.network.recording.remove(watch)
        return watch.answer

    def _only_device(self) -> str:
        names = [name for name in self.net.devices if name != "lo"]
        if len(names) != 1:
            raise UnknownNameError(f"{self.net.name}: which device? ({', '.join(names)})")
        return names[0]


def check_length(octets: bytes, mtu: int) -> None:
    """Refuse a frame that no device with this MTU could have sent.

    Raises:
        FrameSyntaxError: it is shorter than its header, or carries more than `mtu` octets.
    """
    length = len(octets) - ethernet.HEADER_LENGTH
    if length < 0:
        raise FrameSyntaxError(f"{len(octets)} octets are no Ethernet frame: the header has 14")
    if length > mtu + netdev.VLAN_ROOM:
        raise FrameSyntaxError(f"the frame carries {length} octets, more than the MTU of {mtu}")


@attrs.define(eq=False)
class _Watch:
    """Waits for the answer to a packet among what comes in."""

    net: str
    question: SupportsBytes
    answer: Packet | None = None

    def hear(self, step: Step) -> None:
        if step.kind is Kind.IN and step.net == self.net and self.answer is None:
            self.answer = craft.answer_to(self.question, step.octets)
