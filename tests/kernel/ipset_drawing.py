# SPDX-License-Identifier: GPL-2.0-only
"""Random sets, what is done with them, and packets that may be in them.

All from a small world, so that elements meet: a handful of addresses below
10.0.0.0/24, few ports, three devices.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

from emu.kernel.netfilter.ipset.base import Comparison
from emu.kernel.netfilter.ipset.lookup import Direction
from emu.kernel.netfilter.ipset.types import TYPES, Part, SetType
from emu.kernel.netfilter.matches.set import SetMatch
from emu.kernel.netfilter.targets.set import SetTarget, Use
from emu.wire import ipv4
from emu.wire.addresses import IpAddress

if TYPE_CHECKING:
    from collections.abc import Sequence

BUILT_IN: Final = tuple(
    name for name in TYPES if name not in {"hash:net,net", "hash:net,port,net", "hash:mac", "list:set"}
)
"""The types that may be compared: the kernel has them, and elements made of addresses or ports."""

DEVICES: Final = ("d0", "d1", "eth0")
_PORTS: Final = (1, 2, 3, 80, 81)


class Drawing:
    """Draws sets and packets; equal seeds draw the same."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def spec(self, kind: SetType) -> list[str]:
        """Return the options of a set."""
        words: list[str] = []
        if kind.name == "bitmap:ip":
            words += ["range", "10.0.0.0/25"]
        if kind.name == "bitmap:port":
            words += ["range", "1-90"]
        if kind.name in {"hash:ip", "hash:ip,port", "bitmap:ip"} and self.random.random() < 0.3:
            words += ["netmask", str(self.random.choice((26, 28, 30, 31)))]
        if kind.name.startswith("hash:") and self.random.random() < 0.2:
            words += ["maxelem", str(self.random.choice((3, 8)))]
        return words + [word for word in ("counters", "comment") if self.random.random() < 0.3]

    def element(self, kind: SetType, *, ranges: bool = True) -> str:
        """Return an element as it is written."""
        parts = [self._part(kind, part, ranges=ranges) for part in kind.parts]
        if kind.name == "hash:ip,port,ip":
            parts[2] = self.address()
        return ",".join(parts)

    def step(self, kind: SetType, name: str) -> list[str]:
        """Return the words of an `ipset` command about the set `name`."""
        verb = self.random.choices(("add", "del", "test"), (6, 1, 3))[0]
        exist = ["-exist"] if verb != "test" and self.random.random() < 0.3 else []
        nomatch = kind.nets and verb != "del" and self.random.random() < (0.2 if verb == "add" else 0.1)
        words = [verb, name, self.element(kind, ranges=verb != "test")]
        if verb == "add" and "iface" in kind.name and self.random.random() < 0.1:
            words.append("wildcard")
        return [*exist, *words, *(["nomatch"] if nomatch else [])]

    def address(self) -> str:
        """Return one of few addresses."""
        return f"10.0.{self.random.choice((0, 0, 0, 1))}.{self.random.choice((0, 1, 2, 3, 4, 7, 8, 64, 65))}"

    def packet(self) -> bytes:
        """Return an IPv4 packet of TCP, UDP, SCTP, ICMP or something else, at times a later fragment."""
        protocol = self.random.choice((6, 17, 17, 132, 1, 47))
        first, second = self.random.choice(_PORTS), self.random.choice(_PORTS)
        ports = first.to_bytes(2, "big") + second.to_bytes(2, "big")
        payload = bytes((8, 0)) + bytes(18) if protocol == 1 else ports + bytes(16)
        src, dst = (IpAddress.parse(self.address()) for _ in range(2))
        fragment = 5 if self.random.random() < 0.1 else 0
        return ipv4.build(protocol, src, dst, payload, identification=7, fragment=fragment)

    def rule(self, names: Sequence[str]) -> SetMatch | SetTarget:
        """Return a match or a target that asks or changes some of the sets `names`."""
        if self.random.random() < 0.5:
            uses = [self._use(names) if self.random.random() < chance else None for chance in (0.8, 0.4)]
            if any(uses):
                return SetTarget(uses[0], uses[1], exist=uses[0] is not None and self.random.random() < 0.5)
        use = self._use(names)
        return SetMatch(
            use.name,
            use.directions,
            update_counters=self.random.random() < 0.8,
            update_subcounters=self.random.random() < 0.8,
            packets=self._comparison(10),
            octets=self._comparison(200),
        )

    def _use(self, names: Sequence[str]) -> Use:
        return Use(self.random.choice(names), tuple(self.random.choices(list(Direction), k=3)))

    def _comparison(self, most: int) -> Comparison | None:
        operator = self.random.choice(("eq", "ne", "lt", "gt", "", ""))
        return Comparison(operator, self.random.randint(0, most)) if operator else None

    def _part(self, kind: SetType, part: Part, *, ranges: bool) -> str:
        chance = self.random.random()
        match part:
            case Part.IP:
                if ranges and chance < 0.2:
                    return f"{self.address()}-{self.address()}"
                if ranges and chance < 0.4:
                    return f"{self.address()}/{self.random.choice((28, 30, 31, 32))}"
                return self.address()
            case Part.NET:
                if ranges and chance < 0.15:
                    return f"{self.address()}-{self.address()}"
                if chance < 0.6:
                    return f"{self.address()}/{self.random.choice((1, 8, 16, 24, 25, 26, 28, 30, 31, 32))}"
                return "0.0.0.0/0" if ranges and chance < 0.65 else self.address()
            case Part.PORT:
                return self._port(kind, ranges=ranges)
            case Part.MAC:
                return f"02:00:00:00:00:{self.random.randint(0, 9):02x}"
            case _:
                physdev = "physdev:" if chance < 0.1 else ""
                return physdev + ("eth" if 0.1 < chance < 0.2 else self.random.choice(DEVICES))

    def _port(self, kind: SetType, *, ranges: bool) -> str:
        port = str(self.random.choice(_PORTS))
        if ranges and self.random.random() < 0.2:
            port += f"-{self.random.choice(_PORTS)}"
        if kind.name == "bitmap:port":
            return port
        others = ("icmp:8/0", "icmp:echo-reply", "gre:0", "47:0")
        proto = self.random.choice(("tcp:", "udp:", "", "sctp:"))
        return self.random.choice(others) if self.random.random() < 0.2 else proto + port
