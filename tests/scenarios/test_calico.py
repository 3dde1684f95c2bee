# SPDX-License-Identifier: GPL-2.0-only
"""What people meet on clusters with calico."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from click.testing import CliRunner
from scapy.layers.inet import IP, UDP

import emu
from emu.cli import cli
from emu.cluster.cluster import Cluster
from emu.kernel.drops import DropReason
from emu.observe.capture import describe
from emu.testing.whole_state import whole_state
from emu.verify.asker import Asker
from emu.verify.verdict import Word
from emu.wire import ethernet
from emu.wire.frame import Frame

if TYPE_CHECKING:
    from emu.kernel.namespace import Namespace

FOLDER: Final = Path(__file__).parents[2] / "topologies/providers"
MODES: Final = ("ipip", "vxlan", "bgp")
DENY: Final = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: deny}
spec: {podSelector: {matchLabels: {app: cart}}, policyTypes: [Ingress]}
"""
MANY: Final = """
apiVersion: emu/v1
kind: Cluster
metadata: {name: many}
spec:
  network: {provider: calico, calico: {ipipMode: Never, blockSize: 30}}
  nodes: [{name: one, role: control-plane}, {name: two}]
---
apiVersion: v1
kind: Pod
metadata: {name: client}
spec: {nodeName: one, containers: [{name: c, image: busybox}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 6
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}, annotations: {emu/serve: tcp/8080}}
    spec: {nodeName: two, containers: [{name: web, image: nginx}]}
"""


def shop(mode: str, *more: Path) -> Cluster:
    """Return the cluster of a topology with the shop in it."""
    files = (FOLDER / f"calico-{mode}.yaml", FOLDER / "shop.yaml", *more)
    cluster = emu.load(*map(str, files))
    assert isinstance(cluster, Cluster)
    return cluster


def drops(net: Namespace, reason: DropReason) -> int:
    """Return how many packets ended in a namespace for a reason."""
    return net.drops[reason]


def arrive(cluster: Cluster, net: Namespace, device: str, packet: bytes) -> None:
    """Have a packet come in by a device, from whoever is at the other end."""
    frame = Frame(ethernet.header(net.devices[device].mac, b"\x02\0\0\0\0\x09", ethernet.IPV4) + packet)
    cluster.fabric.call(net, lambda it: it.receive(device, frame, it.now))
    cluster.settle()


@pytest.mark.parametrize("mode", MODES)
def test_topologies_meet_their_expectations(mode: str) -> None:
    """`emu test` ends with 0: no pod's address is touched on the way to another, and nodes reach all pods."""
    result = CliRunner().invoke(
        cli, ["test", "-f", str(FOLDER / "shop.yaml"), str(FOLDER / f"calico-{mode}.yaml")]
    )
    assert result.exit_code == 0, result.output
    assert "3 expectations: 3 met" in result.output


@pytest.mark.parametrize("mode", MODES)
def test_an_unused_address_of_a_block_is_swallowed(mode: str) -> None:
    """The other node has a blackhole for what none of its pods has: no ICMP, and no ARP."""
    cluster = shop(mode)
    net = cluster.node("worker-2").net
    block = next(route.dst for route in net.fib.routes() if route.type.value == "blackhole")
    unused = f"{block}".rpartition(".")[0] + f".{block.address[3] + 60}"
    verdict = Asker(cluster).judge("client", f"{unused}:80")
    (outcome,) = verdict.outcomes
    assert (verdict.word, outcome.result.value) == (Word.NEVER, "dropped")
    assert "blackhole" in str(outcome.cause)


def test_pods_get_a_full_size_through_the_tunnel_and_are_told_when_it_is_too_much(tmp_path: Path) -> None:
    """With the MTU that calico chooses 1480 octets fit; with 1500 in the pod its node says that 1480 do."""
    text = (FOLDER / "calico-ipip.yaml").read_text().replace("Always}", "Always, mtu: 1500}")
    (tmp_path / "wide.yaml").write_text(text)
    for file, size, words in (
        (FOLDER / "calico-ipip.yaml", 1452, "1 received"),
        (tmp_path / "wide.yaml", 1453, "From 192.168.1.11 icmp_seq=1 Frag needed and DF set"),
    ):
        cluster = emu.load(str(file), str(FOLDER / "shop.yaml"))
        assert isinstance(cluster, Cluster)
        target = cluster.pod("cart-1").net.devices["eth0"].addresses[0].address
        asked = cluster.pod("client").execute(["ping", "-c1", "-M", "do", "-s", str(size), str(target)])
        assert words in asked.stdout


@pytest.mark.parametrize("mode", MODES)
def test_a_pod_cannot_send_under_anothers_address(mode: str) -> None:
    """Strict reverse path filtering on the pod's cable ends it in table raw."""
    cluster = shop(mode)
    net, pod = cluster.node("worker-1").net, cluster.pod("client").net
    outside = next(name for name in net.devices if cluster.fabric.far_end(net, name) == (pod, "eth0"))
    before = drops(net, DropReason.NETFILTER_DROP)
    arrive(
        cluster, net, outside, bytes(IP(src="10.244.9.9", dst="192.168.1.12", id=1) / UDP(sport=1, dport=2))
    )
    assert drops(net, DropReason.NETFILTER_DROP) == before + 1


@pytest.mark.parametrize(("source", "dropped"), [("192.168.1.12", 0), ("192.168.1.99", 1)])
def test_tunnels_come_from_nodes_alone(source: str, dropped: int) -> None:
    """Protocol 4 from an address that no node has ends in INPUT, from a node it is let in."""
    cluster = shop("ipip")
    net = cluster.node("worker-1").net
    target = str(cluster.pod("client").net.devices["eth0"].addresses[0].address)
    inner = IP(src="10.244.9.9", dst=target, id=2) / UDP(sport=1, dport=2)
    before = drops(net, DropReason.NETFILTER_DROP)
    arrive(cluster, net, "eth0", bytes(IP(src=source, dst="192.168.1.11", proto=4, id=1) / inner))
    assert drops(net, DropReason.NETFILTER_DROP) == before + dropped


@pytest.mark.parametrize("mode", MODES)
def test_who_comes_by_a_node_port_is_seen_as_the_node(mode: str) -> None:
    """Devices of pods have no address: masquerading takes the node's first one, or that of the tunnel."""
    cluster = shop(mode)
    net = cluster.node("worker-1").net
    verdict = Asker(cluster).judge("ext/laptop", "node/worker-1:30080")
    tunnel = net.devices.get("tunl0") or net.devices.get("vxlan.calico")
    remote = str(tunnel.addresses[0].address) if tunnel is not None else "192.168.1.11"
    seen = {
        str(each.arrival.source).partition(":")[0] for each in verdict.outcomes if each.arrival is not None
    }
    assert (verdict.word, seen) == (Word.ALWAYS, {"192.168.1.11", remote})


@pytest.mark.parametrize("mode", MODES)
def test_policies_hold_for_what_is_masqueraded_too(mode: str, tmp_path: Path) -> None:
    """A node port leads to no pod that is isolated, though kube-proxy accepts what it has marked."""
    (tmp_path / "deny.yaml").write_text(DENY)
    asker = Asker(shop(mode, tmp_path / "deny.yaml"))
    assert asker.judge("ext/laptop", "node/worker-1:30080").word is Word.NEVER
    assert asker.judge("client", "svc/cart:80").word is Word.NEVER
    assert asker.judge("node/worker-2", "cart-1:8080").word is Word.ALWAYS  # a node and its own pods


def test_calicos_rules_come_before_kube_proxys() -> None:
    """However often kube-proxy writes, the jumps of calico are at the top, and its verdict at the end."""
    cluster = shop("ipip")
    net = cluster.node("worker-1").net
    chains = net.netfilter.tables["filter"].table.by_name
    for name in ("INPUT", "FORWARD", "OUTPUT"):
        assert str(chains[name].rules[0].target).endswith(f"'cali-{name}')")
    told = cluster.node("worker-1").execute(["iptables-save", "-t", "filter"]).stdout
    forward = [line for line in told.splitlines() if line.startswith("-A FORWARD")]
    assert "Policy explicitly accepted packet." in forward[-2]


def test_a_node_with_many_pods_claims_another_block(tmp_path: Path) -> None:
    """Blocks of four: the fifth pod gets one of a second block, which other nodes and the router learn."""
    (tmp_path / "many.yaml").write_text(MANY)
    cluster = emu.load(str(tmp_path / "many.yaml"))
    assert isinstance(cluster, Cluster)
    own = [route.dst for route in cluster.node("two").net.fib.routes() if route.type.value == "blackhole"]
    assert len(own) >= 2
    for net in (cluster.node("one").net, cluster.fabric.namespace("router")):
        assert set(own) <= {route.dst for route in net.fib.routes()}
    asker = Asker(cluster)
    words = {asker.judge("client", f"deploy/web[{number}]:8080").word for number in range(6)}
    assert words == {Word.ALWAYS}


@pytest.mark.parametrize("mode", MODES)
def test_a_question_leaves_everything_as_it_was(mode: str) -> None:
    """Tunnels, blocks, sets and connections are the same after a question that crossed nodes."""
    cluster = shop(mode)
    asker = Asker(cluster)
    asker.judge("client", "cart-1:8080")  # what is made late is there now
    before = whole_state(cluster.fabric)
    assert asker.judge("client", "svc/cart:80").word is Word.ALWAYS
    assert whole_state(cluster.fabric) == before


@pytest.mark.parametrize("mode", MODES)
def test_the_same_seed_makes_the_same_octets(mode: str) -> None:
    """Two runs of one cluster give the same capture file, at devices without link header, too."""
    files = []
    for _ in range(2):
        cluster = shop(mode)
        with cluster.capture("node/worker-1/*") as recorded:
            cluster.pod("client").execute(["curl", "-s", "http://cart"])
            cluster.settle()
        stream = io.BytesIO()
        recorded.capture.write_pcapng(stream, describe(cluster.fabric, recorded.capture.points))
        files.append(stream.getvalue())
    assert files[0] == files[1]
    assert len(files[0]) > 2000


@pytest.mark.parametrize(
    ("mode", "filtered", "kind"), [("ipip", "ip proto 4", "IPIP"), ("vxlan", "udp dst port 4789", "VXLAN")]
)
def test_a_filter_that_lets_no_tunnel_pass_has_a_fix(
    mode: str, filtered: str, kind: str, tmp_path: Path
) -> None:
    """The place is told, and that nodes on one segment need no tunnel: tried, and proved."""
    fabric = {
        "apiVersion": "emu/v1",
        "kind": "Fabric",
        "spec": {"filters": [{"at": "underlay", "drop": filtered}]},
    }
    (tmp_path / "fabric.yaml").write_text(json.dumps(fabric))
    files = (FOLDER / f"calico-{mode}.yaml", FOLDER / "shop.yaml", tmp_path / "fabric.yaml")
    words = ["trace", *(word for file in files for word in ("-f", str(file))), "client", "cart-1:8080"]
    told = CliRunner().invoke(cli, words).output
    assert "UNDERLAY_FILTER" in told
    assert f"lets no {kind} pass: nodes on one segment need" in told
    assert f"+     {mode}Mode: CrossSubnet" in told
