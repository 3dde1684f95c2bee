# SPDX-License-Identifier: GPL-2.0-only
"""Services that lead nowhere: what kube-proxy's rules refuse, and why they had to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.errors import did_you_mean
from emu.kube.api.objects import Deployment, EndpointSlice, Pod, ReplicaSet, Service, StatefulSet
from emu.kube.api.selectors import contains
from emu.kube.proxy.nft.names import FIREWALL
from emu.verify.causes import nft
from emu.verify.causes.codes import (
    LB_SOURCE_RANGE,
    SVC_NO_ENDPOINTS,
    SVC_NO_LOCAL_ENDPOINT,
    SVC_NO_SUCH_ADDRESS,
    SVC_NO_SUCH_PORT,
)
from emu.verify.causes.index import index_of
from emu.verify.causes.rules import comment_of, port_index, port_of_rule
from emu.verify.causes.words import PROTOCOLS, listed
from emu.verify.endpoint import Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from emu.kube.api.store import Store
    from emu.verify.causes.cause import Cause
    from emu.verify.causes.scene import Scene
    from emu.verify.endpoint import Target

_NO_ENDPOINTS: Final = " has no endpoints"
_NO_LOCAL: Final = " has no local endpoints"
_NOT_ACCEPTED: Final = " traffic not accepted by "
_INVALID_PORT: Final = "invalid ports of ClusterIPs"
_UNALLOCATED: Final = "traffic to unallocated ClusterIPs"


def refine(scene: Scene, cause: Cause) -> Cause | None:
    """Return the cause if a rule of kube-proxy refused the packet for want of a backend, None if not."""
    decision, comment = scene.decision, comment_of(cause.rule)
    if decision is not None and decision.chain is not None and decision.chain[0] == nft.PROXY_TABLE:
        return _refused_by_nft(scene, cause, decision.chain[1], comment)
    if decision is None or decision.chain is None or not comment:
        return None
    if _INVALID_PORT in comment:
        return attrs.evolve(cause, code=SVC_NO_SUCH_PORT)
    named = port_of_rule(scene.net, scene.store, decision.chain[1], cause.rule)
    if named is None:
        return None
    namespace, name, _ = named
    whose = f"Service {namespace}/{name}"
    service = None if scene.store is None else scene.store.find(Service, name, namespace)
    if comment.endswith(_NO_ENDPOINTS):
        return without_endpoints(scene, cause, named)
    if comment.endswith(_NO_LOCAL):
        words, fix = no_local(scene, service, cause.field)
        return attrs.evolve(
            cause, code=SVC_NO_LOCAL_ENDPOINT, words=f"{whose} {words}", object=whose, fix=fix
        )
    if _NOT_ACCEPTED in comment:
        return outside_ranges(scene, cause, named)
    return None


def _refused_by_nft(scene: Scene, cause: Cause, chain: str, comment: str) -> Cause | None:
    """Return the cause if a rule of kube-proxy's table refused the packet, None if not."""
    if _INVALID_PORT in comment:
        return attrs.evolve(cause, code=SVC_NO_SUCH_PORT)
    if _UNALLOCATED in comment:
        words = f"{scene.there.dst} is in the range of Services, and none has it"
        return attrs.evolve(cause, code=SVC_NO_SUCH_ADDRESS, words=words, object="", field="")
    named = nft.port_of_chain(chain)
    if named is not None:
        return outside_ranges(scene, cause, named) if chain.startswith(FIREWALL) else None
    refusal = nft.refusal(scene.net, chain, scene.there)
    if refusal is None:
        return None
    cause = attrs.evolve(cause, rule=refusal.element)
    if not refusal.is_local:
        return without_endpoints(scene, cause, refusal.port)
    namespace, name, _ = refusal.port
    field = "spec.internalTrafficPolicy" if refusal.is_internal else "spec.externalTrafficPolicy"
    words, fix = no_local(scene, scene.service(namespace, name), field)
    whose = f"Service {namespace}/{name}"
    return attrs.evolve(
        cause, code=SVC_NO_LOCAL_ENDPOINT, words=f"{whose} {words}", object=whose, field=field, fix=fix
    )


def without_endpoints(scene: Scene, cause: Cause, named: tuple[str, str, str]) -> Cause:
    """Return the cause of what was refused because a service port has no endpoints at all."""
    whose, service = f"Service {named[0]}/{named[1]}", scene.service(named[0], named[1])
    why = Why(f"{whose} has no endpoints", whose, "spec.selector")
    if service is not None and scene.store is not None:
        why = why_no_endpoints(scene.store, service, port_index(scene.store, named))
    return attrs.evolve(
        cause, code=SVC_NO_ENDPOINTS, words=why.words, object=why.object, field=why.field, fix=why.fix
    )


def outside_ranges(scene: Scene, cause: Cause, named: tuple[str, str, str]) -> Cause:
    """Return the cause of what was dropped because nobody named its source."""
    whose, service = f"Service {named[0]}/{named[1]}", scene.service(named[0], named[1])
    ranges = () if service is None else service.spec.load_balancer_source_ranges
    known = f" ({', '.join(ranges)})" if ranges else ""
    words = f"{scene.there.src} is in none of the loadBalancerSourceRanges of {whose}{known}"
    fix = f"add a range with {scene.there.src} to spec.loadBalancerSourceRanges of {whose}"
    return attrs.evolve(cause, code=LB_SOURCE_RANGE, words=words, object=whose, fix=fix)


@attrs.frozen
class Why:
    """Why a Service has no endpoints: in words, whose doing it is, and what would help."""

    words: str
    object: str
    field: str
    fix: str = ""


def why_no_endpoints(store: Store, service: Service, index: int) -> Why:
    """Return why there is no endpoint for a port of `service`, told apart."""
    meta, selector = service.metadata, service.spec.selector
    whose = f"Service {meta.namespace}/{meta.name}"
    if not selector:
        return _without_selector(store, service)
    pods = [
        pod
        for pod in store.list(Pod, meta.namespace)
        if contains(pod.metadata.labels, selector) and not pod.is_finished
    ]
    if not pods:
        words = (
            f"{whose} has no endpoints: its selector {_labels(selector)} matches no pod in {meta.namespace}"
        )
        idle = _idle(store, meta.namespace, selector)
        if idle:
            words += f"; {idle} makes such pods, and has 0 replicas"
            return Why(words, idle, "spec.replicas", f"give {idle} replicas")
        fix = f"let spec.selector of {whose} be labels that its pods have"
        return Why(words + _nearest(store, meta.namespace, selector), whose, "spec.selector", fix)
    ready = [pod for pod in pods if pod.is_ready]
    port = service.spec.ports[index] if index < len(service.spec.ports) else None
    if ready and port is not None and isinstance(port.target_port, str):
        names = sorted({each for pod in ready for each in _port_names(pod, port.protocol)})
        if port.target_port not in names:
            known = (
                f"they have {listed(names)}" if names else f"none of their {port.protocol} ports has a name"
            )
            words = (
                f"{whose} has no endpoints: its targetPort {port.target_port} names no {port.protocol} port "
                f"of its pods ({known}){did_you_mean(port.target_port, names)}"
            )
            field = f"spec.ports[{index}].targetPort"
            return Why(words, whose, field, f"name a port of the pods in {field} of {whose}")
    if not ready:
        first = pods[0]
        states = [f"{pod.metadata.name} ({_state(pod)})" for pod in pods]
        count = f"{len(pods)} pod matches" if len(pods) == 1 else f"{len(pods)} pods match"
        words = f"{whose} has no endpoints: {count} its selector, and none is ready: {listed(states)}"
        whose = f"Pod {first.metadata.namespace}/{first.metadata.name}"
        return Why(
            words, whose, "status.conditions", f"find out why {whose} is not ready: kubectl describe pod"
        )
    return Why(f"{whose} has no endpoints", whose, "spec.selector")


def _idle(store: Store, namespace: str, selector: Mapping[str, str]) -> str:
    """Return what would make pods that a selector matches, and makes none; empty if there is nothing such."""
    makers: list[Deployment | StatefulSet | ReplicaSet] = [
        *store.list(Deployment, namespace),
        *store.list(StatefulSet, namespace),
        *store.list(ReplicaSet, namespace),
    ]
    for each in makers:
        if each.spec.replicas == 0 and contains(each.spec.template.metadata.labels, selector):
            return f"{each.KIND} {namespace}/{each.metadata.name}"
    return ""


def _without_selector(store: Store, service: Service) -> Why:
    meta = service.metadata
    whose = f"Service {meta.namespace}/{meta.name}"
    slices = [each for each in store.list(EndpointSlice, meta.namespace) if each.service == meta.name]
    if any(each.endpoints for each in slices):
        words = "has no selector, and no endpoint of its EndpointSlices is ready"
    elif slices:
        words = "has no selector, and its EndpointSlices are empty"
    else:
        words = "has no selector, and there is no EndpointSlice for it"
    return Why(
        f"{whose} {words}",
        whose,
        "spec.selector",
        f"give it a selector, or write an EndpointSlice labelled kubernetes.io/service-name: {meta.name}",
    )


def _labels(labels: Mapping[str, str]) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items()))


def _nearest(store: Store, namespace: str, selector: Mapping[str, str]) -> str:
    """Return what labels with the selector's keys pods have, those that look like it if there are any."""
    found = {
        _labels({key: pod.metadata.labels[key] for key in selector})
        for pod in store.list(Pod, namespace)
        if selector.keys() <= pod.metadata.labels.keys()
    }
    hint = did_you_mean(_labels(selector), sorted(found))
    return hint or (f"; pods there have {listed(sorted(found))}" if found else "")


def _port_names(pod: Pod, protocol: str) -> Sequence[str]:
    ports = [each for container in pod.spec.containers for each in container.ports]
    return [each.name for each in ports if each.name and each.protocol == protocol]


def _state(pod: Pod) -> str:
    """Return what keeps a pod from being ready, in a few words."""
    for status in (*pod.status.init_container_statuses, *pod.status.container_statuses):
        if status.state.waiting is not None and status.state.waiting.reason:
            return status.state.waiting.reason
    if pod.metadata.is_terminating:
        return "Terminating"
    return pod.status.phase if pod.status.phase != "Running" else "Running, not Ready"


def no_local(scene: Scene, service: Service | None, field: str, node: str = "") -> tuple[str, str]:
    """Return words for a Service that has endpoints, but none on this node, and what would help."""
    here = node or scene.network.owners(scene.end.net)[1] or scene.end.net
    policy = field.rpartition(".")[2] or "traffic policy"
    words = f"has no endpoint on {here}, and its {policy} is Local"
    nodes = set() if service is None else nodes_of(scene, service)
    if nodes:
        words += f" (it has endpoints on {listed(sorted(nodes))})"
    return words, f"set {policy} to Cluster, send to a node with an endpoint, or have one on each node"


def nodes_of(scene: Scene, service: Service) -> set[str]:
    """Return the nodes that have endpoints of `service`; `outside` for those on none."""
    if scene.store is None:
        return set()
    slices = scene.store.list(EndpointSlice, service.metadata.namespace)
    mine = (each for each in slices if each.service == service.metadata.name)
    return {each.node_name or "outside" for piece in mine for each in piece.endpoints}


def hinted(cause: Cause, store: Store | None, target: Target) -> Cause:
    """Return `cause` with a word about the Service that was asked for a port that it does not have."""
    service = None if store is None else index_of(store).service_at(str(target.address))
    if service is None:
        return cause
    whose = f"Service {service.metadata.namespace}/{service.metadata.name}"
    known = [
        f"{each.port}/{each.protocol}" + (f" {each.name}" if each.name else "") for each in service.spec.ports
    ]
    if target.protocol is Protocol.ICMP:
        hint = f"{whose} has ports, and no rule for ICMP: ask one of them ({', '.join(known)})"
    elif any(
        (each.port, each.protocol) == (target.port, target.protocol.value) for each in service.spec.ports
    ):
        return cause
    else:
        hint = f"{whose} has no port {target.port}/{target.protocol.value} (it has {', '.join(known)})"
    return attrs.evolve(cause, words=f"{hint}; {cause.words}", object=whose, field="spec.ports", fix="")


def is_refused_port(scene: Scene, cause: Cause) -> Cause | None:
    """Return the cause if a node itself refused a port of a ClusterIP that is its own, as with ipvs."""
    if cause.code != "NO_SOCKET" or scene.store is None or not scene.net.name.startswith("node/"):
        return None
    asked = str(scene.there.dst)
    if index_of(scene.store).service_at(asked) is None:
        return None
    words = f"the node itself has {asked}, and nobody listens on {PROTOCOLS.get(scene.there.protocol, '')} "
    return attrs.evolve(cause, code=SVC_NO_SUCH_PORT, words=f"{words}{scene.there.dport}")
