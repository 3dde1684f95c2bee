# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from emu.cluster.network.actions import CapturePoint, Tally
from emu.cluster.network.tally import tally
from emu.observe.capture import Capture
from emu.observe.record import CapturedFrame
from emu.wire import ethernet, icmp, ipv4, udp
from emu.wire.addresses import IpAddress, MacAddress

if TYPE_CHECKING:
    from collections.abc import Iterable

    from emu.cluster.network.steps import Result

POINT = CapturePoint("node", "eth0")
OTHER = CapturePoint("node", "eth1")
MAC = MacAddress.parse("02:00:00:00:00:01")
ASKER = IpAddress.parse("10.0.0.1")


def datagram(sport: int, server: int) -> bytes:
    """Return a frame from port `sport` to port 53 of 10.0.0.`server`."""
    dst = IpAddress.parse(f"10.0.0.{server}")
    packet = ipv4.build(ipv4.UDP, ASKER, dst, udp.build(ASKER, dst, sport, 53, b"?"))
    return ethernet.header(MAC, MAC, ethernet.IPV4) + packet


ECHO = ethernet.header(MAC, MAC, ethernet.IPV4) + ipv4.build(
    ipv4.ICMP, ASKER, ASKER, icmp.build(icmp.ECHO, 0, b"")
)


def counted(
    frames: Iterable[bytes], between: tuple[int, int] | None = None, key: tuple[str, ...] = ("udp.sport",)
) -> Result:
    """Return the tally of destinations among `frames`; another frame is at a point not asked about."""
    capture = Capture([OTHER, POINT])
    capture.frames = [CapturedFrame(0, 1, octets) for octets in frames]
    capture.frames.append(CapturedFrame(0, 0, datagram(1000, 99)))
    return tally(Tally(POINT, key, "ip.dst", between), capture)


def test_values_are_counted_and_sorted() -> None:
    """Each value once, with how often it was seen."""
    result = counted([datagram(1, 3), datagram(2, 2), datagram(3, 3)])
    assert result == {
        "outcome": "consistent",
        "values": ["10.0.0.2", "10.0.0.3"],
        "counts": {"10.0.0.2": 1, "10.0.0.3": 2},
    }


def test_nothing_seen_is_consistent() -> None:
    """There is nothing that could disagree."""
    assert counted([]) == {"outcome": "consistent", "values": [], "counts": {}}


def test_equal_keys_need_equal_values() -> None:
    """A connection that changes its server is told."""
    assert counted([datagram(1, 2), datagram(1, 2)])["outcome"] == "consistent"
    assert counted([datagram(1, 2), datagram(2, 3), datagram(1, 3)])["outcome"] == "inconsistent"


def test_a_key_may_have_several_fields() -> None:
    """All of them have to be equal."""
    frames = [datagram(1, 2), datagram(2, 3)]
    assert counted(frames, key=("ip.src",))["outcome"] == "inconsistent"
    assert counted(frames, key=("ip.src", "udp.sport"))["outcome"] == "consistent"


@pytest.mark.parametrize(
    ("between", "outcome"),
    [((1, 2), "consistent"), ((1, 1), "skewed"), ((2, 2), "skewed"), ((0, 9), "consistent")],
)
def test_counts_have_to_be_within_bounds(between: tuple[int, int], outcome: str) -> None:
    """Both of them included."""
    assert counted([datagram(1, 2), datagram(2, 3), datagram(3, 3)], between)["outcome"] == outcome


def test_inconsistent_goes_before_skewed() -> None:
    """It is the worse."""
    assert counted([datagram(1, 2), datagram(1, 3)], (5, 9))["outcome"] == "inconsistent"


def test_frames_without_such_fields_are_passed_over() -> None:
    """Other protocols, and what is no packet at all."""
    result = counted([ECHO, b"", bytes(14), datagram(1, 2)[:30], datagram(1, 2)])
    assert result["counts"] == {"10.0.0.2": 1}
