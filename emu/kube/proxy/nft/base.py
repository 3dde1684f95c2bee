# SPDX-License-Identifier: GPL-2.0-only
"""What the table holds beside service ports, and the rules of a node as a whole.

Source: pkg/proxy/nftables/proxier.go `setupNFTables`.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Final

import attrs

from emu.kernel.netfilter.nftables import ruleset as kernel
from emu.kube.proxy.nft.names import TABLE
from emu.kube.proxy.nft.ports import (
    CLUSTER_IPS,
    FIREWALL_IPS,
    MARK,
    NO_ENDPOINT_NODE_PORTS,
    NO_ENDPOINT_SERVICES,
    REJECT,
    SERVICE_IPS,
    SERVICE_NODE_PORTS,
)
from emu.kube.proxy.nft.values import FAMILY, WHERE, Chain, Element, Holder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from emu.kube.proxy.config import Options
    from emu.kube.proxy.nft.ports import PortRules

TABLE_VALUE: Final = kernel.Table(FAMILY, TABLE, comment="rules for kube-proxy")
NODE_PORT_IPS: Final = "nodeport-ips"

_HOOKS: Final = (
    ("filter-prerouting-pre-dnat", "filter", "prerouting", -110),
    ("filter-output-pre-dnat", "filter", "output", -110),
    ("filter-input", "filter", "input", 0),
    ("filter-forward", "filter", "forward", 0),
    ("filter-output", "filter", "output", 0),
    ("nat-prerouting", "nat", "prerouting", -100),
    ("nat-output", "nat", "output", -100),
    ("nat-postrouting", "nat", "postrouting", 100),
)
BASE_CHAINS: Final = tuple([name for name, _, _, _ in _HOOKS])
"""The chains at hooks: a proxy makes them anew when it starts."""

_NEW: Final = "ct state new "
_JUMPS: Final = (
    ("filter-input", _NEW, "nodeport-endpoints-check"),
    ("filter-input", _NEW, "service-endpoints-check"),
    ("filter-forward", _NEW, "service-endpoints-check"),
    ("filter-output", _NEW, "service-endpoints-check"),
    ("filter-prerouting-pre-dnat", _NEW, "firewall-check"),
    ("filter-output-pre-dnat", _NEW, "firewall-check"),
    ("nat-output", "", "services"),
    ("nat-prerouting", "", "services"),
    ("nat-postrouting", "", "masquerading"),
    ("filter-forward", _NEW, "cluster-ips-check"),
    ("filter-output", _NEW, "cluster-ips-check"),
)
"""Chain, condition, and where it leads."""

_SERVICE_KEY: Final = "type ipv4_addr . inet_proto . inet_service : verdict ;"
_NODE_PORT_KEY: Final = "type inet_proto . inet_service : verdict ;"
_NODE_PORT_SET: Final = Holder(
    "set", NODE_PORT_IPS, '{ type ipv4_addr ; comment "IPs that accept NodePort traffic" ; }'
)
_HOLDERS: Final = (
    Holder("set", CLUSTER_IPS, '{ type ipv4_addr ; comment "Active ClusterIPs" ; }'),
    _NODE_PORT_SET,
    Holder(
        "map",
        NO_ENDPOINT_SERVICES,
        f'{{ {_SERVICE_KEY} comment "vmap to drop or reject packets to services with no endpoints" ; }}',
    ),
    Holder(
        "map",
        NO_ENDPOINT_NODE_PORTS,
        f"{{ {_NODE_PORT_KEY} "
        'comment "vmap to drop or reject packets to service nodeports with no endpoints" ; }',
    ),
    Holder(
        "map",
        FIREWALL_IPS,
        f'{{ {_SERVICE_KEY} comment "destinations that are subject to LoadBalancerSourceRanges" ; }}',
    ),
    Holder(
        "map",
        SERVICE_IPS,
        f'{{ {_SERVICE_KEY} comment "ClusterIP, ExternalIP and LoadBalancer IP traffic" ; }}',
    ),
    Holder("map", SERVICE_NODE_PORTS, f'{{ {_NODE_PORT_KEY} comment "NodePort traffic" ; }}'),
)
HOLDERS: Final = tuple([each.name for each in _HOLDERS])
"""The sets and maps that all service ports share."""

_TO_SERVICE: Final = "ip daddr . meta l4proto . th dport vmap"
_NOT_LOOPBACK: Final = "ip daddr != 127.0.0.0/8"
_TO_NODE_PORT: Final = "meta l4proto . th dport vmap"


@attrs.frozen(eq=False)
class Base:
    """What the table of a node holds beside service ports.

    Attributes:
        chains: in the order in which they are made.
        holders: sets and maps, without elements.
        elements: the addresses that serve node ports.
    """

    chains: tuple[Chain, ...]
    holders: tuple[Holder, ...]
    elements: tuple[Element, ...]


def base_of(options: Options, served: Sequence[str] | None) -> Base:
    """Return what a node's table holds beside service ports.

    Args:
        options: what its kube-proxy is told.
        served: its addresses that serve node ports; None for all but loopback ones.
    """
    hooked = {
        name: f"{{ type {kind} hook {hook} priority {priority} ; }}" for name, kind, hook, priority in _HOOKS
    }
    here = "ip daddr @nodeport-ips" if served is not None else _NOT_LOOPBACK
    local = "" if served is not None else "fib daddr type local "
    lines: dict[str, list[str]] = {name: [] for name in hooked}
    for chain, condition, target in _JUMPS:
        lines.setdefault(target, [])
        lines[chain].append(f"{condition}jump {target}")
    lines[MARK] = [f"mark set mark or {options.nft_mark}"]
    lines["masquerading"] = [
        f"mark and {options.nft_mark} == 0 return",
        f"mark set mark xor {options.nft_mark}",
        "masquerade fully-random",
    ]
    unused = "" if not options.service_cidrs else ",".join(options.service_cidrs)
    lines["cluster-ips-check"] = [
        'ip daddr @cluster-ips reject comment "Reject traffic to invalid ports of ClusterIPs"'
    ]
    if unused:
        lines["cluster-ips-check"].append(
            f'ip daddr {{ {unused} }} drop comment "Drop traffic to unallocated ClusterIPs"'
        )
    lines[REJECT] = ["reject"]
    lines["service-endpoints-check"] = [f"{_TO_SERVICE} @{NO_ENDPOINT_SERVICES}"]
    lines["nodeport-endpoints-check"] = [f"{here} {_TO_NODE_PORT} @{NO_ENDPOINT_NODE_PORTS}"]
    lines["firewall-check"] = [f"{_TO_SERVICE} @{FIREWALL_IPS}"]
    lines["services"] = [
        f"{_TO_SERVICE} @{SERVICE_IPS}",
        f"{local}{here} {_TO_NODE_PORT} @{SERVICE_NODE_PORTS}",
    ]
    what = {
        **hooked,
        REJECT: '{ comment "helper for @no-endpoint-services / @no-endpoint-nodeports" ; }',
    }
    chains = tuple([Chain(name, tuple(own), what.get(name, "")) for name, own in lines.items()])
    holders = tuple([each for each in _HOLDERS if served is not None or each is not _NODE_PORT_SET])
    elements = tuple([Element(NODE_PORT_IPS, (each,)) for each in served or ()])
    return Base(chains, holders, elements)


@attrs.frozen(eq=False)
class Ruleset:
    """The rules of a node; nodes whose rules are the same have the same object.

    Attributes:
        base: what does not depend on service ports.
        ports: what each service port adds, in order.
    """

    base: Base
    ports: tuple[PortRules, ...]

    @property
    def chains(self) -> Iterator[Chain]:
        """All chains, in the order in which they are made."""
        yield from self.base.chains
        for port in self.ports:
            yield from port.chains

    @property
    def elements(self) -> Iterator[Element]:
        """All elements, in the order in which they are entered."""
        yield from self.base.elements
        for port in self.ports:
            yield from port.elements

    @cached_property
    def identities(self) -> frozenset[int]:
        """What its ports are known by."""
        return frozenset(map(id, self.ports))

    def lines(self, chain: str) -> tuple[str, ...]:
        """Return the rules of a chain as they are written; none for a chain that there is not."""
        return next((each.lines for each in self.chains if each.name == chain), ())


def render(ruleset: Ruleset) -> str:
    """Return what the first sync of a node gives to `nft -f -`."""
    words = [f'add table {WHERE} {{ comment "{TABLE_VALUE.comment}" ; }}']
    sets = [*ruleset.base.holders, *(each for port in ruleset.ports for each in port.sets)]
    for name in BASE_CHAINS:
        words += [f"add chain {WHERE} {name}", f"delete chain {WHERE} {name}"]
    for chain in ruleset.chains:
        words += [
            f"add chain {WHERE} {chain.name} {chain.what}".rstrip(),
            f"flush chain {WHERE} {chain.name}",
        ]
    words += [f"add {each.kind} {WHERE} {each.name} {each.what}" for each in sets]
    words += [f"add rule {WHERE} {chain.name} {line}" for chain in ruleset.chains for line in chain.lines]
    seen: set[Element] = set()
    for element in ruleset.elements:
        if element not in seen:
            seen.add(element)
            words.append(f"add element {WHERE} {element.holder} {{ {element.text} }}")
    return "\n".join(words) + "\n"
