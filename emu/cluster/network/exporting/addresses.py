# SPDX-License-Identifier: GPL-2.0-only
"""Addresses of devices: those that the format's lists can have, and the words for the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu.wire.addresses import Interface, Prefix

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.kernel.link.device import Device, IfAddress


def plain_addresses(device: Device) -> tuple[Interface, ...]:
    """Return the addresses that `addr` of a device can list.

    From the first one on that it cannot all are left to commands, so their
    order, which decides about secondary addresses, stays.
    """
    return tuple(Interface(each.address, each.prefix.length) for each in _plain(device))


def words(address: IfAddress, device: str) -> tuple[str, ...]:
    """Return what follows `ip addr add` for an address."""
    length = address.prefix.length
    found: tuple[str, ...] = (str(address),)
    if Prefix.of(address.address, length) != address.prefix:
        found = (str(address.address), "peer", str(address.prefix))
    if address.broadcast is not None:
        found += ("broadcast", str(address.broadcast))
    return (*found, "scope", address.scope, "dev", device)


def _plain(device: Device) -> Iterator[IfAddress]:
    for each in device.addresses:
        has_peer = Prefix.of(each.address, each.prefix.length) != each.prefix
        usual = "host" if each.address.is_loopback else "global"
        if has_peer or each.broadcast is not None or each.scope != usual:
            return
        yield each
