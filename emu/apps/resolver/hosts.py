# SPDX-License-Identifier: GPL-2.0-only
"""/etc/hosts. Source: hosts(5), glibc nss/nss_files/files-hosts.c."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.errors import AddressError
from emu.wire.addresses import IpAddress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.fabric.userland import Userland

PATH: Final = "/etc/hosts"
_DEFAULT: Final = "127.0.0.1\tlocalhost\n"  # for a userland that has no such file


@attrs.frozen
class HostsLine:
    """An address and its names; the first is the canonical one."""

    address: IpAddress
    names: tuple[str, ...]


def lines(userland: Userland) -> Iterator[HostsLine]:
    """Yield the lines of a userland's hosts file that can be read."""
    for line in userland.files.get(PATH, _DEFAULT).splitlines():
        address, *names = line.partition("#")[0].split() or [""]
        try:
            if names:
                yield HostsLine(IpAddress.parse(address), tuple(names))
        except AddressError:
            continue


def by_name(userland: Userland, name: str) -> list[HostsLine]:
    """Return the lines that have `name`, in any case."""
    wanted = name.lower()
    return [line for line in lines(userland) if wanted in map(str.lower, line.names)]


def by_address(userland: Userland, address: IpAddress) -> str | None:
    """Return the canonical name of `address`, None if no line has it."""
    return next((line.names[0] for line in lines(userland) if line.address == address), None)
