# SPDX-License-Identifier: GPL-2.0-only
"""A node, containers, and configurations for them."""

from __future__ import annotations

import hashlib
from functools import partial
from typing import TYPE_CHECKING

from emu.apps import commands
from emu.fabric.driver import Fabric
from emu.kernel import rtnetlink
from emu.kube import cni

if TYPE_CHECKING:
    from collections.abc import Mapping

    from emu.kernel.namespace import Namespace
    from emu.kube.cni.fields import Json


class Node:
    """A node without a network of its own, and its disk."""

    def __init__(self) -> None:
        self.fabric = Fabric()
        self.net = self.fabric.add_namespace("node/node-1")
        self.disk = cni.Disk()
        self.fabric.call(self.net, partial(rtnetlink.set_up, device=self.net.loopback))

    def call(
        self,
        name: str = "a",
        *,
        capabilities: Mapping[str, Json] | None = None,
        args: Mapping[str, str] | None = None,
        ifname: str = "eth0",
    ) -> cni.Call:
        """Return a call for container `name`, whose namespace is made if need be."""
        full = f"pod/default/{name}"
        sandbox = self.fabric.namespaces.get(full) or self.fabric.add_namespace(full)
        return cni.Call(
            self.fabric,
            self.net,
            sandbox,
            hashlib.sha256(name.encode()).hexdigest(),
            disk=self.disk,
            capabilities=capabilities or {},
            args=args or {},
            ifname=ifname,
        )

    def show(self, *argv: str, net: Namespace | None = None) -> str:
        """Return what a command prints on the node, or in `net`."""
        return commands.execute(net or self.net, argv)

    def rules(self, table: str = "nat") -> list[str]:
        """Return the rules of a table, as iptables-save has them."""
        return [line for line in self.show("iptables-save", "-t", table).splitlines() if line[:3] == "-A "]


def network(*plugins: dict[str, Json], version: str = "1.0.0", name: str = "net") -> cni.NetConfList:
    """Return a configuration of `plugins`."""
    return cni.NetConfList.of({"cniVersion": version, "name": name, "plugins": list(plugins)})


def bridge(subnet: str = "10.244.1.0/24", **options: Json) -> dict[str, Json]:
    """Return a bridge with host-local that is the pods' default gateway."""
    ipam: Json = {"type": "host-local", "ranges": [[{"subnet": subnet}]]}
    return {"type": "bridge", "isDefaultGateway": True, "ipam": ipam, **options}


def ptp(subnet: str = "10.244.1.0/24", **options: Json) -> dict[str, Json]:
    """Return ptp with host-local and a default route."""
    ipam: Json = {
        "type": "host-local",
        "ranges": [[{"subnet": subnet}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    return {"type": "ptp", "ipam": ipam, **options}
