# SPDX-License-Identifier: GPL-2.0-only
"""What a provider is, and what it is told of a node."""

from __future__ import annotations

import operator
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Protocol

import attrs

from emu.errors import EmuError, did_you_mean
from emu.kernel.route import Nexthop, Route
from emu.kube.cni.fields import Fields
from emu.wire.addresses import IpAddress, Prefix

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from emu.kube.cni.fields import Json, Wrong
    from emu.kube.providers.written import Written


_POD_NETWORK: Final = Prefix.parse("10.244.0.0/16")
UNKNOWN_OPTION: Final = "is no option"
LEAST_MTU: Final = 68  # below it IPv4 has no place (RFC 791)
MOST_MTU: Final = 65535
MOST_SHARED: Final = 16384
"""Ways that are remembered, to be one object for all nodes: more than a cluster has nodes."""


def _address(value: str | IpAddress) -> IpAddress:
    return value if isinstance(value, IpAddress) else IpAddress.parse(value)


def _prefix(value: str | Prefix) -> Prefix:
    return value if isinstance(value, Prefix) else Prefix.parse(value)


def _prefixes(values: Iterable[str | Prefix]) -> tuple[Prefix, ...]:
    return tuple(map(_prefix, values))


def _maybe_prefix(value: str | Prefix | None) -> Prefix | None:
    return None if value is None else _prefix(value)


@attrs.frozen
class NodeInterface:
    """An interface that a cloud gave a node.

    Attributes:
        device: of the node.
        address: its own.
        subnet: where it is.
        gateway: the router there.
        others: further addresses that the cloud delivers to it.
    """

    device: str
    address: IpAddress
    subnet: Prefix
    gateway: IpAddress
    others: tuple[IpAddress, ...] = ()


@attrs.frozen
class NodeNetwork:
    """A node as a provider sees it. Addresses may be given as text.

    Attributes:
        name: of the Node object.
        internal_ip: its InternalIP.
        pod_cidrs: `spec.podCIDRs`; none while nobody has given it any.
        cluster_cidr: the range that all nodes' pod CIDRs are part of.
        device: the device that has the InternalIP.
        mtu: of that device.
        segment: the subnet of the InternalIP, None if it is not known: nodes of
            one segment reach each other without a router.
        annotations: those of the Node object, for what a daemon wrote there before.
        interfaces: those that a cloud gave it, the first one first.
        vpc_cidrs: the addresses of the cloud's network.
        gateway: its default router, None if it has none.
        pod_cidr: the first pod CIDR of IPv4, None while there is none.
    """

    name: str
    internal_ip: IpAddress = attrs.field(converter=_address)
    pod_cidrs: tuple[Prefix, ...] = attrs.field(default=(), converter=_prefixes)
    cluster_cidr: Prefix = attrs.field(default=_POD_NETWORK, converter=_prefix)
    device: str = "eth0"
    mtu: int = 1500
    segment: Prefix | None = attrs.field(default=None, converter=_maybe_prefix)
    annotations: Mapping[str, str] = attrs.field(factory=lambda: MappingProxyType({}))
    interfaces: tuple[NodeInterface, ...] = ()
    vpc_cidrs: tuple[Prefix, ...] = ()
    gateway: IpAddress | None = None
    pod_cidr: Prefix | None = attrs.field(init=False, eq=False, repr=False)

    @pod_cidr.default
    def _first_of_ipv4(self) -> Prefix | None:
        return next((each for each in self.pod_cidrs if each.address.family == 4), None)


class Provider(Protocol):
    """A network provider with its options."""

    def configure(self, node: NodeNetwork, nodes: Sequence[NodeNetwork]) -> Written:
        """Return what is to be on `node`, when there are `nodes` (itself may be among them)."""


class OptionsError(EmuError):
    """Options of a provider are wrong. `faults` has all of them, each with its path."""

    def __init__(self, provider: str, faults: Iterable[Wrong]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(f"{provider}: {fault}" for fault in self.faults))


def options(values: Mapping[str, Json], known: Iterable[str]) -> Fields:
    """Return the fields of a provider's options; those that are not `known` are faults."""
    fields, names = Fields(values), tuple(known)
    for key in values:
        if key not in names:
            fields.wrong(
                key, f"{UNKNOWN_OPTION}; there are {', '.join(names) or 'none'}{did_you_mean(key, names)}"
            )
    return fields


def mtu_of(fields: Fields) -> int:
    """Return the option `mtu`: 0 for that of the provider."""
    found = fields.number("mtu")
    if found and not LEAST_MTU <= found <= MOST_MTU:
        fields.wrong("mtu", f"must be from {LEAST_MTU} to {MOST_MTU}, or 0")
    return found


def others(node: NodeNetwork, nodes: Sequence[NodeNetwork]) -> list[tuple[NodeNetwork, Prefix]]:
    """Return the other nodes that have a pod CIDR, with it, by name."""
    found = sorted(nodes, key=_name)
    own = node.name
    return [(each, cidr) for each in found if (cidr := each.pod_cidr) is not None and each.name != own]


_name = operator.attrgetter("name")


@lru_cache(maxsize=MOST_SHARED)
def plain_way(cidr: Prefix, gateway: IpAddress, device: str = "") -> Route:
    """Return the route to a node's pods by its InternalIP: one object for all the other nodes."""
    return Route(cidr, nexthops=(Nexthop(device, gateway),))
