# SPDX-License-Identifier: GPL-2.0-only
"""`ping` of iputils.

The names of who answers are asked for behind the last answer, not after each.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Final

from emu.apps.options import IpOptions
from emu.apps.ping import Echo, ping_regularly
from emu.apps.resolver.lookup import name_of
from emu.apps.tools.arguments import Arguments, address, number, seconds
from emu.apps.tools.finished import Finished
from emu.apps.tools.target import find
from emu.fabric import program
from emu.sim.time import MILLISECOND, Duration, from_seconds

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from emu.fabric.program import Program
    from emu.fabric.userland import Userland
    from emu.wire.addresses import IpAddress

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


def run(argv: Sequence[str], userland: Userland) -> Program[Finished]:
    """Print what ping of iputils prints; without -c it stops after four."""
    parser = Arguments("ping")
    parser.add_argument("-c", dest="count", type=number(1, _MAX_COUNT), default=4)
    parser.add_argument("-i", dest="interval", type=seconds, default=from_seconds(1))
    parser.add_argument("-W", dest="timeout", type=seconds, default=from_seconds(10))
    parser.add_argument("-s", dest="size", type=number(0, _MAX_SIZE), default=56)
    parser.add_argument("-t", dest="ttl", type=number(1, 255))
    parser.add_argument("-Q", dest="tos", type=number(0, 255))
    parser.add_argument("-M", dest="discovery", choices=_DISCOVERY, default="want")
    parser.add_argument("-I", dest="src", type=address)
    parser.add_argument("-e", dest="identifier", type=number(0, 65535), default=0x1234)
    parser.add_argument("-n", action="store_true")
    parser.add_argument("dst")
    asked = parser.parse_args([word for word in argv if word != "-4"])
    target = yield from find("ping", asked.dst, userland, family=4 if "-4" in argv else 0)
    start = yield from program.now()
    echoes = yield from ping_regularly(
        target.address,
        src=asked.src,
        identifier=asked.identifier,
        size=asked.size,
        count=asked.count,
        interval=asked.interval,
        timeout=asked.timeout,
        options=IpOptions(asked.ttl, asked.tos, _DISCOVERY[asked.discovery]),
    )
    end = yield from program.now()
    lines = [f"PING {target.name} ({target.address}) {asked.size}({asked.size + 28}) bytes of data."]
    names = {} if asked.n or target.is_number else (yield from names_of(echoes, userland))
    lines += [
        line
        for sequence, echo in enumerate(echoes, 1)
        for line in _echo_line(sequence, echo, asked.size, names)
    ]
    lines += _statistics(target.name, echoes, end - start)
    return Finished("\n".join(lines) + "\n", status=0 if any(e.outcome == "reply" for e in echoes) else 1)


def names_of(echoes: Sequence[Echo], userland: Userland) -> Program[dict[IpAddress, str]]:
    """Return the names of who answered, as far as they have one; each is asked for once."""
    names: dict[IpAddress, str] = {}
    senders = (echo.sender for echo in echoes if echo.sender is not None)
    for sender in dict.fromkeys(senders):
        name = yield from name_of(sender, userland)
        if name is not None:
            names[sender] = name
    return names


def _echo_line(sequence: int, echo: Echo, size: int, names: Mapping[IpAddress, str]) -> list[str]:
    sender = str(echo.sender)
    if echo.sender is not None and echo.sender in names:
        sender = f"{names[echo.sender]} ({echo.sender})"
    if echo.outcome == "reply":
        time = f"time={echo.time / MILLISECOND:.3f} ms"
        return [f"{size + 8} bytes from {sender}: icmp_seq={sequence} ttl={echo.ttl} {time}"]
    if echo.outcome.startswith("icmp "):
        kind, code = (int(number) for number in echo.outcome.removeprefix("icmp ").split("/"))
        words = "Time to live exceeded" if kind == 11 else _UNREACHABLE.get(code, f"type {kind} code {code}")
        return [f"From {sender} icmp_seq={sequence} {words}"]
    if echo.outcome == "timeout":
        return []
    number = getattr(errno, echo.outcome, 0)
    return [f"ping: sendmsg: {os.strerror(number)}"]


def _statistics(dst: str, echoes: Sequence[Echo], passed: Duration) -> list[str]:
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
