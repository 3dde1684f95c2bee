# SPDX-License-Identifier: GPL-2.0-only
"""The virtual server of one namespace: what is set up, what is under way, and what was counted.

Source: `struct netns_ipvs`, net/netfilter/ipvs/ip_vs_ctl.c, ip_vs_conn.c.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Final

import attrs

from emu.kernel.netfilter.conntrack.tuples import Tuple
from emu.kernel.netfilter.ipvs import schedulers
from emu.kernel.netfilter.ipvs.connection import LATER, Connection, ConnectionTable, Ends
from emu.kernel.netfilter.ipvs.states import TIMEOUTS, State, Way
from emu.kernel.netfilter.ipvs.usage import Load, Usage
from emu.kernel.netfilter.ipvs.virtual import Services
from emu.wire.addresses import IpAddress
from emu.wire.ipv4 import TCP, UDP

if TYPE_CHECKING:
    from collections.abc import Callable

    from emu.kernel.namespace import Namespace
    from emu.kernel.netfilter.ipvs.virtual import (
        Destination,
        DestinationKey,
        ServiceKey,
        VirtualService,
    )
    from emu.sim.time import Duration, Instant

_CONNTRACK: Final = "net.ipv4.vs.conntrack"
_EXPIRE_NODEST: Final = "net.ipv4.vs.expire_nodest_conn"


class Ipvs:
    """Virtual services, their connections and counters.

    Attributes:
        services: what is set up.
        connections: who was sent where.
    """

    def __init__(self, net: Namespace, changed: Callable[[], None]) -> None:
        self.services = Services()
        self.connections = ConnectionTable()
        self._net = net
        self._changed = changed
        self._usage: dict[ServiceKey, Usage] = {}
        self._loads: dict[tuple[ServiceKey, DestinationKey], Load] = {}
        self._timeouts: dict[tuple[int, State], Duration] = {}

    @property
    def is_enabled(self) -> bool:
        """Whether it looks at packets: there is a service. Source: `ip_vs_register_hooks`."""
        return bool(self.services)

    # --- setting up ---

    def add_service(self, service: VirtualService) -> None:
        """Add a virtual service.

        Raises:
            OSError: EEXIST.
        """
        if self.services.get(service.key) is not None:
            raise _error(errno.EEXIST)
        was_enabled = self.is_enabled
        self.services.put(service)
        if not was_enabled:
            self._changed()

    def edit_service(self, service: VirtualService) -> None:
        """Give a virtual service another scheduler, or have clients stay; it keeps its destinations.

        Raises:
            OSError: ESRCH, there is none.
        """
        before = self._service(service.key)
        self._put(attrs.evolve(service, destinations=before.destinations), before)

    def delete_service(self, key: ServiceKey) -> None:
        """Delete a virtual service with its destinations.

        Raises:
            OSError: ESRCH, there is none.
        """
        service = self._service(key)
        self.services.pop(key)
        self._usage.pop(key, None)
        for each in service.destinations:
            self._forget_load(key, each.key)
        if not self.is_enabled:
            self._changed()

    def flush(self) -> None:
        """Delete all virtual services."""
        for service in tuple(self.services):
            self.delete_service(service.key)

    def add_destination(self, key: ServiceKey, destination: Destination) -> None:
        """Add a destination to a virtual service.

        Raises:
            OSError: ESRCH, no such service; EEXIST.
        """
        service = self._service(key)
        if service.find(destination.key) is not None:
            raise _error(errno.EEXIST)
        self._put(attrs.evolve(service, destinations=(destination, *service.destinations)), service)

    def edit_destination(self, key: ServiceKey, destination: Destination) -> None:
        """Give a destination another weight or other limits.

        Raises:
            OSError: ESRCH, no such service; ENOENT, no such destination.
        """
        service = self._service(key)
        before = service.find(destination.key)
        if before is None:
            raise _error(errno.ENOENT)
        load = self._loads.get((key, destination.key))
        if load is not None and (not destination.upper or destination.upper > before.upper):
            load.is_overloaded = False
        destinations = tuple(
            [destination if each.key == destination.key else each for each in service.destinations]
        )
        self._put(attrs.evolve(service, destinations=destinations), service)

    def delete_destination(self, key: ServiceKey, destination: DestinationKey) -> None:
        """Delete a destination; its connections stay, unless `expire_nodest_conn` says otherwise.

        Raises:
            OSError: ESRCH, no such service; ENOENT, no such destination.
        """
        service = self._service(key)
        if service.find(destination) is None:
            raise _error(errno.ENOENT)
        destinations = tuple([each for each in service.destinations if each.key != destination])
        self._put(attrs.evolve(service, destinations=destinations), service)
        self._forget_load(key, destination)
        if self._net.sysctl.number(_EXPIRE_NODEST):
            self._expire_without_destination()

    def _expire_without_destination(self) -> None:
        """Source: `ip_vs_expire_nodest_conn_flush`."""
        for entry in tuple(self.connections):
            if not entry.is_template and self.destination_of(entry) is None:
                template = entry.template
                self.expire(entry)
                if template is not None and not template.controls:
                    self.expire(template)

    def _service(self, key: ServiceKey) -> VirtualService:
        found = self.services.get(key)
        if found is None:
            raise _error(errno.ESRCH)
        return found

    def _put(self, service: VirtualService, before: VirtualService) -> None:
        self.services.put(service)
        usage = self._usage.get(service.key)
        if usage is not None:
            schedulers.changed(service, before, usage)

    # --- time-outs ---

    def timeout(self, protocol: int, state: State) -> Duration:
        """Return for how long a connection in `state` is remembered."""
        return self._timeouts.get((protocol, state)) or TIMEOUTS[protocol, state]

    def set_timeouts(self, tcp: Duration, tcp_fin: Duration, udp: Duration) -> None:
        """Set those of connections that stand, that end, and of UDP; 0 leaves one as it is."""
        wanted = {
            (TCP, State.ESTABLISHED): tcp,
            (TCP, State.FIN_WAIT): tcp_fin,
            (UDP, State.UDP): udp,
        }
        self._timeouts.update({place: timeout for place, timeout in wanted.items() if timeout})

    # --- what packets change ---

    def usage(self, service: VirtualService) -> Usage:
        """Return what was counted for `service`, and whose turn it is."""
        found = self._usage.get(service.key)
        if found is None:
            found = self._usage[service.key] = Usage()
            schedulers.changed(service, None, found)
        return found

    def load(self, service: ServiceKey, destination: DestinationKey) -> Load:
        """Return what a destination has to do."""
        found = self._loads.get((service, destination))
        if found is None:
            found = self._loads[service, destination] = Load()
        return found

    def load_of(self, entry: Connection) -> Load:
        """Return what the destination of `entry` has to do."""
        return self.load(entry.service, entry.destination)

    def known_load(self, service: ServiceKey, destination: DestinationKey) -> Load | None:
        """Return what a destination has to do, None if no packet has met it."""
        return self._loads.get((service, destination))

    def known_usage(self, service: ServiceKey) -> Usage | None:
        """Return what was counted for a service, None if no packet has met it."""
        return self._usage.get(service)

    def destination_of(self, entry: Connection) -> Destination | None:
        """Return the destination of `entry`, None if it was deleted (`IP_VS_DEST_F_AVAILABLE`)."""
        service = self.services.get(entry.service)
        return service.find(entry.destination) if service is not None else None

    def begin(
        self,
        ends: Ends,
        service: VirtualService,
        destination: Destination,
        port: int,
        *,
        is_template: bool = False,
    ) -> Connection:
        """Enter a connection or a template, and count it. Source: `ip_vs_conn_new`, `ip_vs_bind_dest`."""
        entry = Connection(
            self.connections.next_number(),
            ends,
            service.key,
            destination.key,
            port,
            is_template=is_template,
            uses_conntrack=bool(self._net.sysctl.number(_CONNTRACK)),
        )
        self.connections.add(entry, self._net.now)
        load = self.load_of(entry)
        if is_template:
            load.persistent += 1
        else:
            load.inactive += 1
        if destination.upper and load.active + load.inactive >= destination.upper:
            load.is_overloaded = True
        return entry

    def count(self, entry: Connection, octets: int, way: Way) -> None:
        """Count a packet for service and destination, if they are there. Source: `ip_vs_in_stats`."""
        service = self.services.get(entry.service)
        if service is None or service.find(entry.destination) is None:
            return
        for stats in (self.usage(service).stats, self.load_of(entry).stats):
            (stats.count_in if way is Way.IN else stats.count_out)(octets)

    def sweep(self, now: Instant) -> None:
        """Forget the connections whose time is over. Source: `ip_vs_conn_expire`."""
        while (entry := self.connections.due(now)) is not None:
            if entry.controls:
                entry.timeout = LATER
                self.connections.restart(entry, entry.expires)
            else:
                self.expire(entry)

    def expire(self, entry: Connection) -> None:
        """Forget `entry`; connection tracking forgets it too, if it followed it."""
        self.connections.remove(entry)
        if entry.template is not None:
            entry.template.controls -= 1
            entry.template = None
        if entry.uses_conntrack and not entry.is_template:
            self._drop_conntrack(entry.ends)
        load = self.load_of(entry)
        if entry.is_template:
            load.persistent -= 1
        elif entry.is_inactive:
            load.inactive -= 1
        else:
            load.active -= 1
        destination = self.destination_of(entry)
        if destination is None:
            self._forget_load(entry.service, entry.destination)
        elif load.is_overloaded:
            total = load.active + load.inactive
            enough = destination.upper and total * 4 >= destination.upper * 3
            load.is_overloaded = total >= destination.lower if destination.lower else bool(enough)

    def _forget_load(self, service: ServiceKey, destination: DestinationKey) -> None:
        """Forget what a destination that is gone has counted, unless connections are left."""
        load = self._loads.get((service, destination))
        if load is not None and not (load.active or load.inactive or load.persistent):
            del self._loads[service, destination]

    def _drop_conntrack(self, ends: Ends) -> None:
        """Have connection tracking forget a client's connection. Source: `ip_vs_conn_drop_conntrack`."""
        table, now = self._net.netfilter.conntrack, self._net.now
        src, dst = IpAddress(ends.src), IpAddress(ends.dst)
        found = table.find(Tuple(src, dst, ends.protocol, ends.sport, ends.dport), now)
        if found is not None:
            table.delete(found.connection, now)


def _error(number: int) -> OSError:
    return OSError(number, os.strerror(number))
