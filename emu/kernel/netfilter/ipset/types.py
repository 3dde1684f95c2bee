# SPDX-License-Identifier: GPL-2.0-only
"""The types of sets: what their elements are made of.

`hash:ip,mark`, `hash:ip,mac` and `bitmap:ip,mac` are not modelled, nor are masks of `hash:net,net`.
"""

from __future__ import annotations

import enum
from functools import cached_property
from typing import TYPE_CHECKING, Final

import attrs

if TYPE_CHECKING:
    from collections.abc import Mapping


class Part(enum.Enum):
    """One dimension of an element."""

    IP = "ip"
    NET = "net"
    PORT = "port"
    IFACE = "iface"
    MAC = "mac"
    SET = "set"


class Method(enum.Enum):
    """How elements are kept."""

    HASH = "hash"
    BITMAP = "bitmap"
    LIST = "list"


@attrs.frozen
class Memory:
    """What `Size in memory` is computed from, octets on a 64-bit machine.

    Measured on Linux 6.18; of the types that were not built in there
    (`hash:net,net`, `hash:net,port,net`, `hash:mac`), counted.

    Attributes:
        empty: an empty set of IPv4, or of no family.
        empty6: an empty set of IPv6.
        element: one element of IPv4 without extensions.
        element6: one element of IPv6.
    """

    empty: int
    empty6: int = 0
    element: int = 0
    element6: int = 0


@attrs.frozen(slots=False)
class SetType:
    """A type of sets.

    Attributes:
        method: how elements are kept.
        parts: the dimensions of an element, in order.
        revision: the newest that Linux 6.18 and ipset 7.17 have in common.
        takes_masks: a set of it may have `netmask` or `bitmask`.
        takes_zero: a network may be 0.0.0.0/0.
        memory: for `Size in memory`.
    """

    method: Method
    parts: tuple[Part, ...]
    revision: int
    memory: Memory
    takes_masks: bool = False
    takes_zero: bool = False

    @cached_property
    def name(self) -> str:
        """Like `hash:ip,port`."""
        return f"{self.method.value}:{','.join(part.value for part in self.parts)}"

    @cached_property
    def has_family(self) -> bool:
        """Whether a set of it is for IPv4 or for IPv6."""
        return Part.IP in self.parts or Part.NET in self.parts

    @cached_property
    def nets(self) -> int:
        """How many dimensions are networks, the longest prefix of which is the one that counts."""
        return self.parts.count(Part.NET)

    @cached_property
    def features(self) -> frozenset[str]:
        """What elements have: sets that agree in it can be swapped. Source: `enum ip_set_feature`."""
        names = [("ip" if part in {Part.IP, Part.NET} else part.value) for part in self.parts]
        found = {f"ip{names[:place].count('ip') + 1}" if n == "ip" else n for place, n in enumerate(names)}
        return frozenset(found | ({"nomatch"} if self.nets else set()))


_IP, _NET, _PORT = Part.IP, Part.NET, Part.PORT
_ALL: Final = (
    SetType(Method.HASH, (_IP,), 6, Memory(216, 224, 4, 16), takes_masks=True),
    SetType(Method.HASH, (_NET,), 7, Memory(456, 1240, 8, 20)),
    SetType(Method.HASH, (_IP, _PORT), 7, Memory(216, 232, 8, 20), takes_masks=True),
    SetType(Method.HASH, (_NET, _PORT), 8, Memory(456, 1240, 8, 20)),
    SetType(Method.HASH, (_IP, _PORT, _IP), 6, Memory(208, 232, 12, 36)),
    SetType(Method.HASH, (_IP, _PORT, _NET), 8, Memory(464, 1256, 12, 36)),
    SetType(Method.HASH, (_NET, _NET), 4, Memory(624, 1808, 12, 36), takes_zero=True),
    SetType(Method.HASH, (_NET, _PORT, _NET), 3, Memory(608, 1792, 16, 40), takes_zero=True),
    SetType(Method.HASH, (_NET, Part.IFACE), 8, Memory(488, 1264, 28, 40), takes_zero=True),
    SetType(Method.HASH, (Part.MAC,), 1, Memory(200, element=8)),
    SetType(Method.BITMAP, (_IP,), 3, Memory(88), takes_masks=True),
    SetType(Method.BITMAP, (_PORT,), 3, Memory(72)),
    SetType(Method.LIST, (Part.SET,), 3, Memory(80, element=48)),
)

TYPES: Final[Mapping[str, SetType]] = {kind.name: kind for kind in _ALL}
"""The types by their names."""
