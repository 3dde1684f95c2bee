# SPDX-License-Identifier: GPL-2.0-only
"""calico: routes to pods without a bridge, blocks of addresses, tunnels or none, rules of its own.

    pod --veth-- caliXXXXXXXXXXX --route--> eth0                          bgp: other nodes know the way
                                 --route--> tunl0 ==protocol 4==>         ipip
                                 --route--> vxlan.calico ==UDP 4789==>    vxlan

`Calico.of(options)` is the provider; `options` reads what a Cluster document says,
`rules` has the rules of Felix that are the same for all pods, `hashes` what stands in
their comments.
"""

from __future__ import annotations

from emu.kube.providers.calico.provider import Calico

__all__ = ["Calico"]
