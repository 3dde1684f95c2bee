# SPDX-License-Identifier: GPL-2.0-only
"""Hypothesis strategies for rules of NAT, and for who talks through them.

They are drawn for the gateway of `tests.unit.kernel.netfilter.nat_gateway`,
with few addresses and ports, so that they meet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from hypothesis import strategies as st

from emu.wire.ipv4 import ICMP, TCP, UDP
from tests.unit.kernel.netfilter.nat_gateway import HERE, SCTP, Flow, ip

if TYPE_CHECKING:
    from emu.wire.addresses import IpAddress

_PORTS: Final = (80, 81, 700, 5000, 5001, 40000)
_NAMES: Final = {"tcp": TCP, "udp": UDP, "sctp": SCTP, "icmp": ICMP}
VIPS: Final = ("10.96.0.1", "10.96.0.2")
_LEFT: Final = ("10.1.0.2", "10.1.0.3")
_RIGHT: Final = ("10.2.0.2", "10.2.0.3")
_OWN: Final = ("10.1.0.1", "10.2.0.1")
_MAPPED: Final = "10.97.0.2"
_OTHERS: Final = 47  # GRE: a protocol without ports


class Talk(NamedTuple):
    """A flow that begins at `place`."""

    place: str
    flow: Flow


def _spans(low: int, high: int) -> st.SearchStrategy[tuple[int, int]]:
    pairs = st.tuples(st.integers(low, high), st.integers(low, high))
    return pairs.map(lambda pair: (min(pair), max(pair)))


def _ports() -> st.SearchStrategy[str]:
    """Draw one port or a range, some of them so narrow that they run out."""
    wide = _spans(1, 65535)
    return (wide | _spans(80, 82) | st.sampled_from(_PORTS).map(lambda port: (port, port))).map(
        lambda pair: f"{pair[0]}-{pair[1]}" if pair[0] != pair[1] else str(pair[0])
    )


def _addresses(prefix: str) -> st.SearchStrategy[str]:
    """Draw an address or a range of hosts that are there."""
    return _spans(2, 9).map(
        lambda pair: f"{prefix}.{pair[0]}-{prefix}.{pair[1]}" if pair[0] != pair[1] else f"{prefix}.{pair[0]}"
    )


@st.composite
def _ends(draw: st.DrawFn, prefixes: tuple[str, ...], *, ports: bool) -> str:
    """Draw what stands behind `--to-destination` and `--to-source`."""
    found = draw(_addresses(draw(st.sampled_from(prefixes))))
    if ports and draw(st.booleans()):
        found += f":{draw(_ports())}"
    return found + draw(st.sampled_from(("", "", " --random", " --persistent")))


@st.composite
def _destination_rules(draw: st.DrawFn, chain: str) -> str:
    protocol = draw(st.sampled_from(("", "", "tcp", "udp", "sctp", "icmp")))
    words = [f"-A {chain}"]
    dst = draw(st.sampled_from(("10.96.0.0/23", VIPS[0], "10.97.0.0/24", "", *_OWN)))
    words += [f"-d {dst}"] if dst else []
    words += [f"-p {protocol}"] if protocol else []
    has_ports = protocol in {"tcp", "udp", "sctp"}
    if has_ports and draw(st.booleans()):
        words.append(f"-m {protocol} --dport {draw(st.sampled_from(_PORTS))}")
    if draw(st.integers(0, 4)) == 4:
        words.append("-m statistic --mode random --probability 0.5")
    match draw(st.sampled_from(("DNAT", "DNAT", "REDIRECT", "NETMAP"))):
        case "DNAT":
            prefixes = ("10.2.0", "10.2.0", "10.1.0")
            words.append(f"-j DNAT --to-destination {draw(_ends(prefixes, ports=has_ports))}")
        case "REDIRECT":
            ports = f" --to-ports {draw(_ports())}" if has_ports and draw(st.booleans()) else ""
            words.append(
                f"-j REDIRECT{ports}{draw(st.sampled_from(('', ' --random')) if ports else st.just(''))}"
            )
        case _:
            words.append("-j NETMAP --to 10.2.0.0/24")
    return " ".join(words)


@st.composite
def _source_rules(draw: st.DrawFn, chain: str) -> str:
    protocol = draw(st.sampled_from(("", "", "tcp", "udp", "sctp", "icmp")))
    words = [f"-A {chain}"]
    if chain == "POSTROUTING":
        words += draw(st.sampled_from(([], ["-o right"], ["-o left"], ["-s 10.1.0.0/24"])))
    words += [f"-p {protocol}"] if protocol else []
    has_ports = protocol in {"tcp", "udp", "sctp"}
    kinds = ("SNAT", "MASQUERADE", "NETMAP") if chain == "POSTROUTING" else ("SNAT",)
    match draw(st.sampled_from(kinds)):
        case "SNAT":
            prefixes = ("10.2.0", "10.1.0", "10.77.0") if chain == "POSTROUTING" else ("10.2.0", "10.1.0")
            words.append(f"-j SNAT --to-source {draw(_ends(prefixes, ports=has_ports))}")
        case "MASQUERADE":
            words.append("-j MASQUERADE")
            words += [f"--to-ports {draw(_ports())}"] if has_ports and draw(st.booleans()) else []
            words.append(draw(st.sampled_from(("", "--random", "--random-fully"))))
        case _:
            words.append("-j NETMAP --to 10.77.0.0/24")
    return " ".join(words)


@st.composite
def nat_rules(draw: st.DrawFn) -> tuple[str, ...]:
    """Draw the table nat, as lines for iptables-restore; shrinks to one without rules."""
    rules: list[str] = []
    for chain in ("PREROUTING", "OUTPUT"):
        rules += draw(st.lists(_destination_rules(chain), min_size=1, max_size=4))
    for chain in ("INPUT", "POSTROUTING"):
        rules += draw(st.lists(_source_rules(chain), max_size=2))
    return ("*nat", *rules, "COMMIT")


@st.composite
def talks(draw: st.DrawFn) -> Talk:
    """Draw a flow from either side or from the gateway itself, to a virtual address or a real one."""
    place = draw(st.sampled_from(("left", "left", "right", HERE)))
    sources = {"left": _LEFT, "right": _RIGHT, HERE: _OWN}[place]
    protocol = draw(st.sampled_from((UDP, TCP, ICMP, SCTP, _OTHERS)))
    src, dst = (
        draw(st.sampled_from(sources)),
        draw(st.sampled_from((*VIPS, *VIPS, *VIPS, _MAPPED, *_RIGHT, *_LEFT, *_OWN))),
    )
    sport = draw(st.sampled_from((1000, 700, 80, 0)))
    dport = draw(st.sampled_from(_PORTS))
    if protocol == ICMP:
        dport = 8 << 8
    elif protocol == _OTHERS:
        sport = dport = 0
    return Talk(place, Flow(protocol, _address(src), _address(dst), sport, dport))


def _address(text: str) -> IpAddress:
    return ip(text)
