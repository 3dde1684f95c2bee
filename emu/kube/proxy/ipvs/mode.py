# SPDX-License-Identifier: GPL-2.0-only
"""The mode ipvs: what nodes want, and the settings that a proxy makes as it starts.

Source: pkg/proxy/ipvs/proxier.go `NewProxier`, cleanup.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu.kernel import rtnetlink
from emu.kernel.netfilter.ipset.errors import IpSetError
from emu.kube.proxy.ipvs import names, tables
from emu.kube.proxy.ipvs.leaving import PERIOD
from emu.kube.proxy.ipvs.plane import IpvsPlane
from emu.kube.proxy.ipvs.ports import PortWriter
from emu.kube.proxy.ipvs.wanted import assemble
from emu.sim.time import Instant

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.kernel.namespace import Namespace
    from emu.kube.proxy.ipvs.wanted import Wanted
    from emu.kube.proxy.node import Proxy
    from emu.kube.proxy.proxy import Fleet
    from emu.wire.addresses import IpAddress


class IpvsMode:
    """What the nodes of a cluster want in mode ipvs."""

    def __init__(self, fleet: Fleet) -> None:
        self._loop = fleet.store.loop
        self._catalogue = fleet.catalogue
        self._writers: dict[str, PortWriter] = {}
        self._generation = -1

    def begin(self, proxy: Proxy) -> IpvsPlane:
        """Return the plane of a node, whose kernel gets the settings that it needs."""
        settings, sysctl = proxy.config.ipvs, proxy.net.sysctl
        wanted = {**names.SYSCTLS, **(names.STRICT_ARP if settings.strict_arp else {})}
        for name, value in wanted.items():
            if sysctl.number(name) != value:
                sysctl.set(name, value)
        timeouts = settings.tcp_timeout, settings.tcp_fin_timeout, settings.udp_timeout
        if any(timeouts):
            proxy.net.netfilter.ipvs.set_timeouts(*timeouts)
        plane = IpvsPlane(self, proxy)
        self._look_later(plane)
        return plane

    def _look_later(self, plane: IpvsPlane) -> None:
        self._loop.periodic_at(Instant(self._loop.now + PERIOD), self._look, plane)

    def _look(self, plane: IpvsPlane) -> None:
        """Delete destinations that have no connections left, again and again."""
        if not plane.is_stopped:
            plane.leaving.look(self._loop.now)
            self._look_later(plane)

    @property
    def generation(self) -> int:
        """Grows with every change of service ports or endpoints."""
        self._catalogue.refresh()
        return self._catalogue.generation

    def wanted(self, proxy: Proxy, own: frozenset[IpAddress], served: Sequence[IpAddress]) -> Wanted:
        """Return what a node should have, which has these addresses and serves node ports at those."""
        entries = self._catalogue.entries
        if self._generation != self._catalogue.generation:
            self._generation = self._catalogue.generation
            for each in self._writers.values():
                each.keep(entries)
        scheduler = proxy.config.ipvs.scheduler or names.DEFAULT_SCHEDULER
        writer = self._writers.setdefault(scheduler, PortWriter(scheduler))
        return assemble(proxy.options, [writer.write(each, proxy.place) for each in entries], own, served)


def clean_up(net: Namespace) -> None:
    """Take away what a proxy in mode ipvs left: virtual services, the device, rules, sets; no setting."""
    netfilter = net.used_netfilter
    if netfilter is not None:
        netfilter.ipvs.flush()
    device = net.devices.get(names.DEVICE)
    if device is not None:
        rtnetlink.remove(net, device)
    if netfilter is None:
        return
    tables.clean_up(net)
    for name in names.SETS:
        if netfilter.ipsets.get(name) is not None:
            try:
                netfilter.ipsets.destroy(name)
            except IpSetError:  # a rule of somebody else names it
                continue
