# SPDX-License-Identifier: GPL-2.0-only
"""What a node's entry says of its devices beside their addresses: routes, and what they spoil."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

import attrs

from emu.cluster.topology import values
from emu.document.fields import Fields, one_of, text

if TYPE_CHECKING:
    from emu.document.fields import Place
    from emu.wire.addresses import IpAddress, Prefix

TxChecksum: TypeAlias = Literal["good", "broken-vxlan"]


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
