# SPDX-License-Identifier: GPL-2.0-only
"""The arguments of `ip link`, and what it prints.

Source: iproute2 6.1, ip/iplink.c.
"""

from __future__ import annotations

from typing import Final

import attrs

from emu.errors import CommandError
from emu.tools.ip.neigh import mac_octets
from emu.tools.ip.words import USAGE, Words, garbage, not_modelled, number, wrong
from emu.wire.addresses import MacAddress

_UNMODELLED: Final = (
    "name",
    "index",
    "link",
    "broadcast",
    "txqueuelen",
    "qlen",
    "txqlen",
    "netns",
    "xdp",
    "arp",
    "carrier",
    "dynamic",
    "multicast",
    "allmulticast",
    "promisc",
    "trailers",
    "vf",
    "vrf",
    "type",
    "alias",
    "group",
    "mode",
    "state",
    "numtxqueues",
    "numrxqueues",
    "addrgenmode",
    "link-netnsid",
    "protodown",
    "gso_max_size",
    "parentdev",
)


@attrs.frozen
class Change:
    """`ip link set`; None where nothing changes.

    Attributes:
        device: name of the device.
        up: make it up or down.
        mtu: its new MTU.
        mac: its new MAC address.
        master: name of the bridge it is to be a port of; empty for none.
    """

    device: str
    up: bool | None = None
    mtu: int | None = None
    mac: MacAddress | None = None
    master: str | None = None


def parse_set(words: Words) -> Change:
    """Return the change that `words` describe.

    Raises:
        CommandError: they describe none.
    """
    change = Change("")
    while words:
        change = _option(words.take(), words, change)
    if not change.device:
        raise CommandError('Not enough information: "dev" argument is required.', USAGE)
    return change


def _option(word: str, words: Words, change: Change) -> Change:
    if word in {"up", "down"}:
        return attrs.evolve(change, up=word == "up")
    if word == "mtu":
        text = words.take()
        mtu = number(text)
        if mtu is None:
            raise wrong(text, 'Invalid "mtu" value\n')
        return attrs.evolve(change, mtu=mtu)
    if word in {"address", "addr"}:
        octets = mac_octets(words.take())
        if len(octets) != 6:
            raise CommandError(f"Invalid address length {len(octets)} - must be 6 bytes", 1)
        return attrs.evolve(change, mac=MacAddress(octets))
    if word == "master":
        return attrs.evolve(change, master=words.take())
    if word == "nomaster":
        return attrs.evolve(change, master="")
    if word in _UNMODELLED:
        raise not_modelled(f"ip link set {word}")
    if word == "dev":
        word = words.take()
    if change.device:
        raise garbage("dev", word)
    return attrs.evolve(change, device=word)
