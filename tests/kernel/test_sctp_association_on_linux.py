# SPDX-License-Identifier: GPL-2.0-only
"""Associations of our end points, seen by the real kernel's tracker: it follows them to their end."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING

import pytest

from emu.apps import association
from emu.fabric import program
from emu.kernel.sockets import SocketKind
from emu.observe.recording import Kind
from emu.sim.time import SECOND
from emu.testing.lab import two_hosts
from emu.wire import ethernet, ipv4, sctp
from emu.wire.addresses import ANY_IP4
from tests.kernel.comparison import FIRST_PORT
from tests.kernel.middle import linux_middle
from tests.unit.kernel.netfilter.conntrack.middle import packet

if TYPE_CHECKING:
    from emu.fabric.program import Program
    from emu.testing.lab import Lab

PORT = 80
AT = ethernet.HEADER_LENGTH + ipv4.MIN_HEADER


def rude(lab: Lab, port: int) -> Program[None]:
    """Associate and end it by ABORT."""
    socket = yield from program.socket(SocketKind.SCTP)
    yield from program.bind(socket, ANY_IP4, port)
    yield from program.connect(socket, lab.address("b"), PORT)
    yield from program.linger(socket, 0)
    yield from program.close(socket)


def numbered(octets: bytes, number: int) -> bytes:
    """Return a packet with another identification: it is known again by that."""
    header = ipv4.Ipv4.parse(octets)
    return ipv4.build(
        header.protocol, header.src, header.dst, octets[ipv4.MIN_HEADER :], identification=number
    )


def recorded(number: int) -> list[tuple[str, bytes]]:
    """Return the packets of an association: which way, and the octets. There are four kinds."""
    lab, port = two_hosts(), FIRST_PORT + number
    if number != 3:
        lab.start("b", association.serve(PORT))
    if number == 2:
        lab.start("a", rude(lab, port))
    else:
        payload = bytes(5000) if number == 1 else b"hello"
        lab.start("a", association.request(lab.address("b"), PORT, payload, rounds=3, src_port=port))
    lab.wait(2 * SECOND)
    found = []
    for step in lab.at("a/eth0"):
        if step.octets[ethernet.HEADER_LENGTH + 9] == sctp.PROTOCOL and step.octets[12:14] == b"\x08\x00":
            way = ">" if step.kind is Kind.OUT else "<"
            found.append((way, numbered(packet(way, sctp.PROTOCOL, step.octets[AT:]), number + 1)))
    return found


@pytest.mark.kernel
def test_linux_follows_our_associations() -> None:
    """No packet of a chat, a long one, an aborted or a refused one is invalid; all end CLOSED."""
    stories = [recorded(number) for number in range(4)]
    with linux_middle() as linux:
        for sent in zip_longest(*stories):
            verdicts = linux.see([one for one in sent if one is not None])
            assert set(verdicts) <= {"NEW", "ESTABLISHED"}, sent
        ends = {port: entry.state for port, entry in linux.entries().items()}
    assert ends == {FIRST_PORT + number: "CLOSED" for number in range(4)}
