# SPDX-License-Identifier: GPL-2.0-only
"""What a capture consists of: the points where frames were seen, and the frames.

Both kinds of capture file (`pcap`, `pcapng`) are written from these and read
into these.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final, NamedTuple

import attrs

if TYPE_CHECKING:
    from emu.wire.addresses import MacAddress

LINK_TYPE_ETHERNET: Final = 1
LINK_TYPE_RAW: Final = 101  # an IP packet without link header, as on a tunnel device

MAX_CAPTURED_OCTETS: Final = 262144  # libpcap's greatest snapshot length


class Direction(enum.IntEnum):
    """Which way a frame crossed a capture point; the numbers are pcapng's `epb_flags`."""

    UNKNOWN = 0
    IN = 1
    OUT = 2


@attrs.frozen
class CapturePoint:
    """A place where frames are recorded: one interface of a capture file.

    Attributes:
        name: `DEVICE@OWNER`, like `eth0@default/web-1` or `cni0@node/worker-1`.
        description: a line for people, empty for none.
        mac: the device's address, if it has one.
        link_type: what the frames begin with, as a LINKTYPE_ number.
    """

    name: str
    description: str = ""
    mac: MacAddress | None = None
    link_type: int = LINK_TYPE_ETHERNET


class CapturedFrame(NamedTuple):
    """One frame as one capture point saw it; a tuple, since captures hold millions.

    Attributes:
        time_ns: ns since the Unix epoch.
        point: which capture point, counted from 0 in the order of the file.
        octets: the frame from its link header on, without FCS.
        direction: which way it went.
        packet_id: the same number at every point that one packet passes; None if not known.
        comments: what happened to the packet since the last point, a sentence each.
        wire_length: octets that the frame had if `octets` is only its beginning, else None.
        link_type: what it begins with, as a LINKTYPE_ number.
    """

    time_ns: int
    point: int
    octets: bytes
    direction: Direction = Direction.UNKNOWN
    packet_id: int | None = None
    comments: tuple[str, ...] = ()
    wire_length: int | None = None
    link_type: int = LINK_TYPE_ETHERNET


_LINK_TYPES: Final = {
    0: "NULL",
    1: "ETHERNET",
    6: "IEEE802_5",
    8: "SLIP",
    9: "PPP",
    10: "FDDI",
    50: "PPP_HDLC",
    101: "RAW",
    105: "IEEE802_11",
    108: "LOOP",
    113: "LINUX_SLL",
    117: "PFLOG",
    127: "IEEE802_11_RADIOTAP",
    187: "BLUETOOTH_HCI_H4",
    189: "USB_LINUX",
    195: "IEEE802_15_4_WITHFCS",
    220: "USB_LINUX_MMAPPED",
    228: "IPV4",
    229: "IPV6",
    239: "NFLOG",
    253: "NETLINK",
    276: "LINUX_SLL2",
}


def link_type_name(link_type: int) -> str:
    """Return the name and number of a link type, as in `LINUX_SLL2 (276)`.

    Source: the register of link types at tcpdump.org/linktypes.html.
    """
    name = _LINK_TYPES.get(link_type)
    return f"{name} ({link_type})" if name else str(link_type)
