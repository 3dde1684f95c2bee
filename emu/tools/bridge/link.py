# SPDX-License-Identifier: GPL-2.0-only
"""The arguments of `bridge link`, and what it prints.

Source: iproute2 6.1, bridge/link.c.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

import attrs

from emu.errors import CommandError
from emu.kernel.link.bridge import PortState
from emu.kernel.link.veth import Veth
from emu.tools.ip.link_details import PRIORITY, port_cost
from emu.tools.ip.link_text import put_flags
from emu.tools.ip.record import Record
from emu.tools.ip.values import number
from emu.tools.ip.words import USAGE, Grammar, Option, Words, garbage, not_modelled, text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from emu.kernel.link.bridge import Port
    from emu.kernel.link.device import Device
    from emu.tools.ip.options import Options

_ALWAYS_OFF: Final = (
    "guard",
    "root_block",
    "fastleave",
    "learning_sync",
    "mcast_to_unicast",
    "neigh_suppress",
    "vlan_tunnel",
    "locked",
)


@attrs.define
class PortChange:
    """What `bridge link set` changes; None where nothing does."""

    device: str = ""
    hairpin: bool | None = None
    learning: bool | None = None
    flood: bool | None = None
    mcast_flood: bool | None = None
    bcast_flood: bool | None = None
    isolated: bool | None = None
    state: PortState | None = None
    off: bool = False  # what emu does not have was set to off, where it is anyway

    def apply(self, port: Port) -> None:
        """Set the switches of `port`, not its state."""
        if self.hairpin is not None:
            port.hairpin = self.hairpin
        if self.learning is not None:
            port.learning = self.learning
        if self.flood is not None:
            port.flood = self.flood
        if self.mcast_flood is not None:
            port.mcast_flood = self.mcast_flood
        if self.bcast_flood is not None:
            port.bcast_flood = self.bcast_flood
        if self.isolated is not None:
            port.isolated = self.isolated


def _switch(words: Words, *, key: str) -> bool:
    value = words.take()
    if value not in {"on", "off"}:
        raise CommandError(f'Error: argument of "{key}" must be one of "off", "on", not "{value}"', 234)
    return value == "on"


def _off(words: Words, *, key: str) -> bool:
    if _switch(words, key=key):
        raise not_modelled(f"{key} of a bridge's port")
    return True


def _state(words: Words) -> PortState:
    word = words.take()
    names = {state.name.lower(): state for state in PortState}
    value = names.get(word.lower(), number(word, max(PortState)))
    if value is None:
        raise CommandError("Error: invalid STP port state", USAGE)
    return PortState(value)


def _refuse(_change: PortChange, word: str, _words: Words) -> None:
    raise CommandError(f'"{word}" is no option of bridge link set', USAGE)


_SET: Final = Grammar[PortChange](
    "a bridge's port",
    (
        Option(("dev",), "device", text),
        *(
            Option((key,), key, partial(_switch, key=key))
            for key in ("hairpin", "learning", "flood", "mcast_flood", "bcast_flood", "isolated")
        ),
        *(Option((key,), "off", partial(_off, key=key)) for key in _ALWAYS_OFF),
        Option(("state",), "state", _state),
        Option(("master",), "off", lambda _: True),
    ),
    _refuse,
    ("backup_port", "cost", "hwmode", "mcast_router", "nobackup_port", "priority", "self"),
)


def parse_set(words: Words) -> PortChange:
    """Return the change that `words` describe.

    Raises:
        CommandError: they describe none.
    """
    change = _SET.fill(PortChange(), words)
    if not change.device:
        raise CommandError("Device is a required argument.", USAGE)
    return change


def parse_show(words: Words) -> str:
    """Return the name of the device that `bridge link show` is asked for, empty for all ports.

    Raises:
        CommandError: the words make no sense.
    """
    device = ""
    while words:
        word = words.take()
        if word != "dev" or device:
            raise garbage("dev", word)
        device = words.take()
    return device


def render(device: Device, port: Port, devices: Iterable[Device], options: Options) -> Record:
    """Return what is printed of one port.

    Args:
        device: its device.
        port: its place in the bridge.
        devices: all of the namespace: the tool takes the other end of a veth
            for one of them.
        options: how it is to look.
    """
    record = Record()
    record.put("ifindex", device.index, f"{device.index}: ")
    if isinstance(device.link, Veth):
        here = (other.name for other in devices if other.index == device.peer_index)
        peer = next(here, f"if{device.peer_index}")
        record.keep("link", peer)
        record.put("ifname", device.name, f"{device.name}@{peer}: ")
    else:
        record.put("ifname", device.name, f"{device.name}: ")
    put_flags(record, device)
    record.put_number("mtu", device.mtu)
    record.put("master", port.bridge.name, f"master {port.bridge.name} ")
    state = port.state.name.lower()
    record.put("state", state, f"state {state} ")
    record.put_number("priority", PRIORITY)
    record.put_number("cost", port_cost(device))
    record.show("\n")
    if options.details:
        _put_details(record, port)
    return record


def _put_details(record: Record, port: Port) -> None:
    record.show("    ")
    record.put_switch("hairpin", value=port.hairpin)
    for key in ("guard", "root_block", "fastleave"):
        record.put_switch(key, value=False)
    record.put_switch("learning", value=port.learning)
    record.put_switch("flood", value=port.flood)
    record.put_switch("mcast_flood", value=port.mcast_flood)
    record.put_switch("bcast_flood", value=port.bcast_flood)
    record.put_number("mcast_router", 1)
    for key in ("mcast_to_unicast", "neigh_suppress", "vlan_tunnel"):
        record.put_switch(key, value=False)
    record.put_switch("isolated", value=port.isolated)
    record.put_switch("locked", value=False)
    record.show("\n")
