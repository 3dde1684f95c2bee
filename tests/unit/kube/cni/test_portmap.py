# SPDX-License-Identifier: GPL-2.0-only
"""portmap: the rules of host ports."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from emu.kernel.netfilter.conntrack.tuples import Tuple
from emu.kube import cni
from emu.sim.time import SECOND
from emu.wire.addresses import ANY_IP4, IpAddress
from tests.unit.kube.cni.lab import Node, bridge, network, ptp

if TYPE_CHECKING:
    from emu.kube.cni.fields import Json

PORTMAP: dict[str, Json] = {"type": "portmap", "capabilities": {"portMappings": True}}


@pytest.fixture
def node() -> Node:
    """A node without pods."""
    return Node()


def mapped(*ports: Json) -> dict[str, Json]:
    """Return what a runtime has for a pod with these mappings."""
    return {"portMappings": list(ports)}


def port(host: int, inside: int = 80, protocol: str = "tcp", **more: Json) -> Json:
    """Return a mapping."""
    return {"hostPort": host, "containerPort": inside, "protocol": protocol, **more}


def chain_of(call: cni.Call) -> str:
    """Return the name of a container's chain, computed by hand."""
    return f"CNI-DN-{hashlib.sha512(f'net{call.container_id}'.encode()).hexdigest()[:21]}"


def test_the_rules_of_two_ports(node: Node) -> None:
    """Mark hairpins and localhost, then DNAT; one entry a protocol; the masquerade jump comes first."""
    call = node.call(capabilities=mapped(port(8080), port(8443, 443)))
    node.show("iptables", "-t", "nat", "-A", "POSTROUTING", "-j", "ACCEPT")
    conf = network(ptp(), PORTMAP)
    cni.add(conf, call)
    chain, identity = chain_of(call), f'\\"net\\" id: \\"{call.container_id}\\"'
    assert node.rules() == [
        "-A PREROUTING -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT",
        "-A OUTPUT -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT",
        '-A POSTROUTING -m comment --comment "CNI portfwd requiring masquerade" -j CNI-HOSTPORT-MASQ',
        "-A POSTROUTING -j ACCEPT",
        f"-A {chain} -s 10.244.1.0/24 -p tcp -m tcp --dport 8080 -j CNI-HOSTPORT-SETMARK",
        f"-A {chain} -s 127.0.0.1/32 -p tcp -m tcp --dport 8080 -j CNI-HOSTPORT-SETMARK",
        f"-A {chain} -p tcp -m tcp --dport 8080 -j DNAT --to-destination 10.244.1.2:80",
        f"-A {chain} -s 10.244.1.0/24 -p tcp -m tcp --dport 8443 -j CNI-HOSTPORT-SETMARK",
        f"-A {chain} -s 127.0.0.1/32 -p tcp -m tcp --dport 8443 -j CNI-HOSTPORT-SETMARK",
        f"-A {chain} -p tcp -m tcp --dport 8443 -j DNAT --to-destination 10.244.1.2:443",
        (
            f'-A CNI-HOSTPORT-DNAT -p tcp -m comment --comment "dnat name: {identity}" '
            f"-m multiport --dports 8080,8443 -j {chain}"
        ),
        "-A CNI-HOSTPORT-MASQ -m mark --mark 0x2000/0x2000 -j MASQUERADE",
        (
            '-A CNI-HOSTPORT-SETMARK -m comment --comment "CNI portfwd masquerade mark" '
            "-j MARK --set-xmark 0x2000/0x2000"
        ),
    ]
    cni.check(conf, call)


@pytest.mark.parametrize("plugin", [bridge, ptp])
def test_127_0_0_1_may_leave_by_the_device_toward_the_pod(node: Node, plugin: type) -> None:
    """That is the bridge, or the pod's own veth."""
    cni.add(network(plugin(), PORTMAP), node.call(capabilities=mapped(port(8080))))
    found = [name for name, conf in node.net.sysctl.conf.items() if conf["route_localnet"]]
    assert [name == "cni0" for name in found] == [plugin is bridge]


def test_a_pod_without_ports_has_no_rules(node: Node) -> None:
    """And the result of the plugin before is passed on."""
    result = cni.add(network(ptp(), PORTMAP), node.call())
    assert str(result.ips[0].address) == "10.244.1.2/24"
    assert node.rules() == []


def test_delete_takes_the_pods_rules_and_leaves_the_common_ones(node: Node) -> None:
    """Another pod's stay as well."""
    conf = network(ptp(), PORTMAP)
    a, b = (node.call(name, capabilities=mapped(port(number))) for name, number in (("a", 8080), ("b", 8081)))
    cni.add(conf, a)
    cni.add(conf, b)
    for _ in range(2):
        cni.delete(conf, a)
    text = "\n".join(node.rules())
    assert chain_of(a) not in text
    assert chain_of(b) in text
    assert "-A PREROUTING -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT" in text


def test_protocols_have_an_entry_each_and_fifteen_ports_at_most(node: Node) -> None:
    """A sixteenth port needs a second rule."""
    ports = [port(8000 + n) for n in range(16)]
    call = node.call(capabilities=mapped(*ports, port(53, 53, "udp")))
    cni.add(network(ptp(), PORTMAP), call)
    entries = [rule for rule in node.rules() if rule.startswith("-A CNI-HOSTPORT-DNAT")]
    assert [rule.split("--dports ")[1].split()[0].count(",") for rule in entries] == [14, 0, 0]
    assert ["-p udp" in rule for rule in entries] == [False, False, True]


def test_a_host_address_is_matched_unless_it_is_every_address(node: Node) -> None:
    """`hostIP` 0.0.0.0 means all; one of IPv6 is none of ours."""
    call = node.call(
        capabilities=mapped(
            port(8080, hostIP="192.168.1.11"), port(8081, hostIP=str(ANY_IP4)), port(8082, hostIP="::1")
        )
    )
    cni.add(network(ptp(), {**PORTMAP, "snat": False}), call)
    assert [rule for rule in node.rules() if rule.startswith(f"-A {chain_of(call)}")] == [
        (
            f"-A {chain_of(call)} -d 192.168.1.11/32 -p tcp -m tcp --dport 8080 "
            "-j DNAT --to-destination 10.244.1.2:80"
        ),
        f"-A {chain_of(call)} -p tcp -m tcp --dport 8081 -j DNAT --to-destination 10.244.1.2:80",
    ]


def test_connections_to_a_mapped_udp_port_are_forgotten(node: Node) -> None:
    """They would go on to where they went before; TCP's stay."""
    table, now = node.net.netfilter.conntrack, node.fabric.loop.now
    client, own = IpAddress.parse("192.168.1.9"), IpAddress.parse("192.168.1.11")
    for protocol, number in ((17, 53), (17, 54), (6, 53)):
        original = Tuple(client, own, protocol, 40000, number)
        connection = table.begin(original, original.invert())
        connection.refresh(now, 30 * SECOND)
        table.confirm(connection, now)
    cni.add(network(ptp(), PORTMAP), node.call(capabilities=mapped(port(53, 53, "udp"))))
    left = {(each.original.protocol, each.original.dport) for each in table.entries(now)}
    assert left == {(17, 54), (6, 53)}


def test_check_misses_a_rule(node: Node) -> None:
    """A rule of the pod's chain that somebody deleted."""
    conf, call = network(ptp(), PORTMAP), node.call(capabilities=mapped(port(8080)))
    cni.add(conf, call)
    node.show("iptables", "-t", "nat", "-D", chain_of(call), "3")
    with pytest.raises(cni.CniError, match="could not check ipv4 dnat"):
        cni.check(conf, call)


def test_wrong_mappings_are_all_told(node: Node) -> None:
    """Ports, protocol and address."""
    wrong = mapped(port(0), port(80, protocol="icmp"), port(81, hostIP="x"))
    with pytest.raises(cni.CniError) as caught:
        cni.add(network(ptp(), PORTMAP), node.call(capabilities=wrong))
    assert "portMappings[0].hostPort: Invalid port number: 0" in str(caught.value)
    assert "portMappings[1].protocol: 'icmp' is none of tcp, udp, sctp" in str(caught.value)
    assert "portMappings[2].hostIP: 'x' is no IP address" in str(caught.value)


def test_alone_it_is_refused(node: Node) -> None:
    """There has to be a result before it."""
    with pytest.raises(cni.CniError, match="must be called as chained plugin"):
        cni.add(network(PORTMAP), node.call())
