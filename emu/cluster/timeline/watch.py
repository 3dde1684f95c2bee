# SPDX-License-Identifier: GPL-2.0-only
"""Listens to the API server and to the kube-proxies of a cluster, and keeps what changes as entries."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import attrs

from emu.kube.api.objects import EndpointSlice, Node, Pod
from emu.kube.api.objects.other import Event

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.cluster.cluster import Cluster
    from emu.kube.api.objects.service import Endpoint
    from emu.kube.api.store import Change
    from emu.sim.time import Instant

EntryKind: TypeAlias = Literal["step", "event", "node", "pod", "endpoints", "rules", "link", "traffic"]

_WIRED: Final = ("node/", "ext/", "lb/")
"""How the namespaces are called whose links are told: machines', and not those of what connects them."""

_READY: Final = {"True": "Ready", "False": "NotReady", "Unknown": "NotReady (unknown)"}


@attrs.frozen
class Entry:
    """Something that happened.

    Attributes:
        time: when.
        kind: of what sort it is.
        object: whom it concerns, as an end point or `KIND/NAME`.
        text: what happened.
        reason: of an event its reason, else empty.
    """

    time: Instant
    kind: EntryKind
    object: str
    text: str
    reason: str = ""


class Watch:
    """Keeps what changes while it is `listening`.

    Attributes:
        entries: in the order in which it happened.
    """

    def __init__(self, cluster: Cluster) -> None:
        self.entries: list[Entry] = []
        self._cluster = cluster
        self._is_listening = False
        self._is_watching = False

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Listen inside the block."""
        if not self._is_watching:
            self._is_watching = True
            store = self._cluster.store
            store.watch(Event, self._event)
            store.watch(Node, self._node)
            store.watch(Pod, self._pod)
            store.watch(EndpointSlice, self._endpoints)
        listeners = self._cluster.proxies.listeners
        carriers = self._cluster.fabric.carrier_listeners
        self._is_listening = True
        listeners.append(self._rules)
        carriers.append(self._carrier)
        try:
            yield
        finally:
            listeners.remove(self._rules)
            carriers.remove(self._carrier)
            self._is_listening = False

    def note(self, kind: EntryKind, about: str, text: str, reason: str = "") -> None:
        """Keep an entry of this instant."""
        if self._is_listening:
            self.entries.append(Entry(self._cluster.fabric.loop.now, kind, about, text, reason))

    # --- what changes ---

    def _event(self, change: Change) -> None:
        event = change.new
        if not isinstance(event, Event):
            return
        about = event.involved_object
        place = f"{about.namespace}/{about.name}" if about.namespace else about.name
        kind = about.kind.lower()
        self.note("event", place if kind == "pod" else f"{kind}/{place}", event.message, event.reason)

    def _node(self, change: Change) -> None:
        old, new = change
        about = f"node/{change.object.metadata.name}"
        if not isinstance(new, Node):
            self.note("node", about, "is deleted")
        elif not isinstance(old, Node):
            self.note("node", about, "has joined")
        else:
            before, after = _readiness(old), _readiness(new)
            if before != after:
                self.note("node", about, f"is {after}")
            for sign, taints in (("+", (old, new)), ("-", (new, old))):
                less, more = ({f"{each.key}:{each.effect}" for each in one.spec.taints} for one in taints)
                for taint in sorted(more - less):
                    self.note(
                        "node", about, f"{'is tainted' if sign == '+' else 'is no longer tainted'} {taint}"
                    )

    def _pod(self, change: Change) -> None:
        old, new = change
        meta = change.object.metadata
        about = f"{meta.namespace}/{meta.name}"
        if not isinstance(new, Pod):
            self.note("pod", about, "is gone")
            return
        before = old if isinstance(old, Pod) else None
        if before is None:
            self.note("pod", about, "is created")
        for text in _turns(before, new):
            self.note("pod", about, text)

    def _endpoints(self, change: Change) -> None:
        old, new = change
        piece = change.object
        assert isinstance(piece, EndpointSlice)
        about = f"svc/{piece.metadata.namespace}/{piece.service or piece.metadata.name}"
        before = _states(old) if isinstance(old, EndpointSlice) else {}
        after = _states(new) if isinstance(new, EndpointSlice) else {}
        for name in sorted(before.keys() | after.keys()):
            now = after.get(name, "is gone")
            if before.get(name) != now:
                self.note("endpoints", about, f"{name} {now}")

    def _rules(self, node: str, words: str) -> None:
        self.note("rules", f"node/{node}", f"kube-proxy {words}")

    def _carrier(self, net: str, device: str, carrier: bool) -> None:  # noqa: FBT001 - as a fabric tells it
        if net.startswith(_WIRED):
            self.note(
                "link", net, f"{device} {'has its carrier again' if carrier else 'has lost its carrier'}"
            )


def _readiness(node: Node) -> str:
    found = next((each.status for each in node.status.conditions if each.type == "Ready"), "Unknown")
    return _READY.get(found, found)


def _turns(old: Pod | None, new: Pod) -> Iterator[str]:
    """Yield what has changed of a pod."""
    if new.spec.node_name and (old is None or not old.spec.node_name):
        yield f"is bound to node {new.spec.node_name}"
    if new.status.pod_ip and (old is None or new.status.pod_ip != old.status.pod_ip):
        yield f"has the address {new.status.pod_ip}"
    if new.is_ready != (old is not None and old.is_ready):
        yield "is Ready" if new.is_ready else "is not Ready"
    if new.metadata.is_terminating and not (old is not None and old.metadata.is_terminating):
        yield "is Terminating"
    if new.is_finished and not (old is not None and old.is_finished):
        yield f"is {new.status.phase}"


def _states(piece: EndpointSlice) -> dict[str, str]:
    """Return what may be sent to each endpoint."""
    found = {}
    for each in piece.endpoints:
        target = each.target_ref
        name = f" ({target.name})" if target is not None and target.name else ""
        found[f"{', '.join(each.addresses)}{name}"] = _state(each)
    return found


def _state(endpoint: Endpoint) -> str:
    conditions = endpoint.conditions
    if conditions.terminating:
        return "is terminating" + (", and serves still" if conditions.serving else "")
    return "is ready" if conditions.ready in {True, None} else "is not ready"
