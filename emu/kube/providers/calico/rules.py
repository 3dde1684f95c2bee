# SPDX-License-Identifier: GPL-2.0-only
"""The rules of Felix that are the same for all pods of a node.

    raw     PREROUTING    a pod's packet with a source that is not its own ends here
    filter  INPUT         tunnels from nodes alone; a pod's packets to its node
            FORWARD       to the chains of pods, and what these accepted is accepted
            OUTPUT        a node may always reach its own pods
    nat     POSTROUTING   masquerades what leaves the pools, and what tunnels send from elsewhere

Known differences: table mangle, `cali-cidr-block` and the chains of host endpoints are
empty or left out, since there are no host endpoints; nobody looks after these rules
when somebody else takes them away.

Source: projectcalico/calico felix/rules/static.go, nat.go (v3.31).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from emu.kube.policy.wanted import Hook, Wanted, WantedChain, WantedSet
from emu.kube.providers.calico.hashes import FelixRule, lines

if TYPE_CHECKING:
    from collections.abc import Iterable

    from emu.kube.providers.calico.options import Options
    from emu.wire.addresses import IpAddress, Prefix

ACCEPT_MARK: Final = 0x10000
PASS_MARK: Final = 0x20000
WORKLOAD_MARK: Final = 0x80000  # the first scratch bit
ALL_MARKS: Final = 0x1B0000
FORWARD_MARKS: Final = 0x1A0000

POOLS: Final = "cali40network-ip-pools"
MASQUERADED: Final = "cali40masq-ipam-pools"
HOSTS: Final = "cali40all-hosts-net"
TUNNEL_ENDS: Final = "cali40all-vxlan-net"

FROM_PODS: Final = "cali-from-wl-dispatch"
TO_PODS: Final = "cali-to-wl-dispatch"

_ACCEPTED: Final = f"-m mark --mark {ACCEPT_MARK:#x}/{ACCEPT_MARK:#x}"
_ACCEPT: Final = FelixRule("--jump ACCEPT", _ACCEPTED)
_FILTER: Final = (
    "cali-FORWARD",
    "cali-INPUT",
    "cali-OUTPUT",
    "cali-wl-to-host",
    "cali-from-hep-forward",
    "cali-to-hep-forward",
    "cali-from-host-endpoint",
    "cali-to-host-endpoint",
    "cali-cidr-block",
)
_TUNNEL_SOURCES: Final = "-m addrtype ! --src-type LOCAL --limit-iface-out -m addrtype --src-type LOCAL"


class Peers(NamedTuple):
    """What rules have to know of a cluster.

    Attributes:
        pool: where pods have their addresses.
        hosts: the addresses of all nodes.
        others: those of the other nodes.
        tunnel: the name of the tunnel's device, empty for none.
    """

    pool: Prefix
    hosts: tuple[IpAddress, ...]
    others: tuple[IpAddress, ...]
    tunnel: str


def tables(options: Options, peers: Peers) -> tuple[Wanted, ...]:
    """Return all rules, a table each."""
    return _raw(options, peers), _filter(options, peers), _nat(options, peers)


def _clear(mark: int) -> FelixRule:
    return FelixRule(f"--jump MARK --set-mark 0/{mark:#x}")


def _chain(name: str, rules: Iterable[FelixRule] = ()) -> WantedChain:
    return WantedChain(name, lines(name, rules))


def _hooks(**chains: str) -> tuple[Hook, ...]:
    return tuple(
        [Hook(name, lines(name, [FelixRule(f"--jump {chain}")])[0]) for name, chain in chains.items()]
    )


def _is_vxlan(peers: Peers) -> bool:
    return peers.tunnel.startswith("vxlan")


# --- filter ---


def _filter(options: Options, peers: Peers) -> Wanted:
    tail = lines(
        "FORWARD",
        [
            FelixRule("--jump ACCEPT", _ACCEPTED, ("Policy explicitly accepted packet.",)),
            FelixRule(f"--jump MARK --set-mark {ACCEPT_MARK:#x}/{ACCEPT_MARK:#x}"),
        ],
    )
    chains = (
        _chain(
            "cali-FORWARD",
            [
                _clear(FORWARD_MARKS),
                FelixRule("--jump cali-from-hep-forward", f"-m mark --mark 0/{ACCEPT_MARK:#x}"),
                FelixRule(f"--jump {FROM_PODS}", "--in-interface cali+"),
                FelixRule(f"--jump {TO_PODS}", "--out-interface cali+"),
                FelixRule("--jump cali-to-hep-forward"),
                FelixRule("--jump cali-cidr-block"),
            ],
        ),
        _chain("cali-INPUT", _input(options, peers)),
        _chain("cali-OUTPUT", _output(options, peers)),
        _chain(
            "cali-wl-to-host",
            [
                FelixRule(f"--jump {FROM_PODS}"),
                FelixRule(
                    f"--jump {options.endpoint_to_host.upper()}",
                    comments=("Configured DefaultEndpointToHostAction",),
                ),
            ],
        ),
        *map(_chain, _FILTER[4:]),
    )
    sets = []
    if peers.tunnel == "tunl0":
        sets.append(_addresses(HOSTS, peers.hosts))
    elif _is_vxlan(peers):
        sets.append(_addresses(TUNNEL_ENDS, peers.others))
    return Wanted(
        "filter",
        tuple(sets),
        chains,
        (
            *_hooks(INPUT="cali-INPUT", FORWARD="cali-FORWARD", OUTPUT="cali-OUTPUT"),
            *(Hook("FORWARD", line, at_end=True) for line in tail),
        ),
        prefixes=_FILTER,
        ensured=(FROM_PODS, TO_PODS),
    )


def _input(options: Options, peers: Peers) -> list[FelixRule]:
    rules: list[FelixRule] = []
    if peers.tunnel == "tunl0":
        rules += [
            FelixRule(
                "--jump ACCEPT",
                f"-p 4 -m set --match-set {HOSTS} src -m addrtype --dst-type LOCAL",
                ("Allow IPIP packets from Calico hosts",),
            ),
            FelixRule("--jump DROP", "-p 4", ("Drop IPIP packets from non-Calico hosts",)),
        ]
    if _is_vxlan(peers):
        port = f"-p 17 -m multiport --destination-ports {options.vxlan_port}"
        rules += [
            FelixRule(
                "--jump ACCEPT",
                f"{port} -m set --match-set {TUNNEL_ENDS} src -m addrtype --dst-type LOCAL",
                ("Allow IPv4 VXLAN packets from allowed hosts",),
            ),
            FelixRule(
                "--jump DROP",
                f"{port} -m addrtype --dst-type LOCAL",
                ("Drop IPv4 VXLAN packets from non-allowed hosts",),
            ),
        ]
    return [
        *rules,
        FelixRule("--goto cali-wl-to-host", "--in-interface cali+"),
        _ACCEPT,
        _clear(ALL_MARKS),
        FelixRule("--jump cali-from-host-endpoint"),
        _ACCEPT._replace(comments=("Host endpoint policy accepted packet.",)),
    ]


def _output(options: Options, peers: Peers) -> list[FelixRule]:
    rules = [_ACCEPT, FelixRule("--jump RETURN", "--out-interface cali+")]
    if peers.tunnel == "tunl0":
        rules.append(
            FelixRule(
                "--jump ACCEPT",
                f"-p 4 -m set --match-set {HOSTS} dst -m addrtype --src-type LOCAL",
                ("Allow IPIP packets to other Calico hosts",),
            )
        )
    if _is_vxlan(peers):
        rules.append(
            FelixRule(
                "--jump ACCEPT",
                f"-p 17 -m multiport --destination-ports {options.vxlan_port}"
                f" -m addrtype --src-type LOCAL -m set --match-set {TUNNEL_ENDS} dst",
                ("Allow IPv4 VXLAN packets to other allowed hosts",),
            )
        )
    return [
        *rules,
        _clear(ALL_MARKS),
        FelixRule("--jump cali-to-host-endpoint", "-m conntrack ! --ctstate DNAT"),
        _ACCEPT._replace(comments=("Host endpoint policy accepted packet.",)),
    ]


# --- raw ---


def _raw(options: Options, peers: Peers) -> Wanted:
    workload = f"-m mark --mark {WORKLOAD_MARK:#x}/{WORKLOAD_MARK:#x}"
    untracked = []
    if _is_vxlan(peers):
        untracked = [FelixRule("--jump NOTRACK", f"-p udp -m udp --dport {options.vxlan_port}")]
    return Wanted(
        "raw",
        (),
        (
            _chain(
                "cali-PREROUTING",
                [
                    _clear(ALL_MARKS),
                    *untracked,
                    FelixRule(
                        f"--jump MARK --set-mark {WORKLOAD_MARK:#x}/{WORKLOAD_MARK:#x}",
                        "--in-interface cali+",
                    ),
                    FelixRule("--jump cali-rpf-skip", workload),
                    FelixRule("--jump DROP", f"{workload} -m rpfilter --validmark --invert"),
                    FelixRule("--jump cali-from-host-endpoint", f"-m mark --mark 0/{WORKLOAD_MARK:#x}"),
                    _ACCEPT,
                ],
            ),
            _chain(
                "cali-OUTPUT",
                [_clear(ALL_MARKS), *untracked, FelixRule("--jump cali-to-host-endpoint"), _ACCEPT],
            ),
            *map(_chain, ("cali-rpf-skip", "cali-from-host-endpoint", "cali-to-host-endpoint")),
        ),
        _hooks(PREROUTING="cali-PREROUTING", OUTPUT="cali-OUTPUT"),
        prefixes=("cali-",),
    )


# --- nat ---


def _nat(options: Options, peers: Peers) -> Wanted:
    masquerade = "--jump MASQUERADE --random-fully"
    outgoing: list[FelixRule] = []
    sets = [_networks(POOLS, [peers.pool])]
    if options.nat_outgoing:
        sets.append(_networks(MASQUERADED, [peers.pool]))
        match = f"-m set --match-set {MASQUERADED} src -m set ! --match-set {POOLS} dst"
        if options.exclusions == "IPPoolsAndHostIPs":
            sets.append(_addresses(HOSTS, peers.hosts))
            match += f" -m set ! --match-set {HOSTS} dst"
        outgoing.append(FelixRule(masquerade, match))
    post = [FelixRule("--jump cali-fip-snat"), FelixRule("--jump cali-nat-outgoing")]
    if peers.tunnel:
        post.append(FelixRule(masquerade, f"--out-interface {peers.tunnel} {_TUNNEL_SOURCES}"))
    return Wanted(
        "nat",
        tuple(sets),
        (
            _chain("cali-PREROUTING", [FelixRule("--jump cali-fip-dnat")]),
            _chain("cali-OUTPUT", [FelixRule("--jump cali-fip-dnat")]),
            _chain("cali-POSTROUTING", post),
            _chain("cali-nat-outgoing", outgoing),
            *map(_chain, ("cali-fip-dnat", "cali-fip-snat")),
        ),
        (
            *_hooks(PREROUTING="cali-PREROUTING", OUTPUT="cali-OUTPUT"),
            *(each._replace(at_end=True) for each in _hooks(POSTROUTING="cali-POSTROUTING")),
        ),
        prefixes=("cali-",),
    )


def _addresses(name: str, addresses: Iterable[IpAddress]) -> WantedSet:
    return WantedSet(name, "hash:net", frozenset(map(str, addresses)))


def _networks(name: str, prefixes: Iterable[Prefix]) -> WantedSet:
    return WantedSet(name, "hash:net", frozenset(map(str, prefixes)))
