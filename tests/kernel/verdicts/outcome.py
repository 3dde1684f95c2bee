# SPDX-License-Identifier: GPL-2.0-only
"""What became of a case, in a form in which the kernel's and ours can be compared.

Some things differ by design and are made equal: the IP identification of
packets that the router makes, ports that NAT draws at random, and the time of
day. Checksums become whether they are right.
"""

from __future__ import annotations

import re
from itertools import zip_longest
from typing import TYPE_CHECKING, Final, NamedTuple

import attrs

from emu.wire import checksum, ipv4
from emu.wire.ipv4 import Ipv4

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from tests.kernel.verdicts.script import Seen

_RIGHT: Final = b"\xaa\xaa"
_UNCERTAIN: Final = b"\xbb\xbb"
_OWN_IDENTIFICATION: Final = b"\xee\xee"
_PORTS: Final = frozenset((6, 17, 33, 132, 136))
_SUM_AT: Final = {6: 16, 17: 6, 136: 6}
_ERRORS: Final = frozenset((3, 4, 5, 11, 12))
_IDENTIFIED: Final = frozenset((0, 8, 13, 14, 15, 16, 17, 18))
_TIMESTAMP_REPLY: Final = 14
_DRAWN: Final = b"\xdd\xdd"
_ELEMENTS: Final = re.compile(r"elements = \{([^}]*)\}")
_TIME: Final = re.compile(r"\b(expires|timeout) [\dhmsd]+")
_TOLERANCE: Final = 2  # s, of timeouts


class Count(NamedTuple):
    """What a rule or a policy has counted."""

    packets: int
    octets: int


class Connection(NamedTuple):
    """An entry of the connection table; a tuple is addresses and ports (or type, code, identifier)."""

    protocol: int
    state: str
    original: tuple[str, ...]
    reply: tuple[str, ...]
    flags: tuple[str, ...]
    mark: int
    zones: tuple[int, int]
    left: int


@attrs.frozen
class Outcome:
    """What became of a case.

    Attributes:
        steps: what came out of the ends, step by step.
        events: what programs of the router met, step by step.
        counts: by table, chain, and number of the rule from 1, 0 for the policy.
        connections: the connection table in the end.
        state: what else rules have left behind, see `state_lines`.
    """

    steps: tuple[tuple[Seen, ...], ...]
    events: tuple[tuple[str, ...], ...]
    counts: Mapping[tuple[str, str, int], Count]
    connections: tuple[Connection, ...]
    state: tuple[str, ...] = ()


@attrs.define
class _Reader:
    """Makes frames comparable.

    Attributes:
        identifications: those that the case has given to packets.
        ports: ports and ICMP identifiers that the case or its rules name.
    """

    identifications: Collection[int]
    ports: Collection[int]

    def port(self, octets: bytes) -> bytes:
        """Return a port, or what stands for any that nobody named."""
        number = int.from_bytes(octets, "big")
        if number in self.ports:
            return octets
        return _DRAWN

    def frame(self, octets: bytes) -> bytes:
        """Return a frame made comparable."""
        if octets[12:14] != b"\x08\x00" or len(octets) < 34:
            return octets
        return octets[:14] + self.packet(octets[14:], whole=True)

    def packet(self, packet: bytes, *, whole: bool) -> bytes:
        """Return an IP packet made comparable; one that is quoted may be cut short."""
        header = Ipv4.parse(packet)
        length = header.header_length
        if length < ipv4.MIN_HEADER or len(packet) < length:
            return packet
        head = bytearray(packet[:length])
        if checksum.verifies(bytes(head)):
            head[10:12] = _RIGHT
        if header.identification and header.identification not in self.identifications:
            head[4:6] = _OWN_IDENTIFICATION
            if head[10:12] != _RIGHT:
                head[10:12] = _UNCERTAIN
        payload = packet[length:]
        if header.offset:
            return bytes(head) + payload
        octets = self._payload(header, payload, whole=whole and not header.mf)
        at = _SUM_AT.get(header.protocol)
        if not whole and bytes(head[4:6]) in (_OWN_IDENTIFICATION, b"\0\0") and at is not None:
            octets = octets[:at] + _UNCERTAIN + octets[at + 2 :]  # the kernel leaves it to the device
        return bytes(head) + octets

    def _payload(self, header: Ipv4, payload: bytes, *, whole: bool) -> bytes:
        if header.protocol == ipv4.ICMP:
            return self._icmp(payload, whole=whole)
        if header.protocol not in _PORTS or len(payload) < 4:
            return payload
        octets = bytearray(payload)
        octets[:2], octets[2:4] = self.port(payload[:2]), self.port(payload[2:4])
        at = _SUM_AT.get(header.protocol)
        if header.protocol == 132 and len(payload) >= 12 and octets[:4] != payload[:4]:
            octets[8:12] = _UNCERTAIN * 2
        if at is None or len(payload) < at + 2 or not any(payload[at : at + 2]):
            return bytes(octets)
        pseudo = checksum.pseudo_header(header.src, header.dst, header.protocol, len(payload))
        if whole and checksum.verifies(payload, pseudo):
            octets[at : at + 2] = _RIGHT
        elif octets[:4] != payload[:4]:
            octets[at : at + 2] = _UNCERTAIN
        return bytes(octets)

    def _icmp(self, payload: bytes, *, whole: bool) -> bytes:
        if len(payload) < 8:
            return payload
        octets = bytearray(payload)
        if payload[0] in _IDENTIFIED:
            octets[4:6] = self.port(payload[4:6])
        elif payload[0] in _ERRORS and len(payload) >= 28:
            octets[8:] = self.packet(payload[8:], whole=False)
        if payload[0] == _TIMESTAMP_REPLY:
            octets[12:20] = bytes(8)
        if whole and checksum.verifies(payload):
            octets[2:4] = _RIGHT
        elif octets[4:] != payload[4:]:
            octets[2:4] = _UNCERTAIN
        return bytes(octets)

    def connection(self, row: Connection) -> Connection:
        """Return an entry made comparable."""
        original, reply = (self._tuple(words, row.protocol) for words in (row.original, row.reply))
        return row._replace(original=original, reply=reply)

    def _tuple(self, words: tuple[str, ...], protocol: int) -> tuple[str, ...]:
        known = 4 if protocol == ipv4.ICMP else 2  # addresses, and what kind of message it is
        rest = (word if int(word) in self.ports else "drawn" for word in words[known:])
        return (*words[:known], *rest)


def differences(
    linux: Outcome, emu: Outcome, identifications: Collection[int], ports: Collection[int]
) -> list[str]:
    """Return a line for each thing in which two outcomes differ."""
    readers = _Reader(identifications, ports), _Reader(identifications, ports)
    found = []
    for number, pair in enumerate(zip(linux.steps, emu.steps, strict=True)):
        real, ours = (
            [(seen.end, reader.frame(seen.octets).hex()) for seen in frames]
            for reader, frames in zip(readers, pair, strict=True)
        )
        if real != ours:
            found += [f"step {number}: Linux: {_listed(real)}", f"step {number}: emu:   {_listed(ours)}"]
    for number, (events, mine) in enumerate(zip(linux.events, emu.events, strict=True)):
        if events != mine:
            found += [f"step {number}: Linux: {list(events)}", f"step {number}: emu:   {list(mine)}"]
    for place in sorted(linux.counts.keys() | emu.counts.keys()):
        if linux.counts.get(place) != emu.counts.get(place):
            found.append(f"count of {place}: Linux {linux.counts.get(place)}, emu {emu.counts.get(place)}")
    found += _connections(
        [readers[0].connection(row) for row in linux.connections],
        [readers[1].connection(row) for row in emu.connections],
    )
    pairs = zip_longest(linux.state, emu.state, fillvalue="")
    return found + [f"state: Linux {real!r}, emu {ours!r}" for real, ours in pairs if real != ours]


def state_lines(texts: Iterable[str]) -> tuple[str, ...]:
    """Return what `nft list ruleset` and `ipset save` print of the state of rules, but for what times pass.

    What nft adds to a rule of family `inet` is left out. Elements are sorted; how an
    ipset is made, its secret included, is left out.
    """
    joined = (_ELEMENTS.sub(_sorted_elements, text) for text in texts)
    found = [
        _TIME.sub(r"\1 ...", line.rstrip()).replace("meta nfproto ipv4 ", "")
        for text in joined
        for line in text.splitlines()
    ]
    lines = [line for line in found if not line.startswith(("create ", "add "))]
    return (*lines, *sorted(line for line in found if line.startswith("add ")))


def _sorted_elements(match: re.Match[str]) -> str:
    """Return the elements of a set of nftables in an order that no secret decides."""
    return f"elements = {{ {', '.join(sorted(map(str.strip, match[1].split(','))))} }}"


def _listed(frames: list[tuple[str, str]]) -> str:
    return ", ".join(f"{end} {octets}" for end, octets in frames) or "nothing"


def _connections(linux: list[Connection], emu: list[Connection]) -> list[str]:
    found, ours = [], list(emu)
    for row in linux:
        same = next(
            (one for one in ours if one[:-1] == row[:-1] and abs(one.left - row.left) <= _TOLERANCE), None
        )
        if same is None:
            found.append(f"connection of Linux: {row}")
        else:
            ours.remove(same)
    return found + [f"connection of emu: {row}" for row in ours]


def told(octets: bytes) -> str:
    """Return a line that tells what a frame is."""
    if octets[12:14] != b"\x08\x00" or len(octets) < 34:
        return octets.hex()
    return told_packet(octets[14:])


def told_packet(packet: bytes) -> str:
    """Return a line that tells what an IP packet is."""
    header = Ipv4.parse(packet)
    payload = packet[header.header_length :]
    fragment = f" fragment {header.fragment:#x}" if header.is_fragment else ""
    text = f"{_dotted(header.src)} > {_dotted(header.dst)} proto {header.protocol} ttl {header.ttl}"
    text += f" id {header.identification:#x} len {len(packet)}{fragment}"
    if header.header_length > 20:
        text += f" options {packet[20 : header.header_length].hex()}"
    if header.protocol in _PORTS and len(payload) >= 4 and not header.offset:
        text += f" ports {int.from_bytes(payload[:2], 'big')} > {int.from_bytes(payload[2:4], 'big')}"
    if header.protocol == 6 and len(payload) >= 14:
        letters = "".join(letter for bit, letter in enumerate("FSRPAUEC") if payload[13] >> bit & 1)
        text += f" flags {letters or '-'}"
    if header.protocol == 1 and len(payload) >= 8 and not header.offset:
        text += f" icmp {payload[0]}/{payload[1]} id {int.from_bytes(payload[4:6], 'big')}"
        if payload[0] in _ERRORS and len(payload) >= 28:
            text += f" [{told_packet(payload[8:])}]"
    return text


def _dotted(address: bytes) -> str:
    return ".".join(map(str, address))
