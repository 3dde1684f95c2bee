# SPDX-License-Identifier: GPL-2.0-only
"""A fabric that is held still while something is tried in it, and then is as it was.

Meanwhile the clock starts where it stands, but nothing that was scheduled
happens: controllers, programs that sleep and conversations under way wait. Only
what is tried, and whom its packets meet, is alive. A namespace is kept in mind
when it is entered for the first time, and made what it was at the end, so a
trial costs what it touches, not what there is.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import attrs

from emu.fabric.memento import Memento
from emu.kernel.namespace import Namespace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from emu.fabric.cable import Cable
    from emu.fabric.driver import Fabric
    from emu.fabric.process import Process
    from emu.sim.choice import Choice
    from emu.sim.loop import Event


class OnceOnlyError(Exception):
    """A program was to wake that would not be the same again: it does not wait in a loop."""

    def __init__(self, process: Process[Any]) -> None:
        super().__init__(f"a program in {process.net.name} answers only once")


class Held:
    """Holds a fabric still. What was kept of a namespace serves all trials.

    Args:
        fabric: nobody else may change it between the trials.
    """

    def __init__(self, fabric: Fabric) -> None:
        self._fabric = fabric
        self._mementos: dict[object, Memento] = {}
        self._entered: dict[str, _Entered] = {}
        self._woken: dict[Process[Any], _Woken] = {}
        self._strained: set[Cable] = set()
        self._undo: list[Callable[[], None]] = []
        self._choice: Choice = fabric.choice
        self._is_unseen = False

    @contextmanager
    def trial(self, choice: Choice, *, is_unseen: bool = False) -> Iterator[None]:
        """Let something be tried inside the block, where `choice` decides; afterwards all is as it was.

        Nobody is told what happens if it `is_unseen`, which is twice as fast.

        Raises:
            OnceOnlyError: inside the block, by whoever lets time pass.
        """
        fabric = self._fabric
        self._choice, self._is_unseen = choice, is_unseen
        with (
            fabric.loop.set_aside(),
            fabric.observed_by(self, choice),
            fabric.streams.set_aside(),
            fabric.packet_ids.set_aside(),
        ):
            try:
                yield
            finally:
                self._restore()

    # --- called by the fabric, before something changes ---

    def enters(self, net: Namespace) -> None:
        """Keep `net` in mind."""
        if net.name in self._entered:
            return
        fabric = self._fabric
        timer = fabric.timer_of(net)
        self._entered[net.name] = _Entered(net, timer, fabric.waiters_of(net))
        memento = self._mementos.get(net)
        if memento is None:
            memento = self._mementos[net] = Memento((net,))
        self._undo += memento.begin()
        net.choice = self._choice
        if self._is_unseen:
            net.recorder = None
        net.fib.forget_choices()
        fabric.repeat_timer(net, timer)

    def wakes(self, process: Process[Any]) -> None:
        """Keep `process` in mind, if it was there before.

        Raises:
            OnceOnlyError: it cannot be made what it was.
        """
        entered = self._entered.get(process.net.name)
        if process in self._woken or entered is None or not entered.has(process):
            return
        state = process.held()
        if state is None:
            raise OnceOnlyError(process)
        self._woken[process] = _Woken(process, state)
        memento = self._mementos.get(process)
        if memento is None:
            memento = self._mementos[process] = Memento(
                (process.program,), beyond=self._mementos[process.net], barred=(Namespace,)
            )
        self._undo += memento.begin()

    def strains(self, cable: Cable) -> None:
        """Keep `cable` in mind."""
        if cable not in self._strained:
            self._strained.add(cable)
            if cable not in self._mementos:
                self._mementos[cable] = Memento((cable,))

    # --- the end of a trial ---

    def _restore(self) -> None:
        while self._undo:
            self._undo.pop()()
        for entered in self._entered.values():
            self._mementos[entered.net].restore()
            self._fabric.restore_waiting(entered.net, entered.timer, entered.waiting)
        for woken in self._woken.values():
            self._mementos[woken.process].restore()
            woken.process.hold(woken.state)
        for cable in self._strained:
            self._mementos[cable].restore()
        self._entered.clear()
        self._woken.clear()
        self._strained.clear()


@attrs.frozen
class _Entered:
    """A namespace when it was entered: its timer, and who waited in it, by socket."""

    net: Namespace
    timer: Event | None
    waiting: dict[int, list[Process[Any]]]

    def has(self, process: Process[Any]) -> bool:
        """Return whether a process waited here."""
        return any(process in processes for processes in self.waiting.values())


@attrs.frozen
class _Woken:
    process: Process[Any]
    state: tuple[Any, ...]
