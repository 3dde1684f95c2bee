# SPDX-License-Identifier: GPL-2.0-only
"""What all that was built can do from Python: inject, capture, run commands, let time pass."""

from __future__ import annotations

import shlex
from abc import ABC, abstractmethod
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Self

import attrs

from emu.apps import console
from emu.cluster.recorded import Recorded
from emu.errors import CommandError, FrameSyntaxError, UnknownNameError
from emu.fabric.userland import Userland
from emu.kernel import netdev, raw
from emu.kernel.routing import route_output
from emu.observe.capture import Capture, name_table
from emu.observe.filter import CaptureFilter
from emu.observe.recording import Kind
from emu.sim.time import EPOCH, SECOND, Instant, from_seconds, later
from emu.wire import craft, ethernet
from emu.wire.addresses import IpAddress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from emu.apps.console import Finished
    from emu.fabric.driver import Fabric
    from emu.fabric.process import Process
    from emu.kernel.link.device import Device
    from emu.kernel.namespace import Namespace
    from emu.observe.comments import Explainer
    from emu.observe.recording import Listener, Recording, Step
    from emu.wire.craft import ScapyPacket, SupportsBytes

_PROGRAM_LIMIT = 3600 * SECOND  # a command that takes longer on the virtual clock is given up


class Emulation(ABC):
    """Namespaces that live, and time that passes while something is done in them.

    Attributes:
        fabric: what it is made of.
        recording: what is told of everything that happens.
        epoch: ns since 1970 of the start of the run.
        userlands: what the commands run in a namespace see beside it, by its name.
    """

    is_still: ClassVar[bool] = True

    is_cluster: ClassVar[bool] = False
    """Whether there are objects of Kubernetes, by which people name things."""

    def __init__(self, fabric: Fabric, recording: Recording, *, epoch: int = EPOCH) -> None:
        self.fabric = fabric
        self.recording = recording
        self.epoch = epoch
        self.userlands: dict[str, Userland] = {}
        self._history: list[Callable[[Emulation], object]] = []

    # --- doing it again ---

    def again(self) -> Emulation:
        """Return the same once more: built anew, and with all that people have done to it since.

        What was done past the doors of this class and of `Host` (to tables or
        objects directly) is not known, and so not done again.

        Raises:
            StormError: frames go round in circles.
        """
        return self._again(self._history)

    def as_of(self, length: int) -> Self:
        """Return what this was when `history_length` was `length`: built anew, and all done until then.

        Raises:
            StormError: frames go round in circles.
        """
        made = self._again(self._history[:length])
        assert isinstance(made, type(self)), "it is rebuilt as what it is"
        return made

    def _again(self, history: Iterable[Callable[[Emulation], object]]) -> Emulation:
        made = self._rebuilt()
        for do in history:
            do(made)
        return made

    @property
    def history_length(self) -> int:
        """How many things people have done to it."""
        return len(self._history)

    @abstractmethod
    def _rebuilt(self) -> Emulation:
        """Return what this was when it was built."""

    def remember(self, do: Callable[[Emulation], object]) -> None:
        """Note what somebody does, so that `again` can do it too."""
        self._history.append(do)

    # --- what there is ---

    def namespace(self, name: str) -> Host:
        """Return the namespace `name`.

        Raises:
            UnknownNameError: there is none; the message lists those that are.
        """
        if name not in self.fabric.namespaces:
            known = ", ".join(self.fabric.namespaces)
            raise UnknownNameError(f"no namespace {name} (there are {known})")
        userland = self.userlands.setdefault(name, Userland())
        return Host(self, self.fabric.namespaces[name], userland)

    def host(self, text: str, *, namespace: str = "", container: str = "") -> Host:
        """Return whom `text` means, to do things in: here, the namespace of this name.

        Raises:
            UnknownNameError: there is none; the message lists those that are.
        """
        del namespace, container  # names of Kubernetes
        return self.namespace(text)

    def owners(self, net: str) -> tuple[str | None, str | None]:  # noqa: ARG002 - of a network nobody
        """Return the pod (as `NS/NAME`) and the node that network namespace `net` belongs to, or None."""
        return None, None

    def names(self) -> dict[IpAddress, str]:
        """Return whose each address is, as captures show it."""
        return name_table(self.fabric)

    def hold_still(self) -> None:  # noqa: B027 - a cluster has more to hold than a network
        """Let nobody speak of himself from now on; in a network nobody does."""

    def point(self, pattern: str, namespace: str) -> str:  # noqa: ARG002 - for names of Kubernetes
        """Return a pattern of capture points with `namespace` for names that have none."""
        return pattern

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
    def capture(
        self,
        *patterns: str,
        condition: str = "",
        limit: int | None = None,
        explainer: Explainer | None = None,
    ) -> Iterator[Recorded]:
        """Record what passes while the block runs.

        Args:
            patterns: capture points, as in `points`; none means any.
            condition: a pcap filter expression.
            limit: keep no more than so many frames.
            explainer: who knows whose doing a decision was; None leaves that out of the comments.

        Raises:
            UnknownNameError: a pattern means no point.
            FilterError: the condition is wrong.
        """
        points = list(
            dict.fromkeys(point for pattern in patterns or ("any",) for point in self.points(pattern))
        )
        wanted = CaptureFilter.compile(condition) if condition else None
        recorded = Recorded(
            Capture(points, wanted, self.epoch, limit, explainer, self.recording.key_log), self
        )
        self.recording.add(recorded.capture)
        try:
            yield recorded
        finally:
            self.recording.remove(recorded.capture)

    @contextmanager
    def listening(self, listener: Listener) -> Iterator[None]:
        """Tell `listener` what happens while the block runs."""
        self.recording.add(listener)
        try:
            yield
        finally:
            self.recording.remove(listener)

    def run_until(self, done: Callable[[], bool], deadline: Instant) -> None:
        """Let time pass until `done`, or until `deadline`.

        Raises:
            StormError: frames go round in circles.
        """
        loop = self.fabric.loop
        loop.replenish()
        while not done():
            due = loop.next_instant
            if due is None or due > deadline:
                loop.run_until(deadline)
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
        net, device = self.find_device(point)
        check_length(octets, device.mtu)
        self.remember(lambda other: other.inject(point, octets, outwards=outwards))
        put = self.fabric.send_frame if outwards else self.fabric.receive_frame
        return put(net, device.name, octets)

    def find_device(self, point: str) -> tuple[Namespace, Device]:
        """Return the one device that `point` (`NS/DEVICE`) names, and its namespace.

        Raises:
            UnknownNameError: there is no such device; the message lists those that are.
        """
        owner, slash, name = point.rpartition("/")
        if not slash:
            raise UnknownNameError(f"{point!r} names no device: it has to be NS/DEVICE, as in pod1/eth0")
        net = self.namespace(owner).net
        if name not in net.devices:
            raise UnknownNameError(f"{owner} has no device {name} (there are {', '.join(net.devices)})")
        return net, net.devices[name]

    def wait_until(self, instant: Instant) -> None:
        """Let virtual time pass until `instant`.

        Raises:
            StormError: frames go round in circles.
        """
        self.remember(lambda other: other.wait_until(instant))
        self.fabric.loop.replenish()
        self.fabric.loop.run_until(instant)

    def settle(self, seconds: float = 1.0) -> None:
        """Let some virtual time pass.

        Raises:
            StormError: frames go round in circles.
        """
        self.wait_until(later(self.fabric.loop.now, from_seconds(seconds)))


@attrs.frozen(eq=False)
class Host:
    """A namespace to do things in; commands see `userland` beside it."""

    emulation: Emulation
    net: Namespace
    userland: Userland = attrs.field(factory=Userland)

    def execute(self, argv: Sequence[str]) -> Finished:
        """Run a command and return what it printed, and its status.

        Raises:
            CommandError: there is no command, or it does not end within an hour of virtual time.
            StormError: frames go round in circles.
        """
        if not argv:
            raise CommandError("no command is given")
        again, words = self.net.name, tuple(argv)
        self.emulation.remember(lambda other: other.namespace(again).execute(words))
        self.emulation.fabric.loop.replenish()
        process = self.emulation.fabric.spawn(self.net, console.run(argv, self.userland))
        self.emulation.finish(process)
        if not process.done:
            process.kill()
            raise CommandError(f"{argv[0]}: no end after {_PROGRAM_LIMIT // SECOND} s")
        return process.result

    def run(self, command: str) -> str:
        """Run a command line and return what it printed.

        Raises:
            CommandError: its status was not 0; the message is what it printed.
            StormError: frames go round in circles.
        """
        try:
            argv = shlex.split(command)
        except ValueError as error:
            raise CommandError(f"{command}: {error}") from None
        finished = self.execute(argv)
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
        again = self.net.name
        self.emulation.remember(lambda other: other.namespace(again).send(packet, iface=iface))
        if craft.is_frame(packet):
            _, device = self.emulation.find_device(f"{self.net.name}/{iface or self._only_device()}")
            octets = craft.octets_of(packet, mac=device.mac)
            check_length(octets, device.mtu)
            return self.emulation.fabric.send_frame(self.net, device.name, octets)
        dst = IpAddress.parse(craft.destination_of(packet))
        decision = self.emulation.fabric.call(self.net, partial(route_output, dst=dst))
        octets = craft.octets_of(packet, src=decision.src)
        return self.emulation.fabric.call(self.net, partial(raw.send_packet, packet=octets))

    def sr1(self, packet: SupportsBytes, *, timeout: float = 2.0, iface: str = "") -> ScapyPacket | None:
        """Send a packet and return the first one that answers it, None if none does in `timeout` seconds.

        What answers what is Scapy's to say. The answer begins where the
        question began: with Ethernet, or with IP.

        Raises:
            OSError: there is no route.
        """
        again = self.net.name
        self.emulation.remember(
            lambda other: other.namespace(again).sr1(packet, timeout=timeout, iface=iface)
        )
        watch = _Watch(self.net.name, packet)
        self.emulation.recording.add(watch)
        try:
            self.send(packet, iface=iface)
            deadline = later(self.emulation.fabric.loop.now, from_seconds(timeout))
            self.emulation.run_until(lambda: watch.answer is not None, deadline)
        finally:
            self.emulation.recording.remove(watch)
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
    answer: ScapyPacket | None = None

    def hear(self, step: Step) -> None:
        if step.kind is Kind.IN and step.net == self.net and self.answer is None:
            self.answer = craft.answer_to(self.question, step.octets)
