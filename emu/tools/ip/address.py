# SPDX-License-Identifier: GPL-2.0-only
"""The arguments of `ip addr`, and what it prints of an address.

Labels of addresses are not modelled (each has the name of its device), lifetimes
neither: all addresses live forever.

Source: iproute2 6.1, ip/ipaddress.c.
"""

from __future__ import annotations

import fnmatch
from typing import TYPE_CHECKING, Final

import attrs

from emu.errors import CommandError
from emu.kernel.route import Scope
from emu.tools.ip import link, link_text
from emu.tools.ip.names import SCOPES
from emu.tools.ip.record import Record
from emu.tools.ip.values import address, count, interface
from emu.tools.ip.words import Grammar, Option, Words, garbage, not_modelled, text
from emu.wire.addresses import ANY_IP4, Interface

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from emu.kernel.link.device import Device, IfAddress
    from emu.tools.ip.options import Options
    from emu.tools.ip.record import Json
    from emu.wire.addresses import IpAddress, Prefix

_FOREVER: Final = 2**32 - 1
_NOT_GIVEN: Final = Interface(ANY_IP4, 0)


def _scope(words: Words) -> str:
    value = count("invalid scope value.", 255, SCOPES)(words)
    if value not in {Scope.GLOBAL, Scope.LINK, Scope.HOST}:
        raise not_modelled(f"scope {value} of an address")
    return Scope(value).name.lower()


# --- add, change, replace, delete ---


@attrs.define
class AddressSpec:
    """An address as it is written down.

    Attributes:
        interface: the address and its prefix length.
        has_length: the length was given.
        device: name of the device.
        peer: the other end of a point-to-point link.
        broadcast: the broadcast address; empty or `-` for none, `+` for the highest.
        scope: None for what the kernel takes.
    """

    interface: Interface = _NOT_GIVEN
    has_length: bool = False
    device: str = ""
    label: str = ""
    peer: Prefix | None = None
    broadcast: str = ""
    scope: str | None = None

    @property
    def broadcast_address(self) -> IpAddress | None:
        """What `broadcast` means."""
        if self.broadcast in {"", "-"}:
            return None
        return self.interface.broadcast if self.broadcast == "+" else address(self.broadcast)


def _local(spec: AddressSpec, word: str, words: Words) -> None:
    if word == "local":
        word = words.take()
    if spec.interface is not _NOT_GIVEN:
        raise garbage("local", word)
    spec.interface, spec.has_length = interface(word)


_SPEC: Final = Grammar[AddressSpec](
    "an address",
    (
        Option(("peer", "remote"), "peer", lambda words: interface(words.take())[0].prefix),
        Option(("broadcast", "brd"), "broadcast", text, short=True),
        Option(("scope",), "scope", _scope),
        Option(("dev",), "device", text),
        Option(("label",), "label", text),
    ),
    _local,
    (
        "anycast",
        "autojoin",
        "home",
        "metric",
        "mngtmpaddr",
        "nodad",
        "noprefixroute",
        "optimistic",
        "preference",
        "preferred_lft",
        "priority",
        "proto",
        "valid_lft",
    ),
)


def parse_spec(words: Words) -> AddressSpec:
    """Return the address that `words` describe.

    Raises:
        CommandError: they describe none.
    """
    spec = _SPEC.fill(AddressSpec(), words)
    if not spec.device:
        raise CommandError('Not enough information: "dev" argument is required.', 1)
    if spec.label not in {"", spec.device}:
        raise not_modelled("a label of an address")
    if spec.interface is _NOT_GIVEN:
        raise not_modelled("an address without a local part")
    if spec.broadcast not in {"", "-", "+"}:
        address(spec.broadcast)
    return spec


# --- show and flush ---


@attrs.define
class Selection(link.Selection):
    """Which addresses, of which devices.

    Attributes:
        scope: only those of this scope.
        within: only those in this prefix.
        label: only those of devices whose name matches this pattern.
        secondary: only secondary ones, or only primary ones.
    """

    scope: str = ""
    within: Prefix | None = None
    label: str = ""
    secondary: bool | None = None

    def has(self, own: IfAddress, device: Device) -> bool:
        """Return whether `own`, an address of `device`, is meant."""
        return (
            self.scope in {"", own.scope}
            and (self.within is None or own.address in self.within)
            and (not self.label or fnmatch.fnmatchcase(device.name, self.label))
            and self.secondary in {None, own.secondary}
        )


def _scope_or_all(words: Words) -> str:
    if words.peek() == "all":
        words.take()
        return ""
    return _scope(words)


def _selected(selection: Selection, word: str, words: Words) -> None:
    if word == "dev":
        word = words.take()
    if selection.device:
        raise garbage("dev", word)
    selection.device = word


_SHOW: Final = Grammar[Selection](
    "ip addr show",
    (
        *link.SELECTORS,
        Option(("scope",), "scope", _scope_or_all),
        Option(("to",), "within", lambda words: interface(words.take())[0].prefix),
        Option(("label",), "label", text),
        Option(("primary",), "secondary", lambda _: False),
        Option(("secondary", "temporary"), "secondary", lambda _: True),
    ),
    _selected,
    ("deprecated", "dynamic", "group", "nomaster", "permanent", "proto", "tentative", "vrf"),
)


def parse_selection(words: Words) -> Selection:
    """Return the addresses that `words` mean.

    Raises:
        CommandError: they make no sense.
    """
    return _SHOW.fill(Selection(), words)


def render(
    devices: Iterable[Device], all_devices: Mapping[str, Device], selection: Selection, options: Options
) -> list[Record]:
    """Return what `ip addr show` prints, one record for each device.

    Args:
        devices: those to be shown, addresses left aside.
        all_devices: all of the namespace.
        selection: which addresses.
        options: how it is to look.
    """
    family = 4 if selection.within is not None else options.family
    shown = attrs.evolve(options, family=family)
    return [
        _record(device, all_devices, selection, shown)
        for device in devices
        if _is_shown(device, selection, family)
    ]


def _is_shown(device: Device, selection: Selection, family: int) -> bool:
    """Return whether `device` has a meant address, or none at all. Source: `ipaddr_filter`."""
    if not device.addresses:
        return not family
    return family != 6 and any(selection.has(own, device) for own in device.addresses)


def _record(device: Device, devices: Mapping[str, Device], selection: Selection, options: Options) -> Record:
    record = Record()
    if selection.passes_over(device):
        return record
    has_link = not selection.label and not options.oneline
    if options.brief:
        link_text.put_brief(record, device, devices, is_link=False)
    elif has_link:
        link_text.put_link(record, device, devices, options, is_link=False)
    infos: list[Json] = []
    for own in device.addresses:
        info = Record()
        if selection.has(own, device):
            _put_address(info, own, device, options)
        infos.append(info.fields)
        record.show(info.text)
    record.keep("addr_info", infos)
    if options.brief:
        record.show("\n")
    elif options.statistics and has_link:
        link_text.put_counters(record, device.counters)
    return record


def _put_address(info: Record, own: IfAddress, device: Device, options: Options) -> None:
    is_peer = own.address not in own.prefix
    if options.brief:
        info.put("local", str(own.address), f"{own.address}")
        if is_peer:
            info.put("address", str(own.prefix.address), f" peer {own.prefix.address}")
        info.put("prefixlen", own.prefix.length, f"/{own.prefix.length} ")
        return
    if options.oneline:
        info.show(f"{device.index}: {device.name}")
    info.put("family", "inet", "    inet ")
    info.put("local", str(own.address), f"{own.address}")
    if is_peer:
        info.put("address", str(own.prefix.address), f" peer {own.prefix.address}")
    info.put("prefixlen", own.prefix.length, f"/{own.prefix.length} ")
    if own.broadcast is not None:
        info.put("broadcast", str(own.broadcast), f"brd {own.broadcast} ")
    info.put("scope", own.scope, f"scope {own.scope} ")
    if own.secondary:
        info.put("secondary", True, "secondary ")
    info.put("label", device.name, device.name)
    info.show("\\" if options.oneline else "\n")
    info.put("valid_life_time", _FOREVER, "       valid_lft forever ")
    info.put("preferred_life_time", _FOREVER, "preferred_lft forever\n")
