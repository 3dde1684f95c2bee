# SPDX-License-Identifier: GPL-2.0-only
"""Who gets which address of a VPC: machines, gateways, pods.

Of each subnet the cloud keeps the first four addresses and the last: the network,
the router, the resolver, one for later, the broadcast. Others are given out
upwards, in the order in which documents name nodes; those of pods begin behind the
first quarter, so that machines that come later find some, too.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Final

import attrs

from emu.cluster.vpc.shape import is_public
from emu.errors import DocumentError, Fault
from emu.wire.addresses import Interface, IpAddress

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from emu.cluster.vpc.spec import SubnetSpec, VpcSpec
    from emu.wire.addresses import Prefix

_ROUTER: Final = 1
_RESOLVER: Final = 2
_RESERVED: Final = 4
_FILE: Final = "<cluster>"
Devices = tuple[tuple[Interface, ...], ...]
"""The addresses of `eth0`, `eth1`, ..."""


def router_of(subnet: Prefix) -> IpAddress:
    """Return the address that the VPC's router has in a subnet."""
    return IpAddress.from_int(int(subnet.address) + _ROUTER)


def resolver_of(spec: VpcSpec) -> IpAddress:
    """Return the address of the VPC's resolver."""
    return IpAddress.from_int(int(spec.cidrs[0].address) + _RESOLVER)


@attrs.define
class Addresses:
    """The addresses of subnets that somebody has."""

    taken: set[IpAddress] = attrs.field(factory=set)

    def lowest(self, subnet: Prefix) -> IpAddress | None:
        """Return the lowest address that nobody has, and keep it taken; None if there is none."""
        return self._first(range(int(subnet.address) + _RESERVED, _last(subnet)))

    def of_pods(self, subnet: Prefix) -> IpAddress | None:
        """Return the lowest one behind the first quarter, which is left to machines as long as it can be."""
        first, last = int(subnet.address), _last(subnet)
        quarter = first + (last - first + 1) // 4
        return self._first(chain(range(quarter, last), range(first + _RESERVED, quarter)))

    def highest(self, subnet: Prefix) -> IpAddress | None:
        """Return the highest one, the same way."""
        return self._first(range(_last(subnet) - 1, int(subnet.address) + _RESERVED - 1, -1))

    def _first(self, numbers: Iterable[int]) -> IpAddress | None:
        for number in numbers:
            found = IpAddress.from_int(number)
            if found not in self.taken:
                self.taken.add(found)
                return found
        return None


def _last(subnet: Prefix) -> int:
    return int(subnet.address) + (1 << (32 - subnet.length)) - 1


@attrs.frozen
class Wish:
    """What is said of a node's place.

    Attributes:
        name: the node.
        devices: its addresses, none if it is given some.
        subnet: where it is to be.
        zone: where it is.
    """

    name: str
    devices: Devices = ()
    subnet: str = ""
    zone: str = ""


def node_addresses(spec: VpcSpec, wishes: Sequence[Wish]) -> dict[str, Devices]:
    """Return the addresses of each node's devices.

    A node that names no address gets one of the subnet that it names, else of
    the subnets of its zone, else of any: a private one first, where private
    ones have a way out.

    Raises:
        DocumentError: an address is in no subnet, there is no such subnet, or none has an address left.
    """
    addresses = Addresses({each.address for wish in wishes for device in wish.devices for each in device})
    faults: list[Fault] = []
    found: dict[str, Devices] = {}
    for number, wish in enumerate(wishes):
        path = f"$.spec.nodes[{number}]"
        try:
            found[wish.name] = _devices(spec, wish, addresses)
        except LookupError as error:
            faults.append(Fault(_FILE, 1, path, str(error.args[0])))
    if faults:
        raise DocumentError(faults)
    return found


def _devices(spec: VpcSpec, wish: Wish, addresses: Addresses) -> Devices:
    """Return the addresses of one node.

    Raises:
        LookupError: there are none such.
    """
    if wish.devices:
        return tuple(tuple(_within(spec, wish.name, each) for each in device) for device in wish.devices)
    candidates = subnets_for(spec, wish)
    for subnet in candidates:
        address = addresses.lowest(subnet.cidr)
        if address is not None:
            return ((Interface(address, subnet.cidr.length),),)
    names = ", ".join(each.name for each in candidates)
    raise LookupError(f"no address is left in subnet {names} for node {wish.name}")


def subnets_for(spec: VpcSpec, wish: Wish) -> list[SubnetSpec]:
    """Return the subnets where a node may be, the best first.

    Raises:
        LookupError: there is no such subnet.
    """
    there = ", ".join(each.name for each in spec.subnets)
    if wish.subnet:
        found = [each for each in spec.subnets if each.name == wish.subnet]
        if not found:
            raise LookupError(f"the VPC has no subnet {wish.subnet} (there are {there})")
        return found
    has_zones = any(each.zone for each in spec.subnets)
    near = [each for each in spec.subnets if not (wish.zone and has_zones) or each.zone == wish.zone]
    if not near:
        raise LookupError(f"the VPC has no subnet in zone {wish.zone} (there are {there})")
    return sorted(near, key=lambda each: each.public and spec.nat_gateway is not None)


def _within(spec: VpcSpec, node: str, given: Interface) -> Interface:
    """Return an address with the length of its subnet.

    Raises:
        LookupError: it is in none.
    """
    subnet = spec.subnet_of(given.address)
    if subnet is None:
        there = ", ".join(f"{each.name} {each.cidr}" for each in spec.subnets)
        raise LookupError(f"address {given.address} of {node} is in no subnet of the VPC (there are {there})")
    return Interface(given.address, subnet.cidr.length)


def public_addresses(
    spec: VpcSpec, placed: Mapping[str, Devices], given: Mapping[str, IpAddress]
) -> dict[str, IpAddress]:
    """Return the public addresses of nodes that have one.

    Args:
        spec: the VPC. Without an internet gateway there are none.
        placed: the addresses of each node's devices.
        given: what Node objects name as their ExternalIP.
    """
    if not spec.internet_gateway:
        return {}
    asked = {name: spec.interface(name).public_ip for name in placed}
    named = {name: each for name, each in asked.items() if isinstance(each, IpAddress)}
    named |= {
        name: each for name, each in given.items() if name not in named and asked.get(name) is not False
    }
    taken = Addresses({*named.values(), *(() if spec.nat_gateway is None else (spec.nat_gateway.ip,))})
    found: dict[str, IpAddress] = {}
    for name, devices in placed.items():
        subnet = spec.subnet_of(devices[0][0].address)
        wanted = asked[name] if asked[name] is not None else subnet is not None and is_public(spec, subnet)
        if name in named:
            found[name] = named[name]
        elif wanted:
            address = taken.lowest(spec.public_range)
            if address is not None:
                found[name] = address
    return found


@attrs.frozen
class Eni:
    """An interface of a VPC, seen from the VPC.

    Attributes:
        name: of the device of the VPC's router that it hangs on.
        owner: the machine, as `node/worker-1`; empty of a gateway.
        iface: its device there.
        subnet: where it is.
        address: its own.
        others: further addresses, of its device or of pods behind it.
        ranges: ranges that belong to it (alias ranges).
        groups: its security groups; None for what has none and needs none.
        is_checked: whether source and destination must be its own.
    """

    name: str
    owner: str
    iface: str
    subnet: SubnetSpec
    address: IpAddress
    others: tuple[IpAddress, ...] = ()
    ranges: tuple[Prefix, ...] = ()
    groups: tuple[str, ...] | None = None
    is_checked: bool = False
