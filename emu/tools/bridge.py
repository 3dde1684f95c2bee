# SPDX-License-Identifier: GPL-2.0-only
"""The arguments of `bridge`, and what it prints.

Source: iproute2 6.1, bridge/fdb.c, bridge/link.c.
"""

from __future__ import annotations

from typing import Final

import attrs

from emu.errors import AddressError, CommandError
from emu.kernel.link.bridge import PortState
from emu.kernel.link.fdb import FdbState
from emu.tools.ip.words import USAGE, Words, address, is_short_for, not_modelled, number, wrong
from emu.wire.addresses import IpAddress, MacAddress

_SWITCHES: Final = {
    "hairpin": "hairpin",
    "learning": "learning",
    "flood": "flood",
    "mcast_flood": "mcast_flood",
    "bcast_flood": "bcast_flood",
    "isolated": "isolated",
}
_ALWAYS_OFF: Final = frozenset(
    {
        "guard",
        "root_block",
        "fastleave",
        "learning_sync",
        "mcast_to_unicast",
        "neigh_suppress",
        "vlan_tunnel",
        "locked",
    }
)
_UNMODELLED: Final = ("cost", "priority", "hwmode", "backup_port", "nobackup_port", "mcast_router", "self")


@attrs.frozen
class FdbSpec:
    """An entry as `bridge fdb add` takes it.

    Attributes:
        mac: the address.
        device: name of the device.
        own: for the device's own table (`self`).
        of_bridge: for the table of its bridge (`master`).
        state: how long it lives.
        dst: the remote, of a VXLAN device.
        port: the remote's UDP port, 0 for the device's.
        vni: the remote's network, None for the device's.
        via: the underlying device's name.
    """

    mac: MacAddress
    device: str
    own: bool = True
    of_bridge: bool = False
    state: FdbState = FdbState.PERMANENT
    dst: IpAddress | None = None
    port: int = 0
    vni: int | None = None
    via: str = ""


def parse_fdb(words: Words) -> FdbSpec:
    """Return the entry that `words` describe.

    Raises:
        CommandError: they describe none.
    """
    reader = _FdbReader(words)
    return reader.read()


class _FdbReader:
    def __init__(self, words: Words) -> None:
        self.words = words
        self.spec = FdbSpec(MacAddress(bytes(6)), "", own=False)
        self.mac: str | None = None

    def read(self) -> FdbSpec:
        while self.words:
            self._option(self.words.take())
        spec = self.spec
        if not spec.device or self.mac is None:
            raise CommandError("Device and address are required arguments.", USAGE)
        try:
            mac = MacAddress.parse(self.mac)
        except AddressError:
            raise CommandError(f"Invalid mac address {self.mac}", USAGE) from None
        return attrs.evolve(spec, mac=mac, own=spec.own or not spec.of_bridge)

    def _option(self, word: str) -> None:
        take = self.words.take
        if word == "dev":
            self._set(device=take())
        elif word == "dst":
            self._set(dst=address(take(), "any valid address"))
        elif word == "port":
            self._set(port=_number(take(), "port", "invalid port", 65535))
        elif word == "vni":
            self._set(vni=_number(take(), "vni", "invalid VNI", 2**24 - 1))
        elif word == "via":
            self._set(via=take())
        elif word == "self":
            self._set(own=True)
        elif is_short_for(word, "master"):
            self._set(of_bridge=True)
        elif is_short_for(word, "local", "permanent"):
            self._set(state=FdbState.PERMANENT)
        elif is_short_for(word, "temp", "static"):
            self._set(state=FdbState.STATIC)
        elif is_short_for(word, "dynamic"):
            self._set(state=FdbState.DYNAMIC)
        elif word in {"vlan", "nhid", "src_vni", "router", "use", "extern_learn", "sticky"}:
            raise not_modelled(f"{word} of an FDB entry")
        else:
            if is_short_for(word, "to"):
                word = take()
            self.mac = word

    def _set(self, **values: object) -> None:
        self.spec = attrs.evolve(self.spec, **values)


def _number(text: str, _what: str, message: str, most: int) -> int:
    value = number(text, most)
    if value is None:
        raise wrong(text, message)
    return value


@attrs.frozen
class PortChange:
    """`bridge link set`.

    Attributes:
        device: name of the port's device.
        switches: attributes of `emu.kernel.link.bridge.Port` and their new values.
        state: its new state, None for no change.
    """

    device: str
    switches: tuple[tuple[str, bool], ...] = ()
    state: PortState | None = None


def parse_link_set(words: Words) -> PortChange:
    """Return the change that `words` describe.

    Raises:
        CommandError: they describe none.
    """
    device, switches = "", dict[str, bool]()
    state: PortState | None = None
    while words:
        word = words.take()
        if word == "dev":
            device = words.take()
        elif word in _SWITCHES:
            switches[_SWITCHES[word]] = _on_off(word, words.take())
        elif word in _ALWAYS_OFF:
            if _on_off(word, words.take()):
                raise not_modelled(f"{word} of a bridge port")
        elif word == "state":
            state = _state(words.take())
        elif word in _UNMODELLED:
            raise not_modelled(f"{word} of a bridge port")
        elif word != "master":
            raise CommandError(f'"{word}" is no option of bridge link set', USAGE)
    if not device:
        raise CommandError("Device is a required argument.", USAGE)
    return PortChange(device, tuple(switches.items()), state)


def _on_off(key: str, value: str) -> bool:
    if value not in {"on", "off"}:
        raise CommandError(f'Error: argument of "{key}" must be one of "off", "on", not "{value}"', 234)
    return value == "on"


def _state(text: str) -> PortState:
    names = {state.name.lower(): state for state in PortState}
    if text.lower() in names:
        return names[text.lower()]
    value = number(text, max(PortState))
    if value is None:
        raise CommandError("Error: invalid STP port state", USAGE)
    return PortState(value)
