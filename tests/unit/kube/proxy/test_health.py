# SPDX-License-Identifier: GPL-2.0-only
"""Health checks, asked over HTTP as a load balancer asks them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import attrs
import pytest

from emu.apps.commands import iptables
from emu.apps.http.client import Fetched, fetch
from emu.apps.http.message import Request
from emu.fabric.driver import Fabric
from emu.kube.api.objects.service import Service
from emu.kube.proxy.config import ProxyConfig
from emu.sim.time import SECOND
from emu.testing.proxies import Proxies, endpoint, node, service, slice_of
from emu.wire.addresses import IpAddress

if TYPE_CHECKING:
    from emu.apps.http.message import Response
    from emu.kernel.namespace import Namespace

PORT: Final = 31000
WEB: Final = service(
    "ns/web",
    "172.30.0.1",
    type="LoadBalancer",
    external_traffic_policy="Local",
    health_check_node_port=PORT,
)
HERE: Final = slice_of("ns/web", [endpoint("10.0.0.1", "a"), endpoint("10.0.0.2", "a")])
ELSEWHERE: Final = slice_of("ns/web", [endpoint("10.0.0.3", "b")])


def get(cluster: Proxies, net: Namespace, port: int, path: str = "/") -> Response | None:
    """Ask the node's own address from the node itself; None if nobody answers."""
    address = IpAddress.parse("192.168.0.2")
    process = cluster.fabric.spawn(net, fetch(address, port, Request(target=path), timeout=2 * SECOND))
    cluster.wait(3 * SECOND)
    found = process.result
    return found.response if isinstance(found, Fetched) else None


@pytest.fixture
def cluster() -> Proxies:
    """Return a cluster with a load balancer's Service, and endpoints of it on node a."""
    made = Proxies(Fabric())
    made.put(WEB, HERE, node("a"))
    return made


@pytest.fixture
def net(cluster: Proxies) -> Namespace:
    """Return node a, on which kube-proxy runs."""
    return cluster.start(ProxyConfig("a", ("192.168.0.2",)))


def test_a_node_with_endpoints_is_healthy(cluster: Proxies, net: Namespace) -> None:
    """200, how many there are, and the same as a weight in a header."""
    found = get(cluster, net, PORT)
    assert found is not None
    assert (found.status, found.header("X-Load-Balancing-Endpoint-Weight")) == (200, "2")
    assert json.loads(found.body) == {
        "service": {"namespace": "ns", "name": "web"},
        "localEndpoints": 2,
        "serviceProxyHealthy": True,
    }


def test_a_node_without_endpoints_is_not(cluster: Proxies, net: Namespace) -> None:
    """503 from the sync on that takes the last one away."""
    cluster.put(ELSEWHERE)
    cluster.wait(2 * SECOND)
    found = get(cluster, net, PORT)
    assert found is not None
    assert (found.status, found.header("X-Load-Balancing-Endpoint-Weight")) == (503, "0")
    assert json.loads(found.body)["localEndpoints"] == 0


def test_the_port_closes_with_the_service(cluster: Proxies, net: Namespace) -> None:
    """Nobody listens when it is deleted, and again when it comes back."""
    cluster.wait(2 * SECOND)
    cluster.store.delete(Service, "web", "ns")
    cluster.wait(2 * SECOND)
    assert get(cluster, net, PORT) is None
    cluster.put(WEB)
    cluster.wait(2 * SECOND)
    assert get(cluster, net, PORT) is not None


def test_the_proxy_answers_for_itself(cluster: Proxies, net: Namespace) -> None:
    """Port 10256: 200 while it keeps up, other paths are not there."""
    found = get(cluster, net, 10256, "/healthz")
    assert found is not None
    assert found.status == 200
    assert json.loads(found.body)["nodeEligible"] is True
    other = get(cluster, net, 10256, "/")
    assert other is not None
    assert other.status == 404


def test_a_node_that_is_going_gets_no_more_traffic(cluster: Proxies, net: Namespace) -> None:
    """`/healthz` says 503 then, `/livez` does not."""
    going = node("a")
    cluster.put(
        attrs.evolve(going, metadata=attrs.evolve(going.metadata, deletion_timestamp="2025-01-01T00:00:00Z"))
    )
    answers = [get(cluster, net, 10256, path) for path in ("/healthz", "/livez")]
    assert [each and each.status for each in answers] == [503, 200]


def test_a_proxy_that_cannot_write_becomes_unhealthy(cluster: Proxies, net: Namespace) -> None:
    """When a change has waited for more than two periods, of 30 s each."""
    chains = net.netfilter.tables["nat"].table.by_name
    chain = next(name for name in chains if name.startswith("KUBE-SVC-"))
    iptables.prepare(["-t", "nat", "-A", "OUTPUT", "-d", "192.0.2.1", "-j", chain])(net)
    cluster.wait(2 * SECOND)
    cluster.store.delete(Service, "web", "ns")
    cluster.wait(50 * SECOND)
    first = get(cluster, net, 10256, "/healthz")
    cluster.wait(20 * SECOND)
    second = get(cluster, net, 10256, "/healthz")
    assert [each and each.status for each in (first, second)] == [200, 503]
