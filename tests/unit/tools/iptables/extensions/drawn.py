# SPDX-License-Identifier: GPL-2.0-only
"""Values of matches and targets, drawn at random, each with what its rule has to say beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs
from hypothesis import strategies as st

from emu.kernel.netfilter.conntrack.entry import Direction, Status
from emu.kernel.netfilter.log_line import LogFields
from emu.kernel.netfilter.matches.addrtype import AddressType, AddressTypes, Limit
from emu.kernel.netfilter.matches.connbytes import ConnBytes, Measure, Way
from emu.kernel.netfilter.matches.connlimit import ConnLimit
from emu.kernel.netfilter.matches.connmark import Connmark
from emu.kernel.netfilter.matches.conntrack import (
    Conntrack,
    CtAddress,
    CtExpire,
    CtPort,
    CtProtocol,
    CtState,
    CtStatus,
    End,
    State,
    States,
)
from emu.kernel.netfilter.matches.ecn import Ecn
from emu.kernel.netfilter.matches.icmp import Icmp
from emu.kernel.netfilter.matches.iprange import AddressRange, IpRange
from emu.kernel.netfilter.matches.length import Length
from emu.kernel.netfilter.matches.mac import SourceMac
from emu.kernel.netfilter.matches.multiport import Multiport, Side
from emu.kernel.netfilter.matches.owner import IdRange, Owner
from emu.kernel.netfilter.matches.physdev import Physdev, Port
from emu.kernel.netfilter.matches.pkttype import LinkType
from emu.kernel.netfilter.matches.recent import Deed, Recent
from emu.kernel.netfilter.matches.statistic import CERTAIN, Nth, Random
from emu.kernel.netfilter.matches.tcpmss import SegmentSize
from emu.kernel.netfilter.matches.tos import Dscp, Tos
from emu.kernel.netfilter.matches.ttl import Comparison, Ttl
from emu.kernel.netfilter.nat_range import NatRange
from emu.kernel.netfilter.targets.connmark import RestoreMark, SaveMark, SetConnmark
from emu.kernel.netfilter.targets.ct import Track, Zone, ZoneScope
from emu.kernel.netfilter.targets.log import Log, NfLog
from emu.kernel.netfilter.targets.nat import Dnat, Masquerade, Redirect, Snat
from emu.kernel.netfilter.targets.reject import Answer, Reject
from emu.kernel.netfilter.targets.tcpmss import SetMss
from emu.kernel.netfilter.targets.tos import SetDscp, SetTos
from emu.kernel.netfilter.targets.ttl import Change, ChangeTtl
from emu.kernel.netfilter.targets.without_effect import Classify
from emu.kernel.skb import PacketType
from emu.wire.addresses import IpAddress

if TYPE_CHECKING:
    from emu.kernel.netfilter.ruleset import Action, Match


@attrs.frozen
class Place:
    """Where a value can be: a table and a chain of it, and a protocol, 0 for any."""

    table: str = "filter"
    chain: str = "FORWARD"
    protocol: int = 0


TCP: Final = Place(protocol=6)
MANGLE: Final = Place("mangle", "FORWARD")

_BOOL: Final = st.booleans()
_OCTET: Final = st.integers(0, 0xFF)
_PORT: Final = st.integers(0, 0xFFFF)
_WORD: Final = st.integers(0, 0xFFFFFFFF)
_OCTETS: Final = st.binary(min_size=4, max_size=4)
_ADDRESS: Final = _OCTETS.map(IpAddress)
_MASK: Final = st.integers(0, 32).map(
    lambda length: (0xFFFFFFFF << 32 - length & 0xFFFFFFFF).to_bytes(4, "big")
)
_NAME: Final = st.text("abcdefgh0123", min_size=1, max_size=8)
_PREFIX: Final = st.text("ab :\"\\'z", max_size=20)
_PORTS: Final = st.tuples(_PORT, _PORT).map(sorted).map(lambda ends: (ends[0], ends[1]))


def _flags(kinds: list[CtState] | list[AddressTypes] | list[Status]) -> st.SearchStrategy[int]:
    return st.sets(st.sampled_from([int(kind) for kind in kinds]), min_size=1).map(sum)


def _optional(*values: object) -> st.SearchStrategy[bool | None]:
    del values
    return st.sampled_from((None, True, False))


_STATES: Final = _flags(
    [CtState.INVALID, CtState.NEW, CtState.RELATED, CtState.ESTABLISHED, CtState.UNTRACKED]
)
_CTSTATES: Final = _flags(list(CtState)).map(CtState)
_STATUS: Final = _flags([Status.EXPECTED, Status.SEEN_REPLY, Status.ASSURED, Status.CONFIRMED])
_ENDS: Final = tuple(End)


@st.composite
def _conntracks(draw: st.DrawFn) -> Conntrack:
    ends = draw(st.sets(st.sampled_from(_ENDS)))
    others = draw(st.sets(st.sampled_from(_ENDS)))
    ports = (draw(_PORTS) for _ in others)
    value = Conntrack(
        draw(st.none() | st.builds(States, _CTSTATES, _BOOL)),
        draw(st.none() | st.sampled_from(Direction)),
        tuple(CtAddress(end, draw(_OCTETS), draw(_MASK), draw(_BOOL)) for end in _ENDS if end in ends),
        draw(st.none() | st.builds(CtProtocol, st.integers(1, 255), _BOOL)),
        tuple(CtPort(end, *next(ports), draw(_BOOL)) for end in _ENDS if end in others),
        draw(st.none() | st.builds(CtStatus, _STATUS, _BOOL)),
        draw(st.none() | st.builds(CtExpire, _PORT, _PORT, _BOOL)),
    )
    return value if value != Conntrack() else Conntrack(direction=Direction.REPLY)


@st.composite
def _nat_ranges(draw: st.DrawFn, *, addresses: bool, shifts: bool, fully: bool) -> NatRange:
    low = high = base = None
    if addresses:
        low = draw(_ADDRESS)
        high = draw(st.just(low) | _ADDRESS)
    first = last = None
    if draw(_BOOL):
        first, last = draw(_PORTS)
        base = draw(st.none() | _PORT) if shifts and first != last else None
    persistent = addresses and draw(_BOOL)
    return NatRange(low, high, first, last, base, draw(_BOOL), fully and draw(_BOOL), persistent)


def _iprange(source: AddressRange | None, destination: AddressRange | None) -> IpRange:
    return IpRange(source or AddressRange(bytes(4), bytes(4)), destination)


def _owner(user: IdRange | None, group: IdRange | None, *, has_socket: bool | None) -> Owner:
    return Owner(user, group, True if user is group is None else has_socket)


_ADDRESS_RANGES: Final = st.builds(AddressRange, _OCTETS, _OCTETS, _BOOL)
_TYPES: Final = _flags([kind for kind in AddressTypes if kind]).map(AddressTypes)
_IDS: Final = st.builds(lambda ends, inverted: IdRange(ends[0], ends[1], inverted), _PORTS, _BOOL)
_BRIDGE_PORTS: Final = st.builds(Port, _NAME, _BOOL)


def _multiport(side: Side, ranges: list[tuple[int, int]], *, inverted: bool) -> Multiport:
    return Multiport(side, tuple(ranges), inverted)


# `--connbytes 0:0` is left out: iptables prints it as 0, which means any number.
MATCHES: Final[tuple[tuple[Place, st.SearchStrategy[Match]], ...]] = (
    (Place(protocol=1), st.builds(lambda kind, inverted: Icmp(kind, inverted=inverted), _OCTET, _BOOL)),
    (
        Place(protocol=1),
        st.builds(lambda kind, code: Icmp(kind, code, code), st.integers(0, 254), _OCTET),
    ),
    (
        TCP,
        st.builds(
            _multiport,
            st.sampled_from(Side),
            st.lists(_PORTS, min_size=1, max_size=7),
            inverted=_BOOL,
        ),
    ),
    (Place(), st.builds(Connmark, _WORD, _WORD, _BOOL)),
    (Place(), _conntracks()),
    (Place(), st.builds(lambda states, inverted: State(CtState(states), inverted), _STATES, _BOOL)),
    (
        Place(),
        st.builds(
            lambda source, destination, inverted, limit: AddressType(
                source, destination, inverted, not inverted, limit
            ),
            _TYPES,
            _TYPES,
            _BOOL,
            st.none() | st.sampled_from(Limit),
        ),
    ),
    (Place(), st.builds(Random, st.integers(0, CERTAIN), _BOOL)),
    (
        Place(),
        st.builds(
            lambda every, packet, inverted: Nth(every, packet % every, inverted),
            st.integers(1, 99),
            st.integers(0, 98),
            _BOOL,
        ),
    ),
    (Place(), st.builds(_iprange, _ADDRESS_RANGES, st.none() | _ADDRESS_RANGES)),
    (Place(), st.builds(Length, _PORT, _PORT, _BOOL)),
    (
        Place(protocol=6),
        st.builds(
            lambda one, other, flag: SegmentSize(min(one, other), max(one, other), flag), _PORT, _PORT, _BOOL
        ),
    ),
    (Place(), st.builds(Ttl, st.sampled_from(Comparison), _OCTET)),
    (
        Place(),
        st.builds(Physdev, _BRIDGE_PORTS, st.none() | _BRIDGE_PORTS, _optional(), _optional(), _optional()),
    ),
    (Place(), st.builds(LinkType, st.sampled_from(PacketType), _BOOL)),
    (Place(), st.builds(Tos, _OCTET, _OCTET, _BOOL)),
    (Place(), st.builds(Dscp, st.integers(0, 63), _BOOL)),
    (TCP, st.builds(Ecn, st.integers(0, 3), _BOOL, _optional(), _optional())),
    (Place(), st.builds(SourceMac, st.binary(min_size=6, max_size=6), _BOOL)),
    (
        Place(chain="OUTPUT"),
        st.builds(_owner, st.none() | _IDS, st.none() | _IDS, has_socket=_optional()),
    ),
    (
        Place(),
        st.builds(
            lambda deed, name, seconds, hits, inverted: Recent(
                deed, name, seconds, hits, reap=seconds > 5, inverted=inverted
            ),
            st.sampled_from((Deed.CHECK, Deed.UPDATE)),
            _NAME,
            st.integers(0, 9),
            st.integers(0, 9),
            _BOOL,
        ),
    ),
    (
        Place(),
        st.builds(
            lambda measure, way, ends, inverted: ConnBytes(measure, way, ends[0], ends[1] + 1, inverted),
            st.sampled_from(Measure),
            st.sampled_from(Way),
            _PORTS,
            _BOOL,
        ),
    ),
    (TCP, st.builds(ConnLimit, _PORT, st.integers(0, 32), _BOOL, _BOOL)),
)
"""A strategy for each match, and where its values can be."""

TARGETS: Final[tuple[tuple[Place, st.SearchStrategy[Action]], ...]] = (
    (
        Place("nat", "PREROUTING", 6),
        st.builds(Dnat, _nat_ranges(addresses=True, shifts=True, fully=False)),
    ),
    (
        Place("nat", "POSTROUTING", 17),
        st.builds(Snat, _nat_ranges(addresses=True, shifts=False, fully=True)),
    ),
    (
        Place("nat", "POSTROUTING", 6),
        st.builds(Masquerade, _nat_ranges(addresses=False, shifts=False, fully=True)),
    ),
    (
        Place("nat", "OUTPUT", 6),
        st.builds(Redirect, _nat_ranges(addresses=False, shifts=False, fully=False)),
    ),
    (TCP, st.builds(Reject, st.sampled_from(Answer))),
    (MANGLE, st.builds(SetConnmark, _WORD, _WORD)),
    (MANGLE, st.builds(SaveMark, _WORD, _WORD)),
    (MANGLE, st.builds(RestoreMark, _WORD, _WORD)),
    (
        Place("raw", "PREROUTING"),
        st.builds(
            Track, st.none() | st.builds(Zone, st.none() | st.integers(1, 65535), st.sampled_from(ZoneScope))
        ),
    ),
    (MANGLE, st.builds(ChangeTtl, st.sampled_from(Change), st.integers(1, 255))),
    (MANGLE, st.builds(SetTos, _OCTET, _OCTET)),
    (MANGLE, st.builds(SetDscp, st.integers(0, 63))),
    (MANGLE, st.builds(Classify, _PORT, _PORT)),
    (
        Place(),
        st.builds(Log, st.builds(LogFields, _BOOL, _BOOL, _BOOL, _BOOL, _BOOL), st.integers(0, 7), _PREFIX),
    ),
    (Place(), st.builds(NfLog, _PORT, _PREFIX, st.none() | _PORT, _PORT)),
    (Place("mangle", "FORWARD", 6), st.builds(SetMss, st.integers(0, 65515))),
)
"""A strategy for each target, and where its values can be."""
