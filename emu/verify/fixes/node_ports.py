# SPDX-License-Identifier: GPL-2.0-only
"""Node ports that are asked at an address where none is served."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from emu.verify.fixes.documents import document
from emu.verify.fixes.fix import Proposal
from emu.verify.fixes.remedy import Question

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.cluster.topology import ClusterSpec
    from emu.verify.fixes.case import Case


def ask_where_they_are_served(case: Case) -> Iterator[Proposal]:
    """Ask the node at an address that serves node ports."""
    met, cluster = case.met, case.cluster
    _, node = case.network.owners(case.cause.net)
    if met is None or cluster is None or node is None:
        return
    proxy = cluster.proxies.proxies.get(node)
    if proxy is None:
        return
    for address in (proxy.served or ()) or (proxy.place.address,):
        if address and address != str(met.dst):
            words = f"node ports of {node} are not served at {met.dst}: ask {address}"
            target = f"{address}:{met.dport}/{case.protocol.lower()}"
            yield Proposal(words, (Question(case.source, target, case.namespace),))


def serve_them_there(case: Case) -> Iterator[Proposal]:
    """Have node ports served at the address that was asked."""
    met, cluster = case.met, case.cluster
    if met is None or cluster is None:
        return
    proxy = cluster.topology.cluster.proxy
    if met.dst.is_loopback:
        if proxy.mode != "iptables" or proxy.localhost_node_ports:
            return

        def change(spec: ClusterSpec) -> ClusterSpec:
            return attrs.evolve(spec, proxy=attrs.evolve(spec.proxy, localhost_node_ports=True))

        old, new = ({"kubeProxy": {"iptables": {"localhostNodePorts": each}}} for each in (False, True))
        words = "kube-proxy serves no node ports on loopback addresses: have it do so"
        yield Proposal(words, (document(cluster, old, new, change),))
        return
    given = list(proxy.node_port_addresses)
    wanted = [*given, f"{met.dst}/32"] if given and given != ["primary"] else ["0.0.0.0/0"]

    def widen(spec: ClusterSpec) -> ClusterSpec:
        return attrs.evolve(spec, proxy=attrs.evolve(spec.proxy, node_port_addresses=tuple(wanted)))

    before = {"kubeProxy": {"nodePortAddresses": given}} if given else {}
    words = f"kube-proxy serves no node ports at {met.dst}: have it do so"
    yield Proposal(words, (document(cluster, before, {"kubeProxy": {"nodePortAddresses": wanted}}, widen),))
