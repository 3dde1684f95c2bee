# SPDX-License-Identifier: GPL-2.0-only
"""Why a frame ended, in the kernel's own words.

The names are those of `enum skb_drop_reason` (include/net/dropreason-core.h and
the VXLAN reasons among them) without their prefix, so that what `pwru` or
`perf trace` print on a node is found here. Where the kernel gives no better
reason than NOT_SPECIFIED, `Drop.detail` says what happened.
"""

from __future__ import annotations

import enum


class DropReason(enum.Enum):
    """A reason to end a frame; the value says it in a few words."""

    NOT_SPECIFIED = "no reason is given"
    NO_SOCKET = "no socket takes it"
    PKT_TOO_SMALL = "too short for its header"
    TCP_CSUM = "wrong TCP checksum"
    UDP_CSUM = "wrong UDP checksum"
    ICMP_CSUM = "wrong ICMP checksum"
    IP_CSUM = "wrong IP header checksum"
    IP_INHDR = "IP header is malformed or the TTL is spent"
    IP_RPFILTER = "the reverse path filter refuses the source"
    IP_NOPROTO = "no handler for the IP protocol"
    IP_INNOROUTES = "no route for a packet that came in"
    IP_OUTNOROUTES = "no route for a packet of this host"
    IP_INADDRERRORS = "the destination is not ours and this host does not forward"
    IP_LOCAL_SOURCE = "the source is an address of this host"
    IP_INVALID_SOURCE = "the source is no valid unicast address"
    IP_LOCALNET = "127.0.0.0/8 on the wire"
    IP_INVALID_DEST = "the destination is no valid address"
    UNICAST_IN_L2_MULTICAST = "unicast packet in a broadcast frame"
    OTHERHOST = "the frame is for another MAC address"
    NETFILTER_DROP = "netfilter dropped it"
    UNHANDLED_PROTO = "no handler for the ethertype"
    HDR_TRUNC = "cut short before the end of a header"
    MAC_INVALID_SOURCE = "the source MAC address is a group or zero"
    MAC_IEEE_MAC_CONTROL = "a MAC control frame, which no bridge forwards"
    LOCAL_MAC = "the source MAC address is the device's own"
    DEV_READY = "the device is down or has no carrier"
    DEV_HDR = "no link layer header could be made"
    PKT_TOO_BIG = "larger than the MTU"
    DUP_FRAG = "a fragment that was there already or overlaps"
    FRAG_REASM_TIMEOUT = "the other fragments did not come in time"
    FRAG_TOO_FAR = "fragments from too far apart"
    NEIGH_CREATEFAIL = "no neighbour entry could be made"
    NEIGH_FAILED = "the neighbour does not answer"
    NEIGH_QUEUEFULL = "too many packets wait for the neighbour"
    NEIGH_DEAD = "the neighbour entry was removed"
    QUEUE_PURGE = "the queue it waited in was emptied"
    BRIDGE_INGRESS_STP_STATE = "the bridge port does not forward"
    BRIDGE_NO_EGRESS_PORT = "no port of the bridge may take it"
    VXLAN_INVALID_HDR = "malformed VXLAN header"
    VXLAN_VNI_NOT_FOUND = "no device for this VNI"
    VXLAN_ENTRY_EXISTS = "the source has an FDB entry that does not move"
    NO_TX_TARGET = "no remote for this MAC address"
    IP_TUNNEL_ECN = "congestion was marked on a packet that cannot tell it"
    RECURSION_LIMIT = "too many devices on top of each other"
    SOCKET_RCVBUFF = "the socket's receive buffer is full"
    TCP_FLAGS = "TCP flags that make no sense here"
    TCP_OLD_DATA = "data that was received before"
    TCP_OVERWINDOW = "data beyond the window"
    TCP_ZEROWINDOW = "data while the window is zero"
    TCP_OFOMERGE = "data that is in the out-of-order queue already"
    TCP_OLD_ACK = "an old acknowledgement"
    TCP_TOO_OLD_ACK = "an acknowledgement from before the window"
    TCP_ACK_UNSENT_DATA = "acknowledges what was never sent"
    TCP_INVALID_SEQUENCE = "sequence number outside the window"
    TCP_OLD_SEQUENCE = "sequence number from before the window"
    TCP_INVALID_ACK_SEQUENCE = "acknowledgement number outside the window"
    TCP_INVALID_SYN = "SYN inside a connection"
    TCP_RESET = "connection reset"
    TCP_ABORT_ON_DATA = "data for a socket that nobody reads any more"
    TCP_CLOSE = "the connection is closed"
    TCP_LISTEN_OVERFLOW = "the listener's queue is full"
    TCP_RFC7323_PAWS = "old timestamp"
    INVALID_PROTO = "an ICMP type that is not handled"
    CABLE_LOSS = "the cable lost it"
    CABLE_MTU = "longer than the cable lets through"
    CABLE_QUEUE_FULL = "too many octets wait for the cable"
    CABLE_UNPLUGGED = "nothing is plugged in at the other end"

    @property
    def is_kernels(self) -> bool:
        """Whether Linux has this name; the others are things no kernel sees."""
        return self not in _OURS


_OURS = frozenset(
    (
        DropReason.BRIDGE_NO_EGRESS_PORT,
        DropReason.CABLE_LOSS,
        DropReason.CABLE_MTU,
        DropReason.CABLE_QUEUE_FULL,
        DropReason.CABLE_UNPLUGGED,
    )
)
