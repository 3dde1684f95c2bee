# SPDX-License-Identifier: GPL-2.0-only
"""Command lines of `conntrack` and what the real tool makes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

_SAMPLES: Final = Path(__file__).parent / "samples"


def lines(name: str) -> list[str]:
    """Return the recorded lines in the sample `name`."""
    recorded = (_SAMPLES / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in recorded if not line.startswith("#")]


REFUSALS: Final = [
    (arguments, message.strip())
    for arguments, message in zip(lines("refusals")[::2], lines("refusals")[1::2], strict=True)
]
"""Arguments, and why they are refused."""

FILTERS: Final = [
    ("-L", list(range(12))),
    ("-L -p tcp", [1, 6, 7]),
    ("-Lptcp", list(range(12))),
    ("-L -ptcp", [1, 6, 7]),
    ("-zL", list(range(12))),
    ("-L -g1.1.1.1", [5]),
    ("-L --dst-nat=1.1.1.1", [5]),
    ("-L -w0 -pudp", [2, 5]),
    ("-L -u UNSET,ASSURED", [1]),
    ("-L -u UNREPLIED,ASSURED", []),
    ("-L -u EXPECTED", []),
    ("-L -m foo -p tcp", [1, 6, 7]),
    ("-L -s 1.2.3.4 -s 1.2.3.9", [5]),
    ("-L -p udp -p icmp", [3]),
    ("-L -p tcp junk", [1, 6, 7]),
    ("-L conntrack -p tcp", [1, 6, 7]),
    ("-L expect", []),
    ("-L --protonum=tcp", [1, 6, 7]),
    ("-L --prot tcp", [1, 6, 7]),
    ("-p tcp --dump", [1, 6, 7]),
    ("-L -p 17", [2, 5]),
    ("-L -s 1.2.3.4 -p tcp", [1]),
    ("-L -s 1.2.3.8/29", [5, 6, 7]),
    ("-L -s 1.2.3.8 --mask-src 255.255.255.248", [5, 6, 7]),
    ("-L --orig-src 1.2.3.9", [5]),
    ("-L --src 1.2.3.9", [5]),
    ("-L -d 5.6.7.8 -p udp", [2, 5]),
    ("-L -r 9.9.9.9", [5]),
    ("-L -q 1.2.3.10", [6]),
    ("-L -p udp --sport 10", [2, 5]),
    ("-L -p udp --orig-port-dst 21", []),
    ("-L -p udp --reply-port-src 53", [5]),
    ("-L -p udp --reply-port-dst 10", [2, 5]),
    ("-L -p icmp --icmp-type 8 --icmp-code 0 --icmp-id 77", [3]),
    ("-L -p icmp --icmp-type 0", []),
    ("-L -p gre --srckey 0x1", [9]),
    ("-L -p tcp --state ESTABLISHED", [1]),
    ("-L -p tcp --state SYN_SENT", [6, 7]),
    ("-L -p sctp --state ESTABLISHED", [0]),
    ("-L -u ASSURED", [1]),
    ("-L -u assured,seen_reply", [1]),
    ("-L -u UNREPLIED -p tcp", [6, 7]),
    ("-L -m 5", [2]),
    ("-L -m 0x1/0x3", [2]),
    ("-L -m 5/0x0", []),
    ("-L -w 7", [10]),
    ("-L --orig-zone 3", [6]),
    ("-L --reply-zone 3", [7]),
    ("-L -n", []),
    ("-L -g", [5]),
    ("-L -g 9.9.9.9", [5]),
    ("-L --dst-nat 9.9.9.8", []),
    ("-L -j", [5]),
    ("-L -f ipv4 -p tcp", [1, 6, 7]),
    ("-L -f ipv6", []),
    ("-L -s ::1", []),
    ("-D -i 4", [4]),
]
"""Arguments, and which lines of the sample `table` they mean."""
