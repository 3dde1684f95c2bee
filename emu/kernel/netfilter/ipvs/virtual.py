# SPDX-License-Identifier: GPL-2.0-only
"""Virtual services and their destinations, as they are set up: values that no packet changes.

What packets change (counters, whose turn it is) is beside them, in `usage`.

Source: net/netfilter/ipvs/ip_vs_ctl.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final, NamedTuple

import attrs

from emu.wire.addresses import IpAddress
from emu.wire.ipv4 import TCP, UDP
from emu.wire.sctp import PROTOCOL as SCTP

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PROTOCOLS: Final[Mapping[int, str]] = {TCP: "TCP", UDP: "UDP", SCTP: "SCTP"}
"""The protocols that are balanced. IPsec's, which Linux knows too, are not modelled."""

MOST_PORT: Final = 65535
MOST_WEIGHT: Final = 65535
DEFAULT_PERSISTENCE: Final = 300
"""Seconds that a client stays with its destination (`IPVS_SVC_PERSISTENT_TIMEOUT`)."""

_ALL_BITS: Final = 32


class ServiceKey(NamedTuple):
    """What a virtual service is known by.

    Attributes:
        protocol: number of the IP protocol, 0 for a service of a firewall mark.
        address: the virtual address; 0.0.0.0 for a service of a mark.
        port: the virtual port; 0 for all ports.
        mark: the firewall mark, 0 for none.
    """

    protocol: int
    address: IpAddress
    port: int
    mark: int = 0

    def __str__(self) -> str:
        if self.mark:
            return f"FWM {self.mark}"
        return f"{PROTOCOLS[self.protocol]} {self.address}:{self.port}"


class DestinationKey(NamedTuple):
    """What a destination is known by within its service; port 0 leaves the packet's own."""

    address: IpAddress
    port: int

    def __str__(self) -> str:
        return f"{self.address}:{self.port}"


@attrs.frozen
class Destination:
    """A real server behind a virtual service, reached by masquerading.

    Attributes:
        key: address and port.
        weight: its share; 0 for no new connections.
        upper: with so many connections it gets no new ones; 0 for no limit.
        lower: below so many it gets new ones again; 0 for three quarters of `upper`.
    """

    key: DestinationKey
    weight: int = 1
    upper: int = 0
    lower: int = 0


@attrs.frozen
class VirtualService:
    """A virtual service with its destinations.

    Attributes:
        key: what it is known by.
        scheduler: name of the scheduler.
        persistence: for how long a client stays with its destination, s; 0 for not at all.
        prefix: clients whose addresses have so many bits in common count as one.
        flags: the scheduler's own: `sh-fallback`, `sh-port`.
        destinations: the newest first, as the kernel's list has them.
    """

    key: ServiceKey
    scheduler: str = "wlc"
    persistence: int = 0
    prefix: int = _ALL_BITS
    flags: frozenset[str] = frozenset()
    destinations: tuple[Destination, ...] = ()

    def find(self, key: DestinationKey) -> Destination | None:
        """Return the destination `key`."""
        return next((each for each in self.destinations if each.key == key), None)

    def network_of(self, address: bytes) -> bytes:
        """Return the part of a client's address that counts."""
        if self.prefix == _ALL_BITS:
            return bytes(address)
        mask = (1 << _ALL_BITS) - (1 << _ALL_BITS - self.prefix)
        return (int.from_bytes(address, "big") & mask).to_bytes(4, "big")


class Services:
    """The virtual services of a namespace, in the order in which they came."""

    is_still: ClassVar[bool] = True

    __slots__ = ("_by_key", "_servers")

    def __init__(self) -> None:
        self._by_key: dict[ServiceKey, VirtualService] = {}
        self._servers: dict[tuple[int, bytes, int], int] = {}

    def __len__(self) -> int:
        return len(self._by_key)

    def __iter__(self) -> Iterator[VirtualService]:
        return iter(self._by_key.values())

    def get(self, key: ServiceKey) -> VirtualService | None:
        """Return the service `key`."""
        return self._by_key.get(key)

    def put(self, service: VirtualService) -> None:
        """Add `service`, or have it instead of the one with its key."""
        self._count(self._by_key.get(service.key), -1)
        self._by_key[service.key] = service
        self._count(service, 1)

    def pop(self, key: ServiceKey) -> None:
        """Take the service `key` away."""
        self._count(self._by_key.pop(key), -1)

    def clear(self) -> None:
        """Take all away."""
        self._by_key.clear()
        self._servers.clear()

    def meant(self, protocol: int, address: bytes, port: int, mark: int) -> VirtualService | None:
        """Return the service that a packet to `address` and `port` is for. Source: `ip_vs_service_find`."""
        by_key = self._by_key
        if mark:
            found = by_key.get(ServiceKey(0, _ANY, 0, mark))
            if found is not None:
                return found
        own = IpAddress(address)
        return by_key.get(ServiceKey(protocol, own, port)) or by_key.get(ServiceKey(protocol, own, 0))

    def has_server(self, protocol: int, address: bytes, port: int) -> bool:
        """Return whether `address` and `port` are a destination. Source: `ip_vs_has_real_service`."""
        return (protocol, bytes(address), port) in self._servers

    def _count(self, service: VirtualService | None, by: int) -> None:
        if service is None:
            return
        for each in service.destinations:
            place = service.key.protocol, bytes(each.key.address), each.key.port
            count = self._servers.get(place, 0) + by
            if count:
                self._servers[place] = count
            else:
                self._servers.pop(place, None)


_ANY: Final = IpAddress(b"\0\0\0\0")
