# SPDX-License-Identifier: GPL-2.0-only
"""Load balancers of every kind, as clients outside and inside meet them, and over time."""

from __future__ import annotations

from contextlib import suppress
from fractions import Fraction
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

import attrs
import pytest

from emu import lab
from emu.cluster.cluster import Cluster
from emu.cluster.source import read_source
from emu.errors import CommandError
from emu.fabric import program
from emu.kernel.sockets import SocketKind
from emu.kube.api.objects import Event, Node, Service
from emu.kube.api.objects.scheduling import Taint
from emu.sim.time import SECOND, Instant
from emu.testing.whole_state import whole_state
from emu.verify.asker import Asker
from emu.wire.addresses import IpAddress
from emu.wire.arp import REPLY, Arp

if TYPE_CHECKING:
    from pathlib import Path

    from emu.fabric.program import Program
    from emu.sim.time import Duration
    from emu.verify.verdict import Verdict

SHOP: Final = """
apiVersion: emu/v1
kind: Cluster
spec:
  nodes: [{name: control-plane, role: control-plane}, {name: w1}, {name: w2}, {name: w3}]
---
apiVersion: v1
kind: Pod
metadata: {name: client}
spec: {nodeName: w1, containers: [{name: c, image: busybox}]}
"""
POD: Final = """
---
apiVersion: v1
kind: Pod
metadata: {name: %s, labels: {app: web}, annotations: {emu/serve: %s}}
spec: {nodeName: %s, containers: [{name: c, image: nginx}]}
"""
SERVICE: Final = """
---
apiVersion: v1
kind: Service
metadata: {name: %s}
spec:
  type: LoadBalancer
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: 8080}]
  %s
"""
LOCAL: Final = "externalTrafficPolicy: Local"
KINDS: Final = ("passthrough", "nat", "proxy", "l2")
_MACHINES: Final = ("passthrough", "nat", "proxy")
"""Kinds that have a machine which balances: with l2 nodes refuse what is not theirs."""
_WITHOUT_TABLES: Final = ("passthrough", "proxy", "l2")
"""Kinds whose balancer has no table of connections as nodes have it."""
_ASKERS: Final[WeakKeyDictionary[Cluster, tuple[int, Asker]]] = WeakKeyDictionary()
LAPTOP: Final = "198.51.100.7"


def text(balancer: str, *, serve: str = "tcp/8080", services: str = "", pods: str = "w2 w3") -> str:
    """Return a cluster with `balancer`, two pods, and the Services `web` and `local` in front of them."""
    fabric = f"\n---\napiVersion: emu/v1\nkind: Fabric\nspec: {{loadBalancers: [{{{balancer}}}]}}\n"
    made = "".join(POD % (f"web-{node}", serve, node) for node in pods.split())
    return SHOP + made + (services or SERVICE % ("web", "") + SERVICE % ("local", LOCAL)) + fabric


def start(folder: Path, balancer: str, **more: str) -> Cluster:
    """Return the cluster, at rest."""
    (folder / "cluster.yaml").write_text(text(balancer, **more))
    cluster = read_source([str(folder / "cluster.yaml")]).start()
    assert isinstance(cluster, Cluster)
    return cluster


@pytest.fixture(scope="module", params=KINDS)
def shop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    """A balancer of each kind."""
    return start(tmp_path_factory.mktemp("shop"), f"name: cloud, kind: {request.param}")


def kind_of(cluster: Cluster) -> str:
    """Return the kind of the first balancer."""
    return cluster.topology.fabric.load_balancers[0].kind


def address(cluster: Cluster, name: str) -> str:
    """Return what a Service's status has."""
    (ingress,) = cluster.store.get(Service, name, "default").status.load_balancer.ingress
    return ingress.ip


def judge(cluster: Cluster, source: str, target: str) -> Verdict:
    """Ask; what was kept of a cluster serves again until its clock goes on."""
    known = _ASKERS.get(cluster)
    if known is None or known[0] != cluster.fabric.loop.events_run:
        known = _ASKERS[cluster] = cluster.fabric.loop.events_run, Asker(cluster)
    return known[1].judge(source, target)


def ends(verdict: Verdict) -> dict[str | None, Fraction]:
    """Return with which probability each pod answers."""
    found: dict[str | None, Fraction] = {}
    for one in verdict.outcomes:
        pod = None if one.arrival is None else one.arrival.pod
        found[pod] = found.get(pod, Fraction(0)) + one.probability
    return found


def sources(verdict: Verdict) -> set[str]:
    """Return whom the pods see."""
    return {str(one.arrival.source) for one in verdict.outcomes if one.arrival is not None}


def reasons(cluster: Cluster, name: str) -> list[str]:
    """Return the events of a Service, in their order."""
    return [each.reason for each in cluster.store.each(Event) if each.involved_object.name == name]


# --- whom one reaches, and as whom ---


@pytest.mark.parametrize("name", ["web", "local"])
def test_a_client_outside_reaches_every_ready_endpoint(shop: Cluster, name: str) -> None:
    """Under both policies, by whatever is in between; one node announces an address in layer 2."""
    verdict = judge(shop, "ext/laptop", f"svc/{name}:80")
    assert verdict.word.value == "ALWAYS"
    if (kind_of(shop), name) == ("l2", "local"):
        assert len(ends(verdict)) == 1
    else:
        assert ends(verdict) == {"default/web-w2": Fraction(1, 2), "default/web-w3": Fraction(1, 2)}


def test_the_source_is_kept_where_that_is_promised(shop: Cluster) -> None:
    """Under the policy Local the pod sees the laptop; of a proxy it sees the balancer."""
    machines = shop.control_plane.balancers.machines
    kept = LAPTOP if kind_of(shop) != "proxy" else str(machines["cloud"].address)
    assert sources(judge(shop, "ext/laptop", "svc/local:80")) == {kept}
    assert LAPTOP not in sources(judge(shop, "ext/laptop", "svc/web:80"))


def test_the_status_says_how_nodes_have_to_take_the_address(shop: Cluster) -> None:
    """VIP where they see it as the destination, Proxy where they see their own."""
    (ingress,) = shop.store.get(Service, "web", "default").status.load_balancer.ingress
    assert ingress.ip_mode == ("VIP" if kind_of(shop) in {"passthrough", "l2"} else "Proxy")


@pytest.mark.parametrize("source", ["client", "node/w3", "web-w2"])
@pytest.mark.parametrize("name", ["web", "local"])
def test_pods_and_nodes_reach_the_address_too(shop: Cluster, source: str, name: str) -> None:
    """Led there by kube-proxy where it is a VIP, by way of the balancer and back where it is not."""
    verdict = judge(shop, source, f"{address(shop, name)}:80")
    assert verdict.word.value == "ALWAYS"
    assert set(ends(verdict)) == {"default/web-w2", "default/web-w3"}
    packets = [packet for one in verdict.outcomes for packet, _ in one.story.packets()]
    passed = {told.step.net for packet in packets for told in packet.line}
    assert ("lb/cloud" in passed) is (kind_of(shop) in {"nat", "proxy"})


def test_answers_go_straight_to_the_client_only_where_packets_are_passed_on(shop: Cluster) -> None:
    """A balancer that translates, or proxies, sees them too: it has to."""
    (one, *_) = judge(shop, "ext/laptop", "svc/local:80").outcomes
    answer = one.story.answer
    assert answer is not None
    passed = {told.step.net for told in answer.line}
    assert ("lb/cloud" in passed) is (kind_of(shop) in {"nat", "proxy"})


@pytest.mark.parametrize("shop", _MACHINES, indirect=True)
def test_a_port_that_is_not_served_is_told_apart(shop: Cluster) -> None:
    """The balancer has no such port, and says so by name."""
    failure = judge(shop, "ext/laptop", f"{address(shop, 'web')}:81").failure
    assert failure is not None
    assert failure.cause is not None
    assert failure.cause.code == "SVC_NO_SUCH_PORT"
    assert "load balancer cloud has no port 81/TCP" in failure.cause.words


@pytest.mark.parametrize("shop", _WITHOUT_TABLES, indirect=True)
def test_a_question_leaves_balancers_as_they_were(shop: Cluster) -> None:
    """Maps of flows, connections, proxies: each is what it was."""
    judge(shop, "ext/laptop", "svc/web:80")  # a namespace that nobody waits in is told from one never asked
    before = whole_state(shop.fabric)
    judge(shop, "ext/laptop", "svc/web:80")
    judge(shop, "client", f"{address(shop, 'web')}:80")
    assert whole_state(shop.fabric) == before


def test_curl_passes(shop: Cluster) -> None:
    """A whole conversation, on the running clock."""
    page = shop.external("laptop").run(f"curl -sS http://{address(shop, 'local')}")
    assert page in {"web-w2\n", "web-w3\n"}


def test_node_ports_are_reached_beside_the_balancer(shop: Cluster) -> None:
    """Also where the gateway leads the balancer's answers back: those of others are not lost."""
    port = shop.store.get(Service, "local", "default").spec.ports[0].node_port
    assert judge(shop, "ext/laptop", f"node/w2:{port}").word.value == "ALWAYS"
    assert sources(judge(shop, "ext/laptop", f"node/w2:{port}")) == {LAPTOP}
    failure = judge(shop, "ext/laptop", f"node/w1:{port}").failure
    assert failure is not None
    assert failure.cause is not None
    assert failure.cause.code == "SVC_NO_LOCAL_ENDPOINT"


# --- health ---


def targets(cluster: Cluster, name: str) -> set[str]:
    """Return the nodes that the balancer sends to."""
    machine = cluster.control_plane.balancers.machines["cloud"]
    (found,) = [each for each in machine.frontends if each.service.name == name]
    return {target.node for target in machine.healthy(found)}


@pytest.mark.parametrize("kind", ["passthrough", "nat", "proxy"])
def test_a_node_that_fails_leaves_after_as_many_checks_as_it_takes(tmp_path: Path, kind: str) -> None:
    """Three times nothing, each for the time-out, ten seconds apart; back with the first answer."""
    check = "healthCheck: {interval: 10s, timeout: 2s, unhealthyThreshold: 3}"
    cluster = start(tmp_path, f"name: cloud, kind: {kind}, {check}")
    assert targets(cluster, "web") == {"w1", "w2", "w3"}
    assert targets(cluster, "local") == {"w2", "w3"}
    failed_at = cluster.fabric.loop.now
    cluster.do("fail node/w2", settle=False)
    while "w2" in targets(cluster, "web"):
        cluster.wait_until(Instant(cluster.fabric.loop.now + SECOND))
        assert cluster.fabric.loop.now - failed_at < 60 * SECOND
    assert 20 * SECOND < cluster.fabric.loop.now - failed_at <= 33 * SECOND
    assert judge(cluster, "ext/laptop", "svc/local:80").word.value == "ALWAYS"
    cluster.do("recover node/w2")
    cluster.wait_until(Instant(cluster.fabric.loop.now + 30 * SECOND))
    assert targets(cluster, "web") == {"w1", "w2", "w3"}


@pytest.mark.parametrize("kind", ["passthrough", "nat", "proxy"])
def test_a_connection_stays_where_it_is_while_its_node_leaves(tmp_path: Path, kind: str) -> None:
    """A node that is about to be deleted gets no new connections; what is open goes on."""
    cluster = start(tmp_path, f"name: cloud, kind: {kind}", services=SERVICE % ("web", LOCAL))
    where = IpAddress.parse(address(cluster, "web"))
    heard: list[str] = []
    cluster.fabric.spawn(cluster.external("laptop").net, _twice(where, 40 * SECOND, heard))
    cluster.wait_until(Instant(cluster.fabric.loop.now + SECOND))
    (pod,) = heard
    node = cluster.store.get(Node, pod.removeprefix("web-"))
    taint = Taint("ToBeDeletedByClusterAutoscaler", "NoSchedule")
    cluster.store.put(attrs.evolve(node, spec=attrs.evolve(node.spec, taints=(taint,))))
    cluster.wait_until(Instant(cluster.fabric.loop.now + 35 * SECOND))
    assert targets(cluster, "web") == {"w2", "w3"} - {pod.removeprefix("web-")}
    fresh = {cluster.external("laptop").run(f"curl -sS http://{where}") for _ in range(6)}
    assert len(fresh) == 1
    assert pod not in fresh.pop()
    cluster.wait_until(Instant(cluster.fabric.loop.now + 10 * SECOND))
    assert heard == [pod, pod]


def _twice(address: IpAddress, pause: Duration, heard: list[str]) -> Program[None]:
    """Ask twice by one connection, with a pause between, and note what was answered."""
    socket = yield from program.socket(SocketKind.TCP)
    yield from program.connect(socket, address, 80)
    for _ in range(2):
        yield from program.send(socket, b"GET / HTTP/1.1\r\nHost: web\r\n\r\n")
        answer = yield from program.receive(socket)
        heard.append(answer.decode().splitlines()[-1])
        yield from program.sleep(pause)
    yield from program.close(socket)


def test_nobody_is_left(tmp_path: Path) -> None:
    """A Service without endpoints: each kind ends the connection in its way, and the reason is one."""
    for kind, result in (("passthrough", "dropped"), ("nat", "dropped"), ("proxy", "refused")):
        cluster = start(tmp_path, f"name: cloud, kind: {kind}", services=SERVICE % ("web", LOCAL), pods="")
        failure = judge(cluster, "ext/laptop", "svc/web:80").failure
        assert failure is not None
        assert failure.cause is not None
        assert (failure.cause.code, failure.result.value) == ("LB_UNHEALTHY", result), kind
        assert "no healthy node for Service default/web: GET /healthz of port" in failure.cause.words


def test_a_balancer_that_does_not_look_sends_into_the_void(tmp_path: Path) -> None:
    """`healthCheck: none`: one node of three has no endpoint, and drops its share."""
    services = SERVICE % ("web", LOCAL)
    cluster = start(tmp_path, "name: cloud, kind: nat, healthCheck: none", services=services)
    verdict = judge(cluster, "ext/laptop", "svc/web:80")
    assert verdict.delivered == Fraction(2, 3)
    assert verdict.failure is not None
    assert verdict.failure.cause is not None
    assert verdict.failure.cause.code == "SVC_NO_LOCAL_ENDPOINT"


def test_nodes_come_and_go_by_label(tmp_path: Path) -> None:
    """The exclusion label takes a node out at once, without any check, and an event tells."""
    cluster = start(tmp_path, "name: cloud, kind: nat")
    cluster.do("label node/w1 node.kubernetes.io/exclude-from-external-load-balancers=")
    assert targets(cluster, "web") == {"w2", "w3"}
    assert "UpdatedLoadBalancer" in reasons(cluster, "web")
    assert cluster.store.get(Node, "w1").metadata.labels


# --- addresses ---


def test_addresses_are_given_in_the_order_of_the_pool_until_none_is_left(tmp_path: Path) -> None:
    """A wish is granted; who comes too late waits, with an event."""
    services = (
        SERVICE % ("one", "")
        + SERVICE % ("two", "loadBalancerIP: 203.0.113.3")
        + SERVICE % ("three", "")
        + SERVICE % ("four", "")
    )
    cluster = start(tmp_path, "name: cloud, pool: [203.0.113.2-203.0.113.4]", services=services)
    assert [address(cluster, name) for name in ("one", "two", "three")] == [
        "203.0.113.2",
        "203.0.113.3",
        "203.0.113.4",
    ]
    assert cluster.store.get(Service, "four", "default").status.load_balancer.ingress == ()
    assert reasons(cluster, "one") == ["EnsuringLoadBalancer", "EnsuredLoadBalancer"]
    assert reasons(cluster, "four")[-1] == "SyncLoadBalancerFailed"
    assert any("no available IPs" in each for each in cluster.warnings)
    cluster.do("delete service/one")
    cluster.settle_down()
    cluster.do("label service/four a=b")
    assert address(cluster, "four") == "203.0.113.2"


def test_a_class_is_served_by_its_balancer_alone(tmp_path: Path) -> None:
    """And a Service of another class waits; that is said."""
    services = (
        SERVICE % ("plain", "")
        + SERVICE % ("inner", "loadBalancerClass: example.com/inner")
        + SERVICE % ("other", "loadBalancerClass: example.com/other")
    )
    more = "name: cloud}, {name: inner, kind: nat, class: example.com/inner, pool: [10.9.0.0/24]"
    cluster = start(tmp_path, more, services=services)
    assert address(cluster, "inner") == "10.9.0.1"
    assert address(cluster, "plain") == "203.0.113.128"
    assert cluster.store.get(Service, "other", "default").status.load_balancer.ingress == ()
    assert any("of class example.com/other" in each for each in cluster.warnings)
    assert judge(cluster, "ext/laptop", "svc/inner:80").word.value == "ALWAYS"


def test_without_any_balancer_services_wait(tmp_path: Path) -> None:
    """As on bare metal: <pending>, and a line that says why."""
    (tmp_path / "c.yaml").write_text(SHOP + SERVICE % ("web", ""))
    cluster = read_source([str(tmp_path / "c.yaml")]).start()
    assert isinstance(cluster, Cluster)
    assert "<pending>" in cluster.kubectl("get", ["services"]).stdout
    assert any("default/web of type LoadBalancer has no address" in each for each in cluster.warnings)


def test_source_ranges_hold_at_the_balancer_where_nodes_cannot_know_them(tmp_path: Path) -> None:
    """Node ports have no source ranges: a balancer that sends there keeps strangers away itself."""
    services = SERVICE % ("web", "loadBalancerSourceRanges: [192.0.2.0/24]")
    for kind in KINDS:
        cluster = start(tmp_path, f"name: cloud, kind: {kind}", services=services)
        failure = judge(cluster, "ext/laptop", "svc/web:80").failure
        assert failure is not None
        assert failure.cause is not None
        assert failure.cause.code == "LB_SOURCE_RANGE", kind
        net = "lb/cloud" if kind in {"nat", "proxy"} else "node/"
        assert failure.cause.net.startswith(net)


def test_without_node_ports_a_balancer_that_needs_them_cannot(tmp_path: Path) -> None:
    """`allocateLoadBalancerNodePorts: false` is for those that pass packets on."""
    services = SERVICE % ("web", "allocateLoadBalancerNodePorts: false")
    passing = start(tmp_path, "name: cloud", services=services)
    assert judge(passing, "ext/laptop", "svc/web:80").word.value == "ALWAYS"
    translating = start(tmp_path, "name: cloud, kind: nat", services=services)
    assert any("sends to node ports, and the Service has none" in each for each in translating.warnings)


def test_a_client_stays_with_its_node_by_session_affinity(tmp_path: Path) -> None:
    """The balancer remembers clients in the place of connections."""
    services = SERVICE % ("web", f"sessionAffinity: ClientIP\n  {LOCAL}")
    for kind in ("passthrough", "nat"):
        cluster = start(tmp_path, f"name: cloud, kind: {kind}", services=services)
        laptop, where = cluster.external("laptop"), address(cluster, "web")
        assert len({laptop.run(f"curl -sS http://{where}") for _ in range(6)}) == 1, kind


# --- proxies ---


def test_a_server_that_waits_for_the_header_learns_who_the_client_is(tmp_path: Path) -> None:
    """By either version; in the log of agnhost it is the laptop, in the packets the balancer."""
    for version in ("v1", "v2"):
        cluster = start(
            tmp_path, f"name: cloud, kind: proxy, proxyProtocol: {version}", serve="tcp/8080+proxy-protocol"
        )
        assert judge(cluster, "ext/laptop", "svc/web:80").word.value == "ALWAYS"
        assert judge(cluster, "client", "web-w2:8080/tcp").word.value == "ALWAYS"  # the port is open


def test_a_header_that_nobody_waits_for_is_no_request(tmp_path: Path) -> None:
    """A web server answers 400."""
    cluster = start(tmp_path, "name: cloud, kind: proxy, proxyProtocol: v1")
    failure = judge(cluster, "ext/laptop", "svc/web:80").failure
    assert failure is not None
    assert failure.cause is not None
    assert failure.cause.code == "LB_PROXY_HEADER"


def test_a_proxy_resets_its_client_when_no_server_answers(tmp_path: Path) -> None:
    """The handshake stood before anybody knew; curl is told all the same."""
    cluster = start(tmp_path, "name: cloud, kind: proxy, healthCheck: none")
    for node in ("w1", "w2", "w3"):
        cluster.node(node).run("iptables -I INPUT -p tcp -j DROP")
        cluster.node(node).run("iptables -I FORWARD -p tcp -j DROP")
    verdict = judge(cluster, "ext/laptop", "svc/web:80")
    assert verdict.word.value == "NEVER"
    with pytest.raises(CommandError, match="reset"):
        cluster.external("laptop").run(f"curl -sS http://{address(cluster, 'web')}")


# --- layer 2 ---


def test_one_node_answers_for_an_address_that_none_has(tmp_path: Path) -> None:
    """The router's neighbour entry has the node's MAC address; no device has the address."""
    cluster = start(tmp_path, "name: metal, kind: l2")
    where = IpAddress.parse(address(cluster, "web"))
    (speakers,) = cluster.control_plane.balancers.speakers
    node = cluster.node(speakers.announced[where]).net
    cluster.external("laptop").run(f"curl -sS http://{where}")
    entry = cluster.fabric.namespace("router").neighbours.get("eth0", where)
    assert entry is not None
    assert entry.mac == node.devices["eth0"].mac
    nets = cluster.fabric.namespaces.values()
    assert not any(
        own.address == where for net in nets for dev in net.devices.values() for own in dev.addresses
    )
    assert reasons(cluster, "web") == ["IPAllocated", "nodeAssigned"]


@pytest.mark.parametrize(("gratuitous", "most"), [("true", 6 * SECOND), ("false", 45 * SECOND)])
def test_another_node_takes_an_address_over(tmp_path: Path, gratuitous: str, most: int) -> None:
    """When speakers have noticed; without gratuitous ARP only when the router asks anew."""
    cluster = start(tmp_path, f"name: metal, kind: l2, gratuitousARP: {gratuitous}")
    where = IpAddress.parse(address(cluster, "web"))
    (speakers,) = cluster.control_plane.balancers.speakers
    laptop = cluster.external("laptop")
    laptop.run(f"curl -sS http://{where}")
    before = speakers.announced[where]
    failed_at = cluster.fabric.loop.now
    cluster.do(f"fail node/{before}", settle=False)
    while True:
        cluster.wait_until(Instant(cluster.fabric.loop.now + SECOND // 2))
        with suppress(CommandError):
            laptop.run(f"curl -sS -m 1 http://{where}")
            break
        assert cluster.fabric.loop.now - failed_at < 60 * SECOND
    window = cluster.fabric.loop.now - failed_at
    assert speakers.announced[where] != before
    assert window <= most
    assert (window > 10 * SECOND) is (gratuitous == "false")


@pytest.mark.parametrize(("strict", "who"), [("false", 4), ("true", 1)])
def test_with_ipvs_all_nodes_answer_for_the_address_unless_arp_is_strict(
    tmp_path: Path, strict: str, who: int
) -> None:
    """kube-ipvs0 has it on every node, and the kernels answer beside the speaker."""
    ipvs = f"spec:\n  kubeProxy: {{mode: ipvs, ipvs: {{strictARP: {strict}}}}}\n"
    ipvs += "  network: {provider: flannel}\n  nodes:"  # kindnet sets arp_ignore back to 0
    made = text("name: metal, kind: l2").replace("spec:\n  nodes:", ipvs, 1)
    (tmp_path / "c.yaml").write_text(made)
    cluster = read_source([str(tmp_path / "c.yaml")]).start()
    assert isinstance(cluster, Cluster)
    where = IpAddress.parse(address(cluster, "web"))
    with cluster.capture("router/eth0") as capture:
        cluster.external("laptop").run(f"curl -sS http://{where}")
    asked = [Arp.parse(each[14:]) for each in capture.frames if each[12:14] == b"\x08\x06"]
    answers = {each.sender_mac for each in asked if (each.operation, each.sender_ip) == (REPLY, where)}
    assert len(answers) == who


def test_the_lab_loads_such_clusters_as_well(tmp_path: Path) -> None:
    """And `svc/NAME` from outside is the balancer's address, from inside the Service's own."""
    (tmp_path / "c.yaml").write_text(text("name: cloud"))
    cluster = lab.load(str(tmp_path / "c.yaml"))
    assert isinstance(cluster, lab.Cluster)
    outside, inside = cluster.flow("ext/laptop", "svc/web:80"), cluster.flow("client", "svc/web:80")
    assert outside.always
    assert inside.always
    assert str(outside.verdict.target.address) == "203.0.113.128"
    assert str(inside.verdict.target.address).startswith("10.")


def test_in_a_vpc_there_are_none_and_that_is_said(tmp_path: Path) -> None:
    """Machines there have no network in common that a balancer could stand in."""
    folder = tmp_path / "c.yaml"
    folder.write_text(text("name: cloud").replace("spec: {loadB", "spec: {vpc: {cidr: 10.0.0.0/16}, loadB"))
    cluster = read_source([str(folder)]).start()
    assert isinstance(cluster, Cluster)
    assert "load balancer cloud is not there: balancers in a VPC are not modelled" in cluster.warnings
    assert cluster.store.get(Service, "web", "default").status.load_balancer.ingress == ()


RACKS: Final = """
---
apiVersion: emu/v1
kind: Fabric
spec:
  switches: [{name: core}]
  routers:
  - name: tor-1
    interfaces: [{name: rack, addresses: [10.1.1.1/24], ports: []}, {name: up, addresses: [10.0.0.1/24]}]
  - name: tor-2
    interfaces: [{name: rack, addresses: [10.1.2.1/24], ports: []}, {name: up, addresses: [10.0.0.2/24]}]
  links: [{endpoints: ["tor-1:up", "core:1"]}, {endpoints: ["tor-2:up", "core:2"]}]
"""


def test_a_balancer_in_one_rack_reaches_what_its_kind_can_reach(tmp_path: Path) -> None:
    """Behind top-of-rack routers: translated packets are routed, those that are passed on need one subnet."""
    for kind, reached in (("passthrough", {"w1", "w2"}), ("nat", {"w1", "w2", "w3"})):
        made = text(f"name: cloud, kind: {kind}").replace(
            "role: control-plane}, {name: w1}, {name: w2}, {name: w3}]",
            "role: control-plane, addresses: [10.1.1.10/24]}, {name: w1, addresses: [10.1.1.11/24]}, "
            "{name: w2, addresses: [10.1.1.12/24]}, {name: w3, addresses: [10.1.2.13/24]}]",
        )
        (tmp_path / "c.yaml").write_text(made + RACKS)
        cluster = read_source([str(tmp_path / "c.yaml")]).start()
        assert isinstance(cluster, Cluster)
        assert targets(cluster, "web") == reached
        assert judge(cluster, "ext/laptop", "svc/web:80").word.value == "ALWAYS"
        assert any("passes nothing on to w3" in each for each in cluster.warnings) is (kind == "passthrough")
