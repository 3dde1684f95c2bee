# SPDX-License-Identifier: GPL-2.0-only
"""Packets through rules, in the real kernel and in emu: the same frames, counters and connections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from emu.wire import ipv4, udp
from tests.kernel.verdicts.case import Case
from tests.kernel.verdicts.compare import compare, report, shrunk
from tests.kernel.verdicts.drawn import KINDS
from tests.kernel.verdicts.on_linux import linux_routers
from tests.kernel.verdicts.script import Pause, from_end

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.kernel.verdicts.on_linux import LinuxRouters
    from tests.kernel.verdicts.script import Step

_SEED: Final = 1
_CASES: Final = {"iptables": 120, "ipset": 60, "nft": 60}
_SHOWN: Final = 3
_SRC: Final = bytes((10, 0, 1, 2))
_DST: Final = bytes((10, 0, 2, 2))


@pytest.fixture(scope="module")
def linux() -> Iterator[LinuxRouters]:
    """Have routers in the real kernel."""
    with linux_routers() as routers:
        yield routers


@pytest.mark.kernel
@pytest.mark.parametrize("kind", KINDS)
def test_random_packets_meet_random_rules_alike(
    linux: LinuxRouters, kind: str, record_property: Callable[[str, object], None]
) -> None:
    """Frames that come out, counters, connections, sets: all is as in Linux, case by case.

    `python -m tests.kernel.verdicts SEED NUMBER --kind KIND` plays one again.
    """
    pairs, differing = 0, []
    for number in range(_CASES[kind]):
        case = KINDS[kind](_SEED, number)
        pairs += len(case.steps)
        if compare(linux, case).differences:
            differing.append(case)
    record_property("compared", (kind, pairs, len(differing)))
    lines: list[str] = []
    for case in differing[:_SHOWN]:
        report(compare(linux, shrunk(linux, case)), lines.append)
    assert not differing, "\n".join((f"differ: {', '.join(case.name for case in differing)}", *lines))


def _datagrams(count: int) -> list[Step]:
    payload = udp.build(_SRC, _DST, 1000, 2000, b"")
    return [from_end("left", ipv4.build(17, _SRC, _DST, payload, identification=1)) for _ in range(count)]


def _iptables(rules: str, *, backend: str = "legacy") -> str:
    blank = [f"*{name}\nCOMMIT\n" for name in ("raw", "mangle", "nat", "security") if backend == "legacy"]
    return f"*filter\n{rules}\nCOMMIT\n{''.join(blank)}"


_NFT: Final = "table ip t {{\n chain c {{\n type filter hook forward priority 0;\n {}\n }}\n}}\n"
_TIMED: Final = {
    "limit": _iptables("-A FORWARD -m limit --limit 2/second --limit-burst 5 -j ACCEPT\n-A FORWARD -j DROP"),
    "hashlimit": _iptables(
        "-A FORWARD -m hashlimit --hashlimit-upto 2/second --hashlimit-burst 5 --hashlimit-mode srcip "
        "--hashlimit-name timed@RUN@ --hashlimit-htable-expire 60000 -j ACCEPT\n-A FORWARD -j DROP"
    ),
    "hashlimit above": _iptables(
        "-A FORWARD -m hashlimit --hashlimit-above 2/second --hashlimit-burst 5 --hashlimit-mode dstip "
        "--hashlimit-name timed@RUN@ --hashlimit-htable-expire 60000 -j DROP"
    ),
    "recent": _iptables(
        "-A FORWARD -m recent --name timed@RUN@ --rcheck --seconds 1 --hitcount 3 -j DROP\n"
        "-A FORWARD -m recent --name timed@RUN@ --set"
    ),
}
_TIMED_NFT: Final = {
    "nft limit": _NFT.format("limit rate 2/second burst 5 packets counter accept\n counter drop"),
    "nft limit over": _NFT.format("limit rate over 2/second burst 5 packets counter drop"),
}


@pytest.mark.kernel
@pytest.mark.parametrize("name", [*_TIMED, *_TIMED_NFT])
def test_what_time_brings_back_is_as_much(linux: LinuxRouters, name: str) -> None:
    """A burst passes, then no more; after a pause so many as have been earned meanwhile."""
    is_nft = name in _TIMED_NFT
    rules = _TIMED_NFT[name] if is_nft else _TIMED[name]
    steps = (*_datagrams(7), Pause(1.25), *_datagrams(4), Pause(0.75), *_datagrams(3))
    case = Case(
        name,
        rules,
        steps,
        backend="nft" if is_nft else "legacy",
        nft=is_nft,
        identifications=frozenset((1,)),
        ports=frozenset((1000, 2000)),
    )
    compared = compare(linux, case)
    lines: list[str] = []
    report(compared, lines.append)
    assert not compared.differences, "\n".join(lines)
    assert any(not seen for seen in compared.linux.steps[:7]), "the burst was too short to tell anything"
