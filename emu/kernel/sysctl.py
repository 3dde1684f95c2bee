# SPDX-License-Identifier: GPL-2.0-only
"""`/proc/sys/net` of one namespace.

Each device has its own copy of some names (`net.ipv4.conf.eth0.rp_filter`). How
the copies hang together was found on Linux 6.18:

* A new device takes what `default` holds.
* Writing to `default` also reaches the devices that were given neither an address
  nor a value of their own for that name; not so the names in `_NEVER_COPIED`.
* `forwarding` of `all`, which is `net.ipv4.ip_forward`, is written through to
  `default` and every device. Other names of `all` are combined with the device's
  at each look, as `COMBINED` tells.
* IPv6 writes a few names of `all` through (`_WRITTEN_THROUGH6`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final, TypeAlias

import attrs

from emu.errors import SysctlError
from emu.kernel import sysctl_names as names
from emu.kernel.sysctl_directory import ALL, DEFAULT, Directory, Kind, share
from emu.kernel.sysctl_modelled import INVISIBLE, MODELLED

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from emu.kernel.sysctl_directory import Conf
    from emu.kernel.sysctl_names import Entry, Value

COMBINED: Final = {
    "accept_local": "or",
    "accept_source_route": "and",
    "arp_accept": "max",
    "arp_announce": "max",
    "arp_evict_nocarrier": "and",
    "arp_filter": "or",
    "arp_ignore": "max",
    "arp_notify": "max",
    "bc_forwarding": "and",
    "bootp_relay": "and",
    "disable_policy": "or",
    "disable_xfrm": "or",
    "drop_gratuitous_arp": "or",
    "drop_unicast_in_l2_multicast": "or",
    "ignore_routes_with_linkdown": "or",
    "log_martians": "or",
    "mc_forwarding": "and",
    "promote_secondaries": "or",
    "proxy_arp": "or",
    "proxy_arp_pvlan": "or",
    "route_localnet": "or",
    "rp_filter": "max",
    "secure_redirects": "or",
    "send_redirects": "or",
    "shared_media": "or",
    "src_valid_mark": "or",
}
"""How the values of `all` and of a device make the one that counts.

A name that is not here counts as the device has it (`forwarding`, `medium_id`,
`tag`, ...). `accept_redirects` is "and" on a device that forwards, else "or".
Source: include/linux/inetdevice.h, `IN_DEV_ANDCONF` and its neighbours.
"""

_NEVER_COPIED: Final = frozenset(
    (
        "disable_policy",
        "disable_xfrm",
        "drop_unicast_in_l2_multicast",
        "forwarding",
        "mc_forwarding",
        "promote_secondaries",
        "route_localnet",
    )
)
_WRITTEN_THROUGH6: Final = frozenset(
    ("addr_gen_mode", "disable_ipv6", "force_forwarding", "forwarding", "ignore_routes_with_linkdown")
)
_IP_FORWARD: Final = "net.ipv4.ip_forward"
_COPIED: Final = frozenset(names.CONF) - _NEVER_COPIED
_ALL_NEIGH: Final = frozenset(names.NEIGH)
_SPECIAL: Final = {ALL: names.ALL, "lo": names.LOOPBACK}
_SPECIAL6: Final = {ALL: names.ALL6, "lo": names.LOOPBACK6}
_NOTHING: Final[dict[str, Conf]] = {}
_CONF: Final = Kind("net/ipv4/conf", names.CONF, _COPIED, _SPECIAL)
_NEIGH: Final = Kind("net/ipv4/neigh", names.NEIGH, _ALL_NEIGH, _NOTHING, names.VIEWS)
_CONF6: Final = Kind("net/ipv6/conf", names.CONF6, frozenset(), _SPECIAL6)
_NEIGH6: Final = Kind("net/ipv6/neigh", names.NEIGH6, _ALL_NEIGH, _NOTHING, names.VIEWS6)
_ENTRIES: Final = {False: names.FLAT, True: names.FLAT | names.INITIAL}
_BORN: Final[dict[bool, dict[str, Value]]] = {
    initial: {name: entry.default for name, entry in entries.items()} for initial, entries in _ENTRIES.items()
}
_SWAP: Final = str.maketrans("./", "/.")


def path(name: str) -> str:
    """Return the file below `/proc/sys` that `name` stands for.

    The first separator decides: if it is a dot, dots separate and a slash stands
    for a dot of an interface name; if it is a slash, `name` is a path already.
    Source: sysctl(8).
    """
    dot, slash = name.find("."), name.find("/")
    if dot != -1 and (slash == -1 or dot < slash):
        return name.translate(_SWAP)
    return name


def dotted(file: str) -> str:
    """Return the name of a file below `/proc/sys` as `sysctl` prints it."""
    return file.translate(_SWAP)


_Place: TypeAlias = tuple[Directory, str, str]
"""Directory, device and name of a value that devices have."""


@attrs.define(eq=False)
class Sysctl:
    """The settings of one namespace.

    Attributes:
        initial: whether this is a machine's initial namespace, which has more
            names (`net.ipv4.neigh.default.gc_thresh1`, `net.core.netdev_budget`).
        generation: changes with every write; compare it to know whether
            something derived from the settings is out of date.
        values: the names that devices do not have, with dots; to read only.
        unmodelled: what was set to other than its default though the stack does
            not obey it and packets could show it, by name as `sysctl` prints it.
    """

    is_still: ClassVar[bool] = True

    initial: bool = True
    generation: int = attrs.field(default=0, init=False)
    values: Mapping[str, Value] = attrs.field(init=False)
    unmodelled: dict[str, Value] = attrs.field(factory=dict, init=False)
    _entries: dict[str, Entry] = attrs.field(init=False)
    _conf: Directory = attrs.field(init=False)
    _neigh: Directory = attrs.field(init=False)
    _conf6: Directory = attrs.field(init=False)
    _neigh6: Directory = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._entries = _ENTRIES[self.initial]
        self.values = _BORN[self.initial]
        self._conf = Directory(_CONF)
        self._neigh = Directory(_NEIGH)
        self._conf6 = Directory(_CONF6)
        self._neigh6 = Directory(_NEIGH6)

    def tell_conf(self, replaced: Callable[[str, Conf], None]) -> None:
        """Have `replaced` told whenever a device's `net.ipv4.conf` is another table."""
        self._conf.replaced = replaced

    @property
    def conf(self) -> dict[str, Conf]:
        """`net.ipv4.conf`: by device (`all` and `default` too), then by name; to read only."""
        return self._conf.tables

    @property
    def neigh(self) -> dict[str, Conf]:
        """`net.ipv4.neigh`, times in milliseconds where there are two names; to read only."""
        return self._neigh.tables

    @property
    def conf6(self) -> dict[str, Conf]:
        """`net.ipv6.conf`; to read only."""
        return self._conf6.tables

    def get(self, name: str) -> Value:
        """Return what `name` (with dots or slashes) holds.

        Raises:
            SysctlError: there is no such name.
        """
        place = self._find(path(name))
        if isinstance(place, str):
            return self.values[place]
        directory, device, key = place
        return directory.read(device, key)

    def number(self, name: str) -> int:
        """Return what `name` holds, which is one integer.

        Raises:
            SysctlError: there is no such name, or it holds something else.
        """
        value = self.values.get(name)
        if not isinstance(value, int):
            value = self.get(name)
        if not isinstance(value, int):
            raise SysctlError(f'"{name}" is not one number')
        return value

    def numbers(self, name: str) -> tuple[int, ...]:
        """Return what `name` (`net.ipv4.ip_local_port_range`) holds, which is a row of integers.

        Raises:
            SysctlError: there is no such name, or it holds something else.
        """
        value = self.values.get(name)
        if not isinstance(value, tuple):
            value = self.get(name)
        if not isinstance(value, tuple):
            raise SysctlError(f'"{name}" is no row of numbers')
        return value

    def set(self, name: str, value: Value) -> None:
        """Write `value` to `name` (with dots or slashes), with all that follows from it.

        Raises:
            SysctlError: there is no such name, or it refuses the value.
        """
        file = path(name)
        place = self._find(file)
        try:
            if isinstance(place, str):
                default, pattern = self._entries[place].default, place
                self._write_flat(place, value)
            else:
                directory, device, key = place
                held = directory.held(key)
                default, pattern = directory.starts_with(device, held), f"{dotted(directory.prefix)}.*.{held}"
                self._write_device(directory, device, key, value)
                file = f"{directory.prefix}/{device}/{held}"
        except ValueError:
            raise SysctlError(f'setting key "{dotted(file)}": Invalid argument') from None
        except LookupError:
            raise SysctlError(f'setting key "{dotted(file)}": No such file or directory') from None
        self.generation += 1
        written = self.get(file)
        self.unmodelled.pop(dotted(file), None)
        if written != default and pattern not in MODELLED | INVISIBLE:
            self.unmodelled[dotted(file)] = written

    def files(self) -> list[str]:
        """Return the paths below `/proc/sys` that `sysctl -a` lists, in its order."""
        found = [name.replace(".", "/") for name in self.values if not name.endswith(".flush")]
        for directory in (self._conf, self._neigh, self._conf6, self._neigh6):
            keys = (directory.entries.keys() | directory.views.keys()) - names.UNLISTED
            for device in directory.tables:
                if self._shows(directory, device):
                    found += (f"{directory.prefix}/{device}/{key}" for key in keys)
        return sorted(found, key=lambda file: file.split("/"))

    def effective(self, device: str, name: str) -> int:
        """Return what `net.ipv4.conf.DEVICE.NAME` comes to together with `all`'s."""
        rule = COMBINED.get(name)
        if name == "accept_redirects":
            rule = "and" if self._conf.tables[device]["forwarding"] else "or"
        if rule == "max":
            return self.conf_max(device, name)
        if rule == "or":
            return int(self.conf_or(device, name))
        if rule == "and":
            return int(self.conf_and(device, name))
        return self._conf.tables[device][name]

    def conf_max(self, device: str, name: str) -> int:
        """Return the greater of a device's value and `all`'s, for a name that is "max" in `COMBINED`."""
        tables = self._conf.tables
        return max(tables[device][name], tables[ALL][name])

    def conf_or(self, device: str, name: str) -> bool:
        """Return whether a device or `all` has it on, for a name that is "or" in `COMBINED`."""
        tables = self._conf.tables
        return bool(tables[device][name] or tables[ALL][name])

    def conf_and(self, device: str, name: str) -> bool:
        """Return whether a device and `all` have it on, for a name that is "and" in `COMBINED`."""
        tables = self._conf.tables
        return bool(tables[device][name] and tables[ALL][name])

    def device_added(self, device: str) -> Conf:
        """Make the names of a new device and return its `net.ipv4.conf`."""
        self.generation += 1
        for directory in (self._neigh, self._conf6, self._neigh6):
            directory.add(device)
        return self._conf.add(device)

    def device_removed(self, device: str) -> None:
        """Forget the names of a device."""
        self.generation += 1
        for directory in (self._conf, self._neigh, self._conf6, self._neigh6):
            directory.remove(device)

    def device_renamed(self, old: str, new: str) -> None:
        """Let a device's names follow its new name."""
        self.generation += 1
        for directory in (self._conf, self._neigh, self._conf6, self._neigh6):
            directory.rename(old, new)

    def address_added(self, device: str) -> None:
        """Detach a device from `default`: it was given an IPv4 address by hand.

        Source: net/ipv4/devinet.c, `ipv4_devconf_setall`.
        """
        self._conf.detach(device)
        self._neigh.detach(device)

    def _shows(self, directory: Directory, device: str) -> bool:
        if device != DEFAULT or self.initial:
            return True
        return directory in {self._conf, self._conf6}

    def _find(self, file: str) -> str | _Place:
        """Return where `file` is kept: a name of `values`, or a place in a directory."""
        for directory in (self._conf, self._neigh, self._conf6, self._neigh6):
            if not file.startswith(directory.prefix + "/"):
                continue
            device, _, key = file[len(directory.prefix) + 1 :].rpartition("/")
            table = directory.tables.get(device)
            if table is not None and directory.held(key) in table and self._shows(directory, device):
                return directory, device, key
        flat = file.replace("/", ".")
        if flat not in self.values or "." in file:
            raise SysctlError(f"cannot stat /proc/sys/{file}: No such file or directory")
        return flat

    def _write_flat(self, name: str, value: Value) -> None:
        if name in names.READ_ONLY_BELOW and not self.initial:
            raise ValueError(name)
        taken = self._entries[name].take(value, self.values[name])
        if name == "net.ipv4.ip_local_port_range":
            self._check_port_range(taken)
        if name == _IP_FORWARD and isinstance(taken, int):
            self._write_device(self._conf, ALL, "forwarding", taken)
        self.values = share({**self.values, name: taken})

    def _check_port_range(self, taken: Value) -> None:
        """Refuse a range that is empty, too high or reaches into the privileged ports."""
        lowest = self.number("net.ipv4.ip_unprivileged_port_start")
        if not isinstance(taken, tuple) or not max(lowest, 1) <= taken[0] <= taken[1] <= 65535:
            raise ValueError(taken)

    def _write_device(self, directory: Directory, device: str, key: str, value: Value) -> None:
        view = directory.views.get(key)
        held = directory.held(key)
        before = directory.tables[device][held]
        entry = directory.entries[key] if view is None else view.entry
        taken = entry.take(value, before)
        if not isinstance(taken, int):
            raise ValueError(taken)  # noqa: TRY004 - the kernel's EINVAL
        if view is not None:
            taken *= view.unit
        directory.write(device, held, taken)
        if device != ALL or taken == before:
            return
        if directory is self._conf6 and held in _WRITTEN_THROUGH6:
            directory.write_through(held, taken)
        if directory is self._conf and held == "forwarding":
            directory.write_through(held, taken)
            directory.put(ALL, "accept_redirects", int(not taken))
            self.values = share({**self.values, _IP_FORWARD: taken})
