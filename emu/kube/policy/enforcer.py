# SPDX-License-Identifier: GPL-2.0-only
"""Who enforces NetworkPolicies on a cluster's nodes, and at which hooks.

kindnet does so itself; flannel, kubenet and a cluster without a provider do not.
`network.policy` of the Cluster document has the last word: `none` for nobody,
`iptables` for an agent of its own on each node beside any provider.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import attrs

if TYPE_CHECKING:
    from collections.abc import Mapping

PolicyOption: TypeAlias = Literal["provider", "none", "iptables"]


@attrs.frozen
class Enforcer:
    """Who writes the rules of policies, and where packets meet them.

    Attributes:
        name: of who does it, as people call it.
        table: of iptables.
        routed: the built-in chain in which packets on their way are judged.
        sees_own: packets of the node itself come by there, too.
        sysctls: what it sets, for packets to come by at all.
    """

    name: str
    table: str
    routed: str
    sees_own: bool = False
    sysctls: Mapping[str, int] = attrs.field(factory=lambda: MappingProxyType({}))


AGENT: Final = Enforcer(
    "the policy agent iptables",
    "filter",
    "FORWARD",
    sysctls=MappingProxyType({"net.bridge.bridge-nf-call-iptables": 1}),
)
"""Judges in FORWARD, before kube-proxy's chains; what a bridge passes on goes there, too."""

KINDNET: Final = Enforcer("kindnet", "mangle", "POSTROUTING", sees_own=True)
"""Judges in POSTROUTING, behind FORWARD and before sources are translated, like kindnet's own engine."""

CALICO: Final = Enforcer("calico", "filter", "FORWARD")
"""Felix judges in FORWARD, before kube-proxy's chains; there is no bridge whose frames would pass by.

Where it is judged and in which order is calico's; the rules are those of an agent of
ours, and not chains of Felix for each pod (`cali-tw-...`, `cali-fw-...`). So what these do
besides is not done: drop what is INVALID, and tunnels that pods send themselves.
"""

WEAVE: Final = attrs.evolve(AGENT, name="weave-npc")
"""Judges in FORWARD, frames between pods of a node among them."""

_OF_PROVIDERS: Final[Mapping[str, Enforcer]] = MappingProxyType(
    {"kindnet": KINDNET, "calico": CALICO, "weave": WEAVE}
)


def enforcer_of(provider: str, policy: str = "provider") -> Enforcer | None:
    """Return who enforces policies; None if nobody does.

    Args:
        provider: the network provider.
        policy: `network.policy` of the Cluster document.
    """
    match policy:
        case "none":
            return None
        case "iptables":
            return AGENT
        case _:
            return _OF_PROVIDERS.get(provider)


def absence(provider: str, policy: str = "provider") -> str:
    """Return why nobody enforces policies, in words."""
    if policy == "none":
        return "network.policy is none"
    return "there is no network provider" if provider == "none" else f"{provider} enforces none"
