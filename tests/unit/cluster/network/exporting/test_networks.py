# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import given

from emu.cluster.network.exporting.exporter import export, write_export
from emu.cluster.network.lab import Network, load
from emu.cluster.network.run import NetworkRun
from emu.document import load as load_documents
from emu.errors import EmuError
from emu.fabric.cable import Cable
from emu.kernel import rtnetlink
from emu.kernel.link import bridge_ports
from emu.kernel.link.bridge import Bridge
from emu.testing.lab import mac
from emu.testing.networks import networks
from tests.unit.cluster.network.exporting.rebuilding import bare, differences, rebuilt

if TYPE_CHECKING:
    from emu.cluster.network.model import NetworkDocument

ROOT: Final = Path(__file__).parents[5]
FILES: Final = sorted(
    path
    for folder in ("topologies", "tests/golden/scenarios", "tests/golden/own")
    for path in (ROOT / folder).rglob("*.yaml")
    if "namespaces" in load_documents(path)[0].value  # type: ignore[operator]
)
CABLE: Final = """
namespaces: {left: {}, right: {}, bridge: {}}
links:
- a: {ns: left, if: eth0, mac: "02:00:00:00:00:01", addr: [10.0.0.1/24]}
  b: {ns: bridge, if: port1, mac: "02:00:00:00:00:02"}
- a: {ns: right, if: eth0, mac: "02:00:00:00:00:03", addr: [10.0.0.2/24]}
  b: {ns: bridge, if: port2, mac: "02:00:00:00:00:04"}
bridges:
- {ns: bridge, if: br0, mac: "02:00:00:00:00:05", ports: [port1, port2]}
vxlans:
- {ns: left, if: vx0, mac: "02:00:00:00:00:06", vni: 1, local: 10.0.0.1, dev: eth0}
captures: []
"""


@pytest.fixture
def network(tmp_path: Path) -> Network:
    """Two hosts on a bridge."""
    (tmp_path / "network.yaml").write_text(CABLE)
    return load(tmp_path / "network.yaml")


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_network_is_built_again_as_its_document_left_it(path: Path, tmp_path: Path) -> None:
    """Every document in the repository, after its actions; a second export gives the same."""
    before = load(path)
    exported, again = rebuilt(before, tmp_path)
    assert differences(before, exported, again) == []
    assert bare(export(again).document) == bare(exported.document)


@given(document=networks())
def test_any_network_is_built_again_as_it_was(document: NetworkDocument) -> None:
    """Whatever devices, routes and settings there are."""
    before = Network(NetworkRun(document))
    with TemporaryDirectory() as folder:
        exported, again = rebuilt(before, Path(folder))
    assert differences(before, exported, again) == []
    assert exported.remarks.left_out == ()


@pytest.mark.parametrize(
    ("ns", "command"),
    [
        ("left", "ip addr add 10.1.0.1/32 dev lo"),
        ("left", "ip addr add 10.0.0.9/24 broadcast 10.0.0.254 dev eth0"),
        ("left", "ip addr add 10.2.0.1 peer 10.2.0.2 dev eth0"),
        ("left", "ip addr add 10.3.0.1/24 scope link dev eth0"),
        ("left", "ip addr del 127.0.0.1/8 dev lo"),
        ("left", "ip link set eth0 down"),
        ("left", "ip link set lo down"),
        ("left", "ip link set eth0 mtu 1400"),
        ("left", "ip link set vx0 down"),
        ("left", "ip route add 10.9.0.0/24 nexthop via 10.0.0.2 weight 2 nexthop via 10.0.0.3"),
        ("left", "ip route add 10.9.0.0/24 via 10.0.0.2 proto static"),
        ("left", "ip route add 10.9.0.0/24 via 10.0.0.2 tos 0x10"),
        ("left", "ip route add 10.9.0.0/24 via 10.0.0.2 mtu lock 1400"),
        ("left", "ip route add 10.9.0.0/24 dev eth0 scope global metric 7"),
        ("left", "ip route add blackhole 10.9.0.0/24 table 77"),
        ("left", "ip route add broadcast 10.9.0.0 dev eth0"),
        ("left", "ip route append 10.0.0.0/24 via 10.0.0.2"),
        ("left", "ip route del 10.0.0.0/24"),
        ("left", "ip rule add fwmark 0x4000/0x4000 lookup 100 pref 99"),
        ("left", "ip rule add not from 10.0.0.0/8 iif eth0 blackhole"),
        ("left", "ip rule del pref 32767"),
        ("left", "ip neigh add 10.0.0.77 lladdr 02:00:00:00:00:77 dev eth0 nud noarp"),
        ("left", "ip neigh add 10.0.0.77 lladdr 02:00:00:00:00:77 dev vx0"),
        ("left", "ip neigh add proxy 10.0.0.88 dev eth0"),
        ("left", "bridge fdb append 02:00:00:00:00:99 dev vx0 dst 10.0.0.2 port 4789 vni 9"),
        ("left", "bridge fdb append 02:00:00:00:00:99 dev vx0 dst 10.0.0.2 static"),
        ("left", "iptables -A INPUT -p tcp --dport 80 -j DROP"),
        ("left", "sysctl -w net.ipv4.conf.eth0.proxy_arp=1"),
        ("left", "sysctl -w net.ipv4.ip_local_port_range=40000\t41000"),
        ("bridge", "ip addr add 10.0.0.254/24 dev br0"),
        ("bridge", "ip link set br0 mtu 1300"),
        ("bridge", "ip link set port1 nomaster"),
        ("bridge", "ip link set port1 down"),
        ("bridge", "bridge link set dev port1 hairpin on"),
        ("bridge", "bridge link set dev port1 mcast_flood off"),
        ("bridge", "bridge link set dev port1 state 1"),
        ("bridge", "bridge fdb add 02:00:00:00:00:99 dev port1 master static"),
    ],
)
def test_what_a_command_did_is_in_the_document(
    ns: str, command: str, network: Network, tmp_path: Path
) -> None:
    """Where the format has no key for it, as a command."""
    network.namespace(ns).execute(command.split(" "))
    exported, again = rebuilt(network, tmp_path / "again")
    assert exported.remarks.left_out == ()
    assert differences(network, exported, again) == []
    assert bare(export(again).document) == bare(exported.document)


def test_a_bridge_without_a_running_port_comes_up_late(network: Network, tmp_path: Path) -> None:
    """The format leaves it down: nothing of it would run."""
    for ns in ("left", "right"):
        network.namespace(ns).run("ip link set eth0 down")
    for port in ("port1", "port2"):
        network.namespace("bridge").run(f"ip link set {port} down")
    exported, again = rebuilt(network, tmp_path / "again")
    assert differences(network, exported, again) == []


def test_a_vxlan_can_be_a_port(network: Network, tmp_path: Path) -> None:
    """Which is a command, because the format has cables alone in bridges."""
    left = network.namespace("left").net

    bridge = left.add_device("br1", Bridge(), mac(9), mtu=1500)
    bridge_ports.start(bridge, mac_is_set=True)
    network.fabric.call(left, lambda net: rtnetlink.set_up(net, bridge))
    network.namespace("left").run("ip link set vx0 master br1")
    exported, again = rebuilt(network, tmp_path / "again")
    assert differences(network, exported, again) == []


def test_what_no_document_can_have_is_left_out_by_name(network: Network) -> None:
    """Each with its place."""
    left, bridge = (network.namespace(name).net for name in ("left", "bridge"))
    network.fabric.connect((left, "eth0"), (bridge, "port1"), Cable(latency=1000))
    left.device("vx0").link.tos = 8  # type: ignore[attr-defined]
    bridge.device("br0").link.group_fwd_mask = 8  # type: ignore[attr-defined]
    network.namespace("left").run("ipvsadm -A -t 10.96.0.7:80")
    left_out = export(network).remarks.left_out
    assert "left: its virtual services (ipvsadm -S)" in left_out
    assert "left/eth0: bandwidth, latency, MTU and faults of its cable" in left_out
    assert "left/vx0: tos 0x8" in left_out
    assert "bridge/br0: group_fwd_mask 0x8" in left_out


def test_a_cable_that_was_cut_is_left_out(network: Network) -> None:
    """Both its ends, and what hangs on them."""
    left = network.namespace("left").net
    network.fabric.disconnect(left, "eth0")
    exported = export(network)
    assert "left/eth0: a veth device whose other end is gone" in exported.remarks.left_out
    assert [link.a.ns for link in exported.document.links] == ["right"]


def test_servers_of_a_document_answer_as_before(tmp_path: Path) -> None:
    """Nothing stands in for them."""
    text = (
        CABLE
        + "actions: [{tcp_server: {ns: left, port: 80, reply: two}}, {udp_server: {ns: left, port: 53}}]"
    )
    (tmp_path / "network.yaml").write_text(text)
    network = load(tmp_path / "network.yaml")
    exported = export(network)
    assert exported.document.actions == network.document.actions
    assert exported.remarks.invented == ()


def test_a_folder_that_cannot_be_written_stays_as_it_is(network: Network, tmp_path: Path) -> None:
    """A document without its rules is of no use to anybody."""
    network.namespace("left").run("iptables -A INPUT -j DROP")
    folder = tmp_path / "out"
    (folder / "scenario.yaml").mkdir(parents=True)
    with pytest.raises(EmuError, match="is in the way"):
        write_export(export(network), "a test", folder)
    assert [path.name for path in folder.iterdir()] == ["scenario.yaml"]
