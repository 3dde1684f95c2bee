# SPDX-License-Identifier: GPL-2.0-only
"""Readers of the single values that a network document is made of: addresses, names, prefixes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, TypeVar

from emu.cluster.network.actions import CapturePoint
from emu.document.fields import integer, seconds
from emu.wire.addresses import ANY_IP4, ZERO_MAC, Interface, IpAddress, MacAddress, Prefix

if TYPE_CHECKING:
    from collections.abc import Callable

    from emu.document.fields import Place

T = TypeVar("T")

MAX_SECONDS: Final = 10_000_000  # 115 days; the longest timeout of conntrack is 5
MAX_COUNT: Final = 100_000
MAX_PAYLOAD: Final = 65_507  # octets: 65535 less an IPv4 and a UDP or ICMP header

duration: Final = seconds(MAX_SECONDS)
count: Final = integer(1, MAX_COUNT)
port: Final = integer(1, 65535)
port_or_any: Final = integer(0, 65535)
mtu: Final = integer(68, 65535)  # RFC 791: a link carries 68 octets at least
ttl: Final = integer(1, 255)
octet: Final = integer(0, 255)

NO_PREFIX: Final = Prefix(ANY_IP4, 32)  # what a faulty prefix is read as
NO_INTERFACE: Final = Interface(ANY_IP4, 32)  # what a faulty address with length is read as

_IFNAMSIZ: Final = 16  # with the NUL at the end
_DOTTED: Final = re.compile(r"[0-9]+(?:\.[0-9]+){3}")
_WITH_LENGTH: Final = re.compile(r"[0-9.]+/[0-9]+")
_NS_NAME: Final = re.compile(r"[^\s./\\:\x00-\x1f\x7f]{1,100}")
_LABEL: Final = re.compile(r"[^\s/\\:\x00-\x1f\x7f]{1,100}")
_FIELD_NAME: Final = re.compile(r"\w+(?:\.\w+)*")
_BAD_IN_IFACE: Final = re.compile(r"[\s/:\x00]")


def mac(place: Place) -> MacAddress:
    """Read any MAC address."""
    value = place.value
    if isinstance(value, int | float) and not isinstance(value, bool):
        place.fault(f"is read as the number {value!r:.40}: quote the MAC address")
        return ZERO_MAC
    return _parsed(place, "a MAC address like 02:00:00:00:00:01", MacAddress.parse, ZERO_MAC)


def device_mac(place: Place) -> MacAddress:
    """Read the address of a device, which is neither zero nor a group's."""
    address = mac(place)
    if isinstance(place.value, str) and (address.is_group or place.value == str(ZERO_MAC)):
        kind = "a group's address" if address.is_group else "all zeros"
        place.fault(f"{address} is {kind}: no interface can have it")
    return address


def ipv4(place: Place) -> IpAddress:
    """Read an IPv4 address."""
    return _parsed(place, "an IPv4 address", _ipv4, ANY_IP4)


def interface(place: Place) -> Interface:
    """Read an IPv4 address with the length of its prefix."""
    wanted = "an IPv4 address with prefix length like 10.244.1.2/24"
    return _parsed(place, wanted, _interface, NO_INTERFACE)


def prefix(place: Place) -> Prefix:
    """Read the destination of a route: `default`, a prefix without host bits, or an address."""
    wanted = "default, an IPv4 prefix like 10.244.2.0/24 (no bits behind its length) or an IPv4 address"
    return _parsed(place, wanted, _prefix, NO_PREFIX)


def ns_name(place: Place) -> str:
    """Read the name of a namespace."""
    return _parsed(place, "a namespace's name (quote numbers)", str, "")


def iface_name(place: Place) -> str:
    """Read the name of an interface."""
    return _parsed(place, "an interface's name (quote numbers)", str, "")


def file_name(place: Place) -> str:
    """Read the name of a file."""
    return _parsed(place, "a file's name", str, "")


def capture_point(place: Place) -> CapturePoint:
    """Read `NAMESPACE/INTERFACE`."""
    return _parsed(place, "NAMESPACE/INTERFACE", _capture_point, CapturePoint("", ""))


def field_name(place: Place) -> str:
    """Read a field of the canonical form of frames, dotted."""
    return _parsed(place, "a field's name like udp.sport", _field_name, "")


def label(place: Place) -> str:
    """Read the label of a snapshot, which is part of file names."""
    return _parsed(place, "a label without slash or space, and not end", _label, "")


def check_new_iface(place: Place, name: str) -> None:
    """Report if no interface can be made by this `name`.

    Source: net/core/dev.c (dev_valid_name), net/ipv4/devinet.c.
    """
    if len(name.encode()) >= _IFNAMSIZ:
        place.fault(f"{name!r} is longer than {_IFNAMSIZ - 1} octets")
    elif name in {".", "..", "all", "default"} or _BAD_IN_IFACE.search(name):
        place.fault(f"no interface can be called {name!r}")


def check_new_ns(place: Place, name: str) -> None:
    """Report if no namespace can be made by this `name`, which is part of file names."""
    if not _NS_NAME.fullmatch(name):
        place.fault(f"no namespace can be called {name!r:.60} (1 to 100 characters, no dot, slash or space)")


def _parsed(place: Place, wanted: str, parse: Callable[[str], T], blank: T) -> T:
    value = place.value
    if isinstance(value, str) and value:
        try:
            return parse(value)
        except ValueError:
            pass
    place.wrong(wanted)
    return blank


def _ipv4(text: str) -> IpAddress:
    if not _DOTTED.fullmatch(text):
        raise ValueError(text)
    return IpAddress.parse(text)


def _interface(text: str) -> Interface:
    if not _WITH_LENGTH.fullmatch(text):
        raise ValueError(text)
    return Interface.parse(text)


def _prefix(text: str) -> Prefix:
    if text == "default":
        return Prefix(ANY_IP4, 0)
    if not (_DOTTED.fullmatch(text) or _WITH_LENGTH.fullmatch(text)):
        raise ValueError(text)
    return Prefix.parse(text)


def _capture_point(text: str) -> CapturePoint:
    ns, slash, iface = text.partition("/")
    if not slash:
        raise ValueError(text)
    return CapturePoint(ns, iface)


def _field_name(text: str) -> str:
    if not _FIELD_NAME.fullmatch(text):
        raise ValueError(text)
    return text


def _label(text: str) -> str:
    if text == "end" or not _LABEL.fullmatch(text):
        raise ValueError(text)
    return text
