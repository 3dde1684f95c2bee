# SPDX-License-Identifier: GPL-2.0-only
"""Servers for tests that answer once, whatever they are asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu.fabric import program

if TYPE_CHECKING:
    from emu.fabric.program import Program


def answer_once(octets: bytes, port: int = 80) -> Program[None]:
    """Take a connection, hear something, say `octets`, and close."""
    listener = yield from program.listening(port)
    taken = yield from program.accept(listener)
    yield from program.receive(taken)
    yield from program.send(taken, octets)
    yield from program.close(taken)
