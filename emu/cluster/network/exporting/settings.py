# SPDX-License-Identifier: GPL-2.0-only
"""Settings below `/proc/sys` that are not as the format has them.

They are written over a copy of what a document's namespace begins with, one
after the other, because some change others: what is then as it should be
already needs no line. IPv6, which emu has not, stays off, and devices where the
kernel would soon ask learned neighbours again do that as late as the format's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.cluster.network.build import BASE_NEIGHBOUR, BASE_SYSCTLS
from emu.cluster.network.model import Sysctl as Entry
from emu.errors import SysctlError
from emu.kernel.sysctl import Sysctl, dotted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from emu.kernel.sysctl_names import Value

_FIRST: Final = "net.ipv4.ip_forward"  # others change with it
_IPV6: Final = "net.ipv6."
_FOR_ALL: Final = ("all", "default")
_KERNELS_PROBE_TIME: Final = ("delay_first_probe_time", 5)


class SettingsWriter:
    """Compares one namespace's settings with those of a document's namespace.

    Attributes:
        early: set before devices are there.
        late: set when they are up.
        refused: names of those that cannot be set.
    """

    def __init__(self, original: Sysctl, devices: Sequence[str]) -> None:
        self.refused: list[str] = []
        self._original = original
        self._copy = Sysctl(initial=False)
        self._copy.device_added("lo")
        for name, value in BASE_SYSCTLS.items():
            self._copy.set(name, value)
        self.early = tuple(self._differences(self._early_files()))
        for device in devices:
            self._copy.device_added(device)
            for name, value in BASE_NEIGHBOUR.items():
                self._copy.set(f"net/ipv4/neigh/{device}/{name}", value)
        self.late = tuple(self._differences(_files(original, ("lo", *devices))))

    def _early_files(self) -> Iterator[str]:
        names = sorted(name for name in self._original.values if not name.startswith(_IPV6))
        yield from (name.replace(".", "/") for name in (_FIRST, *names))
        yield from _files(self._original, _FOR_ALL)

    def _differences(self, files: Iterator[str]) -> Iterator[Entry]:
        for file in files:
            value = self._original.get(file)
            if self._copy.get(file) == value or (file.rpartition("/")[2], value) == _KERNELS_PROBE_TIME:
                continue
            try:
                self._copy.set(file, value)
            except SysctlError:
                self.refused.append(dotted(file))
                continue
            yield Entry(file if "." in file else dotted(file), _text(value))


def _files(original: Sysctl, devices: Sequence[str]) -> Iterator[str]:
    for device in devices:
        for folder, tables in (("conf", original.conf), ("neigh", original.neigh)):
            if device in tables and not (folder == "neigh" and device in _FOR_ALL):
                yield from (f"net/ipv4/{folder}/{device}/{key}" for key in tables[device])


def _text(value: Value) -> str:
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)
