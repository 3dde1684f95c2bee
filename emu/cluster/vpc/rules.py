# SPDX-License-Identifier: GPL-2.0-only
"""Rules of a VPC's router: what each interface and each subnet lets pass.

    raw     PREROUTING   ENI-n-SRC      source check: an address of the interface
    mangle  PREROUTING                  the TTL that forwarding takes is given back
            FORWARD      ENI-n-OUT      security groups, egress
    filter  FORWARD      SUBNET-n-OUT   the ACL of the subnet that is left
                         SUBNET-n-IN    the ACL of the subnet that is entered
                         ENI-n-DST      destination check
                         ENI-n-IN       security groups, ingress

Security groups know connections, ACLs do not; so each stage has chains of its own,
and each packet passes all of them. A rule carries in its comment who wrote it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from emu.cluster.vpc.comments import AclRuling, AddressCheck, Guard
from emu.cluster.vpc.spec import DEFAULT_GROUP, EVERYWHERE
from emu.wire import ipv4
from emu.wire.addresses import Prefix

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from emu.cluster.vpc.layout import Eni
    from emu.cluster.vpc.spec import AclRule, AclSpec, GroupRule, SubnetSpec, Traffic, VpcSpec, Who

RESOLVER: Final = "dns"
"""The device of the router that leads to the resolver, which groups do not guard."""

INTERNET: Final = "igw"
"""The device of the router that leads to the internet gateway."""

_CHAIN: Final = re.compile(r"[A-Za-z0-9_.-]{1,20}")
_OUR_OWN: Final = "RELATED,ESTABLISHED"
_ALL: Final = -1
_NAMES: Final = {ipv4.ICMP: "icmp", ipv4.TCP: "tcp", ipv4.UDP: "udp", ipv4.SCTP: "sctp"}


def render(spec: VpcSpec, interfaces: Sequence[Eni]) -> str:
    """Return what `iptables-restore` reads.

    Args:
        spec: the VPC.
        interfaces: those that hang on the router.
    """
    writer = _Writer(spec, interfaces)
    return writer.raw() + writer.mangle() + writer.filter()


def own(eni: Eni) -> Iterator[str]:
    """Yield the addresses that belong to an interface."""
    yield from (f"{each}/32" for each in dict.fromkeys((eni.address, *eni.others)))
    yield from map(str, eni.ranges)


class _Writer:
    def __init__(self, spec: VpcSpec, interfaces: Sequence[Eni]) -> None:
        self._spec = spec
        self._interfaces = interfaces
        self._acls = {name: acl for acl in spec.acls for name in acl.subnets}
        names = [DEFAULT_GROUP, *(group.name for group in spec.groups)]
        self._chains = {
            name: name if _CHAIN.fullmatch(name) else str(number) for number, name in enumerate(names)
        }
        used = dict.fromkeys(name for each in interfaces for name in each.groups or ())
        self._groups = [spec.group(name) for name in used]
        self._lets_all_out = {group.name for group in self._groups if group.egress is None}

    # --- tables ---

    def raw(self) -> str:
        lines = []
        for eni in self._checked:
            chain = chain_of(eni, "SRC")
            lines.append(f"-A PREROUTING -i {eni.name} -j {chain}")
            lines += [f"-A {chain} -s {each} -j RETURN" for each in own(eni)]
            lines.append(f"-A {chain} {_comment(AddressCheck(eni.owner, eni.iface))} -j DROP")
        chains = [chain_of(eni, "SRC") for eni in self._checked]
        return _table("raw", ("PREROUTING", "OUTPUT"), chains, lines)

    def mangle(self) -> str:
        lines = [
            f"-A PREROUTING {_comment('VPC: nobody sees its router')} -j TTL --ttl-inc 1",
        ]
        guarded = [eni for eni in self._interfaces if self._guards_exit(eni)]
        lines += [f"-A FORWARD -i {eni.name} -j {chain_of(eni, 'OUT')}" for eni in guarded]
        for eni in guarded:
            lines.append(f"-A {chain_of(eni, 'OUT')} -o {RESOLVER} -j ACCEPT")
            lines += self._guard(eni, "OUT", "egress")
        groups = [group for group in self._groups if group.egress is not None]
        for group in groups:
            for index, rule in enumerate(group.egress or ()):
                words = f"VPC security group {group.name} egress[{index}]"
                lines += self._rules(f"SG-{self._chains[group.name]}-OUT", rule, words, "-d", "-o")
        chains = [chain_of(eni, "OUT") for eni in guarded]
        chains += [f"SG-{self._chains[group.name]}-OUT" for group in groups]
        hooks = ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING")
        return _table("mangle", hooks, chains, lines)

    def filter(self) -> str:
        lines = [f"-A INPUT {_comment('VPC: its router answers nobody')} -j DROP"]
        subnets = [each for each in self._spec.subnets if each.name in self._acls]
        for subnet in subnets:
            members = [eni for eni in self._interfaces if eni.subnet == subnet]
            lines += [f"-A FORWARD -i {eni.name} -j {self._of(subnet)}-OUT" for eni in members]
        for subnet in subnets:
            members = [eni for eni in self._interfaces if eni.subnet == subnet]
            lines += [f"-A FORWARD -o {eni.name} -j {self._of(subnet)}-IN" for eni in members]
        lines += [f"-A FORWARD -o {eni.name} -j {chain_of(eni, 'DST')}" for eni in self._checked]
        guarded = [eni for eni in self._interfaces if eni.groups is not None]
        lines += [f"-A FORWARD -o {eni.name} -j {chain_of(eni, 'IN')}" for eni in guarded]
        for subnet in subnets:
            lines += self._acl(subnet, self._acls[subnet.name])
        for eni in self._checked:
            chain = chain_of(eni, "DST")
            lines += [f"-A {chain} -d {each} -j RETURN" for each in own(eni)]
            lines.append(f"-A {chain} {_comment(AddressCheck(eni.owner, eni.iface))} -j DROP")
        for eni in guarded:
            lines += self._guard(eni, "IN", "ingress")
        for group in self._groups:
            for index, rule in enumerate(group.ingress):
                words = f"VPC security group {group.name} ingress[{index}]"
                lines += self._rules(f"SG-{self._chains[group.name]}-IN", rule, words, "-s", "-i")
        chains = [f"{self._of(subnet)}-{way}" for subnet in subnets for way in ("OUT", "IN")]
        chains += [chain_of(eni, "DST") for eni in self._checked]
        chains += [chain_of(eni, "IN") for eni in guarded]
        chains += [f"SG-{self._chains[group.name]}-IN" for group in self._groups]
        return _table("filter", ("INPUT", "FORWARD", "OUTPUT"), chains, lines)

    # --- parts ---

    @property
    def _checked(self) -> list[Eni]:
        return [eni for eni in self._interfaces if eni.is_checked]

    def _guards_exit(self, eni: Eni) -> bool:
        return eni.groups is not None and not self._lets_all_out & set(eni.groups)

    def _guard(self, eni: Eni, suffix: str, direction: str) -> Iterator[str]:
        """Yield the chain of an interface: its groups one by one, and what none of them lets pass."""
        chain = chain_of(eni, suffix)
        groups = eni.groups or ()
        yield f"-A {chain} -m conntrack --ctstate {_OUR_OWN} -j ACCEPT"
        yield from (f"-A {chain} -j SG-{self._chains[name]}-{suffix}" for name in groups)
        yield f"-A {chain} {_comment(Guard(groups, eni.owner, eni.iface, direction))} -j DROP"

    def _rules(self, chain: str, rule: GroupRule, words: str, side: str, device: str) -> Iterator[str]:
        for who in self._whom(rule.who, side, device):
            for what in _traffic(rule.traffic):
                yield f"-A {chain} {who}{what}{_comment(words)} -j ACCEPT"

    def _whom(self, whose: Iterable[Who], side: str, device: str) -> Iterator[str]:
        """Yield what says from or to whom: addresses, or the interfaces of a group's members."""
        for who in whose:
            if isinstance(who, Prefix):
                yield "" if who == EVERYWHERE else f"{side} {who} "
            else:
                yield from (f"{device} {eni.name} " for eni in self._members(who))

    def _members(self, group: str) -> Iterator[Eni]:
        """Yield the members of a group; what no document names, a load balancer say, is one of `default`."""
        for eni in self._interfaces:
            if group in (eni.groups or ()) or (eni.groups is None and eni.owner and group == DEFAULT_GROUP):
                yield eni

    def _of(self, subnet: SubnetSpec) -> str:
        return f"SUBNET-{self._spec.subnets.index(subnet) + 1}"

    def _acl(self, subnet: SubnetSpec, acl: AclSpec) -> Iterator[str]:
        """Yield both chains of a subnet: what stays within it is not asked."""
        for suffix, side, device, direction, rules in (
            ("OUT", "-d", "-o", "egress", acl.egress),
            ("IN", "-s", "-i", "ingress", acl.ingress),
        ):
            chain = f"{self._of(subnet)}-{suffix}"
            members = [eni for eni in self._interfaces if eni.subnet == subnet]
            yield from (f"-A {chain} {device} {eni.name} -j RETURN" for eni in members)
            for rule in rules:
                yield from _acl_rule(chain, acl, rule, side, direction)
            ruling = AclRuling(acl.name, direction, None, subnet.name)
            yield f"-A {chain} {_comment(ruling)} -j DROP"


def _acl_rule(chain: str, acl: AclSpec, rule: AclRule, side: str, direction: str) -> Iterator[str]:
    who = "" if rule.who == EVERYWHERE else f"{side} {rule.who} "
    ruling = AclRuling(acl.name, direction, rule.number)
    for what in _traffic(rule.traffic):
        yield f"-A {chain} {who}{what}{_comment(ruling)} -j {'RETURN' if rule.allows else 'DROP'}"


def _traffic(traffic: Traffic) -> Iterator[str]:
    if traffic.protocol == _ALL:
        yield ""
        return
    name = _NAMES.get(traffic.protocol, str(traffic.protocol))
    if not traffic.ports:
        yield f"-p {name} "
    for low, high in traffic.ports:
        ports = f"{low}" if low == high else f"{low}:{high}"
        yield f"-p {name} --dport {ports} "


def chain_of(eni: Eni, stage: str) -> str:
    """Return the name of the chain of an interface for a stage: `SRC`, `DST`, `OUT`, `IN`."""
    return f"ENI-{eni.name.removeprefix('eni')}-{stage}"


def _comment(words: object) -> str:
    return f'-m comment --comment "{words}"'


def _table(name: str, hooks: Iterable[str], chains: Iterable[str], lines: Iterable[str]) -> str:
    parts = [
        f"*{name}",
        *(f":{hook} ACCEPT [0:0]" for hook in hooks),
        *(f":{each} - [0:0]" for each in chains),
    ]
    return "\n".join((*parts, *lines, "COMMIT", ""))
