# SPDX-License-Identifier: GPL-2.0-only
"""A command line inside a namespace: what people type, and what the tool prints.

`ping` and `traceroute` take time and send packets; all other commands
(`emu.apps.commands`) read and change tables at once.
"""

from __future__ import annotations

import argparse
import errno
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final, NoReturn, TypeAlias

import attrs

from emu.apps import commands
from emu.apps.options import IpOptions
from emu.apps.ping import Echo, ping
from emu.apps.traceroute import FIRST_PORT, Hop, traceroute
from emu.errors import AddressError, CommandError
from emu.fabric import program
from emu.sim.time import MILLISECOND, Duration, from_seconds
from emu.wire.addresses import IpAddress

if TYPE_CHECKING:
    from emu.fabric.program import Program

_MAX_COUNT: Final = 100_000
_MAX_SIZE: Final = 65507
_DISCOVERY: Final = {"do": True, "dont": False, "want": None}
_UNREACHABLE: Final = {
    0: "Destination Net Unreachable",
    1: "Destination Host Unreachable",
    2: "Destination Protocol Unreachable",
    3: "Destination Port Unreachable",
    4: "Frag needed and DF set",
    13: "Packet filtered",
}


@attrs.frozen
class Finished:
    """What a command printed, and its exit status."""

    stdout: str = ""
    stderr: str = ""
    status: int = 0


Tool: TypeAlias = Callable[[Sequence[str]], "Program[Finished]"]


def run(argv: Sequence[str]) -> Program[Finished]:
    """Run a command line and return what it printed; a refusal is told there, never raised."""
    tool = TOOLS.get(argv[0])
    try:
        if tool is not None:
            return (yield from tool(argv[1:]))
        text = yield from program.call(partial(commands.execute, argv=argv, beside=tuple(TOOLS)))
    except CommandError as error:
        return Finished(error.stdout, f"{error}\n", error.status)
    if text and not text.endswith("\n"):
        text += "\n"
    return Finished(text)


class _Arguments(argparse.ArgumentParser):
    """Arguments of a modelled tool; what is wrong with them becomes a `CommandError`."""

    def error(self, message: str) -> NoReturn:
        raise CommandError(f"{self.prog}: {message}", 2)


def _address(text: str) -> IpAddress:
    try:
        address = IpAddress.parse(text)
    except AddressError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if address.family != 4:
        raise argparse.ArgumentTypeError(f"{text}: only IPv4 is modelled")
    return address


def _number(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        try:
            number = int(text, 16 if text.startswith("0x") else 10)
        except ValueError:
            number = least - 1
        if not least <= number <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is no number from {least} to {most}")
        return number

    return parse


def _seconds(text: str) -> Duration:
    try:
        duration = from_seconds(float(text))
    except (ValueError, OverflowError):
        duration = -1
    if not 0 <= duration <= from_seconds(86400):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds up to a day")
    return duration


# --- ping ---


def _ping(argv: Sequence[str]) -> Program[Finished]:
    """Print what ping of iputils prints; without -c it stops after four."""
    parser = _Arguments("ping", add_help=False)
    parser.add_argument("-c", dest="count", type=_number(1, _MAX_COUNT), default=4)
    parser.add_argument("-i", dest="interval", type=_seconds, default=from_seconds(1))
    parser.add_argument("-W", dest="timeout", type=_seconds, default=from_seconds(10))
    parser.add_argument("-s", dest="size", type=_number(0, _MAX_SIZE), default=56)
    parser.add_argument("-t", dest="ttl", type=_number(1, 255))
    parser.add_argument("-Q", dest="tos", type=_number(0, 255))
    parser.add_argument("-M", dest="discovery", choices=_DISCOVERY, default="want")
    parser.add_argument("-I", dest="src", type=_address)
    parser.add_argument("-e", dest="identifier", type=_number(0, 65535), default=0x1234)
    parser.add_argument("-n", action="store_true")
    parser.add_argument("dst", type=_address)
    asked = parser.parse_args(argv)
    start = yield from program.now()
    echoes = yield from ping(
        asked.dst,
        src=asked.src,
        identifier=asked.identifier,
        size=asked.size,
        count=asked.count,
        interval=asked.interval,
        timeout=asked.timeout,
        options=IpOptions(asked.ttl, asked.tos, _DISCOVERY[asked.discovery]),
    )
    end = yield from program.now()
    lines = [f"PING {asked.dst} ({asked.dst}) {asked.size}({asked.size + 28}) bytes of data."]
    lines += [
        line for sequence, echo in enumerate(echoes, 1) for line in _echo_line(sequence, echo, asked.size)
    ]
    lines += _statistics(asked.dst, echoes, end - start)
    return Finished("\n".join(lines) + "\n", status=0 if any(e.outcome == "reply" for e in echoes) else 1)


def _echo_line(sequence: int, echo: Echo, size: int) -> list[str]:
    if echo.outcome == "reply":
        time = f"time={echo.time / MILLISECOND:.3f} ms"
        return [f"{size + 8} bytes from {echo.sender}: icmp_seq={sequence} ttl={echo.ttl} {time}"]
    if echo.outcome.startswith("icmp "):
        kind, code = (int(number) for number in echo.outcome.removeprefix("icmp ").split("/"))
        words = "Time to live exceeded" if kind == 11 else _UNREACHABLE.get(code, f"type {kind} code {code}")
        return [f"From {echo.sender} icmp_seq={sequence} {words}"]
    if echo.outcome == "timeout":
        return []
    number = getattr(errno, echo.outcome, 0)
    return [f"ping: sendmsg: {os.strerror(number)}"]


def _statistics(dst: IpAddress, echoes: Sequence[Echo], passed: Duration) -> list[str]:
    replies = [echo.time for echo in echoes if echo.outcome == "reply"]
    errors = sum(echo.outcome.startswith("icmp ") for echo in echoes)
    counts = f"{len(echoes)} packets transmitted, {len(replies)} received" + (
        f", +{errors} errors" if errors else ""
    )
    ms = passed // MILLISECOND
    loss = 100 * (len(echoes) - len(replies)) / len(echoes)
    lines = [
        "",
        f"--- {dst} ping statistics ---",
        f"{counts}, {loss:g}% packet loss, time {ms}ms",
    ]
    if replies:
        mean = sum(replies) / len(replies)
        deviation = (sum((reply - mean) ** 2 for reply in replies) / len(replies)) ** 0.5
        times = (min(replies), mean, max(replies), deviation)
        lines.append("rtt min/avg/max/mdev = " + "/".join(f"{t / MILLISECOND:.3f}" for t in times) + " ms")
    return lines


# --- traceroute ---


def _traceroute(argv: Sequence[str]) -> Program[Finished]:
    """Print what traceroute prints with `-q 1`: one datagram for each hop."""
    parser = _Arguments("traceroute", add_help=False)
    parser.add_argument("-m", dest="max_ttl", type=_number(1, 255), default=30)
    parser.add_argument("-w", dest="timeout", type=_seconds, default=from_seconds(5))
    parser.add_argument("-p", dest="port", type=_number(1, 65535 - 255), default=FIRST_PORT)
    parser.add_argument("-n", action="store_true")
    parser.add_argument("-q", dest="queries", type=_number(1, 1), default=1)
    parser.add_argument("dst", type=_address)
    asked = parser.parse_args(argv)
    try:
        hops = yield from traceroute(
            asked.dst, max_ttl=asked.max_ttl, base_port=asked.port, src_port=0, timeout=asked.timeout
        )
    except OSError as error:
        return Finished(stderr=f"traceroute: {error.strerror}\n", status=1)
    lines = [f"traceroute to {asked.dst} ({asked.dst}), {asked.max_ttl} hops max, 36 byte packets"]
    lines += [f"{number:>2}  {_hop_words(hop)}" for number, hop in enumerate(hops, 1)]
    return Finished("\n".join(lines) + "\n")


def _hop_words(hop: Hop | None) -> str:
    if hop is None:
        return "*"
    marks = {0: " !N", 1: " !H", 2: " !P", 13: " !X"}
    mark = marks.get(hop.code, "") if hop.is_end else ""
    return f"{hop.address}  {hop.time / MILLISECOND:.3f} ms{mark}"


TOOLS: Final[Mapping[str, Tool]] = {"ping": _ping, "traceroute": _traceroute}
"""The commands that take time, by name."""
