# SPDX-License-Identifier: GPL-2.0-only
"""bridge: what ADD leaves on the node and in the container, DEL takes away and CHECK misses."""

from __future__ import annotations

from functools import partial

import pytest

from emu.kernel import rtnetlink
from emu.kernel.fib import RoutePattern
from emu.kube import cni
from emu.kube.cni.ipmasq import chain_name
from emu.kube.cni.links import host_name, mac_of
from emu.sim.time import SECOND, later
from emu.wire.addresses import IpAddress, Prefix
from tests.unit.kube.cni.lab import Node, bridge, network, ptp


@pytest.fixture
def node() -> Node:
    """A node without pods."""
    return Node()


def veth_of(call: cni.Call) -> str:
    """Return the name of the host end."""
    return host_name(call.container_id, call.ifname)


class TestAdd:
    """The steps of ADD."""

    def test_result_names_bridge_host_end_and_container(self, node: Node) -> None:
        """The address is the third's; the default route names the gateway."""
        call = node.call()
        told = cni.add(network(bridge()), call).as_json("1.0.0")
        mac = str(mac_of("node/node-1", veth_of(call)))
        assert told == {
            "cniVersion": "1.0.0",
            "interfaces": [
                {"name": "cni0", "mac": mac},
                {"name": veth_of(call), "mac": mac},
                {
                    "name": "eth0",
                    "mac": str(mac_of("pod/default/a", "eth0")),
                    "sandbox": "/var/run/netns/pod-default-a",
                },
            ],
            "ips": [{"interface": 2, "address": "10.244.1.2/24", "gateway": "10.244.1.1"}],
            "routes": [{"dst": "0.0.0.0/0", "gw": "10.244.1.1"}],
            "dns": {},
        }

    def test_devices_are_as_linux_shows_them(self, node: Node) -> None:
        """The bridge has the gateway's address, the veth is its port, the pod has the first address."""
        call = node.call()
        cni.add(network(bridge(mtu=1450)), call)
        assert call.sandbox is not None
        veth = veth_of(call)
        mac = mac_of("node/node-1", veth)
        assert node.show("ip", "addr", "show", "cni0") == (
            "2: cni0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1450 qdisc noqueue state UP group default "
            f"qlen 1000\n    link/ether {mac} brd ff:ff:ff:ff:ff:ff\n"
            "    inet 10.244.1.1/24 scope global cni0\n       valid_lft forever preferred_lft forever\n"
        )
        assert f"3: {veth}@if2: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1450 qdisc noqueue master cni0" in (
            node.show("ip", "link", "show", veth)
        )
        assert "inet 10.244.1.2/24 scope global eth0" in node.show("ip", "addr", net=call.sandbox)
        assert node.show("ip", "route") == "10.244.1.0/24 dev cni0 proto kernel scope link src 10.244.1.1 \n"

    def test_settings_are_made(self, node: Node) -> None:
        """The node forwards, the pod announces itself, the bridge takes no router advertisement."""
        call = node.call()
        cni.add(network(bridge()), call)
        assert call.sandbox is not None
        assert node.net.sysctl.get("net.ipv4.ip_forward") == 1
        assert node.net.sysctl.get("net.ipv6.conf.cni0.accept_ra") == 0
        assert call.sandbox.sysctl.get("net.ipv4.conf.eth0.arp_notify") == 1

    def test_a_pod_announces_itself(self, node: Node) -> None:
        """The bridge knows at once behind which port it is."""
        call = node.call()
        cni.add(network(bridge()), call)
        node.fabric.loop.run_until(later(node.fabric.loop.now, SECOND))
        mac = mac_of("pod/default/a", "eth0")
        assert f"{mac} dev {veth_of(call)} master cni0" in node.show("bridge", "fdb", "show", "br", "cni0")

    def test_an_announcement_leaves_nothing_behind_in_other_pods(self, node: Node) -> None:
        """It reaches all of them, and a node has a hundred: none remembers a route or a neighbour."""
        conf = network(bridge())
        for name in "abc":
            cni.add(conf, node.call(name))
        node.fabric.loop.run_until(later(node.fabric.loop.now, SECOND))
        pod = node.call("a").sandbox
        assert pod is not None
        assert pod.device("eth0").counters.rx_packets == 2
        assert (pod.fib._cache, len(pod.neighbours)) == ({}, 0)

    def test_the_bridge_keeps_the_address_it_has(self, node: Node) -> None:
        """It took that of the first port, and ports that come and go later change nothing."""
        conf = network(bridge())
        cni.add(conf, node.call("a"))
        mac = node.net.device("cni0").mac
        for name in "bcde":
            cni.add(conf, node.call(name))
        cni.delete(conf, node.call("a"))
        assert node.net.device("cni0").mac == mac

    def test_a_bridge_that_is_no_gateway_has_no_address(self, node: Node) -> None:
        """And the node does not forward for it."""
        cni.add(network(bridge(isDefaultGateway=False)), node.call())
        assert node.net.device("cni0").addresses == []
        assert node.net.sysctl.get("net.ipv4.ip_forward") == 0

    def test_without_ipam_it_is_layer_2_alone(self, node: Node) -> None:
        """The device is up and has no address."""
        call = node.call()
        result = cni.add(network({"type": "bridge"}), call)
        assert call.sandbox is not None
        assert (result.ips, len(result.interfaces)) == ((), 3)
        assert call.sandbox.device("eth0").is_running

    def test_hairpin_and_isolation_are_the_ports(self, node: Node) -> None:
        """As `bridge -d link` shows them."""
        call = node.call()
        cni.add(network(bridge(hairpinMode=True, portIsolation=True)), call)
        port = node.net.device(veth_of(call)).port
        assert port is not None
        assert (port.hairpin, port.isolated) == (True, True)

    def test_another_address_on_the_bridge_is_a_conflict(self, node: Node) -> None:
        """As after a reset that left cni0; `forceAddress` takes it away. The address is given back."""
        cni.add(network(bridge("10.244.7.0/24"), name="old"), node.call("old"))
        with pytest.raises(cni.CniError) as caught:
            cni.add(network(bridge()), node.call())
        assert str(caught.value) == (
            'failed to set bridge addr: "cni0" already has an IP address different from 10.244.1.1/24'
        )
        assert "/var/lib/cni/networks/net/10.244.1.2" not in node.disk
        assert veth_of(node.call()) not in node.net.devices
        cni.add(network(bridge(forceAddress=True)), node.call())
        assert [str(own) for own in node.net.device("cni0").addresses] == ["10.244.1.1/24"]

    def test_a_device_of_the_bridges_name_that_is_none_is_refused(self, node: Node) -> None:
        """The loopback, say."""
        with pytest.raises(cni.CniError, match='"lo" already exists but is not a bridge'):
            cni.add(network(bridge(bridge="lo")), node.call())

    def test_a_mac_address_may_be_asked_for(self, node: Node) -> None:
        """`runtimeConfig` goes before CNI_ARGS."""
        wanted = {"mac": "02:00:00:00:00:07"}
        call = node.call(capabilities=wanted, args={"MAC": "02:00:00:00:00:08"})
        conf = network(bridge(capabilities={"mac": True}))
        assert str(cni.add(conf, call).interfaces[2].mac) == "02:00:00:00:00:07"

    def test_what_is_not_modelled_is_refused_by_name(self, node: Node) -> None:
        """VLANs and the promiscuous bridge."""
        with pytest.raises(
            cni.CniError, match=r"\$\.vlan: is not modelled; \$\.promiscMode: is not modelled"
        ):
            cni.add(network(bridge(vlan=7, promiscMode=True)), node.call())

    def test_the_same_names_give_the_same_devices(self) -> None:
        """Nothing is drawn at random."""
        results = [cni.add(network(bridge()), Node().call()) for _ in range(2)]
        assert results[0] == results[1]


class TestMasquerade:
    """The option `ipMasq`."""

    @pytest.mark.parametrize("plugin", [bridge, ptp])
    def test_each_pod_has_a_chain(self, node: Node, plugin: type) -> None:
        """Its own subnet keeps the pod's address, multicast is left alone, all else is masqueraded."""
        conf, call = network(plugin(ipMasq=True)), node.call()
        cni.add(conf, call)
        chain = chain_name("net", call.container_id)
        comment = f'-m comment --comment "name: \\"net\\" id: \\"{call.container_id}\\""'
        assert len(chain) == 28
        assert node.rules() == [
            f"-A POSTROUTING -s 10.244.1.2/32 {comment} -j {chain}",
            f"-A {chain} -d 10.244.1.0/24 {comment} -j ACCEPT",
            f"-A {chain} ! -d 224.0.0.0/4 {comment} -j MASQUERADE",
        ]
        cni.check(conf, call)
        node.show("iptables", "-t", "nat", "-D", chain, "1")
        with pytest.raises(cni.CniError, match="not found"):
            cni.check(conf, call)
        cni.delete(conf, call)
        assert node.rules() == []
        assert chain not in node.show("iptables-save")


class TestDelete:
    """DEL."""

    @pytest.mark.parametrize("plugin", [bridge, ptp])
    @pytest.mark.parametrize("gone", [False, True])
    def test_everything_goes_and_twice_is_no_mistake(self, node: Node, plugin: type, *, gone: bool) -> None:
        """Also when the namespace is said to be gone."""
        conf, call = network(plugin()), node.call()
        cni.add(conf, call)
        again = cni.Call(
            node.fabric, node.net, None if gone else call.sandbox, call.container_id, disk=node.disk
        )
        for _ in range(2):
            cni.delete(conf, again)
        assert set(node.net.devices) <= {"lo", "cni0"}
        assert call.sandbox is not None
        assert list(call.sandbox.devices) == ["lo"]
        assert list(node.disk) == ["/var/lib/cni/networks/net/last_reserved_ip.0"]
        assert "10.244.1.2" not in node.show("ip", "route")

    def test_frames_under_way_are_lost(self, node: Node) -> None:
        """A pod that goes while its announcement is under way ends nothing but that."""
        conf = network(bridge())
        for name in "ab":
            cni.add(conf, node.call(name))
        cni.delete(conf, node.call("a"))
        node.fabric.loop.run_until(later(node.fabric.loop.now, SECOND))
        assert len(node.net.devices) == 3


class TestCheck:
    """CHECK."""

    def test_an_attachment_as_it_was_left_passes(self, node: Node) -> None:
        """Of bridge and of ptp."""
        for name, plugin in (("a", bridge("10.244.1.0/24")), ("b", ptp("10.244.2.0/24"))):
            conf = network(plugin, name=name)
            cni.add(conf, node.call(name))
            cni.check(conf, node.call(name))

    @pytest.mark.parametrize("plugin", [bridge, ptp])
    @pytest.mark.parametrize(
        ("harm", "message"),
        [
            ("device", "not found"),
            ("address", "Failed to match addr 10.244.1.2/24"),
            ("route", "Expected Route 0.0.0.0/0"),
            ("mac", "doesn't match"),
            ("file", "Failed to find address"),
        ],
    )
    def test_what_is_missing_is_named(self, node: Node, plugin: type, harm: str, message: str) -> None:
        """A device, an address, a route, a MAC address, a file of host-local."""
        conf, call = network(plugin()), node.call()
        cni.add(conf, call)
        pod = call.sandbox
        assert pod is not None
        eth0 = pod.device("eth0")
        match harm:
            case "device":
                node.fabric.call(pod, partial(rtnetlink.remove, device=eth0))
            case "address":
                rtnetlink.delete_address(pod, eth0, IpAddress.parse("10.244.1.2"))
            case "route":
                pod.fib.delete(RoutePattern(Prefix.parse("0.0.0.0/0")))
            case "mac":
                rtnetlink.set_mac(pod, eth0, mac_of("x", "y"))
            case _:
                del node.disk["/var/lib/cni/networks/net/10.244.1.2"]
        with pytest.raises(cni.CniError, match=message):
            cni.check(conf, call)

    def test_a_port_that_left_its_bridge_is_named(self, node: Node) -> None:
        """The pod itself is as it was."""
        conf, call = network(bridge()), node.call()
        cni.add(conf, call)
        rtnetlink.set_master(node.net, node.net.device(veth_of(call)), None)
        with pytest.raises(cni.CniError, match="is no port of cni0"):
            cni.check(conf, call)

    def test_the_nodes_route_to_a_ptp_pod_is_missed(self, node: Node) -> None:
        """Without it no packet comes to the pod."""
        conf, call = network(ptp()), node.call()
        cni.add(conf, call)
        node.net.fib.delete(RoutePattern(Prefix.parse("10.244.1.2/32")))
        with pytest.raises(cni.CniError, match="not found in routing table of the node"):
            cni.check(conf, call)
