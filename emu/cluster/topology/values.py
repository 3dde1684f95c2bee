# SPDX-License-Identifier: GPL-2.0-only
"""Readers of the values that topology documents have, beside those of `emu.document.fields`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from emu.document import MappingNode, SequenceNode
from emu.document.fields import Fields, elements, integer, one_of, text
from emu.errors import AddressError
from emu.kube.api.objects.scheduling import Taint
from emu.kube.api.validation import names
from emu.wire.addresses import Interface, IpAddress, Prefix

if TYPE_CHECKING:
    from collections.abc import Mapping

    from emu.document.fields import Place

_SERVES: Final = re.compile(r"(tcp|udp|sctp)/(\d{1,5})")
_VERSION: Final = re.compile(r"v?1\.(\d{1,2})(?:\.\d+)?")
_OLDEST, _NEWEST = 20, 99
_BLANK_PREFIX: Final = Prefix.parse("0.0.0.0/0")
_BLANK_INTERFACE: Final = Interface.parse("0.0.0.0/0")


def prefix(place: Place) -> Prefix:
    """Read an IPv4 prefix."""
    try:
        found = Prefix.parse(text(place))
    except AddressError as error:
        if isinstance(place.value, str):
            place.fault(str(error))
        return _BLANK_PREFIX
    if found.address.family != 4:
        place.fault("only IPv4 is modelled")
        return _BLANK_PREFIX
    return found


def prefixes(place: Place) -> Prefix:
    """Read one prefix, or a list for dual stack, of which IPv4 alone is modelled."""
    if not isinstance(place.value, SequenceNode):
        return prefix(place)
    found = elements(place, prefix)
    if len(found) > 1:
        place.fault("a second range would be dual stack, which is not modelled")
    return found[0] if found else _BLANK_PREFIX


def interface(place: Place) -> Interface:
    """Read an IPv4 address with the length of its prefix."""
    try:
        found = Interface.parse(text(place))
    except AddressError as error:
        if isinstance(place.value, str):
            place.fault(str(error))
        return _BLANK_INTERFACE
    if found.address.family != 4:
        place.fault("only IPv4 is modelled")
        return _BLANK_INTERFACE
    return found


def address(place: Place) -> IpAddress:
    """Read an IPv4 address."""
    try:
        found = IpAddress.parse(text(place))
    except AddressError as error:
        if isinstance(place.value, str):
            place.fault(str(error))
        return IpAddress(bytes(4))
    if found.family != 4:
        place.fault("only IPv4 is modelled")
        return IpAddress(bytes(4))
    return found


def name(place: Place) -> str:
    """Read the name of a node or host: a lowercase RFC 1123 subdomain."""
    found = text(place)
    for complaint in names.subdomain(found) if isinstance(place.value, str) else ():
        place.fault(complaint)
    return found


def version(place: Place) -> str:
    """Read a version of Kubernetes as `1.35`."""
    if isinstance(place.value, float):  # 1.3 could be 1.30: only quotes tell
        place.wrong('a version in quotes, like "1.35"')
        return ""
    found = _VERSION.fullmatch(text(place))
    if found is None or not _OLDEST <= int(found[1]) <= _NEWEST:
        if isinstance(place.value, str):
            place.wrong('a version of Kubernetes, like "1.35"')
        return ""
    return f"1.{found[1]}"


def taint(place: Place) -> Taint:
    """Read a taint."""
    fields = Fields(place)
    effects = one_of("NoSchedule", "PreferNoSchedule", "NoExecute")
    return fields.done(
        Taint(fields.must("key", text), fields.must("effect", effects), fields.get("value", text, ""))
    )


def texts(place: Place) -> Mapping[str, str]:
    """Read a mapping of names to text, as labels are."""
    fields = Fields(place)
    value = fields.place.value
    return {key: text(fields.place.at(key)) for key in value} if isinstance(value, MappingNode) else {}


def settings(place: Place) -> Mapping[str, str]:
    """Read sysctls: numbers or text by name."""
    fields = Fields(place)
    value = fields.place.value
    found = {}
    for key, setting in value.items() if isinstance(value, MappingNode) else ():
        if isinstance(setting, bool | float | MappingNode | SequenceNode) or setting is None:
            fields.place.at(key).wrong("a number or text")
        else:
            found[key] = str(setting)
    return found


def serves(place: Place) -> tuple[str, int]:
    """Read a port that a host outside answers on: `tcp/443`."""
    found = _SERVES.fullmatch(text(place))
    if found is None or not 0 < int(found[2]) < 65536:
        if isinstance(place.value, str):
            place.wrong("PROTOCOL/PORT, like tcp/443")
        return "TCP", 0
    return found[1].upper(), int(found[2])


def plain(place: Place) -> Any:  # noqa: ANN401 - an option of a provider, which reads it itself
    """Return the value as it stands."""
    return place.value


seed = integer(0, 2**63 - 1)
"""Read the number that decides all that is random."""
