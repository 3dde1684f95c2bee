# SPDX-License-Identifier: GPL-2.0-only
"""The end points of a question about a network document: who asks, and whom.

    FROM = NAME | ADDRESS
    TO   = (NAME | ADDRESS) [":" PORT] ["/" (tcp | udp | sctp | icmp)]

A NAME is that of a namespace. Without a protocol it is TCP where there is a
port and an ICMP echo where there is none.
"""

from __future__ import annotations

import enum
import re
from typing import TYPE_CHECKING, Final

import attrs

from emu.errors import AddressError, EndPointError, UnknownNameError, did_you_mean
from emu.wire.addresses import IpAddress

if TYPE_CHECKING:
    from emu.cluster.emulation import Emulation
    from emu.fabric.userland import Userland
    from emu.kernel.namespace import Namespace
    from emu.sim.time import Duration
    from emu.verify.exchange import Exchange

LITERAL: Final = re.compile(r"[0-9.]+|\[.*|.*:.*:.*")  # no name: digits and dots, or what looks like IPv6
_HIGHEST_PORT: Final = 65535


class Protocol(enum.Enum):
    """What is asked with; the value is how answers spell it."""

    TCP = "TCP"
    UDP = "UDP"
    SCTP = "SCTP"
    ICMP = "ICMP"


@attrs.frozen
class Source:
    """Who asks.

    Attributes:
        text: as it was given.
        namespace: where the program runs.
        address: what it binds to; None leaves the choice to the kernel.
        port: its own port; 0 leaves the choice to the kernel.
        userland: its files, by which it finds names; None for those of the namespace.
    """

    text: str
    namespace: str
    address: IpAddress | None = None
    userland: Userland | None = attrs.field(default=None, eq=False, repr=False)
    port: int = 0


@attrs.frozen
class Target:
    """Who is asked.

    Attributes:
        point: the name or address, as it was given.
        address: where the packets go.
        protocol: what they are.
        port: the destination port, 0 for ICMP.
        payload: octets that are sent, too, and have to arrive; 0 for what the protocol needs.
        stays: how long a client has to stay connected before it knows that somebody is there, because
            a proxy takes the connection first, ns; 0: a connection that stands says so.
        says: what such a client says, and has to be answered; nothing: it only stays.
        lookup: what it took to find the address of a DNS name; None where nobody was asked.
        name: what is looked up, if the question is the resolver's own; the address is the name server's then.
    """

    point: str
    address: IpAddress
    protocol: Protocol
    port: int = 0
    payload: int = 0
    stays: Duration = 0
    says: bytes = b""
    lookup: Exchange | None = attrs.field(default=None, eq=False, repr=False)
    name: str = ""

    def __str__(self) -> str:
        if self.name:
            return self.point
        port = f":{self.port}" if self.port else ""
        return f"{self.point}{port}/{self.protocol.value}"


def find_source(network: Emulation, text: str) -> Source:
    """Return the asker that `text` names.

    Raises:
        EndPointError: it has a port, or is no unicast address of IPv4.
        UnknownNameError: no namespace has this name or address, or several have the address.
    """
    if LITERAL.fullmatch(text):
        address = _address(text)
        return Source(text, _owner(network, address).name, address)
    if "/" in text or ":" in text:
        raise EndPointError(f"{text!r}: FROM is a namespace or an address of one, without a port")
    return Source(text, network.namespace(text).net.name)


def find_target(network: Emulation, text: str) -> Target:
    """Return whom `text` asks, and with what.

    Raises:
        EndPointError: it is no `NAME` or `ADDRESS` with `:PORT` and `/PROTOCOL`,
            or port and protocol do not go together.
        UnknownNameError: no namespace has this name, or it has no address.
    """
    if "://" in text:
        raise EndPointError(f"{text!r}: names and pages are asked for in clusters, not in a network document")
    point, digits, name = _split(text)
    if not point:
        raise EndPointError(
            f"{text!r}: TO is NAME or ADDRESS, then :PORT and /tcp, /udp, /sctp or /icmp as wanted"
        )
    port = 0 if digits is None else port_number(text, digits)
    protocol = _protocol(text, name, has_port=bool(port))
    if LITERAL.fullmatch(point):
        return Target(point, _address(point), protocol, port)
    return Target(point, first_address(network.namespace(point).net), protocol, port)


def _split(text: str) -> tuple[str, str | None, str | None]:
    """Return name or address, port and protocol, None for what is not there."""
    point, slash, protocol = text.partition("/")
    port: str | None = None
    if point.startswith("["):
        address, bracket, rest = point.partition("]")
        point = "" if rest and rest[0] != ":" else address + bracket
        port = rest[1:] if rest else None
    elif point.count(":") == 1:
        point, _, port = point.partition(":")
    return point, port, protocol if slash else None


def port_number(text: str, digits: str) -> int:
    """Return the port that `digits` of the end point `text` name.

    Raises:
        EndPointError: it is none.
    """
    is_number = digits.isascii() and digits.isdigit() and len(digits) <= len(str(_HIGHEST_PORT))
    if not (is_number and 0 < int(digits) <= _HIGHEST_PORT):
        raise EndPointError(f"{text!r}: a port is a number from 1 to {_HIGHEST_PORT}")
    return int(digits)


def _protocol(text: str, name: str | None, *, has_port: bool) -> Protocol:
    if name is None:
        return Protocol.TCP if has_port else Protocol.ICMP
    known = [protocol.value.lower() for protocol in Protocol]
    if name.lower() not in known:
        hint = did_you_mean(name.lower(), known)
        raise EndPointError(f"{text!r}: a network document knows {', '.join(known)}, not {name!r}{hint}")
    protocol = Protocol(name.upper())
    if has_port and protocol is Protocol.ICMP:
        raise EndPointError(f"{text!r}: ICMP has no ports")
    if not has_port and protocol is not Protocol.ICMP:
        raise EndPointError(f"{text!r}: {protocol.value} needs a port")
    return protocol


def _address(text: str) -> IpAddress:
    try:
        address = IpAddress.parse(text.removeprefix("[").removesuffix("]"))
    except AddressError as error:
        raise EndPointError(str(error)) from None
    if address.family == 6:
        raise EndPointError(f"{text}: network documents are IPv4 alone")
    if address.is_multicast or address.is_unspecified or address[0] == 255:
        raise EndPointError(f"{text} is no host's address")
    return address


def _addresses(net: Namespace) -> list[IpAddress]:
    """Return the addresses of a namespace, its loopback's last."""
    devices = sorted(net.devices.values(), key=lambda device: device.is_loopback)
    return [own.address for device in devices for own in device.addresses]


def first_address(net: Namespace) -> IpAddress:
    """Return the address by which a namespace is asked.

    Raises:
        UnknownNameError: it has none.
    """
    found = [address for address in _addresses(net) if not address.is_loopback]
    if not found:
        raise UnknownNameError(f"namespace {net.name} has no address")
    return found[0]


def _owner(network: Emulation, address: IpAddress) -> Namespace:
    owners = [net for net in network.fabric.namespaces.values() if address in _addresses(net)]
    if len(owners) != 1:
        names = ", ".join(net.name for net in owners)
        raise UnknownNameError(
            f"{address} is an address of {names or 'no namespace'}: whose packets are meant?"
        )
    return owners[0]
