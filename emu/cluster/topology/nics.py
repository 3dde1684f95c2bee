# SPDX-License-Identifier: GPL-2.0-only
"""What a node's entry says of its devices: addresses, routes, settings, and what they spoil."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import attrs

from emu.cluster.topology import pools, values
from emu.document import SequenceNode
from emu.document.fields import Fields, elements, one_of, text
from emu.kernel.sysctl_check import check_machine_sysctl
from emu.kube.loadbalancers.settings import AddressRange

if TYPE_CHECKING:
    from emu.cluster.topology.spec import NodeSpec
    from emu.document.fields import Place
    from emu.wire.addresses import Interface, IpAddress, Prefix

TxChecksum: TypeAlias = Literal["good", "broken-vxlan"]

_SHORTEST: Final = 8
"""Of what a node is in: no network of machines has more than a class A."""


@attrs.frozen
class NodeRoute:
    """A route that a node has from the start: `ip route add TO via VIA dev DEV`."""

    to: Prefix
    via: IpAddress
    device: str = ""


@attrs.frozen
class NicSpec:
    """A network card: the device, and what it does to checksums that it is to compute."""

    device: str
    tx_checksum: TxChecksum = "good"


def addresses(place: Place) -> tuple[Interface, ...]:
    """Read the addresses of a node's device, each with the length of its subnet's prefix: one, or a list."""
    if not isinstance(place.value, SequenceNode):
        return (_address(place),)
    if not place.value:
        place.fault("lists no address: a device has one at least, like 172.18.0.5/24")
    return elements(place, _address)


def _address(place: Place) -> Interface:
    found = values.interface(place)
    said = place.value
    if said == str(found.address):
        place.fault(f"lacks the length of its subnet's prefix, like {said}/24")
    elif found.length < _SHORTEST and said == str(found):
        place.fault(f"{found.prefix} is no subnet of nodes: it is a /{_SHORTEST} at the most")
    elif said == str(found) and (wrong := pools.complaint(AddressRange(found.address, found.address))):
        place.fault(wrong)
    return found


def route(place: Place) -> NodeRoute:
    """Read one route."""
    fields = Fields(place)
    return fields.done(
        NodeRoute(
            fields.must("to", values.prefix), fields.must("via", values.address), fields.get("dev", text, "")
        )
    )


def nic(place: Place) -> NicSpec:
    """Read one network card."""
    fields = Fields(place)
    kind: TxChecksum = fields.get("txChecksum", one_of("good", "broken-vxlan"), "good")
    return fields.done(NicSpec(fields.must("device", text), kind))


def check_settings(place: Place, node: NodeSpec) -> None:
    """Report sysctls that the node's kernel would not take."""
    devices = tuple(f"eth{number}" for number in range(max(len(node.addresses), 1)))
    for name, value in node.sysctls.items():
        complaint = check_machine_sysctl(name, value, devices)
        if complaint is not None:
            place.at(name).fault(complaint)
