# SPDX-License-Identifier: GPL-2.0-only
"""What SCTP says at a tap, in words, and packets of strangers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu.sim.time import SECOND
from emu.wire import ethernet, ipv4, sctp
from emu.wire.sctp import Chunk, ChunkType, Sctp

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.observe.recording import Step
    from emu.testing.lab import Lab

AT = ethernet.HEADER_LENGTH + ipv4.MIN_HEADER


def sctp_steps(lab: Lab, point: str) -> Iterator[Step]:
    """Yield the steps at a tap that are about SCTP."""
    for step in lab.at(point):
        if step.octets[12:14] == b"\x08\x00" and step.octets[ethernet.HEADER_LENGTH + 9] == sctp.PROTOCOL:
            yield step


def said(lab: Lab, point: str) -> list[str]:
    """Return for each SCTP packet at a tap the names of its chunks; `+T` marks the flag T."""
    return [" ".join(map(_name, sctp.read_chunks(step.octets[AT:]))) for step in sctp_steps(lab, point)]


def _name(chunk: Chunk) -> str:
    name = ChunkType(chunk.type).name
    reflectable = {ChunkType.ABORT, ChunkType.SHUTDOWN_COMPLETE}
    return f"{name}+T" if chunk.type in reflectable and chunk.flags & sctp.T_BIT else name


def seconds(lab: Lab, point: str) -> list[int]:
    """Return when each SCTP packet passed a tap, in whole seconds since the first."""
    times = [step.time for step in sctp_steps(lab, point)]
    return [(time - times[0]) // SECOND for time in times]


def tags(lab: Lab, point: str) -> list[int]:
    """Return the verification tag of each SCTP packet at a tap."""
    return [Sctp.parse(step.octets[AT:]).tag for step in sctp_steps(lab, point)]


def put(lab: Lab, tag: int, *chunks: Chunk, ports: tuple[int, int] = (4000, 5000)) -> None:
    """Have `b` receive a packet from `a` that nothing in `a` sent."""
    (_, a), (net, b) = lab.find("a/eth0"), lab.find("b/eth0")
    packet = ipv4.build(
        sctp.PROTOCOL,
        lab.address("a"),
        lab.address("b"),
        sctp.build(*ports, tag, chunks),
    )
    frame = ethernet.header(b.mac, a.mac, ethernet.IPV4) + packet
    lab.fabric.receive_frame(net, "eth0", frame)
    lab.wait()
