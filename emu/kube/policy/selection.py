# SPDX-License-Identifier: GPL-2.0-only
"""Whom selectors mean: pods found for the whole cluster once, whatever nodes ask.

Pods of one namespace with the same labels are one group: selectors are asked
once for each group.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu.kube.api.selectors import selects
from emu.kube.policy import names
from emu.kube.policy.wanted import WantedSet

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.kube.api.objects.meta import LabelSelector
    from emu.kube.api.objects.network import PolicyPeer
    from emu.kube.policy.settings import Settings
    from emu.kube.policy.snapshot import PodView, Snapshot


class Selection:
    """The pods of a snapshot, to be selected, and the sets that come of it.

    Attributes:
        settings: how what is left open is settled.
    """

    def __init__(self, snapshot: Snapshot, settings: Settings) -> None:
        self.settings = settings
        self._pods = snapshot.pods
        self._groups: dict[str, dict[tuple[str, tuple[tuple[str, str], ...]], list[PodView]]] = {}
        for pod in snapshot.pods:
            self._groups.setdefault(pod.namespace, {}).setdefault(pod.group, []).append(pod)
        self._labels = {namespace: snapshot.labels_of(namespace) for namespace in self._groups}
        self._sets: dict[str, WantedSet] = {}

    def subjects(self, namespace: str, selector: LabelSelector) -> Iterator[PodView]:
        """Yield the pods of a namespace that a policy there is about: none that is on its node's network."""
        for pod in self._of_namespace(namespace, selector):
            if not pod.is_host_network:
                yield pod

    def _of_namespace(self, namespace: str, selector: LabelSelector | None) -> Iterator[PodView]:
        for pods in self._groups.get(namespace, {}).values():
            if selector is None or selects(selector, pods[0].labels):
                yield from pods

    def _peers(self, namespace: str, peer: PolicyPeer) -> Iterator[PodView]:
        """Yield the pods that the selectors of a peer mean, seen from the namespace of its policy."""
        of_namespaces = peer.namespace_selector
        for each in [namespace] if of_namespaces is None else list(self._groups):
            if of_namespaces is None or selects(of_namespaces, self._labels.get(each, {})):
                yield from self._of_namespace(each, peer.pod_selector)

    def _counts(self, pod: PodView) -> bool:
        """Return whether selectors of peers can mean a pod."""
        return not pod.is_host_network or self.settings.host_network_peer == "pod"

    # --- sets ---

    def peers(self, namespace: str, peer: PolicyPeer) -> WantedSet:
        """Return the set of the addresses of the pods that a peer's selectors mean."""
        key = "|".join(
            (
                namespace if peer.namespace_selector is None else "*",
                _canonical(peer.namespace_selector),
                _canonical(peer.pod_selector),
            )
        )
        name = names.peers_set(key)
        found = self._sets.get(name)
        if found is None:
            addresses = {pod.address for pod in self._peers(namespace, peer) if self._counts(pod)}
            found = self._sets[name] = WantedSet(name, "hash:ip", frozenset(addresses))
        return found

    def named_ports(self, port: str, protocol: str) -> WantedSet:
        """Return the set of the pods that call a port of a protocol so, each with its number."""
        name = names.ports_set(port, protocol)
        found = self._sets.get(name)
        if found is None:
            elements = {
                f"{pod.address},{protocol.lower()}:{each.number}"
                for pod in self._pods
                if self._counts(pod)
                for each in pod.ports
                if each.name == port and each.protocol == protocol
            }
            found = self._sets[name] = WantedSet(name, "hash:ip,port", frozenset(elements))
        return found


def _canonical(selector: LabelSelector | None) -> str:
    """Return a selector as text, the same for all that select the same by the same words."""
    if selector is None:
        return "-"
    words = [f"{key}={value}" for key, value in sorted(selector.match_labels.items())]
    words += sorted(
        f"{each.key} {each.operator} ({','.join(sorted(each.values))})" for each in selector.match_expressions
    )
    return "{" + ";".join(words) + "}"
