# SPDX-License-Identifier: GPL-2.0-only
"""The rules of a node in mode ipvs: they ask sets, and are the same for any number of Services.

Source: pkg/proxy/ipvs/proxier.go `writeIptablesRules`, `acceptIPVSTraffic`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from emu.kube.proxy.ipvs import names
from emu.kube.proxy.lines import Written

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from emu.kube.proxy.config import Options
    from emu.kube.proxy.ipvs.ports import Blocked

_LOOPBACK: Final = "127.0.0.0/8"
_LOCAL: Final = "-m addrtype --dst-type LOCAL"
_FROM_OUTSIDE: Final = "-m physdev ! --physdev-is-in -m addrtype ! --src-type LOCAL"


_KNOWN: Final = (
    '-m comment --comment "kubernetes forwarding conntrack rule" '
    "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"
)


class _Asking(NamedTuple):
    """A rule that is there while its set has elements."""

    set: str
    chain: str
    target: str
    flags: str
    protocol: str = ""

    @property
    def line(self) -> str:
        proto = f"-p {self.protocol} " if self.protocol else ""
        return f"{proto}{_comment(self.set)} -m set --match-set {self.set} {self.flags} -j {self.target}"


_NAT: Final = (
    _Asking(names.LOOP_BACK, "KUBE-POSTROUTING", "MASQUERADE", "dst,dst,src"),
    _Asking(names.LOAD_BALANCER, "KUBE-SERVICES", "KUBE-LOAD-BALANCER", "dst,dst"),
    _Asking(names.LOAD_BALANCER_LOCAL, "KUBE-LOAD-BALANCER", "RETURN", "dst,dst"),
    *(
        _Asking(sets[protocol], "KUBE-NODE-PORT", target, flags, protocol)
        for protocol, flags in (("tcp", "dst"), ("udp", "dst"), ("sctp", "dst,dst"))
        for sets, target in ((names.LOCAL_NODE_PORTS, "RETURN"), (names.NODE_PORTS, "KUBE-MARK-MASQ"))
    ),
)
_FILTER: Final = (
    _Asking(names.LOAD_BALANCER_FW, "KUBE-PROXY-FIREWALL", "KUBE-SOURCE-RANGES-FIREWALL", "dst,dst"),
    _Asking(names.SOURCE_CIDR, "KUBE-SOURCE-RANGES-FIREWALL", "RETURN", "dst,dst,src"),
    _Asking(names.SOURCE_IP, "KUBE-SOURCE-RANGES-FIREWALL", "RETURN", "dst,dst,src"),
)


def _comment(name: str) -> str:
    return f'-m comment --comment "{names.SETS[name].comment}"'


def write(
    options: Options, filled: Collection[str], blocked: Sequence[Blocked]
) -> Mapping[str, tuple[Written, ...]]:
    """Return the chains by table.

    Args:
        options: what the proxy is told.
        filled: the sets that are not empty.
        blocked: the load balancers' addresses that the node may not use.
    """
    lines = {"nat": list(_nat(options, filled)), "filter": list(_filter(options, filled, blocked))}
    return {
        table: tuple(
            [Written(chain, tuple([line for at, line in lines[table] if at == chain])) for chain in chains]
        )
        for table, chains in names.CHAINS.items()
    }


def _nat(options: Options, filled: Collection[str]) -> Iterator[tuple[str, str]]:
    yield "KUBE-SERVICES", f"-s {_LOOPBACK} -j RETURN"
    yield from ((rule.chain, rule.line) for rule in _NAT if rule.set in filled)
    if names.CLUSTER_IP in filled:
        yield "KUBE-SERVICES", _off_cluster(options)
    for name in (names.EXTERNAL_IP, names.EXTERNAL_IP_LOCAL):
        if name in filled:
            asked = f"{_comment(name)} -m set --match-set {name} dst,dst"
            if name == names.EXTERNAL_IP:
                yield "KUBE-SERVICES", f"{asked} -j KUBE-MARK-MASQ"
            yield "KUBE-SERVICES", f"{asked} {_FROM_OUTSIDE} -j ACCEPT"
            yield "KUBE-SERVICES", f"{asked} {_LOCAL} -j ACCEPT"
    yield "KUBE-SERVICES", f"{_LOCAL} -j KUBE-NODE-PORT"
    yield "KUBE-LOAD-BALANCER", "-j KUBE-MARK-MASQ"
    for name in (names.CLUSTER_IP, names.LOAD_BALANCER):
        if name in filled:
            yield "KUBE-SERVICES", f"-m set --match-set {name} dst,dst -j ACCEPT"
    fully = " --random-fully" if options.features.random_fully else ""
    yield "KUBE-POSTROUTING", f"-m mark ! --mark {options.mark}/{options.mark} -j RETURN"
    yield "KUBE-POSTROUTING", f"-j MARK --xor-mark {options.mark}"
    yield (
        "KUBE-POSTROUTING",
        f'-m comment --comment "kubernetes service traffic requiring SNAT" -j MASQUERADE{fully}',
    )
    yield "KUBE-MARK-MASQ", f"-j MARK --or-mark {options.mark}"


def _off_cluster(options: Options) -> str:
    """Return what is masqueraded on its way to a ClusterIP; where nobody knows pods, the node itself alone.

    The node takes the address of the Service for its own: that is on its dummy device.
    """
    asked = f"{_comment(names.CLUSTER_IP)} -m set --match-set {names.CLUSTER_IP}"
    if options.masquerade_all:
        return f"{asked} dst,dst -j KUBE-MARK-MASQ"
    if options.detector.is_known:
        return f"{asked} dst,dst {options.detector.others} -j KUBE-MARK-MASQ"
    return f"{asked} src,dst -j KUBE-MARK-MASQ"


def _filter(
    options: Options, filled: Collection[str], blocked: Sequence[Blocked]
) -> Iterator[tuple[str, str]]:
    yield from ((rule.chain, rule.line) for rule in _FILTER if rule.set in filled)
    yield "KUBE-SOURCE-RANGES-FIREWALL", "-j DROP"
    for each in blocked:
        place = f"--vaddr {each.address} --vproto {each.protocol} --vport {each.port}"
        yield "KUBE-IPVS-OUT-FILTER", f"-s {each.address} -m ipvs {place} -j DROP"
    mark = f"-m mark --mark {options.mark}/{options.mark}"
    yield "KUBE-FORWARD", f'-m comment --comment "kubernetes forwarding rules" {mark} -j ACCEPT'
    yield "KUBE-FORWARD", _KNOWN
    checks = f"-m set --match-set {names.HEALTH_CHECKS} dst"
    yield "KUBE-NODE-PORT", f"{_comment(names.HEALTH_CHECKS)} {checks} -j ACCEPT"
    for name in (names.LOAD_BALANCER, names.CLUSTER_IP, names.EXTERNAL_IP, names.EXTERNAL_IP_LOCAL):
        yield "KUBE-IPVS-FILTER", f"-m set --match-set {name} dst,dst -j RETURN"
    yield "KUBE-IPVS-FILTER", f"{checks} -j RETURN"
    refused = f"-m conntrack --ctstate NEW -m set --match-set {names.IPVS_IPS} dst"
    yield "KUBE-IPVS-FILTER", f"{refused} -j REJECT"
