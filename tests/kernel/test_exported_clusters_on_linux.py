# SPDX-License-Identifier: GPL-2.0-only
"""Clusters that were exported and then built of real namespaces: Linux does what emu says that it does."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

import pytest

from emu.cluster.emulation import Host
from emu.testing.manifests import WITHOUT_DNS, pod
from emu.wire.addresses import IpAddress
from tests.kernel.exported import Exported, compare, connect, run, start

if TYPE_CHECKING:
    from collections.abc import Callable

    from emu.cluster.cluster import Cluster
    from emu.cluster.network.actions import Step
    from emu.kernel.namespace import Namespace

NETWORKS: Final = {
    "kubenet": "{provider: kubenet}",
    "kindnet": "{provider: kindnet}",
    "flannel-vxlan": "{provider: flannel}",
    "flannel-host-gw": "{provider: flannel, backend: host-gw}",
    "calico-vxlan": "{provider: calico, calico: {vxlanMode: Always}}",
    "calico-bgp": "{provider: calico, calico: {ipipMode: Never}}",
    "nftables": "{provider: kindnet}",
}
MODES: Final = {"nftables": "nftables"}
"""Where kube-proxy's mode is another than iptables."""

CLUSTER: Final = """
apiVersion: emu/v1
kind: Cluster
metadata: {name: small}
spec:
  nodes: [{name: one, role: control-plane}, {name: two}]
  network: %s
  kubeProxy: {mode: %s, features: {nfacct: false}}
"""
SERVICES: Final = """
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  type: NodePort
  clusterIP: 10.96.0.80
  selector: {app: web}
  ports: [{port: 80, targetPort: 8080, nodePort: 30080}]
---
apiVersion: v1
kind: Service
metadata: {name: near}
spec: {clusterIP: 10.96.0.81, selector: {app: near}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: nobody}
spec: {clusterIP: 10.96.0.82, selector: {app: nobody}, ports: [{port: 80}]}
"""
PODS: Final = pod("client", "one") + pod("near", "one", "tcp/8080") + pod("web", "two", "tcp/8080")
MANIFESTS: Final = CLUSTER + WITHOUT_DNS + PODS + SERVICES
PORTS: Final = (80, 8080, 30080)
"""Of servers, Services and nodes; others were drawn."""
FIRST_PORT: Final = 41000
WEB, NEAR, NOBODY = (IpAddress.parse(f"10.96.0.{number}") for number in (80, 81, 82))
COMMANDS: Final = (
    "ip -4 route show table all",
    "ip rule",
    "ip -4 -o addr show",
    "iptables-save",
    "nft list table ip kube-proxy",
)
_UNLIKE: Final = re.compile(r"^\d+: |@\S+|\[\d+:\d+\]|^#.*\n", re.MULTILINE)
"""Numbers of devices, counters, and comments with the time."""


class Request(NamedTuple):
    """Who asks whom for what, and what comes of it."""

    what: str
    ns: str
    dst: IpAddress
    port: int
    outcome: str = "ok"


def requests(cluster: Cluster) -> list[Request]:
    """Return ways between pods, into Services, and from outside."""

    def address(net: Namespace) -> IpAddress:
        return net.devices["eth0"].addresses[0].address

    near, web = (address(cluster.pod(name).net) for name in ("near", "web"))
    node = address(cluster.node("one").net)
    return [
        Request("pod to pod on its node", "client", near, 8080),
        Request("pod to pod on another node", "client", web, 8080),
        Request("pod to Service", "client", WEB, 80),
        Request("pod to Service on its node", "client", NEAR, 80),
        Request("pod to itself by its Service", "near", NEAR, 80),
        Request("pod to Service without endpoints", "client", NOBODY, 80, "ECONNREFUSED"),
        Request("node to Service", "one", WEB, 80),
        Request("outside to NodePort", "laptop", node, 30080),
    ]


def steps(cluster: Cluster) -> list[Step]:
    """Return the requests as actions, each from a port of its own."""
    return [
        connect(each.ns, each.dst, each.port, port, each.outcome)
        for port, each in enumerate(requests(cluster), FIRST_PORT)
    ]


@pytest.fixture(scope="module", params=list(NETWORKS))
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """A cluster whose document was written, read again, and run on Linux."""
    folder = tmp_path_factory.mktemp("exported")
    cluster = start(folder, MANIFESTS % (NETWORKS[request.param], MODES.get(request.param, "iptables")))
    return run(cluster, folder, steps(cluster), PORTS, COMMANDS)


@pytest.mark.kernel
def test_linux_sends_the_frames_that_emu_sends(
    exported: Exported, record_property: Callable[[str, object], None]
) -> None:
    """At every device of all namespaces, for each way between pods and into Services."""
    record_property("compared", ("frames of exported clusters", compare(exported), 0))


@pytest.mark.kernel
def test_linux_has_the_tables_that_the_cluster_has(exported: Exported) -> None:
    """Routes of all tables, routing rules, addresses and rules everywhere, as the tools print them."""
    for original, ns in exported.export.names.items():
        net = exported.cluster.fabric.namespaces[original]
        for command in COMMANDS:
            ours = Host(exported.cluster, net).execute(command.split()).stdout
            theirs = exported.linux.printed[ns, command]
            if "switch" not in original:  # whose loopback is down
                assert _lines(ours) == _lines(theirs), (ns, command)


def _lines(text: str) -> list[str]:
    return sorted(line.rstrip() for line in _UNLIKE.sub("", text).splitlines())
