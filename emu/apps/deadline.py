# SPDX-License-Identifier: GPL-2.0-only
"""A program that may not take longer than its caller can wait."""

from __future__ import annotations

import errno
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from emu.fabric.program import Block, Do, Program, Sleep, Spawn
from emu.kernel import sockets

if TYPE_CHECKING:
    from emu.sim.time import Duration, Instant

T = TypeVar("T")


def bounded(
    program: Program[T], deadline: Instant | None, opened: list[sockets.Socket] | None = None
) -> Program[T]:
    """Run `program`; at `deadline` end it, wherever it waits, and close the sockets it opened.

    Args:
        program: what is run.
        deadline: None for none.
        opened: gets those sockets, where there is a deadline.

    Raises:
        TimeoutError: it was ended.
        OSError: what it failed with.
    """
    if deadline is None:
        return (yield from program)
    opened = [] if opened is None else opened
    value: Any = None
    error: OSError | None = None
    while True:
        try:
            request = program.send(value) if error is None else program.throw(error)
        except StopIteration as end:
            result: T = end.value
            return result
        value, error = None, None
        now: Instant = yield Do(lambda net: net.now)
        left = deadline - now
        cut = _cut(request, left)
        if cut is not None:
            request = cut
        try:
            value = yield request
        except OSError as caught:
            error = caught
        if isinstance(value, sockets.Socket):
            opened.append(value)
        if cut is not None and (isinstance(cut, Sleep) or isinstance(error, TimeoutError)):
            break
    program.close()
    for socket in opened:
        yield Do(partial(sockets.close, socket=socket))
    raise TimeoutError(errno.ETIMEDOUT, "Connection timed out")


def _cut(request: Block | Do | Sleep | Spawn, left: Duration) -> Block | Sleep | None:
    """Return `request` so that it waits no longer than `left`; None if it does not anyway."""
    left = max(left, 0)
    match request:
        case Block(function, socket, timeout) if timeout is None or timeout > left:
            return Block(function, socket, left)
        case Sleep(duration) if duration > left:
            return Sleep(left)
        case _:
            return None
