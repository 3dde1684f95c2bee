# SPDX-License-Identifier: GPL-2.0-only
"""`sysctl -a`: what of it makes a difference.

A namespace of a document begins with the format's settings. The settings of a
node are written over a copy of those, one after the other; what changed is what
the document has to say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.cluster.network.build import BASE_NEIGHBOUR, BASE_SYSCTLS
from emu.cluster.network.importing.dump import Setting
from emu.cluster.network.model import Sysctl as Entry
from emu.errors import SysctlError
from emu.kernel.sysctl import Sysctl, dotted, path
from emu.kernel.sysctl_modelled import INVISIBLE
from emu.tools.sysctl import parse_settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

ASSUMED: Final = (Entry("net.ipv4.ip_forward", "1"),)
"""What a node without `sysctl.txt` is given: Kubernetes needs it."""

_FOLDERS: Final = ("net/bridge/", "net/ipv4/", "net/netfilter/")
_OF_DEVICES: Final = ("net/ipv4/conf/", "net/ipv4/neigh/")
_FIRST: Final = ("net/ipv4/ip_forward", "net/ipv4/conf/all/forwarding")  # others change with them
_FOR_ALL: Final = ("all", "default")
_NO_SETTINGS: Final = frozenset({"net/ipv4/route/flush", "net/netfilter/nf_conntrack_count"})
_KERNELS_PROBE_TIME: Final = ("delay_first_probe_time", "5")
"""Where a node has the kernel's value, a document's devices keep the format's."""


@attrs.frozen
class Differences:
    """What the settings of a node come to.

    Attributes:
        early: set before devices are there.
        late: set when they are up.
        without_effect: names of those that are not modelled, as `sysctl` prints them.
        refused: those that cannot be set at all.
    """

    early: tuple[Entry, ...]
    late: tuple[Entry, ...]
    without_effect: tuple[str, ...]
    refused: tuple[str, ...]


def read_settings(text: str) -> tuple[Setting, ...]:
    """Return the settings that `sysctl -a` printed."""
    found = (Setting(write.name, " ".join(write.value.split())) for write in parse_settings(text))
    return tuple(setting for setting in found if setting.name.isprintable() and setting.value.isprintable())


def differences(settings: Iterable[Setting], devices: Sequence[str]) -> Differences:
    """Return where `settings` differ from what a document's namespace has.

    Args:
        settings: of a node, those of other folders among them.
        devices: the names of the devices that the document makes.
    """
    wanted = {path(setting.name): setting.value for setting in settings}
    wanted = {file: value for file, value in wanted.items() if file.startswith(_FOLDERS)}
    trial = _Trial()
    of_devices = {file: _device_of(file) for file in wanted}
    early = [file for file, device in of_devices.items() if device in {"", *_FOR_ALL}]
    for file in sorted(early, key=_rank):
        trial.write(file, wanted[file])
    split = len(trial.changed)
    trial.add_devices(devices)
    known = {"lo", *devices}
    for file, device in of_devices.items():
        if device in known:
            trial.write(file, wanted[file])
    return Differences(
        tuple(trial.changed[:split]),
        tuple(trial.changed[split:]),
        tuple(trial.without_effect),
        tuple(trial.refused),
    )


def _rank(file: str) -> tuple[int, str]:
    return (_FIRST.index(file) if file in _FIRST else len(_FIRST), file)


def _device_of(file: str) -> str:
    """Return the device that a setting is of, empty for none."""
    for folder in _OF_DEVICES:
        if file.startswith(folder):
            return file[len(folder) :].rpartition("/")[0]
    return ""


class _Trial:
    """The settings of a namespace that is only tried out."""

    def __init__(self) -> None:
        self.changed: list[Entry] = []
        self.without_effect: list[str] = []
        self.refused: list[str] = []
        self._sysctl = Sysctl(initial=False)
        for name, value in BASE_SYSCTLS.items():
            self._sysctl.set(name, value)

    def add_devices(self, names: Iterable[str]) -> None:
        """Make the settings of devices, as the format has them."""
        for device in names:
            self._sysctl.device_added(device)
            for name, value in BASE_NEIGHBOUR.items():
                self._sysctl.set(f"net/ipv4/neigh/{device}/{name}", value)

    def write(self, file: str, value: str) -> None:
        """Write a setting if there is such, and note what came of it."""
        key = file.rpartition("/")[2]
        if file in _NO_SETTINGS or (key, value) == _KERNELS_PROBE_TIME or _pattern(file) in INVISIBLE:
            return
        try:
            before = self._sysctl.get(file)
        except SysctlError:
            return  # of a machine, or of another kernel
        try:
            self._sysctl.set(file, value)
        except SysctlError:
            self.refused.append(dotted(file))
            return
        if self._sysctl.get(file) == before:
            return
        if dotted(file) in self._sysctl.unmodelled:
            self.without_effect.append(dotted(file))
        else:
            self.changed.append(Entry(file if "." in file else dotted(file), value))


def _pattern(file: str) -> str:
    """Return the name of a setting with `*` for a device."""
    device = _device_of(file)
    name = dotted(file)
    return name.replace(f".{dotted(device)}.", ".*.", 1) if device else name
