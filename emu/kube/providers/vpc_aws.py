# SPDX-License-Identifier: GPL-2.0-only
"""VPC-native as AWS has it: a pod's address is a secondary address of one of the node's interfaces.

    ip rule   512    to POD lookup main             (each pod, by the plugin)
              1024   fwmark 0x80/0x80 lookup main
              1536   from POD lookup N              (pods of a secondary interface)
              32765  from INTERFACE lookup N

Table N = device number + 1 leads to the VPC's router by that interface; the primary
one uses `main`. What leaves the VPC goes by the primary one as its address: the
connection has the mark 0x80, and so do its answers.

Known differences: all interfaces are there from the start, where the daemon attaches
them as pods come; addresses are given lowest first, where Go's maps leave it to chance;
the daemon's list of interfaces is a file here, which the plugin reads instead of asking.
Source: aws/amazon-vpc-cni-k8s pkg/networkutils, pkg/ipamd, misc/10-aws.conflist.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from emu.kernel.route import TABLE_MAIN, Nexthop, Route, Scope
from emu.kernel.rules import RoutingRule
from emu.kube.cni.aws import INTERFACES, Pooled, interfaces_text
from emu.kube.cni.netconf import NetConfList
from emu.kube.providers.written import Ensure, RuleGroup, Written
from emu.wire.addresses import Interface, Prefix

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from emu.kube.cni.fields import Json
    from emu.kube.cni.rules import Words
    from emu.kube.providers.provider import NodeInterface, NodeNetwork

CONFIG: Final = "/etc/cni/net.d/10-aws.conflist"
SNAT_CHAIN: Final = "AWS-SNAT-CHAIN-0"
CONNMARK_CHAIN: Final = "AWS-CONNMARK-CHAIN-0"
MARK: Final = 0x80
_EVERYWHERE: Final = Prefix.parse("0.0.0.0/0")
_MARKED: Final = 1024
_OF_INTERFACE: Final = 32765
_RESTORE: Final = ("-j", "CONNMARK", "--restore-mark", "--nfmask", "0x80", "--ctmask", "0x80")


def written(node: NodeNetwork, *, mtu: int, external_snat: bool, excluded: Sequence[Prefix]) -> Written:
    """Return what stands on a node; no configuration where the VPC gave it no interfaces.

    Args:
        node: the node.
        mtu: of pods; 0 for that of the node's device.
        external_snat: nothing is translated here.
        excluded: ranges outside the VPC that see pods' own addresses.
    """
    if not node.interfaces:
        return Written()
    values = _config(mtu or node.mtu)
    secondary = [(number, each) for number, each in enumerate(node.interfaces) if number]
    pooled = [Pooled(each.device, _table(number), each.others) for number, each in enumerate(node.interfaces)]
    rules = (_nat(node, excluded, external_snat=external_snat), _mangle(node))
    return Written(
        config=NetConfList.of(values, CONFIG),
        files={CONFIG: json.dumps(values, indent=2) + "\n", INTERFACES: interfaces_text(pooled)},
        sysctls={
            "net.ipv4.ip_forward": 1,
            f"net.ipv4.conf.{node.device}.rp_filter": 2,
            "net.ipv4.tcp_early_demux": 1,
        },
        rules=rules,
        addresses=tuple((each.device, Interface(each.address, each.subnet.length)) for _, each in secondary),
        routing_rules=(RoutingRule(_MARKED, mark=MARK, mask=MARK), *map(_rule, secondary)),
        ways=tuple(way for each in secondary for way in _ways(*each)),
    )


def _table(number: int) -> int:
    return number + 1 if number else TABLE_MAIN


def _rule(numbered: tuple[int, NodeInterface]) -> RoutingRule:
    number, each = numbered
    return RoutingRule(_OF_INTERFACE, table=_table(number), src=Prefix.of(each.address, each.address.bits))


def _ways(number: int, each: NodeInterface) -> Iterator[Route]:
    """Yield the routes of a secondary interface's table."""
    table = _table(number)
    near = Prefix.of(each.gateway, each.gateway.bits)
    yield Route(near, nexthops=(Nexthop(each.device),), table=table, scope=Scope.LINK)
    yield Route(_EVERYWHERE, nexthops=(Nexthop(each.device, each.gateway),), table=table)


def _config(mtu: int) -> dict[str, Json]:
    return {
        "cniVersion": "0.4.0",
        "name": "aws-cni",
        "disableCheck": True,
        "plugins": [
            {
                "name": "aws-cni",
                "type": "aws-cni",
                "vethPrefix": "eni",
                "mtu": str(mtu),
                "podSGEnforcingMode": "strict",
            },
            {"name": "egress-cni", "type": "egress-cni", "mtu": str(mtu), "enabled": "false"},
            {"type": "portmap", "capabilities": {"portMappings": True}, "snat": True},
        ],
    }


def _nat(node: NodeNetwork, excluded: Sequence[Prefix], *, external_snat: bool) -> RuleGroup:
    restore: Words = ("-m", "comment", "--comment", "AWS, CONNMARK", *_RESTORE)
    if external_snat:
        return RuleGroup("nat", (), (("PREROUTING", restore),))
    rules: list[tuple[str, Words]] = [
        ("POSTROUTING", ("-m", "comment", "--comment", "AWS SNAT CHAIN", "-j", SNAT_CHAIN))
    ]
    for name, words in (
        *((each, "") for each in node.vpc_cidrs),
        *((each, " EXCLUSION") for each in excluded),
    ):
        for chain, what in ((SNAT_CHAIN, "AWS SNAT CHAIN"), (CONNMARK_CHAIN, "AWS CONNMARK CHAIN")):
            comment = f"{what}{words}"
            rules.append((chain, ("-d", str(name), "-m", "comment", "--comment", comment, "-j", "RETURN")))
    rules += [
        (
            SNAT_CHAIN,
            (
                *("!", "-o", "vlan+", "-m", "comment", "--comment", "AWS, SNAT"),
                *("-m", "addrtype", "!", "--dst-type", "LOCAL"),
                *("-j", "SNAT", "--to-source", str(node.internal_ip), "--random-fully"),
            ),
        ),
        (
            "PREROUTING",
            (
                *("-i", "eni+", "-m", "comment", "--comment", "AWS, outbound connections"),
                *("-j", CONNMARK_CHAIN),
            ),
        ),
        ("PREROUTING", restore),
        (
            CONNMARK_CHAIN,
            (
                *("-m", "comment", "--comment", "AWS, CONNMARK"),
                *("-j", "CONNMARK", "--set-xmark", "0x80/0x80"),
            ),
        ),
    ]
    return RuleGroup("nat", (SNAT_CHAIN, CONNMARK_CHAIN), tuple(rules), Ensure.ANEW)


def _mangle(node: NodeNetwork) -> RuleGroup:
    comment = ("-m", "comment", "--comment", "AWS, primary ENI")
    return RuleGroup(
        "mangle",
        (),
        (
            (
                "PREROUTING",
                (
                    *("-i", node.device, *comment),
                    *("-m", "addrtype", "--dst-type", "LOCAL", "--limit-iface-in"),
                    *("-j", "CONNMARK", "--set-xmark", "0x80/0x80"),
                ),
            ),
            ("PREROUTING", ("-i", "eni+", *comment, *_RESTORE)),
            ("PREROUTING", ("-i", "vlan+", *comment, *_RESTORE)),
        ),
    )
