# SPDX-License-Identifier: GPL-2.0-only
"""Hypothesis strategies for nftables: rules, and whole rulesets, as texts that the real nft takes.

What they ask of packets is about a few addresses and ports, so that packets drawn
from the same few (`ADDRESSES`, `PORTS`) meet them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hypothesis import strategies as st

from emu.kernel.netfilter.nftables.tables import NfTables
from emu.sim.time import START
from emu.tools.nft.loading import load
from emu.tools.nft.shown import sorted_sets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.kernel.netfilter.nftables.ruleset import Ruleset

ADDRESSES: Final = ("10.0.0.1", "10.0.0.2", "10.0.1.1", "192.168.0.1", "198.51.100.7")
PORTS: Final = (22, 53, 80, 443, 8080)
MARKS: Final = (0, 1, 2, 0x10, 0x4000)

_NETWORKS: Final = ("10.0.0.0/24", "10.0.0.0/8", "192.168.0.0/16", "0.0.0.0/0", "10.0.0.1-10.0.0.3")
_SETS: Final = """
set hosts { type ipv4_addr; elements = { 10.0.0.1, 192.168.0.1 }; }
set nets { type ipv4_addr; flags interval; elements = { 10.0.0.0/24, 198.51.100.0-198.51.100.9 }; }
set ends { type ipv4_addr . inet_service; elements = { 10.0.0.1 . 80, 10.0.0.2 . 53 }; }
set wide { type ipv4_addr . inet_service; flags interval
  elements = { 10.0.0.0/24 . 80-443, 10.0.1.1 . 22 }
}
set seen { type ipv4_addr; flags dynamic; size 100; }
map marks { type ipv4_addr : mark; elements = { 10.0.0.1 : 1, 10.0.0.2 : 2 }; }
map verdicts { type ipv4_addr . inet_proto . inet_service : verdict
  elements = { 10.0.0.1 . tcp . 80 : drop, 10.0.0.2 . udp . 53 : goto deep, 10.0.1.1 . tcp . 22 : accept }
}
counter total { }
"""
_FLAGS: Final = ("syn", "ack", "fin", "rst", "psh")
_HOOKS: Final = ("prerouting", "input", "forward", "output", "postrouting")
_PRIORITIES: Final = ("raw", "mangle", "-10", "filter", "filter + 3", "security", "200")


def _one(of: Sequence[object]) -> st.SearchStrategy[str]:
    return st.sampled_from([str(one) for one in of])


def _braced(of: Sequence[object], *, least: int = 2) -> st.SearchStrategy[str]:
    some = st.lists(_one(of), min_size=least, max_size=4, unique=True)
    return some.map(lambda found: f"{{ {', '.join(found)} }}")


def _joined(*parts: str | st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    drawn = [st.just(part) if isinstance(part, str) else part for part in parts]
    return st.tuples(*drawn).map(lambda found: " ".join(part for part in found if part))


_NOT: Final = st.sampled_from(("", "!="))
_RANGES: Final = st.tuples(st.sampled_from(PORTS), st.integers(0, 1000)).map(
    lambda pair: f"{pair[0]}-{pair[0] + pair[1]}"
)


def _addresses() -> st.SearchStrategy[str]:
    wanted = _one(ADDRESSES) | _one(_NETWORKS) | _braced(ADDRESSES) | _one(("@hosts", "@nets"))
    return _joined("ip", _one(("saddr", "daddr")), _NOT, wanted)


def _headers() -> st.SearchStrategy[str]:
    return st.one_of(
        _addresses(),
        _joined("ip ttl", _one(("<", ">", "", "!=")), _one((1, 2, 64, 128))),
        _joined("ip length", _NOT, _one(("20-60", "100", "0-1500"))),
        _joined("ip dscp", _NOT, _one(("cs0", "cs1", "ef")) | _braced(("cs0", "cs1", "ef"))),
        _joined("ip frag-off &", _one(("0x1fff", "0x2000", "0x4000")), _one(("!=", "==")), "0"),
        _joined("ip id", _NOT, _one((0, 5))),
        _joined("ip saddr & 0.0.0.3 ==", _one(("0.0.0.1", "0.0.0.2"))),
        _joined("ip saddr . ip daddr", _one(("{ 10.0.0.1 . 10.0.0.2, 10.0.1.1 . 10.0.0.1 }",))),
    )


def _metadata() -> st.SearchStrategy[str]:
    return st.one_of(
        _joined("meta mark", _NOT, _one(MARKS) | _braced(MARKS)),
        _joined("meta mark &", _one((1, 0x4000)), _one(("==", "!=")), _one((0, 1))),
        _joined("meta length", _one(("<", ">")), _one((40, 60, 100))),
        _joined("meta pkttype", _NOT, _one(("host", "broadcast"))),
        _joined(_one(("iifname", "oifname")), _NOT, _one(('"lo"', '"eth*"', '"eth0"'))),
        _joined("fib", _one(("saddr", "daddr")), "type", _NOT, _one(("local", "unicast", "broadcast"))),
    )


def _connections() -> st.SearchStrategy[str]:
    return st.one_of(
        _joined("ct state", _one(("new", "established,related", "invalid", "!= established", "! new"))),
        _joined("ct direction", _one(("original", "reply"))),
        _joined("ct status", _one(("dnat", "! snat", "assured"))),
        _joined("ct mark", _NOT, _one(MARKS)),
        _joined("ct original ip saddr", _one(ADDRESSES)),
    )


def _ports(protocol: str) -> st.SearchStrategy[str]:
    wanted = _one(PORTS) | _RANGES | _braced(PORTS)
    return _joined(protocol, _one(("sport", "dport")), _NOT, wanted)


def _tcp() -> st.SearchStrategy[str]:
    flags = st.lists(st.sampled_from(_FLAGS), min_size=1, max_size=3, unique=True).map(",".join)
    masked = _joined("tcp flags & (fin | syn | rst | ack) ==", _one(("syn", "ack")))
    return st.one_of(
        _ports("tcp"),
        _joined("tcp flags", _one(("", "!", "==")), _one(_FLAGS)),
        _joined("tcp flags", flags),
        masked,
        _joined("tcp option maxseg size", _one(("", "<", ">")), _one((536, 1400, 1460))),
        _one(("ip saddr . tcp dport @ends", "ip daddr . tcp dport @wide", "tcp window > 100")),
    )


def _icmp() -> st.SearchStrategy[str]:
    types = ("echo-request", "echo-reply", "destination-unreachable")
    return st.one_of(
        _joined("icmp type", _NOT, _one(types) | _braced(types)),
        _joined("icmp code", _one((0, 1, 3))),
        _joined("icmp id", _one((1, 7))),
    )


def _anything() -> st.SearchStrategy[str]:
    return st.one_of(
        _joined("meta l4proto { tcp, udp } th", _one(("sport", "dport")), _one(PORTS)),
        _joined("ip protocol", _NOT, _one(("tcp", "udp", "icmp")) | _braced(("tcp", "udp", "icmp"))),
    )


_ABOUT: Final = {
    "tcp": _tcp(),
    "udp": _ports("udp") | _joined("udp length", _one((8, 20))),
    "icmp": _icmp(),
    "any": _anything(),
}


def _effects() -> st.SearchStrategy[str]:
    return st.one_of(
        st.just("counter"),
        st.just('counter name "total"'),
        _joined("meta mark set", _one(MARKS)),
        _joined("meta mark set meta mark", _one(("&", "|", "^")), _one((1, 0x10, 0xFF))),
        st.just("meta mark set ip saddr map @marks"),
        _joined("ip ttl set", _one((3, 64))),
        st.just("update @seen { ip saddr }"),
        _joined("jhash ip saddr . ip daddr mod 4 seed 0x7", _one((0, 1))),
        _joined("numgen inc mod 3", _one((0, 1, 2))),
    )


def nft_rules(
    *, chains: Sequence[str] = (), connections: bool = True, reject: bool = False
) -> st.SearchStrategy[str]:
    """Rules of family ip or inet, which need the sets of `nft_rulesets`.

    Args:
        chains: where they may jump to.
        connections: they may ask for connections.
        reject: they may reject.
    """
    verdicts = ["", "accept", "drop", "return", "continue"]
    verdicts += [f"{verb} {name}" for name in chains for verb in ("jump", "goto")]
    verdicts += ["reject", "reject with icmp host-unreachable"] if reject else []
    ports = ["ip daddr . meta l4proto . th dport vmap @verdicts"] if "deep" in chains else []
    if "deep" in chains:
        verdicts += ["ip protocol vmap { tcp : jump deep, udp : drop, icmp : continue }"]
    general = [_headers(), _metadata()] + ([_connections()] if connections else [])

    def rule(protocol: str) -> st.SearchStrategy[str]:
        conditions = st.lists(st.one_of(*general, _ABOUT[protocol]), max_size=3).map(" ".join)
        # behind `icmp`, nft lists `th dport` as the field of ICMP that is there: `icmp checksum`
        ends = verdicts if protocol == "icmp" else verdicts + ports
        return _joined(conditions, st.just("") | _effects(), _one(ends)).map(lambda text: text or "accept")

    return st.sampled_from(sorted(_ABOUT)).flatmap(rule)


@st.composite
def nft_texts(
    draw: st.DrawFn,
    *,
    families: Sequence[str] = ("ip", "inet"),
    hooks: Sequence[str] = _HOOKS,
    connections: bool = True,
    reject: bool = True,
) -> str:
    """Files for `nft -f` with one table: base chains at some hooks, and chains that they lead to.

    Args:
        draw: given by Hypothesis.
        families: of the table.
        hooks: where base chains may be.
        connections: rules may ask for connections.
        reject: rules may reject, but behind routing.
    """
    lines = [f"table {draw(st.sampled_from(list(families)))} drawn {{", _SETS]
    lines += _chain(draw, "deep", [], connections=connections)
    lines += _chain(draw, "wide", ["deep"], connections=connections)
    for number, hook in enumerate(draw(st.lists(st.sampled_from(list(hooks)), min_size=1, max_size=3))):
        priority = draw(st.sampled_from(_PRIORITIES))
        policy = draw(st.sampled_from(("accept", "accept", "drop")))
        head = [f"type filter hook {hook} priority {priority}; policy {policy};"]
        may_reject = reject and hook in ("input", "forward", "output")
        lines += _chain(
            draw, f"{hook}{number}", ["deep", "wide"], head, connections=connections, reject=may_reject
        )
    return "\n".join([*lines, "}\n"])


def _chain(
    draw: st.DrawFn,
    name: str,
    targets: Sequence[str],
    head: Sequence[str] = (),
    *,
    connections: bool,
    reject: bool = False,
) -> list[str]:
    rules = nft_rules(chains=targets, connections=connections, reject=reject)
    return [f"chain {name} {{", *head, *draw(st.lists(rules, max_size=4)), "}"]


def nft_rulesets(
    *,
    families: Sequence[str] = ("ip", "inet"),
    hooks: Sequence[str] = _HOOKS,
    connections: bool = True,
    reject: bool = True,
) -> st.SearchStrategy[Ruleset]:
    """Rulesets as values, which `emu.tools.nft.listing.render` writes down; arguments as of `nft_texts`."""

    def ruleset(text: str) -> Ruleset:
        nft = NfTables()
        load(nft, text, START)
        return sorted_sets(nft.snapshot(START))

    return nft_texts(families=families, hooks=hooks, connections=connections, reject=reject).map(ruleset)
