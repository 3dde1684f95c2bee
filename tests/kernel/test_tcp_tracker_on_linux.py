# SPDX-License-Identifier: GPL-2.0-only
"""Random segments through the real kernel's TCP tracker and through ours: after each, both say the same."""

from __future__ import annotations

import random
import struct
from typing import Final

import pytest

from tests.kernel.comparison import FIRST_PORT, Sent, compare
from tests.kernel.middle import linux_middle
from tests.unit.kernel.netfilter.conntrack.middle import segment

_SEQUENCES: Final = 300
_STEPS: Final = 16
_SYN_OPTIONS: Final = (
    b"",
    bytes((2, 4, 5, 180)),
    bytes((1, 3, 3, 7)),
    bytes((1, 1, 4, 2)),
    bytes((1, 1, 4, 2, 1, 3, 3, 2)),
    bytes((1, 3, 3, 200)),
)
_FLAGS: Final = ("A",) * 8 + ("PA",) * 4 + ("FA",) * 4 + ("S",) * 3 + ("SA",) * 3 + ("R",) * 2 + ("RA",) * 2
_ODD_FLAGS: Final = ("", "SF", "F", "SR", "U", "AU", "SU", "FAU", "SE", "AC", "P", "RF", "SAU", "RU")
_SHIFTS: Final = (0,) * 14 + (
    1,
    -1,
    1,
    -1,
    100,
    -100,
    1400,
    -1400,
    5000,
    66000,
    -67000,
    1 << 20,
    -(1 << 20),
    1 << 31,
)
_WINDOWS: Final = (0, 1, 100, 512, 1000, 8192, 65535)
_LENGTHS: Final = (0, 0, 0, 1, 10, 100, 1000)


class Script:
    """Makes up the segments of a connection: mostly what two ends would say, now and then other ones."""

    def __init__(self, number: int, dice: random.Random) -> None:
        self.port = FIRST_PORT + number
        self._dice = dice
        self._next = {">": dice.getrandbits(32), "<": dice.getrandbits(32)}
        self._plan = list(
            dice.choice(
                (
                    (">S", "<SA", ">A"),
                    (">S", "<SA", ">A", ">PA", "<A", "<PA", ">A"),
                    (">S", "<SA", ">A", ">FA", "<A", "<FA", ">A"),
                    (">S", "<SA", ">A", ">FA", "<FA", ">A", ">S"),
                    (">S", "<SA", ">A", "<FA", ">FA", "<A", "<S"),
                    (">S", "<SA", ">A", ">RA", ">S"),
                    (">S", "<S", ">SA", "<SA"),
                    (">S", "<S", ">SA", "<A"),
                    (">S", "<RA", ">S"),
                    (">S", ">S", "<SA"),
                    (">S", "<A", ">R", ">S"),
                    (">S", "<SA", ">A", ">S", "<SA", ">A"),
                    (">A", "<A"),
                    (">PA", "<PA", ">FA"),
                    (">S",),
                    (),
                )
            )
        )
        self._sent: list[Sent] = []

    def next(self) -> Sent:
        """Return the next segment."""
        dice = self._dice
        if self._sent and dice.random() < 0.12:
            return dice.choice(self._sent[-3:])
        if self._plan:
            planned = self._plan.pop(0)
            way, flags, odd = planned[0], planned[1:], dice.random() < 0.1
        else:
            way = dice.choice("><")
            flags, odd = dice.choice(_FLAGS if dice.random() < 0.95 else _ODD_FLAGS), True
        sent = self._make(way, flags, odd=odd)
        self._sent.append(sent)
        return sent

    def _make(self, way: str, flags: str, *, odd: bool) -> Sent:
        dice, other = self._dice, "<" if way == ">" else ">"
        if "S" in flags and "A" not in flags and dice.random() < 0.3:
            self._next[way] = dice.getrandbits(32)
        seq = self._next[way] + (dice.choice(_SHIFTS) if odd else 0)
        ack = self._next[other] + (dice.choice(_SHIFTS) if odd else 0) if "A" in flags else 0
        if "R" in flags and dice.random() < 0.2:
            seq = 0
        data = dice.choice(_LENGTHS) if "P" in flags or dice.random() < 0.1 else 0
        options = dice.choice(_SYN_OPTIONS) if "S" in flags else b""
        if "S" not in flags and dice.random() < 0.15:
            right = self._next[other] + dice.choice(_SHIFTS)
            options = b"\x01\x01\x05\x0a" + struct.pack("!II", right - 10 & 0xFFFFFFFF, right & 0xFFFFFFFF)
        window = dice.choice(_WINDOWS)
        octets = segment(
            way, flags, seq=seq, ack=ack, window=window, options=options, data=data, port=self.port
        )
        end = seq + data + ("S" in flags) + ("F" in flags)
        if (end - self._next[way]) & 0xFFFFFFFF < 1 << 17:
            self._next[way] = end & 0xFFFFFFFF
        text = f"{way} {flags or '-':3} seq={seq:#x} ack={ack:#x} win={window} len={data} opt={options.hex()}"
        return Sent(way, octets, text)


@pytest.mark.kernel
@pytest.mark.parametrize(
    "sysctls",
    [
        {},
        {"tcp_be_liberal": 1},
        {"tcp_loose": 0},
        {"tcp_ignore_invalid_rst": 1},
        {"tcp_max_retrans": 0, "tcp_timeout_max_retrans": 50, "tcp_timeout_unacknowledged": 40},
    ],
    ids=lambda sysctls: "-".join(sysctls) or "defaults",
)
def test_linux_and_emu_agree_on_random_segments(sysctls: dict[str, int]) -> None:
    """After each segment of hundreds of random sequences, verdict, state, flags and timeout are Linux's."""
    with linux_middle(**sysctls) as linux:
        scripts = [Script(number, random.Random(f"1/{number}")) for number in range(_SEQUENCES)]
        differences = compare(linux, scripts, _STEPS, sysctls)
    assert not differences, f"{len(differences)} of {_SEQUENCES} sequences differ\n" + "\n\n".join(
        differences[:5]
    )
