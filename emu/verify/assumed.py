# SPDX-License-Identifier: GPL-2.0-only
"""What a verdict takes for granted: what NetworkPolicy leaves open, and chance that nobody follows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeGuard

from emu.verify.endpoint import Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from fractions import Fraction

    from emu.cluster.cluster import Cluster
    from emu.cluster.emulation import Emulation
    from emu.kube.policy.agents import Agents
    from emu.kube.policy.snapshot import PodView
    from emu.verify.endpoint import Source, Target
    from emu.verify.verdict import Outcome
    from emu.wire.addresses import IpAddress

_HOST_NETWORK: Final = {
    "node": "a pod on its node's network is no pod to selectors of policies",
    "pod": "a pod on its node's network has its node's address to selectors of policies",
}
_ESTABLISHED: Final = {
    "keep": "a connection that stood before a policy goes on",
    "recheck": "a connection that stood before a policy is judged again",
}
OVERTAKEN: Final = "one packet is overtaken at the most"
_ICMP: Final = "a policy isolates a pod for ICMP, too"
_BACK_TO_ITSELF: Final = "what a pod sends to itself through a Service is judged by its policies"


def of_chance(spared: Mapping[str, Fraction]) -> tuple[str, ...]:
    """Return what could have happened by chance and is taken not to: questions, with their probabilities."""
    return tuple(
        [f"{question} (by chance: {share}) No, it is assumed." for question, share in spared.items()]
    )


def of_policies(
    network: Emulation, source: Source, target: Target, outcomes: Iterable[Outcome]
) -> tuple[str, ...]:
    """Return the points that matter between two ends, of which one at least is isolated by a policy."""
    if not _is_cluster(network):
        return ()
    agents = network.control_plane.policies
    if agents is None or not agents.wanted:
        return ()
    found = (words for outcome in outcomes for words in _of_outcome(network, agents, source, target, outcome))
    return tuple(dict.fromkeys(found))


def _is_cluster(network: Emulation) -> TypeGuard[Cluster]:
    return network.is_cluster


def _of_outcome(
    network: Cluster, agents: Agents, source: Source, target: Target, outcome: Outcome
) -> Iterator[str]:
    request = outcome.story.request
    if request is None or not request.tuples:
        return
    asking, asked = agents.pod_at(str(request.tuples[0].src)), agents.pod_at(str(request.tuples[-1].dst))
    sends, gets = _is_isolated(agents, asking, "egress"), _is_isolated(agents, asked, "ingress")
    if not sends and not gets:
        return
    settings = agents.settings
    if (gets and source.namespace.startswith("node/")) or (
        sends and _is_of_node(network, request.tuples[-1].dst)
    ):
        setting = settings.host_network_peer
        yield f"{_HOST_NETWORK[setting]} (networkPolicy.hostNetworkPeer: {setting})"
    if outcome.cause is not None and outcome.cause.code.startswith("NETPOL_"):
        kept = settings.established_connections
        yield f"{_ESTABLISHED[kept]} (networkPolicy.establishedConnections: {kept})"
    if target.protocol is Protocol.ICMP:
        yield _ICMP
    if asking is not None and asking == asked:
        yield _BACK_TO_ITSELF


def _is_of_node(network: Cluster, address: IpAddress) -> bool:
    devices = (device for each in network.machines.values() for device in each.net.devices.values())
    return any(address == own.address for device in devices for own in device.addresses)


def _is_isolated(agents: Agents, pod: PodView | None, direction: str) -> bool:
    return pod is not None and agents.isolates(pod, direction)
