# SPDX-License-Identifier: GPL-2.0-only
"""calico's settings: those of its IP pool, of Felix, and of what starts them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Self

import attrs

from emu.errors import AddressError, did_you_mean
from emu.kube.providers.provider import OptionsError, mtu_of, options
from emu.wire.addresses import Prefix

if TYPE_CHECKING:
    from collections.abc import Mapping

    from emu.kube.cni.fields import Fields, Json

ALWAYS: Final = "Always"
CROSS_SUBNET: Final = "CrossSubnet"
NEVER: Final = "Never"
MODES: Final = (ALWAYS, CROSS_SUBNET, NEVER)
ENDPOINT_TO_HOST: Final = ("Accept", "Drop", "Return")
EXCLUSIONS: Final = ("IPPoolsOnly", "IPPoolsAndHostIPs")
VXLAN_PORT: Final = 4789
VNI: Final = 4096
_KNOWN: Final = (
    "ipipMode",
    "vxlanMode",
    "natOutgoing",
    "natOutgoingExclusions",
    "pool",
    "blockSize",
    "strictAffinity",
    "mtu",
    "vxlanVNI",
    "vxlanPort",
    "defaultEndpointToHostAction",
)


@attrs.frozen
class Options:
    """What a Cluster document says of calico; the defaults are those of its manifest.

    Attributes:
        ipip_mode: of the pool: which nodes are reached by IPIP.
        vxlan_mode: likewise by VXLAN; one of the two is `Never`.
        nat_outgoing: packets of pods to outside of the pools are masqueraded.
        exclusions: of that: the pools alone, or the nodes' addresses, too.
        pool: where pods have their addresses; None for the cluster's pod CIDR.
        block_size: length of a block's prefix.
        strict_affinity: no node borrows from another one's block.
        mtu: of pods; 0 for that of the node less the largest tunnel header.
        vni: of VXLAN.
        vxlan_port: of VXLAN.
        endpoint_to_host: what becomes of packets of pods to their own node, behind their policies.
    """

    ipip_mode: str = ALWAYS
    vxlan_mode: str = NEVER
    nat_outgoing: bool = True
    exclusions: str = "IPPoolsOnly"
    pool: Prefix | None = None
    block_size: int = 26
    strict_affinity: bool = False
    mtu: int = 0
    vni: int = VNI
    vxlan_port: int = VXLAN_PORT
    endpoint_to_host: str = "Accept"

    @classmethod
    def of(cls, values: Mapping[str, Json]) -> Self:
        """Return what `values` say.

        Raises:
            OptionsError: they are wrong; all faults are told.
        """
        fields = options(values, _KNOWN)
        vxlan = _one_of(fields, "vxlanMode", NEVER, MODES)
        ipip = _one_of(fields, "ipipMode", ALWAYS if vxlan == NEVER else NEVER, MODES)
        found = cls(
            ipip,
            vxlan,
            fields.flag("natOutgoing", default=True),
            _one_of(fields, "natOutgoingExclusions", "IPPoolsOnly", EXCLUSIONS),
            _pool(fields),
            fields.number("blockSize", 26),
            fields.flag("strictAffinity"),
            mtu_of(fields),
            fields.number("vxlanVNI", VNI),
            fields.number("vxlanPort", VXLAN_PORT),
            _one_of(fields, "defaultEndpointToHostAction", "Accept", ENDPOINT_TO_HOST),
        )
        found._check(fields)
        if fields.faults:
            raise OptionsError("calico", fields.faults)
        return found

    def _check(self, fields: Fields) -> None:
        if NEVER not in (self.ipip_mode, self.vxlan_mode):
            fields.wrong("vxlanMode", "must be Never where ipipMode is not: a pool has one kind of tunnel")
        if not 20 <= self.block_size <= 32:
            fields.wrong("blockSize", "must be from 20 to 32")
        elif self.pool is not None and self.pool.length > self.block_size:
            fields.wrong("pool", f"{self.pool} is smaller than a block of /{self.block_size}")
        if not 0 < self.vni < 1 << 24:
            fields.wrong("vxlanVNI", "must be from 1 to 16777215")
        if not 0 < self.vxlan_port <= 0xFFFF:
            fields.wrong("vxlanPort", "must be from 1 to 65535")


def _one_of(fields: Fields, key: str, default: str, known: tuple[str, ...]) -> str:
    found = fields.text(key, default)
    if found in known:
        return found
    meant = did_you_mean(found, known)
    for each in known:
        if each.lower() == found.lower():
            return each
    fields.wrong(key, f"{found!r} is none of {', '.join(known)}{meant}")
    return default


def _pool(fields: Fields) -> Prefix | None:
    text = fields.text("pool")
    if not text:
        return None
    try:
        found = Prefix.parse(text)
    except AddressError as error:
        fields.wrong("pool", str(error))
        return None
    if found.address.family != 4:
        fields.wrong("pool", "pools of IPv6 are not modelled")
        return None
    return found
