# SPDX-License-Identifier: GPL-2.0-only
"""The proxies of a node in mode userspace: whose turn it is, who is asked, what the rules are."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final, TypeVar

import attrs
import pytest

from emu.apps import datagram, stream
from emu.apps.commands import iptables, iptables_save
from emu.cluster.cluster import Cluster
from emu.cluster.topology import load_topology
from emu.document import scan
from emu.fabric.driver import Fabric
from emu.kernel import tcp
from emu.kernel.sockets import SocketKind
from emu.kube.api.objects import Service
from emu.kube.proxy.config import ProxyConfig
from emu.kube.proxy.userspace.mode import UserspacePlane
from emu.kube.proxy.userspace.rotation import Rotation
from emu.sim.choice import DrawnChoice
from emu.sim.time import SECOND, START, later
from emu.testing.manifests import pod
from emu.testing.proxies import Proxies, endpoint, service, slice_of
from emu.testing.whole_state import whole_state
from emu.verify.asker import Asker
from emu.verify.verdict import Result
from emu.wire.addresses import IpAddress

if TYPE_CHECKING:
    from emu.fabric.program import Program
    from emu.kernel.namespace import Namespace

T = TypeVar("T")

CONFIG: Final = ProxyConfig("a", ("192.168.0.2",), "userspace")
ONE, OTHER = IpAddress.parse("10.244.0.8"), IpAddress.parse("10.244.0.9")
ENDS: Final = ("10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80")
_WEB: Final = '-p tcp -m comment --comment "ns/web" -m tcp --dport'
_IP, _EXTERNAL = "-d 172.30.0.1/32", "-d 192.168.99.7/32"
RULES: Final = (
    f"-A KUBE-NODEPORT-NON-LOCAL {_WEB} {{port}} -m state --state NEW -j ACCEPT",
    f"-A KUBE-NODEPORT-CONTAINER {_WEB} 30080 -j REDIRECT --to-ports {{port}}",
    f"-A KUBE-NODEPORT-HOST {_WEB} 30080 -j DNAT --to-destination 192.168.0.2:{{port}}",
    f"-A KUBE-PORTALS-CONTAINER {_IP} {_WEB} 80 -j REDIRECT --to-ports {{port}}",
    (
        f"-A KUBE-PORTALS-CONTAINER {_EXTERNAL} {_WEB} 80 -m physdev ! --physdev-is-in "
        "-j REDIRECT --to-ports {port}"
    ),
    (
        f"-A KUBE-PORTALS-CONTAINER {_EXTERNAL} {_WEB} 80 -m addrtype --dst-type LOCAL "
        "-j REDIRECT --to-ports {port}"
    ),
    f"-A KUBE-PORTALS-HOST {_IP} {_WEB} 80 -j DNAT --to-destination 192.168.0.2:{{port}}",
    (
        f"-A KUBE-PORTALS-HOST {_EXTERNAL} {_WEB} 80 -m addrtype --dst-type LOCAL "
        "-j DNAT --to-destination 192.168.0.2:{port}"
    ),
)
CLUSTER: Final = """
apiVersion: emu/v1
kind: Cluster
spec:
  kubernetes: "1.25"
  kubeProxy: {mode: userspace}
  nodes: [{name: one, role: control-plane}, {name: two}]
"""
PODS: Final = pod("client", "one") + "".join(
    pod(f"web-{node}", node, "tcp/8080,udp/8080", app="web") for node in ("one", "two")
)
SERVICES: Final = """
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  type: NodePort
  externalTrafficPolicy: Local
  selector: {app: web}
  ports:
  - {name: tcp, port: 80, targetPort: 8080, nodePort: 30080}
  - {name: udp, port: 80, targetPort: 8080, protocol: UDP, nodePort: 30080}
---
apiVersion: v1
kind: Service
metadata: {name: nobody}
spec: {selector: {app: nobody}, ports: [{port: 80}]}
"""
SHOP: Final = CLUSTER + PODS + SERVICES


@pytest.fixture(scope="module")
def shop() -> Cluster:
    """Return two nodes, a server on each, and Services."""
    return Cluster(load_topology(scan(SHOP.encode(), "cluster.yaml")))


def address(shop: Cluster) -> IpAddress:
    """Return the address of the Service."""
    return IpAddress.parse(shop.store.get(Service, "web", "default").spec.cluster_ip)


def ask(shop: Cluster, asks: Program[T]) -> T:
    """Let the client run a program, and return what it returns."""
    process = shop.fabric.spawn(shop.pod("client").net, asks)
    shop.settle(5)
    return process.result


def rotation(shop: Cluster) -> Rotation:
    """Return whose turn it is on the client's node for TCP."""
    net = shop.proxies.proxies["one"].net
    plane = shop.proxies.proxies["one"].plane
    assert isinstance(plane, UserspacePlane)
    taken = (plane.taken_at(port) for port in listening(net))
    (found,) = [each.rotation for each in taken if each is not None and each.key[1:] == ("web", "tcp")]
    return found


def drawn() -> DrawnChoice:
    """Return chance as it is where nobody explores."""
    return DrawnChoice(random.Random(7))


class TestRotation:
    """Round robin, with clients that stay."""

    def test_each_has_its_turn(self) -> None:
        """One after the other, and again."""
        rotation = Rotation("ns/web")
        rotation.set(ENDS, random.Random(1))
        picked = [rotation.next(ONE, START, drawn()) for _ in range(6)]
        assert picked[:3] == picked[3:]
        assert sorted(picked[:3]) == list(ENDS)  # type: ignore[type-var]  # none of them is None

    def test_a_client_stays_while_it_comes(self) -> None:
        """For the seconds of its affinity since it came last; another client is the next one's."""
        rotation = Rotation("ns/web", affinity_seconds=10)
        rotation.set(ENDS, random.Random(1))
        first = rotation.next(ONE, START, drawn())
        assert rotation.next(ONE, later(START, 9 * SECOND), drawn()) == first
        assert rotation.next(OTHER, START, drawn()) != first
        assert rotation.next(ONE, later(START, 18 * SECOND), drawn()) == first
        assert rotation.next(ONE, later(START, 28 * SECOND), drawn()) != first

    def test_an_endpoint_that_is_gone_is_forgotten_by_its_clients(self) -> None:
        """And the others begin anew."""
        rotation = Rotation("ns/web", affinity_seconds=10)
        rotation.set(ENDS, random.Random(1))
        first = rotation.next(ONE, START, drawn())
        rotation.set([each for each in ENDS if each != first], random.Random(1))
        assert rotation.next(ONE, START, drawn()) != first

    def test_nobody_has_a_turn_where_nobody_is(self) -> None:
        """There is no endpoint to return."""
        assert Rotation("ns/web").next(ONE, START, drawn()) is None


def listening(net: Namespace) -> list[int]:
    """Return the ports where a node takes connections."""
    return sorted(each.local_port for each in net.sockets.of(SocketKind.TCP) if tcp.is_listening(each))


def saved(net: Namespace) -> list[str]:
    """Return the rules of a node as iptables-save prints them."""
    return iptables_save.prepare(())(net).splitlines()


def started() -> tuple[Proxies, Namespace]:
    """Return a node with a Service in front of two endpoints."""
    cluster = Proxies(Fabric())
    web = service("ns/web", "172.30.0.1", node_port=30080, external_ips=("192.168.99.7",))
    cluster.put(web, slice_of("ns/web", [endpoint("10.0.0.1"), endpoint("10.0.0.2")]))
    return cluster, cluster.start(CONFIG)


class TestRules:
    """What leads into the proxy."""

    def test_are_those_of_kube_proxy(self) -> None:
        """Portals for others and for the node itself, by redirection and translation."""
        cluster, net = started()
        (port,) = [each for each in listening(net) if each not in {10256, 30080}]
        written = [line for line in saved(net) if line.startswith("-A KUBE-")]
        assert written == [line.format(port=port) for line in RULES]
        assert cluster.fleet.proxies["a"].plane.text().count("\n") == 5 + 5 + 8

    def test_come_and_go_with_their_service(self) -> None:
        """With the sockets that they lead to."""
        cluster, net = started()
        cluster.store.delete(type(service("ns/web", "172.30.0.1")), "web", "ns")
        cluster.wait(2 * SECOND)
        assert not [line for line in saved(net) if line.startswith("-A KUBE-")]
        assert listening(net) == [10256]

    def test_that_somebody_took_away_come_back(self) -> None:
        """By the next look."""
        cluster, net = started()
        before = saved(net)
        iptables.prepare(("-t", "nat", "-F", "KUBE-PORTALS-CONTAINER"))(net)
        cluster.wait(60 * SECOND)
        assert sorted(saved(net)) == sorted(before)

    def test_of_iptables_are_taken_away_first(self) -> None:
        """And those of this mode stay, as a later kube-proxy knows nothing of them."""
        cluster = Proxies(Fabric())
        net = cluster.start(attrs.evolve(CONFIG, mode="iptables"))
        cluster.fleet.stop(cluster.fleet.proxies["a"])
        cluster.fleet.start(net, CONFIG)
        cluster.wait(0)
        assert not [line for line in saved(net) if line.startswith(":KUBE-SERVICES")]


class TestConnections:
    """Through the proxy, with real packets."""

    def test_take_turns(self, shop: Cluster) -> None:
        """Three requests: the fourth would be for whom the second was for."""
        turn = rotation(shop).index
        asked = [ask(shop, stream.request(address(shop), 80, b"GET / HTTP/1.0\r\n\r\n")) for _ in range(3)]
        assert [each.outcome for each in asked] == ["ok"] * 3
        assert rotation(shop).index == (turn + 3) % 2

    def test_come_from_the_node(self, shop: Cluster) -> None:
        """The server sees the node of the proxy, whatever the policy says."""
        for source, target in (("client", "svc/web:80"), ("ext/laptop", "node/one:30080")):
            outcomes = Asker(shop).judge(source, target).outcomes
            seen = {str(one.arrival.source) for one in outcomes if one.arrival is not None}
            assert len(outcomes) == 2
            assert not seen & {
                "198.51.100.7",
                str(shop.pod("client").net.devices["eth0"].addresses[0].address),
            }

    def test_for_nobody_are_taken_and_closed(self, shop: Cluster) -> None:
        """The client was accepted before anybody knew."""
        (outcome,) = Asker(shop).judge("client", "svc/nobody:80").outcomes
        assert outcome.cause is not None
        assert (outcome.result, outcome.cause.code) == (Result.REFUSED, "SVC_NO_ENDPOINTS")
        assert outcome.cause.object == "Service default/nobody"

    def test_of_udp_are_answered_from_the_service(self, shop: Cluster) -> None:
        """The socket of the client is connected, so nobody else's answer would be heard."""
        assert ask(shop, datagram.request(address(shop), 80, b"who?", count=3)) == ["reply"] * 3
        shop.settle(5)
        nodes = [shop.proxies.proxies[name].net for name in ("one", "two")]
        assert not [each for net in nodes for each in net.sockets.of(SocketKind.UDP) if each.is_connected]


def test_questions_leave_everything_as_it_was() -> None:
    """Turns, sockets, connections: the proxy is asked in place."""
    shop = Cluster(load_topology(scan(SHOP.encode(), "cluster.yaml")))
    before = whole_state(shop.fabric)
    for target in ("svc/web:80", "svc/web:80/udp", "svc/nobody:80"):
        Asker(shop).judge("client", target)
        assert whole_state(shop.fabric) == before
