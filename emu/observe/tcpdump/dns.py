# SPDX-License-Identifier: GPL-2.0-only
"""DNS, as tcpdump prints it: questions and answers on one line.

A known difference: where a message ends inside a record, tcpdump sometimes
passes over the rest in silence; here there is always a `[|domain]`.

Source: RFC 1035 §4, RFC 2782, RFC 3596, RFC 6891.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.observe.tcpdump.part import Cut
from emu.wire.addresses import IpAddress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.observe.tcpdump.part import Part

PORT: Final = 53
MULTICAST_PORT: Final = 5353
_HEADER: Final = 12

_QR, _AA, _TC, _RD, _RA, _AD, _CD = 0x8000, 0x0400, 0x0200, 0x0100, 0x0080, 0x0020, 0x0010
_ODD_IN_A_QUERY: Final = 0x06CF

_OPCODES: Final = (
    *("", " inv_q", " stat", " op3", " notify", " update", " op6", " op7", " op8"),
    *(" updateA", " updateD", " updateDA", " updateM", " updateMA", " zoneInit", " zoneRef"),
)
_RCODES: Final = (
    *("", " FormErr", " ServFail", " NXDomain", " NotImp", " Refused", " YXDomain", " YXRRSet", " NXRRSet"),
    *(" NotAuth", " NotZone", " Resp11", " Resp12", " Resp13", " Resp14", " NoChange"),
)
_A, _NS, _CNAME, _PTR, _MX, _TXT, _AAAA, _SRV, _DNAME, _OPT = 1, 2, 5, 12, 15, 16, 28, 33, 39, 41
_TYPES: Final = {
    _A: "A",
    _NS: "NS",
    _CNAME: "CNAME",
    6: "SOA",
    _PTR: "PTR",
    13: "HINFO",
    _MX: "MX",
    _TXT: "TXT",
    _AAAA: "AAAA",
    _SRV: "SRV",
    35: "NAPTR",
    _DNAME: "DNAME",
    _OPT: "OPT",
    43: "DS",
    46: "RRSIG",
    47: "NSEC",
    48: "DNSKEY",
    99: "SPF",
    250: "TSIG",
    251: "IXFR",
    252: "AXFR",
    255: "ANY",
    256: "URI",
}
_INTERNET: Final = 1
_HIGHEST: Final = 0x8000
_CLASSES: Final = {3: "CHAOS", 4: "HS", 255: "ANY"}


def words_over_tcp(part: Part) -> Iterator[str]:
    """Yield what a TCP payload says that is one message behind its length. Source: RFC 7766 §8."""
    yield " "
    if part.length < 2:
        yield f"[DNS over TCP: length {part.length} < 2] (invalid)"
        return
    stated = part.number(0, 2)
    if stated != part.length - 2:
        yield f"[prefix length({stated}) != length({part.length - 2})] (invalid)"
        return
    yield from words(part.after(2, part.protocol))


def words(part: Part, *, multicast: bool = False) -> Iterator[str]:
    """Yield what a message says.

    Args:
        part: the message.
        multicast: whether it came by the port of multicast DNS, where the
            highest bit of a class has a meaning of its own (RFC 6762 §18.12 and §18.13).
    """
    if part.length < _HEADER:
        yield f"domain [length {part.length} < {_HEADER}] (invalid)"
        return
    identifier, flags = part.number(0, 2), part.number(2, 2)
    opcode = _OPCODES[flags >> 11 & 15]
    if flags & _QR:
        marks = "".join(
            (
                "*" if flags & _AA else "",
                "" if flags & _RA else "-",
                "|" if flags & _TC else "",
                "$" if flags & _AD else "",
            )
        )
        yield f"{identifier}{opcode}{_RCODES[flags & 15]}{marks}"
        yield from _response(part, multicast=multicast)
    else:
        yield f"{identifier}{opcode}{'+' if flags & _RD else ''}{'%' if flags & _CD else ''}"
        if flags & _ODD_IN_A_QUERY:
            yield f" [b2&3=0x{flags:x}]"
        yield from _query(part, multicast=multicast)
    yield f" ({part.length})"


def _query(part: Part, *, multicast: bool) -> Iterator[str]:
    questions, answers, authorities, others = (part.number(at, 2) for at in (4, 6, 8, 10))
    if answers:
        yield f" [{answers}a]"
    if questions != 1:
        yield f" [{questions}q]"
    if authorities:
        yield f" [{authorities}n]"
    if others:
        yield f" [{others}au]"
    at = _HEADER
    for _ in range(questions):
        end = _name_end(part, at)
        kind, family = part.number(end, 2), part.number(end + 2, 2)
        unicast_reply = multicast and family & _HIGHEST
        marks = (" (QU)" if unicast_reply else " (QM)") if multicast else ""
        yield f" {_type(kind)}{_class(family ^ unicast_reply)}{marks}? "
        yield from _name(part, at)
        at = end + 4


def _response(part: Part, *, multicast: bool) -> Iterator[str]:
    questions, answers, authorities, others = (part.number(at, 2) for at in (4, 6, 8, 10))
    if questions != 1:
        yield f" [{questions}q]"
    at = _HEADER
    for number in range(questions):
        yield "," if number else ""
        at = _name_end(part, at) + 4
    yield f" {answers}/{authorities}/{others}"
    for number in range(answers):
        yield "," if number else ""
        at = _name_end(part, at)
        kind, family, length = part.number(at, 2), part.number(at + 2, 2), part.number(at + 8, 2)
        flush = multicast and family & _HIGHEST
        family ^= flush
        yield f"{'' if kind == _OPT else _class(family)}{' (Cache flush)' if flush else ''} {_type(kind)}"
        part.take(at + 10, length)
        yield from _data(part, at + 10, length, kind)
        if kind == _OPT:
            yield f" UDPsize={family}" + (" DO" if part.number(at + 6, 2) & 0x8000 else "")
        at += 10 + length


def _data(part: Part, at: int, length: int, kind: int) -> Iterator[str]:
    """Yield what a record of `length` octets at offset `at` says."""
    record = part.within(at + length)
    match kind:
        case 1:
            yield f" {IpAddress(record.take(at, 4))}"
        case 28:
            yield f" {IpAddress(record.take(at, 16))}"
        case 2 | 5 | 12 | 39:
            yield " "
            yield from _name(record, at)
        case 15:
            yield " "
            yield from _name(record, at + 2)
            yield f" {record.number(at, 2)}"
        case 33:
            yield " "
            yield from _name(record, at + 6)
            yield f":{record.number(at + 4, 2)} {record.number(at, 2)} {record.number(at + 2, 2)}"
        case 16:
            end = at + length
            while at < end:
                size = record.number(at, 1)
                yield f' "{_printable(record.take(at + 1, size))}"'
                at += 1 + size


def _type(kind: int) -> str:
    return _TYPES.get(kind, f"Type{kind}")


def _class(family: int) -> str:
    return "" if family == _INTERNET else f" {_CLASSES.get(family, f'(Class {family})')}"


def _name_end(part: Part, at: int) -> int:
    """Return where the name ends that begins at offset `at`."""
    while size := part.number(at, 1):
        if size >= 0xC0:
            return at + 2
        if size >= 0x40:
            raise Cut(part.protocol)  # no such kind of label is in use
        at += 1 + size
    return at + 1


def _name(part: Part, at: int) -> Iterator[str]:
    """Yield the labels of the name at offset `at`, its pointers followed, with a dot behind each."""
    limit = at
    if not part.number(at, 1):
        yield "."
    while size := part.number(at, 1):
        if size >= 0xC0:
            target = part.number(at, 2) & 0x3FFF
            if target >= limit:  # RFC 1035 §4.1.4: to a prior occurrence, so that none goes in circles
                yield "<BAD PTR>"
                raise Cut(part.protocol)
            at = limit = target
        elif size >= 0x40:
            raise Cut(part.protocol)
        else:
            yield _printable(part.take(at + 1, size)) + "."
            at += 1 + size


def _printable(octets: bytes) -> str:
    """Return text with `^X` for control characters and `M-x` for octets above 127."""
    return "".join(
        ("M-" if octet & 0x80 else "")
        + (chr(octet & 0x7F) if 0x20 <= octet & 0x7F < 0x7F else "^" + chr(octet & 0x7F ^ 0x40))
        for octet in octets
    )
