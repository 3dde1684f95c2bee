# SPDX-License-Identifier: GPL-2.0-only
"""A packet under way inside one namespace, with what the kernel knows about it."""

from __future__ import annotations

import enum
import struct
from typing import TYPE_CHECKING, Final, NamedTuple

from emu.kernel.netfilter.conntrack.entry import CtInfo
from emu.wire import checksum, ipv4, translation
from emu.wire.addresses import IpAddress
from emu.wire.frame import Frame

if TYPE_CHECKING:
    from emu.kernel.ip_options_reader import Options
    from emu.kernel.link.device import Device
    from emu.kernel.netfilter.conntrack.entry import Connection
    from emu.kernel.routing import RouteDecision

KERNEL_SOCKET: Final = -1
"""The kernel's own sockets, by which it sends ICMP messages and resets: nobody owns them."""

_CHECKSUM: Final = slice(10, 12)
_NEW, _UNTRACKED = CtInfo.NEW, CtInfo.UNTRACKED  # looked up for every packet
_RELATED, _RELATED_REPLY = CtInfo.RELATED, CtInfo.RELATED_REPLY
_TTL_TO_CHECKSUM: Final = struct.Struct("!BBH")  # octets 8 to 11


class PacketType(enum.Enum):
    """Whom the link layer addressed. Source: include/uapi/linux/if_packet.h."""

    HOST = "to us"
    BROADCAST = "to all"
    MULTICAST = "to a group"
    OTHERHOST = "to another MAC address"


class Bridged(NamedTuple):
    """Where a packet crosses a bridge (`struct nf_bridge_info`).

    Attributes:
        physin: name of the port it came in by.
        physout: name of the port it leaves by, empty while it is not known.
        src_mac: the source MAC address to bring back, where a packet whose
            destination was changed waits for the MAC address of the new one.
        dst_mac: the destination MAC address of the frame it came in, from which
            a rule may have it answered.
    """

    physin: str
    physout: str = ""
    src_mac: bytes = b""
    dst_mac: bytes = b""


class Metadata(NamedTuple):
    """What stays with a packet that becomes a frame and stays in its namespace.

    Through the loopback device and up a bridge, that is. Source: `struct sk_buff`.
    """

    mark: int = 0
    connection: Connection | None = None
    ctinfo: CtInfo = CtInfo.NEW
    bridged: Bridged | None = None
    pieces: tuple[int, ...] = ()
    route: RouteDecision | None = None
    is_balanced: bool = False


class Skb:
    """A packet and its metadata.

    The octets change only through the methods below `--- rewriting ---`, so
    that one who watches a walk through the stack misses no change.

    Attributes:
        packet: octets from the network header to the packet's last one.
        header: the parsed IPv4 header of `packet`.
        packet_id: see `Frame`.
        trail: see `Frame`.
        device: where it came in; None for a packet of this host.
        packet_type: whom the frame was for.
        src_mac: the frame's source, empty for a packet of this host.
        mark: the firewall mark.
        route: the routing decision, once made.
        refused: netfilter dropped it: its sender is told EPERM.
        socket: number of the socket that sent it, 0 for none, `KERNEL_SOCKET` for one of the kernel.
        confirms: the next hop is known to be reachable (its connection makes progress).
        ignore_df: fragment it though DF is set (the sender's socket said so).
        frag_max: the largest fragment it was reassembled from, 0 if it was whole, or
            a bridge passed it up to this host.
        pieces: the payloads' lengths of the fragments it was reassembled from.
        options: what its IP options ask for; None if it has none or they have not been read.
        connection: the connection it belongs to, once tracked.
        ctinfo: what it is to its connection; without one, UNTRACKED where nobody
            shall look, INVALID where it fits none, and NEW where nobody has looked yet.
        zones: the conntrack zone for each direction of a connection that it begins.
        bridged: the ports of the bridge that it crosses, None where it crosses none.
        is_balanced: IPVS has looked at it (`ipvs_property`).
    """

    __slots__ = (
        "bridged",
        "confirms",
        "connection",
        "ctinfo",
        "device",
        "frag_max",
        "header",
        "ignore_df",
        "is_balanced",
        "mark",
        "options",
        "packet",
        "packet_id",
        "packet_type",
        "pieces",
        "refused",
        "route",
        "socket",
        "src_mac",
        "trail",
        "zones",
    )

    def __init__(
        self,
        packet: bytes,
        packet_id: int,
        trail: int = 0,
        *,
        device: Device | None = None,
        packet_type: PacketType = PacketType.HOST,
        src_mac: bytes = b"",
    ) -> None:
        self.packet = packet
        self.header = ipv4.Ipv4.parse(packet)
        self.packet_id = packet_id
        self.trail = trail
        self.device = device
        self.packet_type = packet_type
        self.src_mac = src_mac
        self.mark = 0
        self.route: RouteDecision | None = None
        self.refused = False
        self.socket = 0
        self.confirms = False
        self.ignore_df = False
        self.frag_max = 0
        self.pieces: tuple[int, ...] = ()
        self.options: Options | None = None
        self.connection: Connection | None = None
        self.ctinfo = _NEW
        self.zones = (0, 0)
        self.bridged: Bridged | None = None
        self.is_balanced = False

    @property
    def src(self) -> IpAddress:
        """Source address."""
        return IpAddress(self.header.src)

    @property
    def dst(self) -> IpAddress:
        """Destination address."""
        return IpAddress(self.header.dst)

    @property
    def payload(self) -> bytes:
        """What follows the IP header."""
        return self.packet[self.header.header_length :]

    @property
    def iif(self) -> str:
        """Name of the device it came in by, empty for a packet of this host."""
        return self.device.name if self.device else ""

    def frame(self, header: bytes) -> Frame:
        """Return the frame that `header` makes of it."""
        metadata = None
        if (
            self.mark
            or self.connection is not None
            or self.bridged is not None
            or self.ctinfo is _UNTRACKED
            or self.pieces
            or self.is_balanced
        ):
            metadata = Metadata(
                self.mark,
                self.connection,
                self.ctinfo,
                self.bridged,
                self.pieces,
                is_balanced=self.is_balanced,
            )
        return Frame(header + self.packet, self.packet_id, self.trail, metadata)

    def routed_frame(self, header: bytes) -> Frame:
        """Return the frame, its routing decision with it: some tunnels ask for it (`netif_keep_dst`)."""
        frame = self.frame(header)
        known = frame.metadata if isinstance(frame.metadata, Metadata) else Metadata()
        frame.metadata = known._replace(route=self.route)
        return frame

    def marked(self) -> Metadata | None:
        """Return what is left of the metadata where a tunnel begins or ends (`skb_scrub_packet`)."""
        return Metadata(self.mark) if self.mark else None

    def take(self, metadata: object | None) -> None:
        """Have the metadata of the frame that it came in."""
        if isinstance(metadata, Metadata):
            self.mark, self.connection, self.ctinfo, self.bridged, self.pieces, _, self.is_balanced = metadata

    def relate_to(self, cause: Skb) -> None:
        """Belong to the connection of `cause`, which this packet answers. Source: `nf_conntrack_attach`."""
        if cause.connection is not None:
            self.connection = cause.connection
            self.ctinfo = _RELATED if cause.ctinfo.direction else _RELATED_REPLY

    def forget_connection(self) -> None:
        """Belong to no connection any more, as where UDP takes it. Source: `nf_reset_ct`."""
        self.connection, self.ctinfo = None, _NEW

    def clone(self) -> Skb:
        """Return a copy that goes its own way; the connection is the same one."""
        copy = Skb.__new__(Skb)
        for name in Skb.__slots__:
            setattr(copy, name, getattr(self, name))
        return copy

    # --- rewriting ---

    def replace(self, packet: bytes) -> None:
        """Make `packet` the octets from here on: any rewrite that has no method of its own."""
        self.packet = packet
        self.header = ipv4.Ipv4.parse(packet)

    def trim(self, length: int) -> None:
        """Cut off what is behind the first `length` octets: padding, or what a fragment may not hold."""
        self.packet = self.packet[:length]

    def translate(self, address: bytes, port: int, *, is_source: bool) -> bool:
        """Give it another source or destination, see `translation.translated`; return whether it could."""
        changed = translation.translated(self.packet, address, port, is_source=is_source)
        if changed is None:
            return False
        self.replace(changed)
        return True

    def decrement_ttl(self) -> None:
        """Take one from the TTL and mend the checksum. Source: include/net/ip.h `ip_decrease_ttl`."""
        packet, header = self.packet, self.header
        total = header.checksum + 0x100  # what the TTL's word loses; RFC 1141 §2
        changed = _TTL_TO_CHECKSUM.pack(header.ttl - 1, header.protocol, (total + (total >= 0xFFFF)) & 0xFFFF)
        self.replace(packet[:8] + changed + packet[12:])

    def rewrite_network(self, offset: int, octets: bytes) -> None:
        """Put `octets` (an even number) at the even `offset` of the IP header and mend its checksum."""
        packet = self.packet
        end = offset + len(octets)
        old = int.from_bytes(packet[offset:end], "big")
        total = checksum.update(self.header.checksum, old, int.from_bytes(octets, "big"))
        changed = bytearray(packet)
        changed[offset:end] = bytes(octets)
        changed[_CHECKSUM] = total.to_bytes(2, "big")
        self.replace(bytes(changed))


def mark_of(frame: Frame) -> int:
    """Return the firewall mark of the packet in `frame`."""
    return frame.metadata.mark if isinstance(frame.metadata, Metadata) else 0
