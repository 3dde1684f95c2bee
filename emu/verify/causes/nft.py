# SPDX-License-Identifier: GPL-2.0-only
"""Whose rules those of kube-proxy's table `ip kube-proxy` are, and why one of them refused a packet.

Chains of a service port have its name in theirs; what leads there, and what is
refused for want of a backend, is an element of a map, found by what the packet
asked for.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from emu.kube.proxy.nft.names import ENDPOINT, EXTERNAL, FIREWALL, TABLE
from emu.kube.proxy.nft.ports import MARK, NO_ENDPOINT_NODE_PORTS, NO_ENDPOINT_SERVICES, REJECT
from emu.kube.proxy.nft.values import FAMILY, WHERE
from emu.tools.nft import listing

if TYPE_CHECKING:
    from emu.kernel.namespace import Namespace
    from emu.kernel.netfilter.nftables.expressions import Key
    from emu.kernel.netfilter.nftables.live import LiveTable
    from emu.kernel.netfilter.nftables.ruleset import Element
    from emu.verify.fivetuple import FiveTuple

PROXY_TABLE: Final = WHERE
"""The table as steps name it."""

_OF_PORT: Final = re.compile(
    r"(service|local|external|firewall|endpoint)-[A-Z2-7]{8}-([^/]+)/([^/]+)/(?:tcp|udp|sctp)/([^/_]*)(?:__.*)?"
)
_COMMENT: Final = re.compile(r"([^/]+)/([^:]+)(?::(.*))?")
_CHECKS: Final = frozenset((REJECT, "service-endpoints-check", "nodeport-endpoints-check"))


class Refusal(NamedTuple):
    """Why there was no backend for a packet.

    Attributes:
        port: namespace, Service and name of the port.
        is_local: there are backends, but none here.
        is_internal: the ClusterIP was asked.
        element: that of the map that says so, as nft lists it.
    """

    port: tuple[str, str, str]
    is_local: bool
    is_internal: bool
    element: str


def port_of_chain(chain: str) -> tuple[str, str, str] | None:
    """Return namespace, Service and name of the port whose chain this is; None if it is none's."""
    found = _OF_PORT.fullmatch(chain)
    return None if found is None else (found[2], found[3], found[4])


def marks(rule: str) -> bool:
    """Return whether a rule asks for masquerading."""
    return rule.partition(" comment ")[0].endswith(f"jump {MARK}")


def leads_outsiders(chain: str) -> bool:
    """Return whether a chain is for traffic to other addresses than the ClusterIP."""
    return chain.startswith(EXTERNAL) and port_of_chain(chain) is not None


def is_endpoint(chain: str) -> bool:
    """Return whether a chain translates to an endpoint."""
    return chain.startswith(ENDPOINT) and port_of_chain(chain) is not None


def field_of(chain: str, rule: str, index: int) -> str:
    """Return the field of a Service that a rule in one of its chains follows from.

    Args:
        chain: the chain.
        rule: its text.
        index: which port of its Service it is, from 0.
    """
    if "@affinity-" in rule:
        return "spec.sessionAffinity"
    if chain.startswith(FIREWALL):
        return "spec.loadBalancerSourceRanges"
    if chain.startswith(EXTERNAL):
        return "spec.externalTrafficPolicy"
    if chain.startswith(ENDPOINT):
        return "spec.selector" if marks(rule) else f"spec.ports[{index}].targetPort"
    return "spec.clusterIP" if marks(rule) else "spec.selector"


def refusal(net: Namespace, chain: str, asked: FiveTuple) -> Refusal | None:
    """Return why a rule in `chain` refused what `asked` for a Service; None if that is not why.

    Args:
        net: the node.
        chain: where the packet was refused.
        asked: who sent it to whom.
    """
    if chain not in _CHECKS:
        return None
    where = int(asked.dst), asked.protocol, asked.dport
    for name, key in ((NO_ENDPOINT_SERVICES, where), (NO_ENDPOINT_NODE_PORTS, where[1:])):
        found = _element(net, name, key)
        named = None if found is None else _COMMENT.fullmatch(found.comment)
        if found is None or named is None:
            continue
        cluster_ip = _element(net, "cluster-ips", where[0]) is not None
        is_local = getattr(found.data, "code", "") == "drop"
        port = named[1], named[2], named[3] or ""
        return Refusal(port, is_local, cluster_ip, _listed(net, name, found))
    return None


def _listed(net: Namespace, holder: str, element: Element) -> str:
    table = _table(net)
    assert table is not None
    return f"@{holder} {{ {listing.element(element, table.sets[holder].value)} }}"


def _element(net: Namespace, holder: str, key: Key) -> Element | None:
    table = _table(net)
    known = None if table is None else table.sets.get(holder)
    slot = None if known is None else known.slots.get(key)
    return None if slot is None else slot.element


def _table(net: Namespace) -> LiveTable | None:
    return None if net.used_netfilter is None else net.used_netfilter.nft.tables.get((FAMILY, TABLE))
