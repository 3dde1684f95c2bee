# SPDX-License-Identifier: GPL-2.0-only
"""What must hold of any network, whatever happens in it; each check returns what is wrong, a line each.

The checks know nothing of the code they check: checksums are summed up word by
word, and where a packet went is read from the steps that were recorded.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Final

from emu.kernel.link.bridge import Bridge
from emu.kernel.link.dummy import Dummy
from emu.kernel.link.ipip import Ipip
from emu.kernel.link.loopback import Loopback
from emu.kernel.link.vxlan import Vxlan
from emu.observe.recording import Kind
from emu.verify.journeys import TUNNEL_PORTS
from emu.wire import ethernet, icmp, ipv4, sctp, tcp, udp, vxlan
from emu.wire.ipv4 import Ipv4
from emu.wire.udp import Udp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from emu.kernel.link.device import Link
    from emu.observe.recording import Step
    from emu.testing.lab import Lab

_IPV4: Final = ethernet.IPV4.to_bytes(2, "big")
_ADDRESS: Final = re.compile(r"\b\d+\.\d+\.\d+\.\d+\b")

_TIMES: Final = re.compile(r"carries it (\d+) times")

_ENDS: Final = {
    "socket": "a program can read it",
    "echo": "the kernel answered it",
    "icmp": "the kernel itself was told something",
    "arp": "ARP is never handed on: it was answered, believed or passed over",
    "dummy": "a dummy device swallows what it sends",
    "unrouted": "the kernel would have answered it, and has no way back",
}
"""Stages at which a packet may end without being dropped, and why."""

_GOES_ON: Final = ("no error is sent", "to be answered in the place of")
"""Notes of those stages behind which something must follow all the same."""


# --- conservation ---


def unaccounted(lab: Lab) -> list[str]:
    """Return what became of packets without anybody saying so, in a lab that is at rest.

    Every frame that leaves a device arrives at the other end of its cable, as
    it is, or is dropped; every copy that a bridge, a tunnel or fragmentation
    makes goes on; and every packet that arrives goes on, is handed to a
    program or to the kernel itself, or is dropped with a reason.
    """

    def beyond(step: Step) -> tuple[Link, str | None]:
        point = f"{step.net}/{step.device}"
        return lab.find(point)[1].link, lab.peer(point)

    faults = lost(lab.steps, beyond)
    counted = Counter(step.net for step in lab.drops)
    for name, net in lab.fabric.namespaces.items():
        if net.drops.total() != counted[name]:
            faults.append(f"{name}: {net.drops.total()} drops counted and {counted[name]} told")
    return faults


def lost(steps: Sequence[Step], beyond: Callable[[Step], tuple[Link, str | None]]) -> list[str]:
    """Return what became of packets without a word, as in `unaccounted`.

    Args:
        steps: all of them, of a network that is at rest.
        beyond: gives, for a step out of a device, what the device is and the
            point at the other end of its cable.
    """
    ledger = _Ledger(steps, beyond)
    return [f"{_name(step)}: {fault}" for step in steps for fault in ledger.faults(step)]


def _name(step: Step) -> str:
    place = f"{step.net}/{step.device}" if step.device else step.net
    what = f"{step.kind.value} {place} {step.stage} {step.detail}".rstrip()
    return f"step {step.number} ({what}), packet {step.packet_id}"


class _Ledger:
    """The steps of a network as a forest: each with those that follow from it."""

    def __init__(self, steps: Sequence[Step], beyond: Callable[[Step], tuple[Link, str | None]]) -> None:
        self._beyond = beyond
        self._after: defaultdict[int, list[Step]] = defaultdict(list)
        self._wholes: defaultdict[tuple[str, bytes], list[Step]] = defaultdict(list)
        for step in steps:
            self._after[step.parent].append(step)
            if step.stage == "reassembly" and step.detail.startswith("whole"):
                self._wholes[step.net, _datagram(step.octets)].append(step)

    def faults(self, step: Step) -> Iterator[str]:
        """Yield what is wrong with what follows from `step`."""
        after = self._after[step.number]
        if any(follower.packet_id != step.packet_id for follower in after):
            yield "another packet follows from it"
        match step.kind:
            case Kind.OUT:
                yield from self._sent(step, after)
            case Kind.IN:
                yield from _exactly(1, after)
            case Kind.NOTE:
                yield from self._noted(step, after)
            case Kind.DROP if after and not any(follower.stage == "socket" for follower in after):
                yield "dropped, but it goes on"

    def _sent(self, step: Step, after: list[Step]) -> Iterator[str]:
        yield from _exactly(1, after)
        if len(after) != 1 or after[0].kind is Kind.DROP:
            return
        follower, point = after[0], f"{step.net}/{step.device}"
        if follower.stage == "cable":
            yield from self._carried(step, follower)
            return
        link, far_end = self._beyond(step)
        if isinstance(link, Bridge | Vxlan | Ipip | Dummy):
            if follower.stage != ("bridge" if isinstance(link, Bridge) else link.kind):
                yield f"a {link.kind} sent it, and then comes {follower.stage or follower.kind.value}"
            return
        target = point if isinstance(link, Loopback) else far_end
        if follower.kind is not Kind.IN or f"{follower.net}/{follower.device}" != target:
            yield f"it should arrive at {target}"
        elif follower.octets != step.octets:
            yield "other octets arrive"

    def _carried(self, sent: Step, step: Step) -> Iterator[str]:
        """Yield what is wrong with what a bad cable does: it says how often, or which bit flips."""
        _, far_end = self._beyond(sent)
        after = self._after[step.number]
        times = _TIMES.search(step.detail)
        yield from _exactly(int(times[1]) if times else 1, after)
        flipped = sum((a ^ b).bit_count() for a, b in zip(sent.octets, step.octets, strict=True))
        if flipped != (0 if times else 1):
            yield f"{flipped} bits of {len(sent.octets)} octets are others"
        for follower in after:
            if follower.stage == "cable":
                yield from self._carried(step, follower)
            elif follower.kind is not Kind.IN or f"{follower.net}/{follower.device}" != far_end:
                yield f"it should arrive at {far_end}"
            elif follower.octets != step.octets:
                yield "other octets arrive than the cable says"

    def _noted(self, step: Step, after: list[Step]) -> Iterator[str]:
        match step.stage:
            case "cable":
                return  # looked at with the frame that it carries
            case "bridge":
                ways = step.detail.rpartition(" to ")[2]
                yield from _exactly(1 if ways == "nobody" else len(ways.split(", ")), after)
            case "vxlan":
                yield from _exactly(len(_ADDRESS.findall(step.detail)), after)
            case "fragment" | "br_netfilter":
                whole, parts = _payload(step), sum(_payload(part) for part in after)
                if whole != parts:
                    yield f"{whole} octets of payload became {parts}"
            case "reassembly" if not after:
                yield from self._kept(step)
            case stage if after or stage not in _ENDS or step.detail.startswith(_GOES_ON):
                yield from _exactly(1, after)

    def _kept(self, step: Step) -> Iterator[str]:
        """Yield a fault unless a datagram that was put together later holds this fragment."""
        header = Ipv4.parse(step.octets)
        payload = step.octets[header.header_length :]
        if header.mf:
            payload = payload[: len(payload) & ~7]
        for whole in self._wholes[step.net, _datagram(step.octets)]:
            start = Ipv4.parse(whole.octets).header_length + header.offset
            if whole.number > step.number and whole.octets[start : start + len(payload)] == payload:
                return
        yield "a fragment vanished"


def _exactly(count: int, after: list[Step]) -> Iterator[str]:
    if not after:
        yield "it vanished"
    elif len(after) != count:
        yield f"{count} should follow, not {len(after)}"


def _datagram(packet: bytes) -> bytes:
    """Return what the fragments of one datagram share: addresses, protocol and identification."""
    return packet[12:20] + packet[9:10] + packet[4:6]


def _payload(step: Step) -> int:
    """Return how many octets follow the IP header of the packet at `step`, which may be in a frame."""
    packet = step.octets[ethernet.HEADER_LENGTH :] if step.framed else step.octets
    return len(packet) - Ipv4.parse(packet).header_length


# --- checksums ---


def sums_up(octets: bytes) -> bool:
    """Return whether `octets`, their checksum included, sum to all ones, word by word (RFC 1071)."""
    total = 0
    for at in range(0, len(octets), 2):
        total += int.from_bytes(octets[at : at + 2].ljust(2, b"\0"), "big")
        total = (total & 0xFFFF) + (total >> 16)
    return total == 0xFFFF


def wrong_checksums(frame: bytes) -> list[str]:
    """Return the layers of an Ethernet frame whose checksum is wrong, those inside a VXLAN packet too.

    What cannot be told from this frame alone (the transport's checksum of a
    fragment) is passed over, and so is what an ICMP error quotes.
    """
    if frame[12:14] != _IPV4:
        return []
    return _wrong_in_packet(frame[ethernet.HEADER_LENGTH :])


def _wrong_in_packet(octets: bytes) -> list[str]:
    header = Ipv4.parse(octets)
    wrong = [] if sums_up(octets[: header.header_length]) else ["IPv4"]
    body = octets[header.header_length : header.total_length]
    if header.is_fragment:
        return wrong
    pseudo = header.src + header.dst + bytes((0, header.protocol)) + len(body).to_bytes(2, "big")
    if header.protocol == ipv4.ICMP and len(body) >= icmp.HEADER_LENGTH and not sums_up(body):
        wrong.append("ICMP")
    if header.protocol == ipv4.TCP and len(body) >= tcp.MIN_HEADER and not sums_up(pseudo + body):
        wrong.append("TCP")
    if header.protocol == ipv4.SCTP and len(body) >= sctp.HEADER_LENGTH and not _crc_holds(body):
        wrong.append("SCTP")
    if header.protocol == ipv4.UDP and len(body) >= udp.HEADER_LENGTH:
        if any(body[6:8]) and not sums_up(pseudo + body):
            wrong.append("UDP")
        if Udp.parse(body).dport in TUNNEL_PORTS:
            inner = body[udp.HEADER_LENGTH + vxlan.HEADER_LENGTH :]
            wrong += [f"{layer} inside" for layer in wrong_checksums(inner)]
    return wrong


def _crc_holds(octets: bytes) -> bool:
    """Return whether the CRC32c of an SCTP packet is right, counted bit by bit (RFC 9260 appendix A)."""
    found = 0xFFFFFFFF
    for octet in octets[:8] + bytes(4) + octets[12:]:
        found ^= octet
        for _ in range(8):
            found = found >> 1 ^ (0x82F63B78 if found & 1 else 0)
    return (found ^ 0xFFFFFFFF).to_bytes(4, "little") == octets[8:12]
