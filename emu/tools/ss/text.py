# SPDX-License-Identifier: GPL-2.0-only
"""What `ss` prints into a file or pipe: columns just wide enough.

Known differences from Linux: sockets belong to no process, so `-p` shows none;
of the names that `/etc/services` has for ports a few are known.

Source: iproute2 6.1, misc/ss.c `render_calc_width`, `render`, `inet_addr_print`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from emu.wire.addresses import ANY_IP4

if TYPE_CHECKING:
    from collections.abc import Iterable

    from emu.kernel.tcp.socket import Timer
    from emu.tools.ss.arguments import Request
    from emu.tools.ss.line import SocketLine

_MILLISECOND: Final = 1_000_000  # ns
_SERVICES: Final = {
    20: "ftp-data",
    21: "ftp",
    22: "ssh",
    23: "telnet",
    25: "smtp",
    53: "domain",
    67: "bootps",
    68: "bootpc",
    69: "tftp",
    80: "http",
    123: "ntp",
    179: "bgp",
    443: "https",
    8080: "http-alt",
}
_PROTOCOLS: Final = {1: "icmp"}


class _Column(NamedTuple):
    """A column: its title, the blank that parts it from the one before, and on which side it is filled up."""

    title: str
    blank: str
    right: bool = False


_COLUMNS: Final = (
    _Column("Netid", ""),
    _Column("State", " "),
    _Column("Recv-Q", " "),
    _Column("Send-Q", " "),
    _Column("Local Address:", " ", right=True),
    _Column("Port", ""),
    _Column("Peer Address:", " ", right=True),
    _Column("Port", ""),
    _Column("Process", ""),
)


def render(lines: Iterable[SocketLine], request: Request) -> str:
    """Return what `ss` prints of `lines`, sockets of the kinds and states that were asked for."""
    hidden = {0} if len(request.netids) == 1 else set()
    if len(request.states) == 1:
        hidden.add(1)
    rows = [tuple(column.title for column in _COLUMNS)] if request.header else []
    rows += [_cells(line, request) for line in lines]
    columns = [(place, column) for place, column in enumerate(_COLUMNS) if place not in hidden]
    widths = {place: max((len(row[place]) for row in rows), default=0) for place, _ in columns}
    return "".join(_row(row, columns, widths) for row in rows)


def _row(row: tuple[str, ...], columns: list[tuple[int, _Column]], widths: dict[int, int]) -> str:
    text = ""
    for place, column in columns:
        cell, width = row[place], widths[place]
        if width:
            text += column.blank if text else ""
            text += cell.rjust(width) if column.right else cell.ljust(width)
    return text + "\n"


def _cells(line: SocketLine, request: Request) -> tuple[str, ...]:
    timer = _timer(line.timer) if request.timers and line.timer is not None else ""
    return (
        line.netid,
        line.state.value,
        f"{line.recv_q:<6}",
        f"{line.send_q:<6}",
        f"{line.local}:",
        _port(line, line.local_port, request),
        f"{line.remote}:",
        "*" if line.remote == ANY_IP4 else _port(line, line.remote_port, request),
        timer,
    )


def _port(line: SocketLine, port: int, request: Request) -> str:
    if not port:
        return "*"
    names = _PROTOCOLS if line.netid == "raw" else _SERVICES
    return str(port) if request.numeric else names.get(port, str(port))


def _timer(timer: Timer) -> str:
    name, left, count = timer
    return f" timer:({name},{_duration(max(left, 0) // _MILLISECOND)},{count})"


def _duration(milliseconds: int) -> str:
    """Return a time as `ss` writes it, the more the coarser. Source: misc/ss.c `print_ms_timer`."""
    seconds, rest = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    text = ""
    if minutes:
        text, rest = f"{minutes}min", 0
        seconds = 0 if minutes > 9 else seconds
    if seconds:
        rest = 0 if seconds > 9 else rest
        text += f"{seconds}{'.' if rest else 'sec'}"
    return text + (f"{rest:03}ms" if rest else "")
