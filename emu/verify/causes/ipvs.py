# SPDX-License-Identifier: GPL-2.0-only
"""Virtual services of IPVS: whose they are, and why their packets end.

no destination       the Service behind it has no endpoint, or none here
an old connection    it goes on to a destination that is gone, or to get no more
an unserved port     the address is a virtual service's, and IPVS has none for this port
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import attrs

from emu.kernel.drops import DropReason
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
from emu.wire.addresses import IpAddress

if TYPE_CHECKING:
    from emu.kube.api.objects import Service
    from emu.verify.causes.cause import Cause
    from emu.verify.causes.scene import Scene

IPVS: Final = "ipvs"
"""What steps of IPVS are called."""

_NOBODY: Final = re.compile(r"IPVS: no destination for (\w+) ([\d.]+):(\d+)")
_OUTLIVED: Final = re.compile(r"IPVS: (\S+) is no destination of .* any more")
_TO: Final = re.compile(r"destination becomes ([\d.]+):(\d+)")
_SCHEDULED: Final = re.compile(r"\w+ ([\d.]+):(\d+) \w+ -> \S+")
_REFUSED: Final = "KUBE-IPVS-FILTER"
_RANGES: Final = "KUBE-SOURCE-RANGES-FIREWALL"


def refine(scene: Scene, cause: Cause) -> Cause | None:
    """Return the cause if a virtual service explains the end of the packet, None if it does not."""
    detail = scene.end.detail
    nobody = _NOBODY.match(detail)
    if nobody is not None:
        return _without_destination(scene, _unruled(cause, detail), *nobody.groups())
    outlived = _OUTLIVED.match(detail)
    if outlived is not None:
        return _stale(scene, _unruled(cause, detail), outlived[1])
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
    found = next((found for step in picked if (found := _SCHEDULED.fullmatch(step.detail))), None)
    if found is None or scene.store is None or any(step.net == picked[0].net for step in scene.steps):
        return None
    service = service_at(scene.store, found[1], int(found[2]))
    policy = "" if service is None else _policy(service, found[1])
    _, node = scene.network.owners(picked[0].net)
    if service is None or not policy or node is None or node in services.nodes_of(scene, service):
        return None
    whose = f"Service {service.metadata.namespace}/{service.metadata.name}"
    voices = _voices(scene, IpAddress.parse(found[1]))
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


def _without_destination(scene: Scene, cause: Cause, protocol: str, address: str, port: str) -> Cause | None:
    found = None if scene.store is None else service_at(scene.store, address, int(port))
    if found is None:
        return cause
    meta = found.metadata
    ports = (each for each in found.spec.ports if each.protocol == protocol)
    name = next((each.name for each in ports if int(port) in {each.port, each.node_port}), "")
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
    steps = [step for step in scene.steps if step.stage == IPVS]
    sent = next((found for step in steps if (found := _TO.fullmatch(step.detail))), None)
    if sent is None or any(_SCHEDULED.fullmatch(step.detail) for step in steps):
        return None
    if sent[1] != str(scene.there.dst) or scene.owners(scene.there.dst):
        return None
    return _stale(scene, attrs.evolve(cause, rule=""), f"{sent[1]}:{sent[2]}")


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
