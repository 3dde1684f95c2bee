# SPDX-License-Identifier: GPL-2.0-only
"""Packets of protocols without many states, right and wrong ones, through the real kernel and ours."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

import pytest

from emu.sim.time import SECOND, Instant
from emu.tools.conntrack import reading, text
from emu.wire import icmp, udp
from emu.wire.checksum import checksum, pseudo_header
from tests.kernel.middle import linux_middle
from tests.unit.kernel.netfilter.conntrack.middle import CLIENT, SERVER, Middle, packet

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.tools.conntrack.reading import Entry
    from tests.kernel.middle import LinuxMiddle

_UDP_LITE: Final = 136
_GRE: Final = 47
_DCCP: Final = 33


def _udp(way: str, *, length: int | None = None, check: int | None = None, data: bytes = b"data") -> bytes:
    ports, ends = ((20000, 53), (CLIENT, SERVER)) if way == ">" else ((53, 20000), (SERVER, CLIENT))
    octets = udp.build(*ends, *ports, data)
    if length is not None:
        octets = octets[:4] + struct.pack("!H", length) + octets[6:]
    if check is not None:
        octets = octets[:6] + struct.pack("!H", check) + octets[8:]
    return packet(way, 17, octets)


def _lite(way: str, *, covered: int = 0, check: int | None = None, pseudo: int = _UDP_LITE) -> bytes:
    ports, ends = ((20000, 53), (CLIENT, SERVER)) if way == ">" else ((53, 20000), (SERVER, CLIENT))
    octets = struct.pack("!HHHH", *ports, covered, 0) + b"data"
    if check is None:
        check = checksum(octets[: covered or len(octets)], pseudo_header(*ends, pseudo, len(octets)))
    return packet(way, _UDP_LITE, octets[:6] + struct.pack("!H", check) + octets[8:])


def _icmp(way: str, kind: int, *, identifier: int = 77, check: int | None = None, code: int = 0) -> bytes:
    octets = icmp.build(kind, code, b"data", word1=identifier, word2=1)
    if check is not None:
        octets = octets[:2] + struct.pack("!H", check) + octets[4:]
    return packet(way, 1, octets)


_CASES: Final[dict[str, list[tuple[str, bytes]]]] = {
    "udp unanswered": [(">", _udp(">")), (">", _udp(">"))],
    "udp answered": [(">", _udp(">")), ("<", _udp("<")), (">", _udp(">"))],
    "udp without checksum": [(">", _udp(">", check=0))],
    "udp with a wrong checksum": [(">", _udp(">", check=1))],
    "udp longer than its packet": [(">", _udp(">", length=100))],
    "udp shorter than its header": [(">", _udp(">", length=7))],
    "udp with octets behind it": [(">", packet(">", 17, _udp(">")[20:] + b"behind"))],
    "udp cut short": [(">", packet(">", 17, _udp(">")[20:26]))],
    "udp without ports": [(">", packet(">", 17, b"abc"))],
    "udp wrong in reply": [(">", _udp(">")), ("<", _udp("<", check=1)), ("<", _udp("<"))],
    "lite unanswered": [(">", _lite(">"))],
    "lite answered": [
        (">", _lite(">", pseudo=17)),
        ("<", _lite("<", pseudo=17)),
        (">", _lite(">", pseudo=17)),
    ],
    "lite as if it were udp": [(">", _lite(">", pseudo=17))],
    "lite covered in part": [(">", _lite(">", covered=8, pseudo=17))],
    "lite covered too little": [(">", _lite(">", covered=7))],
    "lite covered too much": [(">", _lite(">", covered=100, check=1))],
    "lite without checksum": [(">", _lite(">", check=0))],
    "lite with a wrong checksum": [(">", _lite(">", check=1))],
    "echo": [(">", _icmp(">", 8)), ("<", _icmp("<", 0)), ("<", _icmp("<", 0)), (">", _icmp(">", 8))],
    "timestamp": [(">", _icmp(">", 13)), ("<", _icmp("<", 14))],
    "information": [(">", _icmp(">", 15)), ("<", _icmp("<", 16))],
    "address mask": [(">", _icmp(">", 17)), ("<", _icmp("<", 18))],
    "echo reply first": [(">", _icmp(">", 0))],
    "router solicitation": [(">", _icmp(">", 10))],
    "unknown type": [(">", _icmp(">", 42))],
    "echo with a wrong checksum": [(">", _icmp(">", 8, check=1))],
    "echo cut short": [(">", packet(">", 1, b"\x08\0\0\0\0\0"))],
    "echo with a code": [(">", _icmp(">", 8, code=3)), ("<", _icmp("<", 0, code=3)), ("<", _icmp("<", 0))],
    "gre": [(">", packet(">", _GRE, b"\0\0\x08\0abcd")), (">", packet(">", _GRE, b"\0\0\x08\0abcd"))],
    "gre answered": [(way, packet(way, _GRE, b"\0\0\x08\0abcd")) for way in "><>"],
    "esp": [(way, packet(way, 50, b"\0\0\0\1abcd")) for way in "><>"],
    "igmp": [(">", packet(">", 2, b"\x16\0\0\0\0\0\0\0"))],
    "nothing": [(">", packet(">", 253, b""))],
}


def _theirs(linux: LinuxMiddle, name: str) -> tuple[list[str], list[Entry]]:
    """Return what Linux calls the packets of a case, and its table then."""
    linux.flush()
    verdicts = [linux.see([one])[0] for one in _CASES[name]]
    return verdicts, reading.parse(linux.listing())


def _ours(name: str) -> tuple[list[str], list[Entry]]:
    middle = Middle()
    middle.now = Instant(SECOND)
    verdicts = [middle.see(octets) for _, octets in _CASES[name]]
    found = [] if middle.connection is None else [middle.connection]
    return verdicts, reading.parse(text.listing(found, middle.now, text.Form(counted=True)))


@pytest.fixture(scope="module")
def linux() -> Iterator[LinuxMiddle]:
    """Return a node."""
    with linux_middle() as made:
        yield made


@pytest.mark.kernel
@pytest.mark.parametrize("name", _CASES)
def test_linux_and_emu_agree(linux: LinuxMiddle, name: str) -> None:
    """What each packet is, and the entry that they leave, is the same."""
    (ours, mine), (theirs, real) = _ours(name), _theirs(linux, name)
    assert ours == theirs
    assert [entry.left for entry in mine] == pytest.approx([entry.left for entry in real], abs=2)
    assert [_without_time(entry) for entry in mine] == [_without_time(entry) for entry in real]


def _without_time(entry: Entry) -> tuple[object, ...]:
    return entry.original, entry.reply, entry.state, entry.flags, entry.mark, entry.packets, entry.octets


@pytest.mark.kernel
def test_dccp_has_no_ports_any_more(linux: LinuxMiddle) -> None:
    """Linux 6.18 tracks it like any unknown protocol: all between two hosts is one connection."""
    linux.flush()
    linux.see([(">", packet(">", _DCCP, b"\0\x50\x08\0" + bytes(20)))])
    assert (
        "dccp     33 599 src=10.0.1.2 dst=10.0.2.2 sport=0 dport=0 packets=1 bytes=44 [UNREPLIED]"
        in linux.listing()
    )
