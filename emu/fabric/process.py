# SPDX-License-Identifier: GPL-2.0-only
"""A running program: a generator, and what it waits for."""

from __future__ import annotations

import errno
import os
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final, Generic, TypeVar, assert_never

from emu.errors import CommandError
from emu.fabric.program import Block, Do, Sleep, Spawn
from emu.kernel import sctp, sockets, tcp

if TYPE_CHECKING:
    from emu.fabric.driver import Fabric
    from emu.fabric.program import Program
    from emu.kernel.namespace import Namespace
    from emu.sim.loop import Event

T = TypeVar("T")

_PRUNED: Final = 32  # sockets of a process, from which the closed ones are looked for


class Process(Generic[T]):
    """A program in a namespace.

    Attributes:
        net: where it runs.
        done: it has returned, or failed.
        error: the `OSError` it failed with, None if it has not.
    """

    is_still: ClassVar[bool] = True

    def __init__(self, fabric: Fabric, net: Namespace, program: Program[T]) -> None:
        self.net = net
        self.done = False
        self.error: OSError | None = None
        self._result: T | None = None
        self._fabric = fabric
        self._program = program
        self._blocked: Block | None = None
        self._timer: Event | None = None
        self._sockets: list[sockets.Socket] = []  # some may be closed
        self._threads: list[Process[Any]] = []  # some may be done

    @property
    def result(self) -> T:
        """What the program returned.

        Raises:
            OSError: what it failed with.
            RuntimeError: it still runs.
        """
        if self.error is not None:
            raise self.error
        if not self.done:
            raise RuntimeError("the program still runs")
        return self._result  # type: ignore[return-value]  # a program that is done has returned a T

    def resume(self, value: object = None, error: OSError | CommandError | None = None) -> None:
        """Let it run until it has to wait; its last call gives `value`, or raises `error`."""
        while True:
            try:
                request = self._program.send(value) if error is None else self._program.throw(error)
            except StopIteration as end:
                self.done, self._result = True, end.value
                return
            except OSError as failure:
                self.done, self.error = True, failure
                return
            value, error = None, None
            match request:
                case Do(function):
                    try:
                        value = self._own(self._fabric.call(self.net, function))
                    except (OSError, CommandError) as caught:
                        error = caught
                case Block():
                    try:
                        value = self._own(self._fabric.call(self.net, request.function))
                    except BlockingIOError:
                        self._park(request)
                        return
                    except OSError as caught:
                        error = caught
                case Sleep(duration):
                    self._timer = self._fabric.loop.after(duration, self.resume)
                    return
                case Spawn(program):
                    self._threads = [each for each in self._threads if not each.done]
                    self._threads.append(self._fabric.spawn(self.net, program))
                case _:
                    assert_never(request)

    def retry(self) -> None:
        """Try the call it is blocked in once more; called when its socket wakes."""
        blocked = self._blocked
        if blocked is None:
            return
        try:
            value: Any = self._fabric.call(self.net, blocked.function)
        except BlockingIOError:
            self._fabric.wait_for(self, blocked.socket.number)
        except OSError as caught:
            self._unpark()
            self.resume(error=caught)
        else:
            self._unpark()
            self.resume(self._own(value))

    def kill(self) -> None:
        """End it and its threads, wherever they wait; the sockets they have are closed, as on exit(2)."""
        self._unpark()
        if not self.done:
            self._program.close()
            self.done = True
        for thread in self._threads:
            thread.kill()
        for socket in self._sockets:
            if socket in self.net.sockets:
                self._fabric.call(self.net, partial(sockets.close, socket=socket))
        self._threads.clear()
        self._sockets.clear()

    def fall_silent(self) -> None:
        """End it, but leave its sockets as they are: as if it lived on and said nothing more."""
        self._sockets.clear()
        for thread in self._threads:
            thread.fall_silent()
        self.kill()

    def stop_listening(self) -> None:
        """Close the sockets on which it takes connections; those that it has taken go on."""
        for socket in self._sockets:
            if socket in self.net.sockets and (tcp.is_listening(socket) or sctp.is_listening(socket)):
                self._fabric.call(self.net, partial(sockets.close, socket=socket))
        for thread in self._threads:
            thread.stop_listening()

    # --- for whoever holds it still ---

    @property
    def program(self) -> Program[T]:
        """What it runs."""
        return self._program

    def held(self) -> tuple[Any, ...] | None:
        """Return what it is now, None if it will not come back to where it waits."""
        if self._blocked is None or not self._blocked.repeats:
            return None
        return self._blocked.socket, list(self._sockets), list(self._threads)

    def hold(self, state: tuple[Any, ...]) -> None:
        """Be what `held` said; it waits there again.

        Raises:
            RuntimeError: it does not.
        """
        socket, self._sockets, self._threads = state
        if self._blocked is None or self._blocked.socket is not socket:
            raise RuntimeError(f"a program in {self.net.name} has not come back to where it waited")

    def _own(self, value: object) -> object:
        """Note a socket that a call gave, and return it."""
        if isinstance(value, sockets.Socket):
            if len(self._sockets) >= _PRUNED:
                self._sockets = [each for each in self._sockets if each in self.net.sockets]
            self._sockets.append(value)
        return value

    def _park(self, request: Block) -> None:
        self._blocked = request
        self._fabric.wait_for(self, request.socket.number)
        if request.timeout is not None:
            self._timer = self._fabric.loop.after(request.timeout, self._time_out)

    def _unpark(self) -> None:
        if self._blocked is not None:
            self._fabric.stop_waiting(self, self._blocked.socket.number)
            self._blocked = None
        if self._timer is not None:
            self._fabric.loop.cancel(self._timer)
            self._timer = None

    def _time_out(self) -> None:
        self._unpark()
        self.resume(error=OSError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT)))
