# SPDX-License-Identifier: GPL-2.0-only
"""What is known of a packet at some place in a rule, and what nft adds to make it known.

Source: nftables, src/evaluate.c (`proto_ctx`), src/payload.c (`payload_gen_dependency`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kernel.netfilter.nftables.expressions import Member, Members, Meta, Payload, RawPayload
from emu.kernel.netfilter.nftables.payload import FIELDS, TRANSPORT, Base
from emu.kernel.netfilter.nftables.statements import Match
from emu.tools.nft.faults import SyntaxFaultError

if TYPE_CHECKING:
    from collections.abc import Collection

    from emu.kernel.netfilter.nftables.statements import Statement
    from emu.tools.nft.faults import Place

NF_PROTO: Final = {"ip": 2, "ip6": 10}
ETHER_TYPE: Final = {"ip": 0x0800, "ip6": 0x86DD}
TRANSPORT_NAMES: Final = {number: name for name, number in TRANSPORT.items()}
_NETWORK_OF: Final = {"icmp": "ip", "icmpv6": "ip6"}
_ECHO: Final = Members((Member(0), Member(8)))
_WITH_PORTS: Final = ("tcp", "udp", "sctp", "dccp", "udplite")


class Scope:
    """A rule while it is read.

    Attributes:
        family: that of the table.
        interfaces: the devices there are; None where nobody knows.
        statements: those of the rule so far.
        network: `ip` or `ip6` where that is known.
        transport: the number of the protocol above it where that is known.
        typed: a type of ICMP is known.
    """

    def __init__(self, family: str, interfaces: Collection[str] | None = None) -> None:
        self.family = family
        self.interfaces = interfaces
        self.statements: list[Statement] = []
        self.network = family if family in NF_PROTO else ""
        self.transport: int | None = None
        self.typed = False

    def field(self, protocol: str, field: str, place: Place) -> Payload:
        """Return the field of a header, once it is sure that the packet has one.

        Raises:
            SyntaxFaultError: the rule has made sure that it has not.
        """
        if protocol in NF_PROTO:
            self.need_network(protocol, place)
        elif protocol == "th":
            known = TRANSPORT_NAMES.get(self.transport or 0, "")
            return Payload(known if known in _WITH_PORTS else "th", field)
        else:
            self.need_transport(protocol, place)
            if protocol == "icmp" and field in ("id", "sequence") and not self.typed:
                self.typed = True
                self.statements.append(Match(Payload("icmp", "type"), "==", _ECHO))
        return Payload(protocol, field)

    def need_network(self, protocol: str, place: Place, *, first: bool = False) -> None:
        """Make sure that the packet is of a version of IP: here, or `first` of all.

        Raises:
            SyntaxFaultError: the rule has made sure that it is of the other.
        """
        if self.network == protocol:
            return
        if self.network or self.family == "arp":
            raise _conflict(self.network or self.family, protocol, place)
        self.network = protocol
        if self.family == "inet":
            self._enter(Match(Meta("nfproto"), "==", NF_PROTO[protocol]), first=first)
        else:
            self._enter(Match(Meta("protocol"), "==", ETHER_TYPE[protocol]), first=first)

    def need_transport(self, protocol: str, place: Place, *, first: bool = False) -> None:
        """Make sure that the packet is of a protocol above IP: here, or `first` of all.

        Raises:
            SyntaxFaultError: the rule has made sure that it is of another.
        """
        number = TRANSPORT[protocol]
        if self.transport == number:
            return
        if self.transport is not None:
            raise _conflict(TRANSPORT_NAMES.get(self.transport, str(self.transport)), protocol, place)
        network = _NETWORK_OF.get(protocol)
        if network and self.family not in NF_PROTO:
            self.need_network(network, place)
        self.transport = number
        self._enter(Match(Meta("l4proto"), "==", number), first=first)

    def _enter(self, match: Match, *, first: bool) -> None:
        self.statements.insert(0 if first else len(self.statements), match)

    def known(self, raw: RawPayload) -> Payload | RawPayload:
        """Return the field that `raw` is known to be, or itself."""
        protocol = self.family if raw.base is Base.NETWORK else TRANSPORT_NAMES.get(self.transport or 0, "th")
        if raw.base is not Base.LINK and raw.bits % 8 == 0:
            for name, field in FIELDS.get(protocol, {}).items():
                if (field.base, field.offset, field.bits) == (raw.base, raw.offset, raw.bits):
                    return Payload(protocol, name)
        return raw

    def learn(self, match: Match) -> None:
        """Take in what a packet is that meets `match`."""
        if match.operator == "==" and match.left == Payload("icmp", "type"):
            self.typed = True
        if match.operator != "==" or not isinstance(match.right, int):
            return
        match match.left:
            case Meta("l4proto") | Payload("ip", "protocol") | Payload("ip6", "nexthdr"):
                self.transport = match.right
            case Meta("nfproto"):
                self.network = {2: "ip", 10: "ip6"}.get(match.right, self.network)
            case _:
                pass


def _conflict(known: str, other: str, place: Place) -> SyntaxFaultError:
    return SyntaxFaultError(place, f"conflicting protocols specified: {known} vs. {other}")
