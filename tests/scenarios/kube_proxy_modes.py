# SPDX-License-Identifier: GPL-2.0-only
"""What modes of kube-proxy do to the same packets, asked of one shop, as the reference has it.

python -m tests.scenarios.kube_proxy_modes > docs/reference/kube-proxy-modes.md
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from emu.cluster.cluster import Cluster
from emu.cluster.topology import load_topology
from emu.cluster.topology.settings import with_settings
from emu.document import scan
from emu.verify.asker import Asker

if TYPE_CHECKING:
    from collections.abc import Iterable

    from emu.verify.verdict import Outcome, Verdict

MODES: Final = ("iptables", "nftables", "ipvs", "userspace")
SHOP: Final = Path(__file__).parents[2] / "topologies/kube-proxy-modes/iptables.yaml"
QUESTIONS: Final = (
    ("a pod asks a Service", "client", "svc/web:80"),
    ("the same by UDP: CoreDNS", "client", "svc/kube-system/kube-dns:53/udp"),
    ("a pod asks the Service that it is behind", "deploy/web[0]", "svc/web:80"),
    ("a node asks a Service", "node/worker-1", "svc/web:80"),
    ("a Service without endpoints", "client", "svc/empty:80"),
    ("a port that the ClusterIP does not have", "client", "svc/web:81"),
    ("an address of the service range that no Service has", "client", "10.96.250.250:80"),
    ("a ClusterIP is pinged", "client", "svc/web/icmp"),
    ("a node port, from outside", "ext/laptop", "node/worker-1:30080"),
    ("a node port at 127.0.0.1, by the node", "node/worker-1", "127.0.0.1:30080"),
)
_HEAD: Final = """\
# Modes of kube-proxy

`kubeProxy.mode` of the `Cluster` document says how Services come into the kernels of nodes. Which endpoints a
node may use is the same in iptables, nftables and ipvs: readiness, traffic policies, topology hints and
endpoints that are going decide. `topologies/kube-proxy-modes` has one shop under each mode, and
`emu diff --set kubeProxy.mode=...` lists what would change in a cluster of yours.

"""
_SAME: Final = """\

## The same packets

Asked of `topologies/kube-proxy-modes/iptables.yaml`, with another mode each. *Sees*: whom the server sees.

"""
_TAIL: Final = """\

In mode userspace no promise holds that a Service hands a pod's packets on as they are: the server sees
the node, and the client was accepted before anybody knew whether there is an endpoint. Pods that ask
each other by their own addresses are left alone in every mode. A redirection leads to an address of the
device by which a packet comes in: where a node has none on the devices of its pods (calico, vpc), it drops
the packet, and pods reach no Service.
"""
_FACTS: Final = (
    ("in Kubernetes", "all", "from 1.29 on", "all", "up to 1.25"),
    (
        "what is written",
        "`nat`, `filter`: a chain for each Service and endpoint",
        "the table `ip kube-proxy`: maps, and the same chains",
        "virtual servers, `kube-ipvs0` with all ClusterIPs, sets",
        "rules that redirect, and a proxy that listens for each port",
    ),
    (
        "who is next",
        "drawn: chances of rules",
        "drawn: one number",
        "a scheduler, round robin by default",
        "round robin, in an order that is drawn",
    ),
    (
        "a client that stays",
        "recent lists, for each port",
        "sets with time-outs, for each port",
        "persistence, for each virtual server",
        "a table of the proxy, for each port",
    ),
    (
        "node ports at",
        "all addresses (`nodePortAddresses`)",
        "the first address (`primary`), never loopback",
        "all addresses but loopback (`nodePortAddresses`)",
        "all addresses",
    ),
    ("traffic policies, source ranges, hints", "kept to", "kept to", "kept to", "mean nothing"),
    ("SCTP", "yes", "yes", "yes", "no"),
    (
        "to look at",
        "`iptables-save`",
        "`nft list table ip kube-proxy`",
        "`ipvsadm -Ln`, `ipset list`",
        "`iptables-save -t nat`, `ss -tln`",
    ),
)


def cluster(mode: str) -> Cluster:
    """Return the shop with kube-proxy in a mode."""
    documents = list(scan(SHOP.read_bytes(), SHOP.name))
    return Cluster(load_topology(with_settings(documents, [f"kubeProxy.mode={mode}"])))


def cell(found: Cluster, verdict: Verdict) -> str:
    """Return what became of a question, in a few words."""
    failure = verdict.failure
    word = verdict.word.value
    if failure is not None:
        return f"{word}: {failure.result.value}, {failure.cause.code}"  # type: ignore[union-attr]  # it failed
    seen = {_seen(found, one) for one in verdict.outcomes}
    return f"{word}; sees {' or '.join(sorted(filter(None, seen)))}" if any(seen) else word


def _seen(found: Cluster, outcome: Outcome) -> str:
    """Return whom the server sees: the client, a node, or nobody."""
    request, arrival = outcome.story.request, outcome.arrival
    if request is None or arrival is None or arrival.net.startswith("node/"):
        return ""
    source = arrival.source
    if source == request.tuples[0].src:
        return "the client"
    for name, machine in found.machines.items():
        if any(own.address == source for device in machine.net.devices.values() for own in device.addresses):
            return "a node" if name else ""
    return str(source)


def text() -> str:
    """Return the whole page."""
    shops = {mode: cluster(mode) for mode in MODES}
    answers = [
        (words, *(cell(each, Asker(each).judge(source, target)) for each in shops.values()))
        for words, source, target in QUESTIONS
    ]
    return _HEAD + _table("", _FACTS) + _SAME + _table("asked", answers) + _TAIL


def _table(corner: str, rows: Iterable[tuple[str, ...]]) -> str:
    lines = [(corner, *MODES), ("---",) * (len(MODES) + 1), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    sys.stdout.write(text())
