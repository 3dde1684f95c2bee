# SPDX-License-Identifier: GPL-2.0-only
"""The provider `vpc`: what nodes of both styles have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from emu.apps import commands
from emu.fabric.driver import Fabric
from emu.kernel.link.dummy import Dummy
from emu.kube import cni
from emu.kube.cni.links import mac_of
from emu.kube.providers import PROVIDERS, NodeInterface, NodeNetwork, OptionsError, Written, apply
from emu.wire.addresses import IpAddress, Prefix

if TYPE_CHECKING:
    from emu.kernel.namespace import Namespace
    from emu.kube.cni.fields import Json

SUBNET = Prefix.parse("10.0.1.0/24")
INTERFACES = tuple(
    NodeInterface(
        f"eth{number}",
        IpAddress.parse(f"10.0.1.{11 + 10 * number}"),
        SUBNET,
        IpAddress.parse("10.0.1.1"),
        (IpAddress.parse(f"10.0.1.{12 + 10 * number}"),),
    )
    for number in range(2)
)
NODE = NodeNetwork(
    "node-1",
    "10.0.1.11",
    ("10.4.1.0/24",),
    mtu=9001,
    interfaces=INTERFACES,
    vpc_cidrs=(Prefix.parse("10.0.0.0/16"),),
)
AWS = [
    '-A PREROUTING -i eni+ -m comment --comment "AWS, outbound connections" -j AWS-CONNMARK-CHAIN-0',
    (
        '-A PREROUTING -m comment --comment "AWS, CONNMARK" -j CONNMARK --restore-mark --nfmask 0x80 '
        "--ctmask 0x80"
    ),
    '-A POSTROUTING -m comment --comment "AWS SNAT CHAIN" -j AWS-SNAT-CHAIN-0',
    '-A AWS-CONNMARK-CHAIN-0 -d 10.0.0.0/16 -m comment --comment "AWS CONNMARK CHAIN" -j RETURN',
    '-A AWS-CONNMARK-CHAIN-0 -m comment --comment "AWS, CONNMARK" -j CONNMARK --set-xmark 0x80/0x80',
    '-A AWS-SNAT-CHAIN-0 -d 10.0.0.0/16 -m comment --comment "AWS SNAT CHAIN" -j RETURN',
    (
        '-A AWS-SNAT-CHAIN-0 ! -o vlan+ -m comment --comment "AWS, SNAT" -m addrtype ! --dst-type LOCAL '
        "-j SNAT --to-source 10.0.1.11 --random-fully"
    ),
]


def written(options: dict[str, Json]) -> tuple[Namespace, Written]:
    """Return a node to which the provider has written, twice, and what."""
    fabric = Fabric()
    net = fabric.add_namespace("node/node-1")
    for each in INTERFACES:
        net.add_device(each.device, Dummy(), mac_of(net.name, each.device), mtu=9001)
        commands.execute(net, ["ip", "link", "set", each.device, "up"])
    commands.execute(net, ["ip", "addr", "add", "10.0.1.11/24", "dev", "eth0"])
    wanted = PROVIDERS["vpc"](options).configure(NODE, [NODE])
    disk = cni.Disk()
    assert apply(fabric, net, Written(), wanted, disk=disk) == ()
    before = [commands.execute(net, ["iptables-save"]), commands.execute(net, ["ip", "rule"])]
    assert apply(fabric, net, wanted, wanted, disk=disk) == ()
    after = [commands.execute(net, ["iptables-save"]), commands.execute(net, ["ip", "rule"])]
    assert [line for line in after[0].splitlines() if line[:1] == "-"] == [
        line for line in before[0].splitlines() if line[:1] == "-"
    ]
    assert after[1] == before[1]
    return net, wanted


def rules(net: Namespace, table: str) -> list[str]:
    """Return the rules of a table."""
    lines = commands.execute(net, ["iptables-save", "-t", table]).splitlines()
    return [line for line in lines if line.startswith("-A ")]


def test_aws_translates_what_leaves_the_vpc_and_marks_its_connections() -> None:
    """To the node's first address; what comes in by the first interface leaves by it again."""
    net, wanted = written({"style": "aws"})
    assert rules(net, "nat") == AWS
    assert rules(net, "mangle")[0].startswith('-A PREROUTING -i eth0 -m comment --comment "AWS, primary ENI"')
    assert wanted.config is not None
    assert [plugin.type for plugin in wanted.config.plugins] == ["aws-cni", "egress-cni", "portmap"]
    assert net.sysctl.get("net.ipv4.conf.eth0.rp_filter") == 2


def test_with_aws_a_secondary_interface_has_a_table_of_its_own() -> None:
    """`main` knows its subnet by the first interface alone."""
    net, _ = written({"style": "aws"})
    assert commands.execute(net, ["ip", "rule"]).splitlines()[1:3] == [
        "1024:\tfrom all fwmark 0x80/0x80 lookup main",
        "32765:\tfrom 10.0.1.21 lookup 2",
    ]
    assert commands.execute(net, ["ip", "route", "show", "table", "2"]).splitlines() == [
        "default via 10.0.1.1 dev eth1 ",
        "10.0.1.1 dev eth1 scope link ",
    ]
    main = commands.execute(net, ["ip", "route"]).splitlines()
    assert [line for line in main if "eth1" in line] == []


def test_aws_may_leave_translation_to_others_or_spare_some() -> None:
    """The options externalSNAT and excludeSNATCIDRs."""
    net, _ = written({"externalSNAT": True})
    assert len(rules(net, "nat")) == 1
    net, _ = written({"excludeSNATCIDRs": ["10.9.0.0/16"]})
    assert sum("EXCLUSION" in rule for rule in rules(net, "nat")) == 2


def test_gke_masquerades_what_leaves_the_private_ranges() -> None:
    """Pods hang on the node by ptp; there are no routes to other nodes."""
    net, wanted = written({"style": "gke"})
    found = rules(net, "nat")
    ranges = [rule.split()[3] for rule in found if rule.endswith("RETURN")]
    assert ranges == ["169.254.0.0/16", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"]
    assert found[-1].endswith("-j MASQUERADE")
    assert wanted.ways == ()
    assert wanted.config is not None
    assert [plugin.type for plugin in wanted.config.plugins] == ["ptp", "portmap"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"style": "azure"}, "azure is not modelled; there are aws, gke"),
        ({"style": "eks"}, "'eks' is no style; there are aws, gke"),
        ({"interfaces": 0}, "must be from 1 to 15"),
        ({"addressesPerInterface": 1}, "must be from 2 to 50: one is its own"),
        ({"style": "gke", "interfaces": 2}, "is no option"),
        ({"style": "gke", "intranodeVisibility": True}, "is not modelled"),
        ({"excludeSNATCIDRs": ["x"]}, "$.excludeSNATCIDRs[0]: 'x' is no prefix"),
        ({"interfces": 2}, "did you mean 'interfaces'?"),
    ],
)
def test_options_that_there_are_not_are_faults(options: dict[str, Json], words: str) -> None:
    """What is not modelled is refused by its name."""
    with pytest.raises(OptionsError) as caught:
        PROVIDERS["vpc"](options)
    assert words in str(caught.value)
