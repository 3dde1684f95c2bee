# SPDX-License-Identifier: GPL-2.0-only
"""`host-local`: addresses from ranges, remembered in files of the node.

    /var/lib/cni/networks/NETWORK/10.244.1.2          container id, CR LF, device
    /var/lib/cni/networks/NETWORK/last_reserved_ip.0  the address that was given last

Addresses go round: one that was given back is not given again before all others
behind the last one were. Files that nobody removes (a node that lost power)
take addresses away for ever.

Source: containernetworking/plugins plugins/ipam/host-local.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.errors import AddressError
from emu.kube.cni.error import CniError, ErrorCode
from emu.kube.cni.ranges import RangeSet, candidates, range_of, read_ranges, set_text
from emu.kube.cni.result import NO_DNS, Dns, IpConfig, Result, RouteConfig, read_route
from emu.wire.addresses import Interface, IpAddress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.kube.cni.call import Invocation
    from emu.kube.cni.disk import Directory, Disk
    from emu.kube.cni.fields import Fields

DATA_DIR: Final = "/var/lib/cni/networks"
_LAST: Final = "last_reserved_ip."


@attrs.frozen
class Options:
    """The object `ipam` of a configuration, and the addresses that `args` asks for."""

    data_dir: str
    ranges: tuple[RangeSet, ...]
    routes: tuple[RouteConfig, ...]
    wanted: tuple[str, ...]
    resolv_conf: str


def read(fields: Fields) -> Options:
    """Return the options."""
    ipam = fields.object("ipam")
    routes = tuple(read_route(each) for each in ipam.objects("routes"))
    return Options(
        ipam.text("dataDir", DATA_DIR) or DATA_DIR,
        read_ranges(ipam),
        tuple(each for each in routes if each is not None),
        fields.object("args").object("cni").texts("ips"),
        ipam.text("resolvConf"),
    )


@attrs.define(eq=False)
class _View:
    """What the files of a directory say, by owner.

    Attributes:
        changes: those of the directory that it knows of.
        owned: names of files, by container id; most have one.
        last: the address given last, by number of the set, where it is known.
    """

    changes: int
    owned: dict[str, tuple[str, ...]] = attrs.field(factory=dict)
    last: dict[int, IpAddress] = attrs.field(factory=dict)


@attrs.frozen
class Store:
    """The addresses that were given, for one network."""

    directory: Directory

    @classmethod
    def of(cls, disk: Disk, path: str) -> Store:
        """Return the store in the directory `path`."""
        return cls(disk.directory(path))

    def last(self, number: int) -> IpAddress | None:
        """Return the address given last from range set `number`."""
        view = self._view()
        found = view.last.get(number)
        if found is None and f"{_LAST}{number}" in self.directory.files:
            try:
                found = IpAddress.parse(str(self.directory.files[f"{_LAST}{number}"]).strip())
            except AddressError:
                return None  # as the plugin: the round begins at the start, this once
        return found

    def reserve(self, container_id: str, ifname: str, address: IpAddress, number: int) -> bool:
        """Write the file of `address`; return whether it was free."""
        files, name = self.directory.files, str(address)
        if name in files:
            return False
        view = self._view()
        files[name] = f"{container_id}\r\n{ifname}"
        files[f"{_LAST}{number}"] = name
        view.owned[container_id] = (*view.owned.get(container_id, ()), name)
        view.last[number] = address
        self._written(view)
        return True

    def owned(self, container_id: str, ifname: str) -> list[str]:
        """Return the addresses that a container's device has."""
        owner = f"{container_id}\r\n{ifname}"
        files = self.directory.files
        return [
            name
            for name in self._view().owned.get(container_id, ())
            if str(files[name]).strip() in {owner, container_id}  # long ago the id stood alone
        ]

    def release(self, container_id: str, ifname: str) -> None:
        """Remove the files of a container's device."""
        view = self._view()
        for name in self.owned(container_id, ifname):
            del self.directory.files[name]
            left = tuple(each for each in view.owned[container_id] if each != name)
            if left:
                view.owned[container_id] = left
            else:
                del view.owned[container_id]
        self._written(view)

    def _written(self, view: _View) -> None:
        self.directory.changes += 1
        view.changes = self.directory.changes

    def _view(self) -> _View:
        directory = self.directory
        view = directory.view
        if not isinstance(view, _View) or view.changes != directory.changes:
            view = directory.view = _View(directory.changes)
            for name, text in directory.files.items():
                if not name.startswith(_LAST):
                    owner = str(text).partition("\r\n")[0].strip()
                    view.owned[owner] = (*view.owned.get(owner, ()), name)
        return view


class HostLocal:
    """The plugin."""

    def add(self, given: Invocation) -> Result:
        """Give an address from each range set."""
        options = given.conf.read(read)
        call, store = given.call, _store(given, options)
        owner = (call.container_id, call.ifname)
        wanted = _wanted(given, options)
        ips: list[IpConfig] = []
        try:
            for number, ranges in enumerate(options.ranges):
                mine = next((each for each in wanted if range_of(ranges, each) is not None), None)
                if mine is not None:
                    wanted.remove(mine)
                    ips.append(_take(store, owner, number, ranges, mine))
                else:
                    ips.append(_next(store, owner, number, ranges))
        except CniError:
            if ips:  # those of the sets before
                store.release(call.container_id, call.ifname)
            raise
        if wanted:
            store.release(call.container_id, call.ifname)
            raise CniError(f"failed to allocate all requested IPs: {' '.join(map(str, wanted))}")
        return Result(ips=tuple(ips), routes=options.routes, dns=_dns(call.disk, options.resolv_conf))

    def delete(self, given: Invocation) -> None:
        """Give the addresses back; the one given last stays remembered."""
        options = given.conf.read(read)
        _store(given, options).release(given.call.container_id, given.call.ifname)

    def check(self, given: Invocation) -> None:
        """Look whether there is a file of ours."""
        options = given.conf.read(read)
        if not _store(given, options).owned(given.call.container_id, given.call.ifname):
            raise CniError(f"host-local: Failed to find address added by container {given.call.container_id}")

    def status(self, given: Invocation) -> None:
        """Do nothing: it can always be asked."""
        given.conf.read(read)

    def gc(self, given: Invocation) -> None:
        """Do nothing: this plugin collects nothing."""


def _store(given: Invocation, options: Options) -> Store:
    return Store.of(given.call.disk, f"{options.data_dir}/{given.network.name}")


def _wanted(given: Invocation, options: Options) -> list[IpAddress]:
    """Return the addresses that somebody asks for: by CNI_ARGS, `args` or `runtimeConfig`."""
    texts: list[str] = []
    if "IP" in given.call.args:
        texts.append(given.call.args["IP"])
    texts += options.wanted
    runtime = given.runtime.get("ips") if given.runtime else None
    for value in runtime if isinstance(runtime, list) else ():
        texts.append(str(value))
    try:
        return [IpAddress.parse(text.partition("/")[0]) for text in texts]
    except AddressError as error:
        raise CniError(f"invalid IP: {error}", ErrorCode.INVALID_NETWORK_CONFIG) from None


def _take(store: Store, owner: tuple[str, str], number: int, ranges: RangeSet, wanted: IpAddress) -> IpConfig:
    found = range_of(ranges, wanted)
    assert found is not None
    if wanted == found.gateway:
        raise _failed(number, f"requested ip {wanted} is subnet's gateway")
    if not store.reserve(*owner, wanted, number):
        raise _failed(
            number, f"requested IP address {wanted} is not available in range set {set_text(ranges)}"
        )
    return IpConfig(Interface(wanted, found.subnet.length), found.gateway)


def _next(store: Store, owner: tuple[str, str], number: int, ranges: RangeSet) -> IpConfig:
    for name in store.owned(*owner):
        if range_of(ranges, IpAddress.parse(name)) is not None:
            raise _failed(
                number, f"{name} has been allocated to {owner[0]}, duplicate allocation is not allowed"
            )
    for address, found in candidates(ranges, store.last(number)):
        if store.reserve(*owner, address, number):
            return IpConfig(Interface(address, found.subnet.length), found.gateway)
    raise _failed(number, f"no IP addresses available in range set: {set_text(ranges)}")


def _failed(number: int, message: str) -> CniError:
    return CniError(f"failed to allocate for range {number}: {message}")


def _dns(disk: Disk, path: str) -> Dns:
    """Return what a resolv.conf of the node says."""
    if not path:
        return NO_DNS
    text: Sequence[str] = disk[path].splitlines() if path in disk else ()
    nameservers: list[str] = []
    search: list[str] = []
    options: list[str] = []
    domain = ""
    for line in text:
        match line.split():
            case ["nameserver", server, *_]:
                nameservers.append(server)
            case ["domain", domain, *_]:
                pass
            case ["search", *names]:
                search += names
            case ["options", *words]:
                options += words
    return Dns(tuple(nameservers), domain, tuple(search), tuple(options))
