# SPDX-License-Identifier: GPL-2.0-only
"""The arguments of `ip link`.

Source: iproute2 6.1, ip/iplink.c `iplink_parse`, ip/ipaddress.c `ipaddr_list_flush_or_save`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.errors import CommandError
from emu.tools.ip.values import count, link_address
from emu.tools.ip.words import USAGE, Grammar, Option, Words, garbage, not_modelled, text
from emu.wire.addresses import MacAddress

if TYPE_CHECKING:
    from emu.kernel.link.device import Device

# --- set ---


@attrs.define
class Change:
    """What `ip link set` changes; None where nothing does.

    Attributes:
        device: name of the device.
        up: make it up or down.
        mtu: its new MTU.
        mac: its new MAC address.
        master: name of the bridge it is to be a port of; empty for none.
    """

    device: str = ""
    up: bool | None = None
    mtu: int | None = None
    mac: MacAddress | None = None
    master: str | None = None


def _mac(words: Words) -> MacAddress:
    octets = link_address(words.take())
    if len(octets) != 6:
        raise CommandError(f"Invalid address length {len(octets)} - must be 6 bytes", 1)
    return MacAddress(octets)


def _device(change: Change, word: str, words: Words) -> None:
    if word == "dev":
        word = words.take()
    if change.device:
        raise garbage("dev", word)
    change.device = word


_SET: Final = Grammar[Change](
    "a link",
    (
        Option(("up",), "up", lambda _: True),
        Option(("down",), "up", lambda _: False),
        Option(("mtu",), "mtu", count('Invalid "mtu" value\n')),
        Option(("address",), "mac", _mac),
        Option(("master",), "master", text),
        Option(("nomaster",), "master", lambda _: ""),
    ),
    _device,
    (
        "addrgenmode",
        "alias",
        "allmulticast",
        "arp",
        "broadcast",
        "carrier",
        "dynamic",
        "group",
        "index",
        "mode",
        "multicast",
        "name",
        "netns",
        "promisc",
        "protodown",
        "qlen",
        "state",
        "trailers",
        "txqlen",
        "txqueuelen",
        "type",
        "vf",
        "vrf",
        "xdp",
    ),
)


def parse_set(words: Words) -> Change:
    """Return the change that `words` describe.

    Raises:
        CommandError: they describe none.
    """
    change = _SET.fill(Change(), words)
    if not change.device:
        raise CommandError('Not enough information: "dev" argument is required.', USAGE)
    return change


# --- show ---


@attrs.define
class Selection:
    """Which devices `ip link show` lists.

    Attributes:
        device: name of one device, empty for all.
        up: only those that are up.
        master: only ports of this bridge.
        kind: only devices of this type.
    """

    device: str = ""
    up: bool = False
    master: str = ""
    kind: str = ""

    def passes_over(self, device: Device) -> bool:
        """Return whether nothing is printed of `device`, but for an empty object in JSON."""
        return (self.up and not device.up) or self.kind not in {"", device.link.kind}


def _selected(selection: Selection, word: str, words: Words) -> None:
    if word == "dev":
        word = words.take()
    if selection.device:
        raise garbage("dev", word)
    selection.device = word


SELECTORS: Final = (
    Option(("up",), "up", lambda _: True),
    Option(("master",), "master", text),
    Option(("type",), "kind", text),
)
_SHOW: Final = Grammar[Selection](
    "ip link show", SELECTORS, _selected, ("group", "nomaster", "permanent", "vf", "vrf")
)


def parse_show(words: Words) -> Selection:
    """Return the devices that `words` mean.

    Raises:
        CommandError: they make no sense.
    """
    selection = _SHOW.fill(Selection(), words)
    if selection.kind.endswith("_slave"):
        raise not_modelled(f"ip link show type {selection.kind}")
    return selection
