# SPDX-License-Identifier: GPL-2.0-only
"""Programs that are ended, and namespaces that are removed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from emu.errors import UnknownNameError
from emu.fabric import program
from emu.fabric.driver import Fabric
from emu.kernel.sockets import SocketKind
from emu.sim.time import SECOND, Instant
from emu.wire.addresses import ANY_IP4

if TYPE_CHECKING:
    from emu.fabric.program import Program

PORT = 80


def listen() -> Program[int]:
    """Listen on a port, and accept for ever."""
    socket = yield from program.socket(SocketKind.TCP)
    yield from program.bind(socket, ANY_IP4, PORT)
    yield from program.listen(socket)
    yield from program.accept(socket)
    return 0


def wait() -> Program[int]:
    """Sleep for an hour."""
    yield from program.sleep(3600 * SECOND)
    return 0


class TestKill:
    """A program that is killed leaves nothing behind, as on exit(2)."""

    def test_its_port_is_free_again(self) -> None:
        """Another can have it at once."""
        fabric = Fabric()
        net = fabric.add_namespace("a")
        first = fabric.spawn(net, listen())
        taken = fabric.spawn(net, listen())
        assert taken.error is not None
        assert taken.error.strerror == "Address already in use"
        first.kill()
        again = fabric.spawn(net, listen())
        assert (first.done, again.done, again.error) == (True, False, None)

    def test_it_wakes_no_more(self) -> None:
        """What it waited for does not come to it."""
        fabric = Fabric()
        sleeping = fabric.spawn(fabric.add_namespace("a"), wait())
        sleeping.kill()
        fabric.loop.run_until(Instant(7200 * SECOND))
        assert (sleeping.done, sleeping.error) == (True, None)

    def test_twice_is_as_good_as_once(self) -> None:
        """It has ended already."""
        fabric = Fabric()
        process = fabric.spawn(fabric.add_namespace("a"), listen())
        process.kill()
        process.kill()
        assert process.done


class TestRemoval:
    """A namespace that is removed is unplugged, and its name is free."""

    def test_it_is_not_found_any_more(self) -> None:
        """Another may be called so."""
        fabric = Fabric()
        fabric.add_namespace("a")
        fabric.remove_namespace("a")
        with pytest.raises(UnknownNameError, match="no namespace a"):
            fabric.namespace("a")
        assert fabric.add_namespace("a").name == "a"

    def test_who_is_not_there_cannot_be_removed(self) -> None:
        """It is named."""
        with pytest.raises(UnknownNameError, match="no namespace b"):
            Fabric().remove_namespace("b")

    def test_its_timers_are_forgotten(self) -> None:
        """Time passes over it."""
        fabric = Fabric()
        process = fabric.spawn(fabric.add_namespace("a"), listen())
        process.kill()
        fabric.remove_namespace("a")
        fabric.loop.run_until(Instant(60 * SECOND))
        assert "a" not in fabric.namespaces
