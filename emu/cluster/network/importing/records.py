# SPDX-License-Identifier: GPL-2.0-only
"""The JSON that iproute2 prints: a list of records, of which only some keys matter.

A key that is not known is passed over, unlike in documents of our own: each
version of the tools prints more of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.cluster.network import values
from emu.document import MappingNode, SequenceNode
from emu.document.fields import Fields, integer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.document.fields import Place

MAX_RECORDS: Final = 200_000
"""In one file: a node with more routes or neighbours than this was not meant."""

u32: Final = integer(0, 2**32 - 1)


def records(place: Place) -> Iterator[Fields]:
    """Yield the records of a list.

    Some versions of the tools print an empty record for each thing that they
    do not show; those are passed over.
    """
    value = place.value
    if value is None:
        return
    if not isinstance(value, SequenceNode):
        place.wrong("a list, as `ip -j` prints it")
        return
    if len(value) > MAX_RECORDS:
        place.fault(f"has more than {MAX_RECORDS} records")
        return
    for index, record in enumerate(value):
        if isinstance(record, MappingNode) and not record:
            continue
        yield Fields(place.at(index))


def is_ipv6(value: object) -> bool:
    """Return whether a value of a record is the text of an IPv6 address or prefix."""
    return isinstance(value, str) and ":" in value


def number_of(place: Place) -> int:
    """Read a whole number of 32 bits."""
    return u32(place)


def hexadecimal(place: Place) -> int:
    """Read a number that the tools print as text (`0x4000`), or as a number."""
    value = place.value
    if isinstance(value, str):
        try:
            number = int(value, 0)
        except ValueError:
            number = -1
        if 0 <= number < 2**32:
            return number
    if type(value) is int and 0 <= value < 2**32:
        return value
    place.wrong("a number of 32 bits")
    return 0


def word(place: Place) -> str:
    """Read text that becomes one word of a command: no blanks in it, nor an option."""
    value = place.value
    if isinstance(value, str) and value and value.isprintable() and " " not in value and value[0] != "-":
        return value
    if type(value) is int and value >= 0:
        return str(value)
    place.wrong("one word")
    return ""


def device_name(place: Place) -> str:
    """Read the name of a device that there can be, empty for one that there cannot."""
    name = word(place)
    if name:
        values.check_new_iface(place, name)
    return name


def flags(fields: Fields, key: str = "flags") -> frozenset[str]:
    """Return the words of a list, none if it is left out."""
    return frozenset(fields.each(key, word))
