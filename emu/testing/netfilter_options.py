# SPDX-License-Identifier: GPL-2.0-only
"""What may stand behind `-m` and `-j`, as Hypothesis strategies of words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

import attrs
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Words: TypeAlias = list[str]
"""Words of a command line."""

_Strategy: TypeAlias = st.SearchStrategy[Words]

ADDRESSES: Final = st.sampled_from(("10.0.0.1", "10.0.0.2", "10.0.1.1", "192.168.7.9", "255.255.255.255"))
"""Addresses that rules ask for."""

NETWORKS: Final = st.one_of(
    ADDRESSES,
    st.builds("{}/{}".format, ADDRESSES, st.integers(1, 32)),
    st.sampled_from(("10.0.0.0/255.0.255.0", "0.0.0.1/0.0.0.1")),
)
"""Addresses under masks; a few masks have gaps."""

PORTS: Final = st.sampled_from((0, 1, 22, 53, 80, 1024, 8080, 65535))
"""Ports that rules ask for."""

_RANGES: Final = st.one_of(PORTS.map(str), st.sampled_from(("1:2", "22:53", "80:8080", "1024:65535")))
"""None begins at 0: iptables-nft prints `! --sport 0:1` as `--sport 2:65535`, iptables-legacy as it was."""
_U32: Final = st.one_of(st.sampled_from((0, 1, 0x4000, 0xFFFFFFFF)), st.integers(0, 0xFFFFFFFF))
_MARKS: Final = st.one_of(_U32.map(hex), st.builds("{:#x}/{:#x}".format, _U32, _U32))


# --- how options are put together ---


def flag(name: str, *, invertible: bool = False) -> _Strategy:
    """An option without a value."""
    return st.sampled_from([[name], ["!", name]]) if invertible else st.just([name])


def option(name: str, values: st.SearchStrategy[object], *, invertible: bool = False) -> _Strategy:
    """An option with one of `values`."""
    return st.tuples(flag(name, invertible=invertible), values).map(lambda pair: [*pair[0], str(pair[1])])


def maybe(words: _Strategy) -> _Strategy:
    """Either nothing or `words`."""
    return st.one_of(st.just([]), words)


def one(*choices: _Strategy) -> _Strategy:
    """One of several options that exclude each other."""
    return st.one_of(choices)


def joined(*parts: _Strategy) -> _Strategy:
    """All of `parts`, in this order."""
    return st.tuples(*parts).map(lambda drawn: [word for words in drawn for word in words])


def some(*choices: _Strategy) -> _Strategy:
    """Some of several options, but at least one, in this order."""
    return joined(*map(maybe, choices)).filter(bool)


def _list_of(values: Sequence[str], most: int = 4) -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from(values), min_size=1, max_size=most, unique=True).map(",".join)


def _inverted(name: str, values: st.SearchStrategy[object]) -> _Strategy:
    return option(name, values, invertible=True)


def _range(values: st.SearchStrategy[int], separator: str) -> st.SearchStrategy[str]:
    return st.tuples(values, values).map(lambda two: f"{min(two)}{separator}{max(two)}")


# --- matches ---

_FLAGS: Final = _list_of(("SYN", "ACK", "FIN", "RST", "URG", "PSH"))
_TYPES: Final = _list_of(("UNICAST", "LOCAL", "BROADCAST", "MULTICAST"))
_SECONDS: Final = st.integers(1, 60)
_CT_STATES: Final = ("INVALID", "NEW", "RELATED", "ESTABLISHED", "UNTRACKED", "SNAT", "DNAT")
_STATISTIC: Final = one(
    joined(
        st.just(["--mode", "random"]),
        _inverted("--probability", st.sampled_from(("0.5", "0.33333333349", "0.25", "1.0", "0"))),
    ),
    joined(
        st.just(["--mode", "nth"]),
        _inverted("--every", st.integers(2, 5)),
        option("--packet", st.integers(0, 1)),
    ),
)
_RECENT: Final = joined(
    one(
        flag("--set", invertible=True),
        joined(
            one(flag("--rcheck", invertible=True), flag("--update", invertible=True)),
            maybe(option("--seconds", _SECONDS)),
            maybe(option("--hitcount", st.integers(1, 5))),
        ),
        flag("--remove", invertible=True),
    ),
    option("--name", st.sampled_from(("knocks", "K"))),
    maybe(one(flag("--rsource"), flag("--rdest"))),
)

MATCHES: Final[Mapping[str, _Strategy]] = {
    "addrtype": some(_inverted("--src-type", _TYPES), _inverted("--dst-type", _TYPES)),
    "comment": option(
        "--comment", st.text(st.characters(codec="ascii", exclude_categories=["C"]), max_size=30)
    ),
    "connmark": _inverted("--mark", _MARKS),
    "conntrack": some(
        _inverted("--ctstate", _list_of(_CT_STATES)),
        _inverted("--ctproto", st.sampled_from(("6", "17", "1"))),
        _inverted("--ctorigsrc", NETWORKS),
        _inverted("--ctorigdst", NETWORKS),
        _inverted("--ctorigdstport", PORTS),
        _inverted("--ctstatus", _list_of(("EXPECTED", "SEEN_REPLY", "ASSURED", "CONFIRMED"))),
        option("--ctdir", st.sampled_from(("ORIGINAL", "REPLY"))),
    ),
    "dscp": _inverted("--dscp", st.integers(0, 63)),
    "icmp": _inverted("--icmp-type", st.sampled_from(("8", "0", "3", "3/4", "any", "11"))),
    "iprange": some(
        _inverted("--src-range", st.just("10.0.0.1-10.0.0.9")),
        _inverted("--dst-range", st.just("10.0.0.2-10.0.1.1")),
    ),
    "length": _inverted("--length", _range(st.integers(20, 1500), ":")),
    "limit": joined(
        option("--limit", st.sampled_from(("1/sec", "3/min", "10/hour"))),
        maybe(option("--limit-burst", st.integers(1, 9))),
    ),
    "mac": _inverted("--mac-source", st.just("02:00:00:00:00:01")),
    "mark": _inverted("--mark", _MARKS),
    "multiport": one(
        *[
            _inverted(name, st.lists(_RANGES, min_size=1, max_size=4).map(",".join))
            for name in ("--sports", "--dports", "--ports")
        ]
    ),
    "physdev": some(
        _inverted("--physdev-in", st.sampled_from(("eth0", "veth+"))),
        flag("--physdev-is-bridged", invertible=True),
    ),
    "pkttype": _inverted("--pkt-type", st.sampled_from(("unicast", "broadcast", "multicast"))),
    "recent": _RECENT,
    "rpfilter": some(flag("--loose"), flag("--validmark"), flag("--invert")),
    "sctp": some(_inverted("--sport", _RANGES), _inverted("--dport", _RANGES)),
    "state": option("--state", _list_of(("INVALID", "NEW", "RELATED", "ESTABLISHED"))),
    "statistic": _STATISTIC,
    "tcp": joined(
        maybe(_inverted("--sport", _RANGES)),
        maybe(_inverted("--dport", _RANGES)),
        maybe(
            one(
                flag("--syn", invertible=True),
                joined(_inverted("--tcp-flags", _FLAGS), _FLAGS.map(lambda text: [text])),
            )
        ),
        maybe(_inverted("--tcp-option", st.integers(1, 255))),
    ),
    "tcpmss": _inverted("--mss", _range(st.integers(0, 65535), ":")),
    "tos": _inverted("--tos", st.builds("{:#x}/{:#x}".format, st.integers(0, 255), st.integers(0, 255))),
    "ttl": one(
        _inverted("--ttl-eq", st.integers(0, 255)),
        option("--ttl-lt", st.integers(1, 255)),
        option("--ttl-gt", st.integers(0, 254)),
    ),
    "udp": joined(maybe(_inverted("--sport", _RANGES)), maybe(_inverted("--dport", _RANGES))),
}
"""What may follow each match; those that need something outside the rules are left out."""

PROTOCOLS: Final[Mapping[str, frozenset[str]]] = {
    "icmp": frozenset({"icmp"}),
    "multiport": frozenset({"tcp", "udp", "sctp"}),
    "sctp": frozenset({"sctp"}),
    "tcp": frozenset({"tcp"}),
    "tcpmss": frozenset({"tcp"}),
    "udp": frozenset({"udp"}),
}
"""The protocols that a match needs; it is missing if it needs none."""


# --- targets ---


@attrs.frozen
class Acting:
    """A target: the tables where it may stand, and the words that may follow.

    Attributes:
        tables: their names.
        words: what follows.
        protocols: what the rule has to say with `-p`; empty for nothing.
        before: conditions without which one of the two programs refuses it.
    """

    tables: frozenset[str]
    words: _Strategy
    protocols: frozenset[str] = frozenset()
    before: tuple[str, ...] = ()


_ALL: Final = frozenset({"raw", "mangle", "nat", "filter", "security"})
_NAT: Final = frozenset({"nat"})
_MANGLE: Final = frozenset({"mangle"})
_SET_MARKS: Final = tuple(
    option(name, values)
    for name, values in (
        ("--set-xmark", _MARKS),
        ("--set-mark", _MARKS),
        ("--and-mark", _U32.map(hex)),
        ("--or-mark", _U32.map(hex)),
        ("--xor-mark", _U32.map(hex)),
    )
)
_ADDRESS_RANGES: Final = st.one_of(ADDRESSES, st.just("10.0.0.1-10.0.0.9"))
_HOW: Final = maybe(flag("--random")), maybe(flag("--persistent"))
_TO_PORTS: Final = st.one_of(
    st.integers(1, 65535).map(str), _range(st.integers(1, 65535), "-").filter(lambda text: len(text) > 1)
)
_REJECTIONS: Final = (
    "icmp-net-unreachable",
    "icmp-host-unreachable",
    "icmp-port-unreachable",
    "icmp-proto-unreachable",
    "icmp-net-prohibited",
    "icmp-host-prohibited",
    "icmp-admin-prohibited",
)

TARGETS: Final[Mapping[str, Acting]] = {
    "CONNMARK": Acting(_ALL, one(*_SET_MARKS, flag("--save-mark"), flag("--restore-mark"))),
    "CT": Acting(frozenset({"raw"}), one(flag("--notrack"), option("--zone", st.integers(0, 9)))),
    "DNAT": Acting(_NAT, joined(option("--to-destination", _ADDRESS_RANGES), *_HOW)),
    "DSCP": Acting(_MANGLE, option("--set-dscp", st.integers(0, 63))),
    "LOG": Acting(
        _ALL,
        joined(
            maybe(option("--log-level", st.integers(0, 7))),
            maybe(option("--log-prefix", st.sampled_from(("seen", "two words ")))),
        ),
    ),
    "MARK": Acting(_ALL, one(*_SET_MARKS)),
    "MASQUERADE": Acting(_NAT, joined(maybe(flag("--random")))),
    "NETMAP": Acting(_NAT, option("--to", st.sampled_from(("10.9.0.0/24", "10.9.0.1")))),
    "REDIRECT": Acting(_NAT, joined(option("--to-ports", _TO_PORTS)), frozenset({"tcp", "udp"})),
    "REJECT": Acting(frozenset({"filter"}), option("--reject-with", st.sampled_from(_REJECTIONS))),
    "SNAT": Acting(_NAT, joined(option("--to-source", _ADDRESS_RANGES), *_HOW)),
    "TCPMSS": Acting(
        _MANGLE,
        option("--set-mss", st.integers(500, 1460)),
        frozenset({"tcp"}),
        ("-m", "tcp", "--tcp-flags", "SYN,RST", "SYN"),
    ),
    "TOS": Acting(
        _MANGLE,
        option("--set-tos", st.builds("{:#x}/{:#x}".format, st.integers(0, 255), st.integers(0, 255))),
    ),
    "TTL": Acting(
        _MANGLE,
        one(
            *[option(name, st.integers(1, 255)) for name in ("--ttl-set", "--ttl-dec", "--ttl-inc")],
        ),
    ),
}
"""What may follow each target; those that need something outside the rules are left out."""
