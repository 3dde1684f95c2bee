# SPDX-License-Identifier: GPL-2.0-only
"""The key `external`: hosts outside the cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from emu.cluster.topology import values
from emu.document.fields import Fields, elements

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
            fields.must("ip", values.address),
            fields.get("serves", lambda each: elements(each, values.serves), ()),
        )
    )
