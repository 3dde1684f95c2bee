# SPDX-License-Identifier: GPL-2.0-only
"""The mode userspace: a proxy for each service port on each node, and rules that lead there.

Traffic policies, source ranges, hints and endpoints that are going mean nothing
here, and SCTP cannot be proxied. The proxy asks in its own name: servers see the
node, whoever the client is.

Source: pkg/proxy/userspace/proxier.go (Kubernetes 1.25).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import attrs

from emu.kube.proxy.userspace import portals, programs
from emu.kube.proxy.userspace.programs import Proxied
from emu.kube.proxy.userspace.rotation import Rotation
from emu.wire.addresses import ANY_IP4, IpAddress
from emu.wire.ipv4 import UDP as _UDP

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable

    from emu.fabric.process import Process
    from emu.fabric.program import Program
    from emu.kube.proxy.catalogue import Entry
    from emu.kube.proxy.node import Proxy
    from emu.kube.proxy.proxy import Fleet
    from emu.kube.proxy.services import ProxiedPort
    from emu.kube.proxy.userspace.portals import Line
    from emu.sim.time import Instant

_SERVERS: Final = {"TCP": programs.serve_tcp, "UDP": programs.serve_udp}


class UserspaceMode:
    """What all nodes have in common: nothing but what there is."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet

    def begin(self, proxy: Proxy) -> UserspacePlane:
        """Return the plane of a node."""
        return UserspacePlane(self.fleet, proxy)


@attrs.define(eq=False)
class _Open:
    """A service port that is proxied.

    Attributes:
        port: the service port.
        proxied: what its proxy knows.
        lines: its rules.
        processes: its proxy, and what holds its node port.
    """

    port: ProxiedPort
    proxied: Proxied
    lines: tuple[Line, ...] = ()
    processes: list[Process[Any]] = attrs.field(factory=list)


class UserspacePlane:
    """The proxies of one node, and the rules that lead to them."""

    def __init__(self, fleet: Fleet, proxy: Proxy) -> None:
        self._fleet = fleet
        self._proxy = proxy
        self._open: dict[tuple[str, str, str], _Open] = {}
        self._seen: tuple[Entry, ...] | None = None

    def sync(self, now: Instant, *, full: bool) -> bool:
        """Have a proxy for each service port, and no other; see `Plane`."""
        entries = self._fleet.catalogue.entries
        if not full and entries is self._seen:
            return False
        net = self._proxy.net
        is_first = self._seen is None
        portals.ensure_chains(net)
        if is_first:
            portals.flush(net)  # proxies that were here before listened elsewhere
        wanted = {entry.port.key[:3]: entry for entry in entries if entry.port.key.protocol in _SERVERS}
        for key in [key for key in self._open if key not in wanted]:
            self._close(key, now)
        for key, entry in wanted.items():
            known = self._open.get(key)
            if known is not None and not _is_same(known.port, entry.port):
                self._close(key)
            if key not in self._open:
                self._begin(key, entry.port)
            found = self._open[key]
            ready = {each.text for each in entry.backends.listed if each.ready}
            found.proxied.rotation.set(ready, self._random(entry.port))
            found.proxied.rotation.forget_old_clients(now)
            for line in found.lines:
                portals.ensure(net, line)
        self._seen = entries
        return True

    def _begin(self, key: tuple[str, str, str], port: ProxiedPort) -> None:
        """Start the proxy of a service port, and hold its node port."""
        proxied = Proxied(key, Rotation(port.name, port.affinity_seconds))
        opened = self._open[key] = _Open(port, proxied)
        protocol = port.key.protocol
        self._spawn(opened, _SERVERS[protocol](proxied))
        if port.node_port:
            self._spawn(opened, programs.hold(protocol, ANY_IP4, port.node_port))
        own = {each.address for device in self._proxy.net.devices.values() for each in device.addresses}
        for ip in map(IpAddress.parse, (*port.external_ips, *port.load_balancer_ips)):
            if ip in own:
                self._spawn(opened, programs.hold(protocol, ip, port.port))
        opened.lines = tuple(portals.lines(port, proxied.port, self._proxy.place.address))

    def _spawn(self, opened: _Open, program: Program[None]) -> None:
        fabric = self._fleet.fabric
        if fabric is not None:
            opened.processes.append(fabric.spawn(self._proxy.net, program))

    def _close(self, key: tuple[str, str, str], gone_since: Instant | None = None) -> None:
        """Take away the rules of a service port and end its proxy; of UDP its connections, if it is gone."""
        opened = self._open.pop(key)
        for line in opened.lines:
            portals.remove(self._proxy.net, line)
        for process in opened.processes:
            process.stop_listening() if opened.port.key.protocol == "TCP" else process.kill()
        netfilter = self._proxy.net.used_netfilter
        if gone_since is None or opened.port.key.protocol != "UDP" or netfilter is None:
            return
        address = IpAddress.parse(opened.port.cluster_ip)
        for connection in list(netfilter.conntrack):
            if connection.original.dst == address and connection.protocol == _UDP:
                netfilter.conntrack.delete(connection, gone_since)

    def _random(self, port: ProxiedPort) -> random.Random:
        fabric = self._fleet.fabric
        assert fabric is not None
        return fabric.streams.stream(f"userspace {self._proxy.config.node_name} {port.name}")

    def taken_at(self, port: int) -> Proxied | None:
        """Return the service port whose proxy listens on a port of the node, None if none does."""
        return next((each.proxied for each in self._open.values() if each.proxied.port == port), None)

    def is_intact(self) -> bool:
        """Return whether all rules are there."""
        return all(portals.is_there(self._proxy.net, line) for line in self._lines())

    def is_unfinished(self) -> bool:
        """Return False: what is not wanted goes at once."""
        return False

    def stop(self) -> None:
        """End the proxies; the rules stay, and lead nowhere."""
        for opened in self._open.values():
            for process in opened.processes:
                process.kill()
            opened.processes.clear()

    def text(self) -> str:
        """Return the commands that write the rules."""
        made = [f"iptables -w -t {table} -N {chain}" for table, chain in portals.CHAINS]
        return "\n".join([*made, *(line.text for line in self._lines())]) + "\n"

    def _lines(self) -> Iterable[Line]:
        yield from portals.JUMPS
        for opened in self._open.values():
            yield from opened.lines


def _is_same(one: ProxiedPort, other: ProxiedPort) -> bool:
    """Return whether nothing differs for which the proxy has to be another."""
    return _asked(one) == _asked(other)


def _asked(port: ProxiedPort) -> tuple[object, ...]:
    addresses = port.cluster_ip, port.external_ips, port.load_balancer_ips
    return port.key, *addresses, port.port, port.node_port, bool(port.affinity_seconds)
