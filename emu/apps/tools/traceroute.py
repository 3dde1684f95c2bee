# SPDX-License-Identifier: GPL-2.0-only
"""`traceroute`; it shows numbers, as with `-n`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu.apps.tools.arguments import Arguments, number, seconds
from emu.apps.tools.finished import Finished
from emu.apps.tools.target import find
from emu.apps.traceroute import FIRST_PORT, Hop, traceroute
from emu.sim.time import MILLISECOND, from_seconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.fabric.program import Program
    from emu.fabric.userland import Userland


def run(argv: Sequence[str], userland: Userland) -> Program[Finished]:
    """Print what traceroute prints with `-q 1`: one datagram for each hop."""
    parser = Arguments("traceroute")
    parser.add_argument("-m", dest="max_ttl", type=number(1, 255), default=30)
    parser.add_argument("-w", dest="timeout", type=seconds, default=from_seconds(5))
    parser.add_argument("-p", dest="port", type=number(1, 65535 - 255), default=FIRST_PORT)
    parser.add_argument("-n", action="store_true")
    parser.add_argument("-q", dest="queries", type=number(1, 1), default=1)
    parser.add_argument("dst")
    asked = parser.parse_args([word for word in argv if word != "-4"])
    target = yield from find("traceroute", asked.dst, userland, family=4 if "-4" in argv else 0)
    try:
        hops = yield from traceroute(
            target.address, max_ttl=asked.max_ttl, base_port=asked.port, src_port=0, timeout=asked.timeout
        )
    except OSError as error:
        return Finished(stderr=f"traceroute: {error.strerror}\n", status=1)
    lines = [f"traceroute to {asked.dst} ({target.address}), {asked.max_ttl} hops max, 36 byte packets"]
    lines += [f"{number:>2}  {_hop_words(hop)}" for number, hop in enumerate(hops, 1)]
    return Finished("\n".join(lines) + "\n")


def _hop_words(hop: Hop | None) -> str:
    if hop is None:
        return "*"
    marks = {0: " !N", 1: " !H", 2: " !P", 13: " !X"}
    mark = marks.get(hop.code, "") if hop.is_end else ""
    return f"{hop.address}  {hop.time / MILLISECOND:.3f} ms{mark}"
