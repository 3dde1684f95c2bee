# SPDX-License-Identifier: GPL-2.0-only
"""VPC-native networks: pods have addresses that the cloud's network knows. No tunnel, no routes on nodes.

style `aws`   each pod has a secondary address of one of its node's interfaces
style `gke`   each node's range for pods belongs to its interface (alias range)

What the cloud does is outside the node: the VPC delivers to the interface that an
address belongs to. Here are the options; a style each has a module.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, Self, cast

import attrs

from emu.errors import AddressError
from emu.kube.providers import vpc_aws, vpc_gke
from emu.kube.providers.provider import OptionsError, mtu_of, options
from emu.wire.addresses import Prefix

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from emu.kube.cni.fields import Fields, Json
    from emu.kube.providers.provider import NodeNetwork
    from emu.kube.providers.written import Written

Style = Literal["aws", "gke"]
STYLES: Final[tuple[Style, ...]] = ("aws", "gke")
_NOT_MODELLED: Final = ("azure",)
_OF_AWS: Final = ("interfaces", "addressesPerInterface", "externalSNAT", "excludeSNATCIDRs")
_OF_GKE: Final = ("nonMasqueradeCIDRs", "intranodeVisibility")
_MOST_INTERFACES: Final = 15
_MOST_ADDRESSES: Final = 50


@attrs.frozen
class Vpc:
    """The provider.

    Attributes:
        style: whose.
        mtu: of pods; 0 for that of the node's device.
        interfaces: of aws: how many each node has.
        addresses: of aws: how many each interface has; one is its own.
        external_snat: of aws: nodes leave it to others to translate what leaves the VPC.
        excluded: of aws: ranges outside that see pods' own addresses.
        kept: of gke: ranges that see pods' own addresses.
    """

    style: Style = "aws"
    mtu: int = 0
    interfaces: int = 2
    addresses: int = 10
    external_snat: bool = False
    excluded: tuple[Prefix, ...] = ()
    kept: tuple[Prefix, ...] = vpc_gke.PRIVATE

    @classmethod
    def of(cls, values: Mapping[str, Json]) -> Self:
        """Return it with the options `style`, `mtu`, and those of its style.

        Raises:
            OptionsError: they are wrong.
        """
        given = values.get("style")
        own = _OF_GKE if given == "gke" else _OF_AWS
        fields = options(values, ("style", "mtu", *own))
        style = fields.text("style", "aws")
        if style in _NOT_MODELLED:
            fields.wrong("style", f"{style} is not modelled; there are {', '.join(STYLES)}")
        elif style not in STYLES:
            fields.wrong("style", f"{style!r} is no style; there are {', '.join(STYLES)}")
        interfaces, addresses = fields.number("interfaces", 2), fields.number("addressesPerInterface", 10)
        if not 1 <= interfaces <= _MOST_INTERFACES:
            fields.wrong("interfaces", f"must be from 1 to {_MOST_INTERFACES}")
        if not 2 <= addresses <= _MOST_ADDRESSES:
            fields.wrong("addressesPerInterface", f"must be from 2 to {_MOST_ADDRESSES}: one is its own")
        if fields.flag("intranodeVisibility"):
            fields.wrong("intranodeVisibility", "is not modelled: pods of one node reach each other on it")
        excluded = _ranges(fields, "excludeSNATCIDRs")
        kept = _ranges(fields, "nonMasqueradeCIDRs") if "nonMasqueradeCIDRs" in values else vpc_gke.PRIVATE
        snat, mtu = fields.flag("externalSNAT"), mtu_of(fields)
        if fields.faults:
            raise OptionsError("vpc", fields.faults)
        return cls(cast("Style", style), mtu, interfaces, addresses, snat, excluded, kept)

    def configure(self, node: NodeNetwork, nodes: Sequence[NodeNetwork]) -> Written:  # noqa: ARG002 - the VPC knows the others
        """Return what the daemons of the style write."""
        if self.style == "gke":
            return vpc_gke.written(node, mtu=self.mtu, kept=self.kept)
        return vpc_aws.written(node, mtu=self.mtu, external_snat=self.external_snat, excluded=self.excluded)


def _ranges(fields: Fields, key: str) -> tuple[Prefix, ...]:
    """Return the ranges of addresses of an option."""
    found = []
    for index, text in enumerate(fields.texts(key)):
        try:
            found.append(Prefix.parse(text))
        except AddressError as error:
            fields.wrong(f"{key}[{index}]", str(error))
    return tuple(found)
