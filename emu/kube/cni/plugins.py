# SPDX-License-Identifier: GPL-2.0-only
"""The plugins that a node has in `/opt/cni/bin`."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from emu.kube.cni.aws import AwsCni, EgressCni
from emu.kube.cni.bridge import Bridge
from emu.kube.cni.calico import Calico
from emu.kube.cni.calico_ipam import CalicoIpam
from emu.kube.cni.flannel import Flannel
from emu.kube.cni.host_local import HostLocal
from emu.kube.cni.loopback import Loopback
from emu.kube.cni.netconf import NetConfList
from emu.kube.cni.portmap import Portmap
from emu.kube.cni.ptp import Ptp
from emu.kube.cni.weave_net import WeaveNet

if TYPE_CHECKING:
    from collections.abc import Mapping

    from emu.kube.cni.call import Plugin

PLUGINS: Final[Mapping[str, Plugin]] = MappingProxyType(
    {
        "bridge": Bridge(),
        "ptp": Ptp(),
        "loopback": Loopback(),
        "flannel": Flannel(),
        "host-local": HostLocal(),
        "calico": Calico(),
        "calico-ipam": CalicoIpam(),
        "portmap": Portmap(),
        "aws-cni": AwsCni(),
        "egress-cni": EgressCni(),
        "weave-net": WeaveNet(),
    }
)
"""By the name that stands as `type` in a configuration."""

LOOPBACK: Final = NetConfList.of(
    {"cniVersion": "0.3.1", "name": "cni-loopback", "plugins": [{"type": "loopback"}]}
)
"""What a container runtime asks for first, with `lo` as the device."""
