# SPDX-License-Identifier: GPL-2.0-only
"""What a case is about: few addresses and ports, so that rules and packets meet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

import attrs

from tests.kernel.verdicts.topology import BEYOND, ECHO_PORT, NETS

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

T = TypeVar("T")

PORTS: Final = (ECHO_PORT, 80, 443, 1000, 2000, 5000, 8080)
IDENTIFIERS: Final = (7, 8, 9)
MARKS: Final = (0, 1, 2, 4, 16, 0xFF, 0x4000, 0x80000001)
MASKS: Final = (0xFFFFFFFF, 0xFF, 1, 2, 0xFFFF, 0x4000)
TOS: Final = (0, 0, 0, 0x08, 0x10, 0x01, 0x02, 0x03, 0xB8, 0x1C)
TTLS: Final = (64, 64, 64, 63, 128, 255, 2, 1)
NAT_PORTS: Final = (1000, 2000, 5000, 8080)
DRAWN_PORTS: Final = "6100-6103"
"""NAT draws one of them: no rule tells them apart, nor the ports that are drawn of all."""

TCP, UDP, ICMP, SCTP, GRE, UDP_LITE, ODD = 6, 17, 1, 132, 47, 136, 253
_PROTOCOLS: Final = (TCP,) * 8 + (UDP,) * 8 + (ICMP,) * 4 + (SCTP, SCTP, UDP_LITE, GRE, ODD)
_HOSTS: Final = tuple(f"{net}.{last}" for net in NETS.values() for last in (2, 3, 4))
_OWN: Final = tuple(f"{net}.1" for net in NETS.values())
_AFAR: Final = (f"{BEYOND}.1", f"{BEYOND}.2")


class Flow(NamedTuple):
    """Who talks to whom; ports are an ICMP identifier twice where there are none."""

    protocol: int
    src: str
    dst: str
    sport: int
    dport: int


@attrs.frozen
class Dice:
    """Chance, with the flows of the case, by which whatever is drawn likes to be met."""

    random: random.Random
    flows: tuple[Flow, ...]

    def maybe(self, probability: float) -> bool:
        """Return True with this probability."""
        return self.random.random() < probability

    def one(self, choices: Sequence[T]) -> T:
        """Return one of the choices."""
        return self.random.choice(choices)

    def flow(self) -> Flow:
        """Return one of the flows."""
        return self.one(self.flows)

    def address(self) -> str:
        """Return an address, mostly one of a flow."""
        flow = self.flow()
        return self.one((flow.src, flow.dst, flow.src, flow.dst, self.one(_HOSTS), self.one(_OWN)))

    def host(self) -> str:
        """Return an address of somebody else."""
        return self.one((*_HOSTS, *_AFAR))

    def port(self) -> int:
        """Return a port, mostly one of a flow."""
        flow = self.flow()
        return self.one((flow.sport, flow.dport, flow.dport, self.one(PORTS)))

    def inverted(self) -> str:
        """Return the word for a condition that shall not hold, mostly nothing."""
        return "! " if self.maybe(0.15) else ""


def draw_flows(dice: random.Random) -> tuple[Flow, ...]:
    """Return what a case is about."""
    return tuple(_flow(dice) for _ in range(dice.randint(1, 3)))


def _flow(dice: random.Random) -> Flow:
    protocol = dice.choice(_PROTOCOLS)
    src = dice.choice((*_HOSTS, *_HOSTS, *_AFAR, *_OWN))
    dst = dice.choice((*_HOSTS, *_HOSTS, *_OWN, *_AFAR))
    while dst == src:
        dst = dice.choice((*_HOSTS, *_OWN))
    if protocol == ICMP:
        identifier = dice.choice(IDENTIFIERS)
        return Flow(protocol, src, dst, identifier, identifier)
    return Flow(protocol, src, dst, dice.choice((1000, 2000, 5000)), dice.choice(PORTS))
