# SPDX-License-Identifier: GPL-2.0-only
"""What the kernel would say of a setting, before there is a namespace that has it."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from emu.errors import SysctlError, did_you_mean
from emu.kernel.sysctl import Sysctl, dotted, path

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


@lru_cache(maxsize=4096)
def check_machine_sysctl(name: str, value: str, devices: tuple[str, ...] = ()) -> str | None:
    """Return why a machine's kernel would refuse a setting while it has these devices and the loopback."""
    settings = Sysctl()
    for each in ("lo", *devices):
        settings.device_added(each)
    try:
        settings.set(name, value)
    except SysctlError:
        file = path(name)
        device = _OF_DEVICE.fullmatch(file)
        if device is not None and device["device"] not in settings.conf:
            return "is of a device that comes later: set that of `default` or `all`"
        try:
            settings.get(name)
        except SysctlError:
            return _missing(name, file, settings)
        return f"cannot be {value!r}"
    return None
