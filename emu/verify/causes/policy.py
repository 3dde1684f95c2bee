# SPDX-License-Identifier: GPL-2.0-only
"""Packets that a NetworkPolicy refuses: the rule that did it says which pod it isolates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.errors import AddressError
from emu.kube.api.objects import NetworkPolicy
from emu.kube.api.objects.network import IngressRule
from emu.verify.causes.codes import NETPOL_EGRESS, NETPOL_INGRESS
from emu.verify.causes.objects import isolating
from emu.verify.causes.origin import Origin
from emu.verify.causes.rules import isolated_pod
from emu.verify.causes.words import listed, port_words
from emu.verify.story import Way
from emu.wire.addresses import Prefix

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from emu.kube.api.objects.network import EgressRule, IpBlock
    from emu.verify.causes.cause import Cause
    from emu.verify.causes.scene import Scene
    from emu.wire.addresses import IpAddress

_KIND: Final = "NetworkPolicy "


def refine(scene: Scene, cause: Cause) -> Cause | None:
    """Return the cause if a policy refused the packet, None if none did."""
    isolated = isolated_pod(cause.rule)
    if isolated is None:
        return None
    namespace, name, direction = isolated
    pod, is_ingress = f"Pod {namespace}/{name}", direction == "ingress"
    policies = isolating(scene.network, cause.rule)
    if not policies:
        return None  # a rule of somebody else that only reads like one
    names = [each.object.removeprefix(_KIND) for each in policies]
    who, verb = f"NetworkPolicy {names[0]} isolates {pod}", "it"
    if len(names) > 1:
        who, verb = f"NetworkPolicies {listed(names)} isolate {pod}", "them"
    words = f"{who} for {direction}, and no rule of {verb} admits {_peer(scene, is_ingress=is_ingress)}"
    found = policies[0]
    fix = f"add a rule to {found.field} of {found.object} that admits it"
    missed = _missed(scene, names, is_ingress=is_ingress)
    if missed is not None:
        found, why = missed
        words += f"; {found.field} of {found.object} {why}"
        fix = f"let {found.field} of {found.object} hold what the policy sees"
    return attrs.evolve(
        cause,
        code=NETPOL_INGRESS if is_ingress else NETPOL_EGRESS,
        words=words,
        fix=fix,
        object=found.object,
        field=found.field,
    )


def _peer(scene: Scene, *, is_ingress: bool) -> str:
    """Return who was refused, as the policy saw him, and what he was before NAT."""
    there, first = scene.there, scene.packet.tuples[0]
    address, was = (there.src, first.src) if is_ingress else (there.dst, first.dst)
    owner = scene.owner(address)
    who = str(address) if owner == str(address) else f"{owner} ({address})"
    is_node = owner.startswith("Node ") and (was == address or scene.owner(was) == owner)
    if is_ingress and is_node and scene.way is Way.REQUEST:
        text = scene.source.text
        if not text.startswith("node/") and text not in {str(address), str(was)}:
            who += f", whose network {text} is on,"
    words = f"{who} on {port_words(there)}"
    if was != address:
        words += f" ({'from' if is_ingress else 'to'} {was}, until NAT changed it)"
    return words


def _missed(scene: Scene, names: Sequence[str], *, is_ingress: bool) -> tuple[Origin, str] | None:
    """Return the field that names what the packet was before NAT, which no policy sees; None for none."""
    there, first = scene.there, scene.packet.tuples[0]
    seen, was = (there.src, first.src) if is_ingress else (there.dst, first.dst)
    if seen == was and there.dport == first.dport:
        return None
    for name in names:
        for path, rule in _rules(scene, name, is_ingress=is_ingress):
            peers, word = (rule.from_, "from") if isinstance(rule, IngressRule) else (rule.to, "to")
            for place, peer in enumerate(peers):
                if was != seen and peer.ip_block is not None and _holds(peer.ip_block, was):
                    where = Origin(f"{_KIND}{name}", f"{path}.{word}[{place}].ipBlock")
                    return where, f"holds {was}, and the policy is asked about {seen}"
            for place, port in enumerate(rule.ports):
                if there.dport != first.dport and port.port == first.dport:
                    where = Origin(f"{_KIND}{name}", f"{path}.ports[{place}].port")
                    return where, f"is that of the Service, and the policy is asked about {there.dport}"
    return None


def _rules(scene: Scene, name: str, *, is_ingress: bool) -> Iterator[tuple[str, IngressRule | EgressRule]]:
    """Yield the rules of a policy for one direction, each with its path."""
    namespace, _, own = name.partition("/")
    policy = None if scene.store is None else scene.store.find(NetworkPolicy, own, namespace)
    if policy is None:
        return
    rules: Sequence[IngressRule | EgressRule] = policy.spec.ingress if is_ingress else policy.spec.egress
    for number, rule in enumerate(rules):
        yield f"spec.{'ingress' if is_ingress else 'egress'}[{number}]", rule


def _holds(block: IpBlock, address: IpAddress) -> bool:
    try:
        return address in Prefix.parse(block.cidr)
    except AddressError:
        return False
