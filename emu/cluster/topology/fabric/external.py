# SPDX-License-Identifier: GPL-2.0-only
"""The key `external`: hosts outside the cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from emu.cluster.topology import pools, values
from emu.document.fields import Fields, elements
from emu.kube.loadbalancers.settings import AddressRange

if TYPE_CHECKING:
    from emu.document.fields import Place
    from emu.wire.addresses import IpAddress


@attrs.frozen
class ExternalSpec:
    """A host outside the cluster: where it is, and on which ports it answers (protocol in capitals)."""

    name: str
    address: IpAddress
    serves: tuple[tuple[str, int], ...] = ()


def external(place: Place) -> ExternalSpec:
    """Read one host."""
    fields = Fields(place)
    return fields.done(
        ExternalSpec(
            fields.must("name", values.name),
            fields.must("ip", _address),
            fields.get("serves", lambda each: elements(each, values.serves), ()),
        )
    )


def _address(place: Place) -> IpAddress:
    """Read an address that a host can have."""
    found = values.address(place)
    wrong = pools.complaint(AddressRange(found, found))
    if wrong is not None and place.value == str(found):
        place.fault(wrong)
    return found
