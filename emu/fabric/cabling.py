# SPDX-License-Identifier: GPL-2.0-only
"""What is plugged into what."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from emu.errors import UnknownNameError
from emu.fabric.cable import Cable

if TYPE_CHECKING:
    from emu.kernel.namespace import Namespace


@attrs.frozen
class Plug:
    """What is at the other end of a device's cable."""

    net: Namespace
    iface: str
    cable: Cable | None  # None: a veth pair, which takes no time and loses nothing
    direction: int


class Cabling:
    """The cables between devices; each end knows the other."""

    def __init__(self) -> None:
        self._plugs: dict[tuple[str, str], Plug] = {}

    def connect(self, a: tuple[Namespace, str], b: tuple[Namespace, str], cable: Cable | None = None) -> None:
        """Plug device `a` into device `b`; each is (namespace, device name).

        Without a cable they are a veth pair: no time passes between them.
        """
        (net_a, iface_a), (net_b, iface_b) = a, b
        self._plugs[net_a.name, iface_a] = Plug(net_b, iface_b, cable, 0)
        self._plugs[net_b.name, iface_b] = Plug(net_a, iface_a, cable, 1)

    def far_end(self, net: Namespace, iface: str) -> tuple[Namespace, str] | None:
        """Return what device `iface` is plugged into, None if that is nothing."""
        plug = self._plugs.get((net.name, iface))
        return None if plug is None else (plug.net, plug.iface)

    def cable(self, net: Namespace, iface: str) -> Cable | None:
        """Return the cable in device `iface`; None if there is none, and for a veth pair."""
        plug = self._plugs.get((net.name, iface))
        return None if plug is None else plug.cable

    def own_cable(self, net: Namespace, iface: str, name: str) -> Cable:
        """Return the cable in device `iface`, to change it; a veth pair becomes one called `name`.

        Raises:
            UnknownNameError: it is plugged into nothing.
        """
        found = self.cable(net, iface)
        if found is None:
            found = Cable(name=name)
            self.use_cable(net, iface, found)
        return found

    def use_cable(self, net: Namespace, iface: str, cable: Cable) -> None:
        """Have `cable` between device `iface` and what it is plugged into; what is under way still arrives.

        Raises:
            UnknownNameError: it is plugged into nothing.
        """
        plug = self._plugs.get((net.name, iface))
        if plug is None:
            raise UnknownNameError(f"{net.name}/{iface} is plugged into nothing")
        self.connect((net, iface), (plug.net, plug.iface), cable)

    def disconnect(self, net: Namespace, iface: str) -> None:
        """Unplug device `iface`, if something is plugged in; what is under way then still arrives."""
        plug = self._plugs.pop((net.name, iface), None)
        if plug is not None:
            self._plugs.pop((plug.net.name, plug.iface), None)
