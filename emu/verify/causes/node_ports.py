# SPDX-License-Identifier: GPL-2.0-only
"""Node ports that were asked at an address of the node that does not serve them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from emu.verify.causes.codes import SVC_NODEPORT_ADDRESS
from emu.verify.causes.rules import ports
from emu.verify.causes.words import PROTOCOLS, listed

if TYPE_CHECKING:
    from emu.kube.proxy.node import Proxy
    from emu.verify.causes.cause import Cause
    from emu.verify.causes.scene import Scene


def unserved(scene: Scene, cause: Cause) -> Cause | None:
    """Return the cause if a node port was asked where none is served, None if that is not why.

    Args:
        scene: a packet that found no socket on a node.
        cause: that nobody listens there.
    """
    from emu.cluster.cluster import Cluster  # noqa: PLC0415 - a network needs no control plane

    network, asked = scene.network, scene.there
    if not isinstance(network, Cluster) or scene.store is None:
        return None
    _, node = network.owners(scene.end.net)
    proxy = None if node is None else network.proxies.proxies.get(node)
    protocol = PROTOCOLS.get(asked.protocol)
    services = [
        each
        for each, port in ports(scene.store)
        if (port.node_port, port.protocol) == (asked.dport, protocol)
    ]
    if proxy is None or not services:
        return None
    whose = f"Service {services[0].metadata.namespace}/{services[0].metadata.name}"
    words, field = _why(proxy, str(asked.dst), is_loopback=asked.dst.is_loopback)
    own = ", ".join(proxy.served) if proxy.served else proxy.place.address
    return attrs.evolve(
        cause,
        code=SVC_NODEPORT_ADDRESS,
        words=f"node port {asked.dport} of {whose} is not served at {asked.dst}: {words}",
        object="kube-proxy",
        field=field,
        fix=f"ask the node at {own}" if own else "",
    )


def _why(proxy: Proxy, address: str, *, is_loopback: bool) -> tuple[str, str]:
    """Return why a proxy serves no node ports at `address`, and the setting that says so."""
    mode, served = proxy.config.mode, proxy.served
    if is_loopback and mode == "nftables":
        return "kube-proxy in mode nftables serves none on loopback addresses", "mode"
    if is_loopback and not proxy.config.localhost_node_ports:
        return "kube-proxy was told to serve none on loopback addresses", "iptables.localhostNodePorts"
    if served is None:
        return f"kube-proxy has not written that it is served at {address}", "mode"
    given = listed(list(proxy.config.node_port_addresses))
    there = f"at {listed(list(served))} alone" if served else "at no address of this node"
    return (
        f"kube-proxy in mode {mode} serves node ports {there} (nodePortAddresses: {given})",
        "nodePortAddresses",
    )
