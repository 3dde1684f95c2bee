# SPDX-License-Identifier: GPL-2.0-only
"""Making the kernel of a node agree with what the mode ipvs wants there.

In kube-proxy's order: the dummy device, the sets, each virtual service with its
address and its destinations, what is in the sets, the rules; at the end what is
no longer wanted is taken away, first addresses, then virtual services.

Source: pkg/proxy/ipvs/proxier.go `syncProxyRules`, `syncService`, `syncEndpoint`, `cleanLegacyService`.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import attrs

from emu.errors import CommandError
from emu.kernel import rtnetlink
from emu.kernel.link.dummy import Dummy
from emu.kernel.netfilter.ipset.element import Element, Extensions
from emu.kernel.netfilter.ipset.errors import IpSetError
from emu.kernel.netfilter.ipset.expansion import expand
from emu.kernel.netfilter.ipset.hash import HashSet
from emu.kernel.netfilter.ipset.listset import ListSet
from emu.kernel.netfilter.ipset.spec import SetSpec
from emu.kernel.netfilter.ipset.types import TYPES
from emu.kube.proxy.addresses import networks
from emu.kube.proxy.config import node_port_networks
from emu.kube.proxy.ipvs import names, tables
from emu.kube.proxy.ipvs.leaving import Leaving
from emu.tools.ipset import entries
from emu.wire.addresses import Interface, IpAddress, MacAddress

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from emu.kernel.link.device import Device
    from emu.kernel.netfilter.ipset.bitmap import BitmapSet
    from emu.kernel.netfilter.ipset.sets import IpSet
    from emu.kernel.netfilter.ipvs.virtual import VirtualService
    from emu.kube.proxy.ipvs.mode import IpvsMode
    from emu.kube.proxy.ipvs.wanted import Wanted
    from emu.kube.proxy.node import Proxy
    from emu.sim.time import Instant

_MTU: Final = 1500
_PLAIN: Final = Extensions()
_LAST_PORT: Final = 65535


def _spec(kind: str) -> SetSpec:
    return SetSpec(TYPES[kind], last=_LAST_PORT) if kind == "bitmap:port" else SetSpec(TYPES[kind], 4)


_SPECS: Final = {info.type: _spec(info.type) for info in names.SETS.values()}


@lru_cache(maxsize=1 << 17)
def _element(kind: str, text: str) -> Element:
    """Return the element that `ipset add` makes of `text`."""
    if kind == "bitmap:port":
        return Element(port=int(text))
    spec = _SPECS[kind]
    (element,) = expand(spec, entries.parse("add", spec, text, []))
    return element


class IpvsPlane:
    """What the kube-proxy of one node has written, in mode ipvs.

    Attributes:
        leaving: destinations that go when their connections have.
        is_stopped: the proxy runs no more.
    """

    def __init__(self, mode: IpvsMode, proxy: Proxy) -> None:
        self.leaving = Leaving(proxy.net)
        self.is_stopped = False
        self._mode = mode
        self._proxy = proxy
        self._state: Hashable = None
        self._wanted: Wanted | None = None
        self._filled: dict[str, frozenset[str]] = {}

    # --- what is wanted ---

    @property
    def _own(self) -> tuple[IpAddress, ...]:
        """The node's addresses on other devices than the dummy one, those of the loopback left out."""
        devices = self._proxy.net.devices.values()
        found = (own.address for each in devices if each.name != names.DEVICE for own in each.addresses)
        return tuple(dict.fromkeys(address for address in found if not address.is_loopback))

    def _served(self, own: tuple[IpAddress, ...]) -> tuple[IpAddress, ...]:
        served = node_port_networks(self._proxy.config)
        chosen = [each for each in own if not served or any(each in network for network in served)]
        return tuple(sorted(chosen, key=int))

    def _look(self) -> tuple[Hashable, Wanted]:
        """Return what the node should have, and what that depends on."""
        own = self._own
        state = self._mode.generation, self._proxy.options, self._proxy.place, own
        if state == self._state and self._wanted is not None:
            return state, self._wanted
        return state, self._mode.wanted(self._proxy, frozenset(own), self._served(own))

    # --- the plane ---

    def sync(self, now: Instant, *, full: bool) -> bool:
        """Make the node what it should be; see `Plane`."""
        state, wanted = self._look()
        if wanted is self._wanted and not full:
            return False
        if full:
            self._filled.clear()
        self._proxy.net.now = max(self._proxy.net.now, now)
        try:
            self._write(wanted, now)
        except IpSetError as error:
            raise CommandError(str(error), 1) from error
        self._state, self._wanted = state, wanted
        return True

    def is_intact(self) -> bool:
        """Return whether the node has what was written, and no other addresses of its own than then."""
        wanted, net = self._wanted, self._proxy.net
        device = net.devices.get(names.DEVICE)
        if wanted is None or device is None or self._look()[1] is not wanted:
            return False
        sets = net.netfilter.ipsets
        return (
            {own.address for own in device.addresses} == wanted.addresses.keys()
            and all(self._is_served(service) for service in wanted.services.values())
            and all(
                (known := sets.get(name)) is not None and _size(known, net.now) == len(self._filled[name])
                for name in wanted.members
            )
            and tables.is_intact(net, wanted.tables)
        )

    def _is_served(self, wanted: VirtualService) -> bool:
        found = self._proxy.net.netfilter.ipvs.services.get(wanted.key)
        if found is None or _settings(found) != _settings(wanted):
            return False
        asked = {each.key for each in wanted.destinations}
        present = {each.key for each in found.destinations}
        return asked <= present and all((wanted.key, key) in self.leaving for key in present - asked)

    def is_unfinished(self) -> bool:
        """Return False: what goes later goes by itself."""
        return False

    def stop(self) -> None:
        """Look after destinations that go no more."""
        self.is_stopped = True

    def text(self) -> str:
        """Return what iptables-restore is given by a sync; sets and virtual services are no rules."""
        wanted = self._look()[1]
        words: list[str] = []
        for table, chains in wanted.tables.items():
            words.append(f"*{table}")
            words += [f":{each.name} - [0:0]" for each in chains]
            words += [f"-A {each.name} {line}" for each in chains for line in each.lines]
            words.append("COMMIT")
        return "\n".join(words) + "\n"

    # --- writing ---

    def _write(self, wanted: Wanted, now: Instant) -> None:
        net = self._proxy.net
        device = self._device()
        for name, info in names.SETS.items():
            if net.netfilter.ipsets.get(name) is None:
                net.netfilter.ipsets.create(name, _SPECS[info.type])
                self._filled.pop(name, None)
        self._bind(device, wanted.addresses)
        for service in wanted.services.values():
            self._serve(service, now)
        for name, members in wanted.members.items():
            self._fill(name, members, now)
        tables.load(net, wanted.tables)
        for own in tuple(device.addresses):
            if own.address not in wanted.addresses:
                rtnetlink.delete_address(net, device, own.address)
        self._delete_others(wanted)

    def _device(self) -> Device:
        """Return the dummy device, which is never up."""
        net = self._proxy.net
        found = net.devices.get(names.DEVICE)
        if found is None:
            digest = hashlib.sha256(f"{self._proxy.config.node_name} {names.DEVICE}".encode()).digest()
            mac = MacAddress(bytes((digest[0] & 0xFC | 2, *digest[1:6])))
            found = net.add_device(names.DEVICE, Dummy(), mac, mtu=_MTU)
            found.arp = False
        return found

    def _bind(self, device: Device, wanted: Mapping[IpAddress, None]) -> None:
        bound = {own.address for own in device.addresses}
        new = [Interface(address, 32) for address in wanted if address not in bound]
        rtnetlink.add_addresses(self._proxy.net, device, new)

    def _serve(self, wanted: VirtualService, now: Instant) -> None:
        """Have a virtual service with its destinations. Source: `syncService`, `syncEndpoint`."""
        ipvs = self._proxy.net.netfilter.ipvs
        found = ipvs.services.get(wanted.key)
        if found is None:
            ipvs.add_service(wanted)
            return
        if found is wanted:
            return
        if _settings(found) != _settings(wanted):
            ipvs.edit_service(wanted)
        present = {each.key: each for each in found.destinations}
        for each in reversed(wanted.destinations):
            if (wanted.key, each.key) in self.leaving:
                self.leaving.take_back(wanted.key, each.key)
            elif each.key in present:
                continue
            ipvs.add_destination(wanted.key, each)
        kept = {each.key for each in wanted.destinations}
        for key in sorted(present.keys() - kept):
            if (wanted.key, key) not in self.leaving:
                self.leaving.send(wanted.key, key, now)

    def _fill(self, name: str, wanted: frozenset[str], now: Instant) -> None:
        """Have a set with exactly these elements, but for those that the kernel does not take.

        So it is with a source range of all addresses: nobody may use such a load
        balancer's address, for the set has no element that lets anybody in.
        """
        known = self._proxy.net.netfilter.ipsets.find(name)
        assert not isinstance(known, ListSet), "sets are of the types that they were made with"
        present = self._filled.get(name)
        if present is None:
            present = self._present(known, now)
        kind = known.spec.type.name
        for text in sorted(present - wanted):
            known.remove(_element(kind, text), now)
        refused: set[str] = set()
        for text in sorted(wanted - present):
            try:
                known.put(_element(kind, text), _PLAIN, now, exist=True)
            except IpSetError:
                refused.add(text)
        self._filled[name] = wanted - refused

    def _present(self, known: HashSet | BitmapSet, now: Instant) -> frozenset[str]:
        return frozenset(entries.render(known.spec, member, now) for member in known.listed(now))

    def _delete_others(self, wanted: Wanted) -> None:
        """Delete the virtual services that nobody wants, but for those at excluded addresses."""
        excluded = networks(self._proxy.config.ipvs.exclude_cidrs, self._proxy.config.family)
        ipvs = self._proxy.net.netfilter.ipvs
        for service in tuple(ipvs.services):
            if service.key not in wanted.services and not any(
                service.key.address in network for network in excluded
            ):
                ipvs.delete_service(service.key)


def _size(known: IpSet, now: Instant) -> int:
    return len(known) if isinstance(known, HashSet) else sum(1 for _ in known.listed(now))


def _settings(service: VirtualService) -> VirtualService:
    """Return what of a virtual service is not its destinations."""
    return attrs.evolve(service, destinations=())
