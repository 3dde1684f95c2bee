# SPDX-License-Identifier: GPL-2.0-only
"""A node as its own programs see it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from emu.fabric.userland import Userland
from emu.kube.cni import Disk

if TYPE_CHECKING:
    from collections.abc import Mapping

    from emu.kernel.namespace import Namespace
    from emu.kernel.route import Route
    from emu.kube.cni import NetConfList


@attrs.define(eq=False)
class Machine:
    """A node: its namespace, its disk, and what a shell on it sees.

    Attributes:
        name: of the Node.
        net: its root namespace.
        disk: what CNI plugins and daemons keep.
        userland: host name and files, such as the resolv.conf that pods may inherit.
        network: the first file of `/etc/cni/net.d`; None while the network's daemon has not written it.
        is_up: it has power, and a network.
        has_kubelet: its kubelet runs, if it is up.
        boot_routes: those that it has of its own configuration.
        sysctls: what its settings are, whatever plugins and daemons switch on.
    """

    name: str
    net: Namespace
    disk: Disk = attrs.field(factory=Disk)
    userland: Userland = attrs.field(factory=Userland)
    network: NetConfList | None = None
    is_up: bool = True
    has_kubelet: bool = True
    boot_routes: tuple[Route, ...] = ()
    sysctls: Mapping[str, str] = attrs.field(factory=dict)

    @property
    def is_kept(self) -> bool:
        """Whether a kubelet looks after its pods, and the API hears of it."""
        return self.is_up and self.has_kubelet

    def keep_sysctls(self) -> None:
        """Have the last word on the settings that `sysctls` names."""
        for name, value in self.sysctls.items():
            self.net.sysctl.set(name, value)
