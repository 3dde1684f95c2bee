# SPDX-License-Identifier: GPL-2.0-only
"""The key `vpc` of a `Fabric` document."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from emu import document
from emu.cluster.topology.fabric_reader import read_fabric
from emu.cluster.vpc.comments import AclRuling, AddressCheck, Guard
from emu.cluster.vpc.shape import routes_of
from emu.cluster.vpc.spec import EVERYWHERE, Gate, RouteSpec, VpcSpec
from emu.document.fields import Place, Report
from emu.errors import DocumentError

HEAD = "apiVersion: emu/v1\nkind: Fabric\nspec:\n"


def read(text: str) -> VpcSpec:
    """Return the VPC that the lines of `spec` describe."""
    (found,) = document.parse(HEAD + textwrap.indent(textwrap.dedent(text), "  "), "in.yaml")
    report = Report("in.yaml")
    spec = read_fabric(Place(found.value, report)).vpc
    report.check()
    assert spec is not None
    return spec


def test_the_short_form_makes_subnets_as_its_gateways_need_them() -> None:
    """With a NAT gateway there is a public subnet, where it stands, and a private one for nodes."""
    gates = "internetGateway: true, natGateway: {ip: 203.0.113.9}"
    spec = read(f"vpc: {{cidr: 10.0.0.0/16, {gates}, sourceDestCheck: true}}")
    assert [(each.name, str(each.cidr), each.public) for each in spec.subnets] == [
        ("public", "10.0.0.0/20", True),
        ("private", "10.0.16.0/20", False),
    ]
    routes = [routes_of(spec, each)[1] for each in spec.subnets]
    assert routes == [(RouteSpec(EVERYWHERE, Gate.INTERNET),), (RouteSpec(EVERYWHERE, Gate.NAT),)]
    assert spec.source_dest_check


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("vpc: {}", [("private", False)]),
        ("vpc: {internetGateway: true}", [("public", True)]),
        ("vpc: {cidr: 10.0.0.0/24, natGateway: {ip: 203.0.113.9}}", [("public", True), ("private", False)]),
    ],
)
def test_without_a_way_out_nodes_are_private(text: str, names: list[tuple[str, bool]]) -> None:
    """A NAT gateway brings the internet gateway that it needs."""
    assert [(each.name, each.public) for each in read(text).subnets] == names


def test_the_default_group_lets_its_members_talk_until_it_is_described() -> None:
    """As in AWS: nobody else gets in, everything gets out."""
    group = read("vpc: {}").group("default")
    assert [rule.who for rule in group.ingress] == [("default",)]
    assert group.egress is None
    described = read("vpc: {securityGroups: [{name: default, ingress: [{from: 0.0.0.0/0}]}]}")
    assert [rule.who for rule in described.group("default").ingress] == [(EVERYWHERE,)]


def test_rules_of_an_acl_are_asked_by_their_numbers() -> None:
    """Whatever their order in the document; those without one count by hundreds."""
    spec = read(
        """
        vpc:
          internetGateway: true
          networkACLs:
          - name: a
            subnets: [public]
            ingress: [{protocol: tcp, ports: [80, 8000-8080]}, {rule: 7, action: deny, from: 198.51.100.0/24}]
        """
    )
    rules = spec.acls[0].ingress
    assert [(rule.number, rule.allows, rule.place) for rule in rules] == [(7, False, 1), (100, True, 0)]
    assert rules[1].traffic.ports == ((80, 80), (8000, 8080))


FAULTS = {
    "subnets: [{name: a, cidr: 192.168.0.0/24}]": "$.spec.vpc.subnets[0].cidr: 192.168.0.0/24 is not within",
    "subnets: [{name: a, cidr: 10.0.0.0/29}]": "a subnet is a /28 at least",
    "subnets: [{name: a, cidr: 10.0.0.0/24}, {name: b, cidr: 10.0.0.0/25}]": "overlaps with a's 10.0.0.0/24",
    "subnets: [{name: a, cidr: 10.0.0.0/24}, {name: a, cidr: 10.0.1.0/24}]": "a second subnet a",
    "natGateway: {ip: 203.0.113.9, subnet: privat}": "is no public subnet (there are public)",
    "{natGateway: {ip: 203.0.113.9}, internetGateway: false}": "a NAT gateway needs the internet gateway",
    "routeTables: [{name: t, routes: [{to: 0.0.0.0/0, via: natGatway}]}]": "did you mean 'natGateway'?",
    "routeTables: [{name: t, routes: [{to: 0.0.0.0/0, via: natGateway}]}]": "the VPC has no natGateway",
    "routeTables: [{name: t, subnets: [publc], routes: []}]": "there is no subnet publc",
    "routeTables: [{name: t}, {name: u}]": "a second table without subnets",
    "networkACLs: [{name: a, subnets: [private]}, {name: b, subnets: [private]}]": "private has one already",
    "networkACLs: [{name: a, subnets: [private], ingress: [{rule: 1}, {rule: 1}]}]": "a second rule 1",
    "securityGroups: [{name: web, ingress: [{from: wbe}]}]": "(web, default), not 'wbe'; did you mean 'web'?",
    "securityGroups: [{name: web, ingress: [{ports: 80}]}]": "has no meaning without protocol",
    "securityGroups: [{name: web, ingress: [{protocol: tpc}]}]": "did you mean 'tcp'?",
    "securityGroups: [{name: web, ingress: [{protocol: tcp, ports: 90-80}]}]": "a range like 30000-32767",
    "securityGroups: [{name: web, ingres: []}]": "unknown key; did you mean 'ingress'?",
    "securityGroups: [{name: web}, {name: web}]": "a second security group web",
    "interfaces: [{node: n, securityGroups: [web]}]": "there is no security group web (there are default)",
    "peerings: []": "is not modelled",
    "sorceDestCheck: true": "unknown key; did you mean 'sourceDestCheck'?",
}


@pytest.mark.parametrize("text", FAULTS)
def test_what_contradicts_itself_is_told_with_its_line(text: str) -> None:
    """And with what might have been meant."""
    with pytest.raises(DocumentError) as caught:
        read(f"vpc: {text}" if text.startswith("{") else f"vpc: {{{text}}}")
    told = str(caught.value)
    assert told.startswith("in.yaml:4: ")
    assert FAULTS[text] in told


def test_the_reference_lists_every_key() -> None:
    """And an example of it can be read."""
    page = (Path(__file__).parents[4] / "docs/reference/fabric-document.md").read_text(encoding="utf-8")
    section = page.partition("\n## vpc\n")[2].partition("\n## ")[0]
    keys = {
        "cidr",
        "subnets",
        "internetGateway",
        "natGateway",
        "routeTables",
        "securityGroups",
        "networkACLs",
    }
    keys |= {"sourceDestCheck", "interfaces", "podRoutes", "mtu", "publicRange"}
    assert {line.split("`")[1] for line in section.splitlines() if line.startswith("| `")} >= keys
    example = section.partition("```yaml\n")[2].partition("```")[0]
    assert read(example).nat_gateway is not None
    with pytest.raises(DocumentError) as caught:
        read("vpc: {x: 1}")
    assert "unknown key" in str(caught.value)


@pytest.mark.parametrize("name", ["a b", "web,db", "a of b", "", "ü"])
@pytest.mark.parametrize("key", ["securityGroups: [{name: %s}]", "networkACLs: [{name: %s, subnets: []}]"])
def test_names_are_such_that_the_end_of_one_is_seen(key: str, name: str) -> None:
    """They stand in comments of rules, several of them behind one another."""
    with pytest.raises(DocumentError, match="must be a name of letters, digits, dots, - and _"):
        read(f"vpc: {{{key % repr(name)}}}")


def test_a_subnet_that_cannot_be_read_is_one_fault() -> None:
    """It is not compared with the others."""
    with pytest.raises(DocumentError) as caught:
        read("vpc: {subnets: [{name: a, cidr: 10.0.1.0/24}, {name: b, cidr: 10.0.x}]}")
    assert [each.message.split(" (")[0] for each in caught.value.faults] == ["'10.0.x' is no prefix"]


@pytest.mark.parametrize(
    "said",
    [
        Guard(("web.a", "db_1"), "node/w1", "eth0", "ingress"),
        AddressCheck("node/w1", "eth1"),
        AclRuling("the private one", "egress", 90),
        AclRuling("b", "ingress", None, "a subnet"),
    ],
)
def test_what_a_rules_comment_says_is_read_back(said: Guard | AddressCheck | AclRuling) -> None:
    """Whoever explains a drop, and whoever proposes a fix, learn from the same words, and from no others."""
    for kind in (Guard, AddressCheck, AclRuling):
        assert kind.of(str(said)) == (said if isinstance(said, kind) else None)
        assert kind.of("VPC: its router answers nobody") is None
