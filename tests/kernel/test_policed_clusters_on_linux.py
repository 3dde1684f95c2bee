# SPDX-License-Identifier: GPL-2.0-only
"""Clusters with policies, exported and built of real namespaces: Linux lets pass what emu lets pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import pytest

from emu.cluster.network.actions import Step, TcpRequest, UdpRequest
from emu.sim.time import MILLISECOND
from emu.testing.manifests import WITHOUT_DNS, pod
from emu.wire.addresses import IpAddress
from tests.kernel.exported import compare, run, start

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from emu.cluster.cluster import Cluster

NETWORKS: Final = {
    "kindnet": "{provider: kindnet}",
    "flannel": "{provider: flannel, policy: iptables}",
    "kubenet": "{provider: kubenet, policy: iptables}",
}
CLUSTER: Final = """
apiVersion: emu/v1
kind: Cluster
metadata: {name: small}
spec:
  nodes: [{name: one, role: control-plane}, {name: two}]
  network: %s
  kubeProxy: {mode: iptables, features: {nfacct: false}}
"""
PODS: Final = "".join(
    (
        pod("front", "one", role="frontend"),
        pod("other", "one", "tcp/8080", role="other"),
        pod("beside", "two", "tcp/8080", role="other"),
        pod("quiet", "two", role="quiet"),
    )
)
POLICED: Final = """
---
apiVersion: v1
kind: Pod
metadata: {name: db, labels: {role: db}, annotations: {emu/serve: "tcp/8080,tcp/8081,udp/53"}}
spec: {nodeName: two, containers: [{name: c, image: db, ports: [{name: sql, containerPort: 8080}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: db}
spec:
  type: NodePort
  clusterIP: 10.96.0.80
  selector: {role: db}
  ports: [{port: 80, targetPort: sql, nodePort: 30080}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: db}
spec:
  podSelector: {matchLabels: {role: db}}
  ingress:
  - {from: [{podSelector: {matchLabels: {role: frontend}}}], ports: [{port: sql}, {port: 53, protocol: UDP}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: quiet}
spec:
  podSelector: {matchLabels: {role: quiet}}
  policyTypes: [Egress]
  egress: [{to: [{ipBlock: {cidr: 0.0.0.0/0, except: [BESIDE/32]}}], ports: [{port: 8080, endPort: 8081}]}]
"""
SERVICE: Final = IpAddress.parse("10.96.0.80")
PORTS: Final = (53, 80, 8080, 8081, 10256, 30080)
FIRST_PORT: Final = 42000


class Request(NamedTuple):
    """Who asks whom, and whether anything comes back; `asks` in UDP where it says so."""

    ns: str
    dst: IpAddress
    port: int
    arrives: bool
    is_udp: bool = False

    def step(self, port: int) -> Step:
        """Return the action of a document; `port` is its own."""
        patience = 400 * MILLISECOND  # ends before anything is sent again
        if self.is_udp:
            asked = UdpRequest(self.ns, self.dst, self.port, src_port=port, timeout=patience)
            return Step("udp_request", asked, expect="reply" if self.arrives else "timeout")
        what = TcpRequest(self.ns, self.dst, self.port, src_port=port, send=b"?", want=5, timeout=patience)
        return Step("tcp_request", what, expect="ok" if self.arrives else "timeout")


def requests(cluster: Cluster) -> list[Request]:
    """Return what policies allow and refuse, by both ends, sets of all types, and each hook."""

    def address(name: str) -> IpAddress:
        return cluster.host(name).net.devices["eth0"].addresses[0].address

    db, other, beside = map(address, ("db", "other", "beside"))
    one, two = map(address, ("node/one", "node/two"))
    return [
        Request("front", db, 8080, arrives=True),
        Request("front", SERVICE, 80, arrives=True),
        Request("front", db, 8081, arrives=False),
        Request("front", db, 53, arrives=True, is_udp=True),
        Request("other", db, 53, arrives=False, is_udp=True),
        Request("other", db, 8080, arrives=False),
        Request("other", SERVICE, 80, arrives=False),
        Request("beside", db, 8080, arrives=False),
        Request("two", db, 8080, arrives=True),
        Request("one", db, 8080, arrives=False),
        Request("laptop", one, 30080, arrives=False),
        Request("laptop", two, 30080, arrives=False),
        Request("quiet", other, 8080, arrives=True),
        Request("quiet", beside, 8080, arrives=False),
        Request("quiet", two, 10256, arrives=False),
    ]


@pytest.mark.kernel
@pytest.mark.parametrize("network", list(NETWORKS))
def test_linux_lets_pass_what_emu_lets_pass(
    network: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """The same frames at every device, for what is allowed and for what is refused."""
    text = CLUSTER % NETWORKS[network] + WITHOUT_DNS + PODS + POLICED
    first = start(tmp_path, text.replace("BESIDE", "192.0.2.1"))
    beside = first.host("beside").net.devices["eth0"].addresses[0].address
    cluster = start(tmp_path, text.replace("BESIDE", str(beside)))
    steps = [each.step(port) for port, each in enumerate(requests(cluster), FIRST_PORT)]
    exported = run(cluster, tmp_path, steps, PORTS)
    record_property("compared", ("frames of policed clusters", compare(exported), 0))
