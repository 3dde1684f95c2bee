# SPDX-License-Identifier: GPL-2.0-only
"""The arguments of `ip addr`, and what it prints.

Source: iproute2 6.1, ip/ipaddress.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.errors import CommandError
from emu.kernel.route import Scope
from emu.tools.ip.names import SCOPES
from emu.tools.ip.words import Words, address, garbage, interface, is_short_for, named, not_modelled, wrong

if TYPE_CHECKING:
    from emu.wire.addresses import Interface, IpAddress, Prefix

_UNMODELLED: Final = (
    "anycast",
    "valid_lft",
    "preferred_lft",
    "metric",
    "priority",
    "preference",
    "nodad",
    "home",
    "mngtmpaddr",
    "noprefixroute",
    "autojoin",
)


@attrs.frozen
class AddressSpec:
    """An address as it is written down.

    Attributes:
        interface: the address and its prefix length.
        has_length: the length was given.
        device: name of the device.
        peer: the other end of a point-to-point link.
        broadcast: the broadcast address.
        scope: None for what the kernel takes.
    """

    interface: Interface
    has_length: bool
    device: str
    peer: Prefix | None = None
    broadcast: IpAddress | None = None
    scope: str | None = None


def parse_spec(words: Words) -> AddressSpec:
    """Return the address that `words` describe.

    Raises:
        CommandError: they describe none.
    """
    local: tuple[Interface, bool] | None = None
    device, broadcast, label = "", "", ""
    peer: Prefix | None = None
    reach: str | None = None
    while words:
        word = words.take()
        if word in {"peer", "remote"}:
            peer = interface(words.take())[0].prefix
        elif is_short_for(word, "broadcast", "brd"):
            broadcast = words.take()
        elif word == "scope":
            reach = scope(words.take())
        elif word == "dev":
            device = words.take()
        elif word == "label":
            label = words.take()
        elif word in _UNMODELLED:
            raise not_modelled(f"{word} of an address")
        else:
            if word == "local":
                word = words.take()
            if local is not None:
                raise garbage("local", word)
            local = interface(word)
    if not device:
        raise CommandError('Not enough information: "dev" argument is required.', 1)
    if label and label != device:
        raise not_modelled("a label of an address")
    if local is None:
        raise not_modelled("an address without a local part")
    own, has_length = local
    brd = own.broadcast if broadcast == "+" else None
    if broadcast not in {"", "+", "-"}:
        brd = address(broadcast)
    return AddressSpec(own, has_length, device, peer, brd, reach)


def scope(text: str) -> str:
    """Return the name of the scope `text`."""
    value = named(text, SCOPES, 255)
    if value is None:
        raise wrong(text, "invalid scope value.")
    if value not in {Scope.GLOBAL, Scope.LINK, Scope.HOST}:
        raise not_modelled(f"scope {text} of an address")
    return Scope(value).name.lower()
