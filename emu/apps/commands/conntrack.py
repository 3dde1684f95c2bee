# SPDX-License-Identifier: GPL-2.0-only
"""`conntrack`: the connection table listed, searched, changed and flushed.

`-E` cannot wait for what happens: the first one makes the table keep what
happens from then on, and says so on standard error; each further one of the same
run prints all that was kept so far. The remarks of how many entries were shown
go to standard error, and are left out.

`-I`, `-A` and `-R`, expectations and labels are not modelled. The tables `expect`,
`dying` and `unconfirmed` are always empty.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.errors import CommandError
from emu.kernel.netfilter.conntrack.table import EventKind
from emu.sim.time import EPOCH, SECOND
from emu.tools.conntrack import request, text
from emu.tools.conntrack.options import PROGRAM

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from emu.apps.commands.action import Action
    from emu.kernel.namespace import Namespace
    from emu.kernel.netfilter.conntrack.entry import Connection
    from emu.tools.conntrack.request import Request
    from emu.tools.conntrack.text import Form

_FAILED: Final = 1
_NOTHING_KEPT: Final = (
    f"{PROGRAM}: what happened so far was not kept: "
    "a further -E in the same run prints what happens from now on"
)
_ACCOUNTING: Final = "net.netfilter.nf_conntrack_acct"


def prepare(argv: Sequence[str]) -> Action:
    """Read the arguments of `conntrack` and return what they ask for.

    Raises:
        CommandError: they make no sense, or something is not modelled.
    """
    asked = request.parse(argv)
    action = _ACTIONS[asked.command]

    def run(net: Namespace) -> str:
        net.netfilter.ipvs.sweep(net.now)  # connections that it forgets are forgotten here, too
        return action(net, asked)

    return run


def show(net: Namespace, asked: Request) -> str:
    """Do `conntrack -L`."""
    return _show(net, list(_meant(net, asked)), asked)


def get(net: Namespace, asked: Request) -> str:
    """Do `conntrack -G`: show one."""
    found = list(_meant(net, asked))[:1]
    if not found:
        raise CommandError(f"{PROGRAM}: Operation failed: such conntrack doesn't exist", _FAILED)
    return _show(net, found, asked, uses=2)


def delete(net: Namespace, asked: Request) -> str:
    """Do `conntrack -D`: delete, and show what was deleted."""
    doomed = list(_meant(net, asked))
    if not doomed:
        raise CommandError(f"{PROGRAM}: 0 flow entries have been deleted.", _FAILED)
    shown = _show(net, doomed, asked)
    for connection in doomed:
        net.netfilter.conntrack.delete(connection, net.now)
    return shown


def update(net: Namespace, asked: Request) -> str:
    """Do `conntrack -U`: change mark, status or time, and show what was changed."""
    changed = [connection for connection in _meant(net, asked) if _differs(connection, asked)]
    if not changed:
        raise CommandError(f"{PROGRAM}: 0 flow entries have been updated.", _FAILED)
    if not asked.has_family:
        failed = "Operation failed: Operation not supported"
        raise CommandError(f"{failed}\n{PROGRAM}: {failed}", _FAILED)
    for connection in changed:
        if asked.mark is not None:
            connection.mark = asked.mark.laid_on(connection.mark)
        connection.status |= asked.status
        if asked.timeout is not None:
            connection.refresh(net.now, asked.timeout * SECOND)
        net.netfilter.conntrack.tell(EventKind.UPDATE, connection, net.now)
    return _show(net, changed, asked, uses=2)


def flush(net: Namespace, asked: Request) -> str:
    """Do `conntrack -F`."""
    if asked.table == "conntrack":
        net.netfilter.conntrack.flush(net.now)
    return ""


def count(net: Namespace, asked: Request) -> str:
    """Do `conntrack -C`."""
    return f"{net.netfilter.conntrack.count if asked.table == 'conntrack' else 0}\n"


def statistics(net: Namespace, asked: Request) -> str:
    """Do `conntrack -S`."""
    if asked.table == "expect":
        return "cpu=0   \texpect_new=0 expect_create=0 expect_delete=0 \n"
    return text.statistics(net.netfilter.conntrack.stats)


def listen(net: Namespace, asked: Request) -> str:
    """Do `conntrack -E`; see above.

    Raises:
        CommandError: nobody has listened so far; its status is 0.
    """
    table = net.netfilter.conntrack
    if not table.listening:
        table.listening = True
        raise CommandError(_NOTHING_KEPT, 0)
    form = _form(net, asked)
    return "".join(
        f"{text.event(event, form, epoch=EPOCH)}\n"
        for event in table.events
        if event.kind in asked.events and asked.filter.has(event.connection)
    )


def say(net: Namespace, asked: Request) -> str:
    """Do `conntrack -V` and `conntrack -h`."""
    del net
    if asked.command == "V":
        return f"{PROGRAM}\n"
    return (
        "Command line interface for the connection tracking system. Version 1.4.7\n"
        "Usage: conntrack [commands] [options]\n"
    )


_ACTIONS: Final[Mapping[str, Callable[[Namespace, Request], str]]] = {
    "L": show,
    "G": get,
    "D": delete,
    "U": update,
    "F": flush,
    "C": count,
    "S": statistics,
    "E": listen,
    "V": say,
    "h": say,
}


def _meant(net: Namespace, asked: Request) -> Iterator[Connection]:
    if asked.table == "conntrack":
        for connection in net.netfilter.conntrack.entries(net.now):
            if asked.filter.has(connection):
                yield connection


def _differs(connection: Connection, asked: Request) -> bool:
    marked = asked.mark is not None and asked.mark.laid_on(connection.mark) != connection.mark
    return marked or asked.status & ~connection.status != 0 or asked.timeout is not None


def _form(net: Namespace, asked: Request) -> Form:
    return attrs.evolve(asked.form, counted=bool(net.sysctl.number(_ACCOUNTING)))


def _show(net: Namespace, connections: Sequence[Connection], asked: Request, *, uses: int = 1) -> str:
    shown = text.listing(connections, net.now, attrs.evolve(_form(net, asked), uses=uses))
    if asked.zero:
        for connection in connections:
            connection.packets[:] = connection.octets[:] = [0, 0]
    return shown
