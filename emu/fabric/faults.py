# SPDX-License-Identifier: GPL-2.0-only
"""What a bad cable does to frames beside losing time: it drops, doubles, overtakes and garbles them.

Words and meaning are those of Linux's `netem`. What happens by chance happens
in a run; an exploration, which would follow every frame both ways, leaves it
out and says so (`Choice.happens`). What is certain (0 or 1) always holds.

Source: net/sched/sch_netem.c.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Final

import attrs

from emu.errors import CableError

if TYPE_CHECKING:
    import random

    from emu.sim.choice import Choice

_NEVER: Final = Fraction(0)
_BITS: Final = 8


@attrs.frozen
class Faults:
    """What happens to frames on a cable, in each direction by itself.

    Attributes:
        loss: probability that a frame that was sent does not arrive.
        duplicate: probability that it arrives twice.
        reorder: probability that it does not wait for the latency, and so
            overtakes what was sent before it.
        corrupt: probability that one bit of it arrives flipped, somewhere from
            the first octet to the last. The FCS is as it should be: what a
            switch breaks in its memory, no cable tells.
        drop_nth: frames that do not arrive, counted from 1 as they are sent.
        drop_every: each frame whose number is a multiple of it; 0 for none.

    Raises:
        CableError: something is out of range.
    """

    loss: Fraction = _NEVER
    duplicate: Fraction = _NEVER
    reorder: Fraction = _NEVER
    corrupt: Fraction = _NEVER
    drop_nth: tuple[int, ...] = ()
    drop_every: int = 0

    def __attrs_post_init__(self) -> None:
        for name in ("loss", "duplicate", "reorder", "corrupt"):
            share = getattr(self, name)
            if not 0 <= share <= 1:
                raise CableError(f"{name} of a cable is a probability, not {share}")
        if self.drop_every < 0 or any(number < 1 for number in self.drop_nth):
            raise CableError("frames of a cable are counted from 1")

    def drops(self, number: int) -> bool:
        """Return whether the frame with this number does not arrive whatever else happens."""
        return number in self.drop_nth or bool(self.drop_every and number % self.drop_every == 0)

    @property
    def is_random(self) -> bool:
        """Whether chance has a part in it."""
        return any(0 < share < 1 for share in (self.loss, self.duplicate, self.reorder, self.corrupt))


NO_FAULTS: Final = Faults()


def happens(choice: Choice, name: str, what: str, share: Fraction) -> bool:
    """Return whether `name` (a cable) does `what` to a frame this time."""
    if share in {0, 1}:
        return bool(share)
    return choice.happens(f"does {name} {what} the frame?", share)


def flip(octets: bytes, stream: random.Random) -> tuple[bytes, str]:
    """Return a frame with one bit flipped, and which one in words."""
    position, bit = stream.randrange(len(octets)), stream.randrange(_BITS)
    broken = bytearray(octets)
    broken[position] ^= 1 << bit
    return bytes(broken), f"bit {bit} of octet {position} flips"
