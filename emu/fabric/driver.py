# SPDX-License-Identifier: GPL-2.0-only
"""The driver: the only place where a namespace's effects become events on the loop.

It knows which device is plugged into which, runs programs, and hands every
frame on. Whoever wants something of a namespace goes by `Fabric.call`, so that
nothing it causes is lost.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar

from emu.errors import StormError, UnknownNameError
from emu.fabric.cable import Loss
from emu.fabric.cabling import Cabling, Plug
from emu.fabric.process import Process
from emu.kernel import rtnetlink
from emu.kernel.arp_flood import FloodedRequest
from emu.kernel.drops import DropReason
from emu.kernel.effects import Backlog, Carrier, Parked, SetTimer, Transmit, Wake
from emu.kernel.namespace import Namespace
from emu.sim.choice import DrawnChoice
from emu.sim.loop import DEFAULT_BUDGET, EventLoop
from emu.sim.numbers import Numbers
from emu.sim.rng import Streams
from emu.sim.time import START, to_seconds
from emu.wire.frame import Frame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from emu.fabric.cable import Cable
    from emu.fabric.observer import Observer
    from emu.fabric.program import Program
    from emu.kernel.effects import Effect
    from emu.kernel.link.device import Device
    from emu.kernel.netfilter.conntrack.race import Race
    from emu.kernel.recorder import Recorder, Tap
    from emu.sim.choice import Choice
    from emu.sim.loop import Event
    from emu.sim.time import Instant

T = TypeVar("T")

MOST_CABLES: Final = 20_000
"""How many cables one packet, all its copies counted, may pass before it is called a storm."""

_COUNTED_PACKETS: Final = 100_000
_FLOOD: Final = 4  # frames that leave at once, from which it is worth to look what they are


class Fabric(Cabling):
    """Namespaces, the cables between them, and the programs in them.

    Attributes:
        loop: the clock and the events.
        streams: what is drawn at random, by name.
        choice: decides what can change a packet's fate.
        namespaces: by name, in the order in which they were made.
    """

    is_still: ClassVar[bool] = True

    def __init__(
        self,
        *,
        seed: int = 0,
        budget: int = DEFAULT_BUDGET,
        choice: Choice | None = None,
        start: Instant = START,
    ) -> None:
        super().__init__()
        self.loop = EventLoop(budget, start)
        self.streams = Streams(seed)
        self.choice: Choice = choice or DrawnChoice(self.streams.stream("choice"))
        self.namespaces: dict[str, Namespace] = {}
        self._timers: dict[str, Event] = {}
        self._waiting: dict[str, dict[int, list[Process[Any]]]] = {}  # by namespace and socket
        self.packet_ids = Numbers()
        self._passed: dict[int, int] = {}  # cables by packet id
        self._flow_secret = self.streams.stream("flow hash").getrandbits(64)
        self._recorder: Recorder | None = None
        self._tap: Tap | None = None
        self._race: Race | None = None
        self.carrier_listeners: list[Callable[[str, str, bool], None]] = []
        self._observer: Observer | None = None

    # --- machines and cables ---

    def add_namespace(self, name: str) -> Namespace:
        """Make a namespace, with the loopback device alone.

        Raises:
            UnknownNameError: the name is taken.
        """
        if name in self.namespaces:
            raise UnknownNameError(f"there is a namespace {name} already")
        net = Namespace(
            name,
            random=self.streams.lazy(name),
            choice=self.choice,
            packet_ids=self.packet_ids,
            flow_secret=self._flow_secret,
        )
        net.recorder, net.tap, net.race = self._recorder, self._tap, self._race
        self.namespaces[name] = net
        return net

    def remove_namespace(self, name: str) -> None:
        """Remove a namespace: its devices are unplugged, and what waits for it waits no more.

        Raises:
            UnknownNameError: there is none.
        """
        net = self.namespace(name)
        for iface in net.devices:
            self.disconnect(net, iface)
        timer = self._timers.pop(name, None)
        if timer is not None:
            self.loop.cancel(timer)
        self._waiting.pop(name, None)
        del self.namespaces[name]

    def namespace(self, name: str) -> Namespace:
        """Return the namespace `name`.

        Raises:
            UnknownNameError: there is none.
        """
        try:
            return self.namespaces[name]
        except KeyError:
            raise UnknownNameError(f"no namespace {name}") from None

    def follow(self, cable: Cable) -> None:
        """Let the devices at a cable's ends have a carrier, or none, after it was changed."""
        for (name, iface), plug in self._plugs.items():
            if plug.cable is cable:
                net, far = self.namespaces[name], plug.net.device(plug.iface)
                self._set_carrier(net, net.device(iface), carrier=not cable.is_dark and far.up)

    def record(self, recorder: Recorder | None) -> None:
        """Have `recorder` told of everything that happens from now on, in all namespaces."""
        self._recorder = recorder
        for net in self.namespaces.values():
            net.recorder = recorder

    def tap(self, tap: Tap | None) -> None:
        """Have `tap` told of what passes devices, and what ends, in all namespaces; None for nobody."""
        self._tap = tap
        for net in self.namespaces.values():
            net.tap = tap

    def let_race(self, race: Race | None) -> None:
        """Let first packets of connections be overtaken in all namespaces; None for never."""
        self._race = race
        for net in self.namespaces.values():
            net.race = race

    def decide_by(self, choice: Choice) -> None:
        """Have `choice` decide from now on, also what was decided and would be remembered."""
        self.choice = choice
        for net in self.namespaces.values():
            net.choice = choice
            net.fib.forget_choices()

    # --- for whoever holds it still ---

    @contextmanager
    def observed_by(self, observer: Observer, choice: Choice) -> Iterator[None]:
        """Tell `observer` before something changes, and have `choice` decide, inside the block."""
        before = self.choice, self._passed
        self._observer, self.choice, self._passed = observer, choice, {}
        try:
            yield
        finally:
            self._observer = None
            self.choice, self._passed = before

    def timer_of(self, net: Namespace) -> Event | None:
        """Return what is scheduled for a namespace's own deadlines."""
        return self._timers.get(net.name)

    def waiters_of(self, net: Namespace) -> dict[int, list[Process[Any]]]:
        """Return who waits in a namespace, by the number of the socket."""
        return {socket: list(processes) for socket, processes in self._waiting.get(net.name, {}).items()}

    def repeat_timer(self, net: Namespace, timer: Event | None) -> None:
        """Schedule a namespace's deadlines once more, beside what was scheduled."""
        if timer is not None:
            self._timers[net.name] = self.loop.at(timer.instant, self._timeout, net)

    def restore_waiting(
        self, net: Namespace, timer: Event | None, waiting: dict[int, list[Process[Any]]]
    ) -> None:
        """Have this scheduled and these waiting in a namespace."""
        self._timers.pop(net.name, None)
        if timer is not None:
            self._timers[net.name] = timer
        if waiting:
            self._waiting[net.name] = waiting
        else:
            self._waiting.pop(net.name, None)

    # --- doors ---

    def call(self, net: Namespace, function: Callable[[Namespace], T]) -> T:
        """Call `function` with `net` at the present instant and carry out what follows.

        Raises:
            Exception: what `function` raises; its effects until then are carried out.
        """
        if self._observer is not None:
            self._observer.enters(net)
        net.now = self.loop.now
        try:
            return function(net)
        finally:
            self._carry_out(net, net.take_effects())

    def send_frame(self, net: Namespace, iface: str, octets: bytes) -> int:
        """Send a frame out of `iface` as a packet socket does; return its packet id."""
        if self._observer is not None:
            self._observer.enters(net)
        frame = Frame(octets, next(self.packet_ids))
        self._carry_out(net, net.send_frame(iface, frame, self.loop.now))
        return frame.packet_id

    def receive_frame(self, net: Namespace, iface: str, octets: bytes) -> int:
        """Have a frame arrive on `iface` as if its cable had brought it; return its packet id."""
        if self._observer is not None:
            self._observer.enters(net)
        frame = Frame(octets, next(self.packet_ids))
        self._carry_out(net, net.receive(iface, frame, self.loop.now))
        return frame.packet_id

    # --- programs ---

    def spawn(self, net: Namespace, program: Program[T]) -> Process[T]:
        """Start `program` in `net`: its first step is taken at once."""
        process = Process(self, net, program)
        process.resume()
        return process

    def wait_for(self, process: Process[Any], socket: int) -> None:
        """Resume `process` when socket number `socket` of its namespace wakes."""
        self._waiting.setdefault(process.net.name, {}).setdefault(socket, []).append(process)

    def stop_waiting(self, process: Process[Any], socket: int) -> None:
        """Take back `wait_for`."""
        waiting = self._waiting.get(process.net.name, {}).get(socket, [])
        if process in waiting:
            waiting.remove(process)

    # --- effects ---

    def _carry_out(self, net: Namespace, effects: list[Effect]) -> None:
        loop = self.loop
        if len(effects) >= _FLOOD and self._recorder is None and self._tap is None:
            effects = self._flood(net, effects)
        for effect in effects:
            if isinstance(effect, Transmit):  # first what there is most of
                self._transmit(net, effect)
            elif isinstance(effect, Backlog):
                loop.at(loop.now, self._backlog, net, effect)
            elif isinstance(effect, SetTimer):
                self._set_timer(net, effect)
            elif isinstance(effect, Wake):
                self._wake(net, effect)
            elif isinstance(effect, Parked):
                loop.at(loop.now, self.call, net, effect.go_on)
            elif isinstance(effect, Carrier):
                self._carrier(net, effect)

    def _transmit(self, net: Namespace, effect: Transmit) -> None:
        iface, frame = effect
        plug = self._plugs.get((net.name, iface))
        if plug is None:
            net.drop(frame, DropReason.CABLE_UNPLUGGED, iface=iface)
            net.take_effects()
            return
        self._count(frame.packet_id)
        loop = self.loop
        if plug.cable is None:
            loop.at(loop.now, self._arrive, plug, frame)
            return
        if self._observer is not None:
            self._observer.strains(plug.cable)
        fate = plug.cable.carry(frame.octets, plug.direction, loop.now, self.choice, self.streams)
        if isinstance(fate, Loss):
            net.drop(frame, *fate, iface)
            net.take_effects()
            return
        if len(fate) > 1:
            net.note(frame, "cable", f"{plug.cable.name} carries it {len(fate)} times")
        for due, octets, remark in fate:
            each = frame.copy() if len(fate) > 1 else frame
            if remark:
                each = each.holding(octets)
                net.note(each, "cable", f"{plug.cable.name}: {remark}")
            loop.at(due, self._arrive, plug, each)

    def _flood(self, net: Namespace, effects: list[Effect]) -> list[Effect]:
        """Let a request of ARP that goes to many at once arrive by one event, and return the other effects.

        Nothing comes between the events that they would be, so all happens in the same order.
        """
        flooded: list[tuple[Plug, Frame]] = []
        first = effects[0]
        octets = first.frame.octets if isinstance(first, Transmit) else b""
        request = FloodedRequest.of(octets)
        for effect in effects if request is not None else ():
            if not isinstance(effect, Transmit) or effect.frame.octets is not octets:
                break
            plug = self._plugs.get((net.name, effect.iface))
            if plug is None or plug.cable is not None:
                break
            flooded.append((plug, effect.frame))
        if request is None or len(flooded) < _FLOOD:
            return effects
        self._count(flooded[0][1].packet_id, len(flooded))
        self.loop.at(self.loop.now, self._arrive_everywhere, request, flooded)
        return effects[len(flooded) :]

    def _arrive_everywhere(self, request: FloodedRequest, flooded: list[tuple[Plug, Frame]]) -> None:
        self.loop.events_run += len(flooded) - 1
        for plug, frame in flooded:
            net = plug.net
            if self._observer is not None:
                self._observer.enters(net)
            device = net.devices.get(plug.iface)
            if device is None or not request.passes_by(net, device):
                self._arrive(plug, frame)
            else:
                net.now = self.loop.now

    def _count(self, packet_id: int, cables: int = 1) -> None:
        """Count the cables that a packet passes.

        Raises:
            StormError: it has passed more than any packet that arrives.
        """
        passed = self._passed.get(packet_id, 0) + cables
        if passed > MOST_CABLES:
            raise StormError(
                f"packet {packet_id} and its copies have passed {MOST_CABLES} cables, at "
                f"{to_seconds(self.loop.now):.6f} s: frames go round in circles (is there a bridge loop?)"
            )
        if passed == cables and len(self._passed) > _COUNTED_PACKETS:
            self._passed.clear()
        self._passed[packet_id] = passed

    def _arrive(self, plug: Plug, frame: Frame) -> None:
        net = plug.net
        if self._observer is not None:
            self._observer.enters(net)
        if plug.iface not in net.devices:  # it went while the frame was under way
            net.drop(frame, DropReason.CABLE_UNPLUGGED, iface=plug.iface)
            net.take_effects()
            return
        self._carry_out(net, net.receive(plug.iface, frame, self.loop.now))

    def _backlog(self, net: Namespace, effect: Backlog) -> None:
        self._carry_out(net, net.backlog(effect.iface, effect.frame, self.loop.now))

    def _set_timer(self, net: Namespace, effect: SetTimer) -> None:
        known = self._timers.get(net.name)
        if known is not None:
            self.loop.cancel(known)
        self._timers[net.name] = self.loop.at(effect.deadline, self._timeout, net)

    def _timeout(self, net: Namespace) -> None:
        del self._timers[net.name]
        self._carry_out(net, net.timeout(self.loop.now))

    def _wake(self, net: Namespace, effect: Wake) -> None:
        processes = self._waiting.get(net.name, {}).pop(effect.socket, ())
        for process in processes:
            if self._observer is not None:
                self._observer.wakes(process)
            self.loop.at(self.loop.now, process.retry)

    def _carrier(self, net: Namespace, effect: Carrier) -> None:
        plug = self._plugs.get((net.name, effect.iface))
        if plug is not None and not (plug.cable is not None and plug.cable.is_dark):
            device = plug.net.device(plug.iface)
            self._set_carrier(plug.net, device, carrier=effect.up)

    def _set_carrier(self, net: Namespace, device: Device, *, carrier: bool) -> None:
        """Tell a device, and those who listen, that its cable works, or does not."""
        if device.carrier != carrier:
            for each in self.carrier_listeners:
                each(net.name, device.name, carrier)
        self.call(net, partial(rtnetlink.set_carrier, device=device, carrier=carrier))
