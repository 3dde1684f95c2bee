# SPDX-License-Identifier: GPL-2.0-only
"""Virtual services of IPVS: whose they are, and why their packets end.

no destination       the Service behind it has no endpoint, or none here
an old connection    it goes on to a destination that is gone, or to get no more
an unserved port     the address is a virtual service's, and IPVS has none for this port
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.kernel.drops import DropReason
from emu.kernel.facts import NoDestination, Outlived, Scheduled, Translated
from emu.kernel.netfilter.ipvs.virtual import PROTOCOLS
from emu.verify.causes import service as services
from emu.verify.causes.addressing import announcers
from emu.verify.causes.codes import (
    ARP_MULTI_REPLY,
    IPVS_STALE_CONNECTION,
    SVC_NO_LOCAL_ENDPOINT,
    SVC_NO_SUCH_PORT,
)
from emu.verify.causes.objects import service_at
from emu.verify.causes.scene import called
from emu.verify.story import Way

if TYPE_CHECKING:
    from emu.kernel.netfilter.ipvs.virtual import ServiceKey
    from emu.kube.api.objects import Service
    from emu.verify.causes.cause import Cause
    from emu.verify.causes.scene import Scene
    from emu.wire.addresses import IpAddress

IPVS: Final = "ipvs"
"""What steps of IPVS are called."""

_REFUSED: Final = "KUBE-IPVS-FILTER"
_RANGES: Final = "KUBE-SOURCE-RANGES-FIREWALL"


def refine(scene: Scene, cause: Cause) -> Cause | None:
    """Return the cause if a virtual service explains the end of the packet, None if it does not."""
    match scene.end.fact:
        case NoDestination(service=service) if not service.mark:
            return _without_destination(scene, _unruled(cause, scene.end.detail), service)
        case Outlived(destination=destination):
            return _stale(scene, _unruled(cause, scene.end.detail), str(destination))
    decision = scene.decision
    ruled = (
        None if decision is None or decision.chain is None else _ruled_out(scene, cause, decision.chain[1])
    )
    if ruled is not None:
        return ruled
    if scene.way is Way.REPLY:
        return _unreturned(scene, cause) if cause.code == DropReason.NO_SOCKET.name else None
    return _misled(scene, cause)


def _ruled_out(scene: Scene, cause: Cause, chain: str) -> Cause | None:
    """Return the cause if a rule of kube-proxy refused the packet before IPVS saw it, None if another did."""
    there = scene.there
    if not cause.rule or chain not in {_REFUSED, _RANGES}:
        return None
    if chain == _REFUSED:
        words = f"the address is a Service's, and IPVS has no virtual service for its port {there.dport}"
        return attrs.evolve(cause, code=SVC_NO_SUCH_PORT, words=f"{words}: {cause.words}", fix="")
    found = None if scene.store is None else service_at(scene.store, str(there.dst), there.dport)
    if found is None:
        return None
    return services.outside_ranges(scene, cause, (found.metadata.namespace, found.metadata.name, ""))


def _unreturned(scene: Scene, cause: Cause) -> Cause | None:
    """Explain an answer that did not come back by the node whose IPVS had nobody of its own to pick.

    Where the policy is Local and no pod is at hand, kube-proxy gives the virtual
    service those of other nodes, and still masquerades nothing.
    """
    request = scene.story.request
    picked = [one.step for one in request.line if one.step.stage == IPVS] if request is not None else []
    asked = next((fact.service for step in picked if isinstance(fact := step.fact, Scheduled)), None)
    if (
        asked is None
        or asked.mark
        or scene.store is None
        or any(step.net == picked[0].net for step in scene.steps)
    ):
        return None
    service = service_at(scene.store, str(asked.address), asked.port)
    policy = "" if service is None else _policy(service, str(asked.address))
    _, node = scene.network.owners(picked[0].net)
    if service is None or not policy or node is None or node in services.nodes_of(scene, service):
        return None
    whose = f"Service {service.metadata.namespace}/{service.metadata.name}"
    voices = _voices(scene, asked.address)
    if node in voices:
        return _overheard(scene, cause, whose, voices, node)
    why, fix = services.no_local(scene, service, policy, node)
    words = (
        f"{whose} {why}; IPVS sends to another node's, masquerades nothing, and the answer takes the short "
        f"way: it comes from {scene.there.src}, and {scene.target.address} was asked"
    )
    return attrs.evolve(cause, code=SVC_NO_LOCAL_ENDPOINT, words=words, object=whose, field=policy, fix=fix)


def _unruled(cause: Cause, detail: str) -> Cause:
    """Return a cause that no rule has to do with."""
    return attrs.evolve(cause, words=detail, rule="", object="", field="", fix="")


def _voices(scene: Scene, address: IpAddress) -> list[str]:
    """Return the nodes whose kernels answer ARP for an address that one of them announces in layer 2."""
    said = announcers(scene, address)
    found = [
        node
        for net in map(scene.network.fabric.namespace, scene.owners(address) if said else ())
        if (node := scene.network.owners(net.name)[1]) is not None
        and not net.sysctl.number("net.ipv4.conf.all.arp_ignore")
    ]
    return sorted(found) if [f"node/{each}" for each in found] != said else []


def _overheard(scene: Scene, cause: Cause, whose: str, voices: list[str], node: str) -> Cause:
    """Return the cause of a packet that came to a node that answers ARP beside the one that is to."""
    address = scene.target.address
    said = ", ".join(called(scene.network, each) for each in announcers(scene, address))
    words = (
        f"{len(voices)} nodes answer ARP for {address}, which {said} announces: {', '.join(voices)}, whose "
        f"kube-ipvs0 has it; it came to {node}, and {whose} has no endpoint there"
    )
    return attrs.evolve(
        cause,
        code=ARP_MULTI_REPLY,
        words=words,
        object=f"Node {node}",
        field="net.ipv4.conf.all.arp_ignore",
        fix="kubeProxy.ipvs.strictARP: true, so that kernels answer for addresses of the device alone",
    )


def _without_destination(scene: Scene, cause: Cause, asked: ServiceKey) -> Cause | None:
    address, port = str(asked.address), asked.port
    found = None if scene.store is None else service_at(scene.store, address, port)
    if found is None:
        return cause
    meta = found.metadata
    ports = (each for each in found.spec.ports if each.protocol == PROTOCOLS[asked.protocol])
    name = next((each.name for each in ports if port in {each.port, each.node_port}), "")
    policy = _policy(found, address)
    if policy and services.nodes_of(scene, found):
        whose = f"Service {meta.namespace}/{meta.name}"
        words, fix = services.no_local(scene, found, policy)
        code = SVC_NO_LOCAL_ENDPOINT
        return attrs.evolve(cause, code=code, words=f"{whose} {words}", object=whose, field=policy, fix=fix)
    return services.without_endpoints(scene, cause, (meta.namespace, meta.name, name))


def _policy(service: Service, address: str) -> str:
    """Return the policy that lets an address of `service` lead to pods of its node alone; empty for none."""
    is_inside = address in service.spec.cluster_ips
    policy = service.spec.internal_traffic_policy if is_inside else service.spec.external_traffic_policy
    name = "spec.internalTrafficPolicy" if is_inside else "spec.externalTrafficPolicy"
    return name if policy == "Local" else ""


def _misled(scene: Scene, cause: Cause) -> Cause | None:
    """Explain a packet that a connection, and no scheduler, sent to an address that nobody has any more."""
    facts = [step.fact for step in scene.steps if step.stage == IPVS]
    sent = next((fact for fact in facts if isinstance(fact, Translated) and not fact.is_source), None)
    if sent is None or any(isinstance(fact, Scheduled) for fact in facts):
        return None
    if sent.after.address != scene.there.dst or scene.owners(scene.there.dst):
        return None
    return _stale(scene, attrs.evolve(cause, rule=""), str(sent.after))


def _stale(scene: Scene, cause: Cause, destination: str) -> Cause:
    where = next((step.net for step in scene.steps if step.stage == IPVS), scene.end.net)
    _, node = scene.network.owners(where)
    words = (
        f"a connection that {called(scene.network, where)}'s IPVS remembers still goes to {destination}, "
        f"where nobody is any more; no destination was picked ({cause.words})"
    )
    fix = f"sysctl -w net.ipv4.vs.conn_reuse_mode=1 net.ipv4.vs.expire_nodest_conn=1 in {where}"
    whose, field = ("", "") if node is None else (f"Node {node}", "net.ipv4.vs.conn_reuse_mode")
    return attrs.evolve(cause, code=IPVS_STALE_CONNECTION, words=words, fix=fix, object=whose, field=field)
