# SPDX-License-Identifier: GPL-2.0-only
"""What emu models of what a network document may ask for.

What is asked for and not modelled is told with the other faults of a document,
by name: it is never passed over in silence.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from emu.apps import commands
from emu.cluster.network import rules
from emu.cluster.network.build import BASE_SYSCTLS
from emu.cluster.network.checks import Checks
from emu.errors import SysctlError, did_you_mean
from emu.kernel.sysctl import Sysctl, dotted, path

if TYPE_CHECKING:
    from emu.fabric.driver import Fabric

_OF_DEVICE: Final = re.compile(r"net/ipv[46]/(?:conf|neigh)/(?P<device>.+)/[^/]+")
_DEPENDS_ON_OTHERS: Final = frozenset(("net.ipv4.ip_local_port_range", "net.ipv4.ip_unprivileged_port_start"))


@lru_cache(maxsize=4096)
def check_sysctl(name: str, value: str) -> str | None:
    """Return why the kernel would refuse a setting, None if it takes it."""
    file = path(name)
    settings = _settings(file, initial=False)
    try:
        settings.get(name)
    except SysctlError:
        return _missing(name, file, settings)
    try:
        settings.set(name, value)
    except SysctlError:
        if dotted(file) not in _DEPENDS_ON_OTHERS:
            return f"cannot be {value!r}"
    return None


def _settings(file: str, *, initial: bool) -> Sysctl:
    """Return the settings of a namespace that has the device in `file`."""
    settings = Sysctl(initial=initial)
    found = _OF_DEVICE.fullmatch(file)
    if found is not None and found["device"] not in settings.conf:
        settings.device_added(found["device"])
    return settings


def _missing(name: str, file: str, settings: Sysctl) -> str:
    try:
        _settings(file, initial=True).get(name)
    except SysctlError:
        near = [dotted(other) for other in settings.files() if _folder(other) == _folder(file)]
        return f"there is no such setting{did_you_mean(dotted(file), near)}"
    return "is a setting of the machine: a namespace does not have it"


def _folder(file: str) -> str:
    return file.rpartition("/")[0]


CHECKS: Final = Checks(command=commands.check, sysctl=check_sysctl, rules=rules.check)
"""What the reader of documents asks."""


def unobeyed(fabric: Fabric) -> list[str]:
    """Return the names of the settings that were changed though the stack does not obey them.

    What the format of documents gives every namespace is none of them: it is
    about IPv6, which is off there.
    """
    return sorted(
        {
            name
            for net in fabric.namespaces.values()
            for name, value in net.sysctl.unmodelled.items()
            if BASE_SYSCTLS.get(name) != value
        }
    )


def unknown_rules(fabric: Fabric) -> list[str]:
    """Return what rules ask for that is not modelled, and where: `-m bpf (node1 filter/FORWARD)`."""
    used = [net for net in fabric.namespaces.values() if net.used_netfilter is not None]
    if not used:
        return []
    from emu.tools.iptables.restore import unmodelled  # noqa: PLC0415 - few runs have rules

    found = (
        f"{what} ({net.name} {name}/{chain})"
        for net in used
        for name, table in net.netfilter.tables.items()
        for what, chain in unmodelled(table.table)
    )
    nft = (f"{what} ({net.name})" for net in used for what in net.netfilter.nft.unmodelled())
    return list(dict.fromkeys((*found, *nft)))
