# SPDX-License-Identifier: GPL-2.0-only
"""One namespace by itself, in the same state again and again, and afterwards as it was.

What packets have left behind (connections, what rules remember) is not there:
a question about a first packet is one about rules.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from emu.fabric.memento import Memento
from emu.kernel.netfilter.conntrack.table import ConnectionTable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from emu.kernel.namespace import Namespace


@contextmanager
def alone(net: Namespace) -> Iterator[Callable[[], Namespace]]:
    """Give what gives `net` to be changed, each time in the state that it is in now."""
    memento = Memento((net,))
    undo: list[Callable[[], None]] = []

    def restore() -> None:
        while undo:
            undo.pop()()
        memento.restore()

    def start() -> Namespace:
        restore()
        undo.extend(memento.begin())
        net.recorder = None
        net.fib.forget_choices()
        if net.used_netfilter is not None:
            net.used_netfilter.conntrack = ConnectionTable()
            for table in net.used_netfilter.tables.values():
                table.memories = {}
        return net

    try:
        yield start
    finally:
        restore()
