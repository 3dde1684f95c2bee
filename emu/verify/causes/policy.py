# SPDX-License-Identifier: GPL-2.0-only
"""Packets that a NetworkPolicy refuses: the rule that did it says which pod it isolates."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from emu.verify.causes.codes import NETPOL_EGRESS, NETPOL_INGRESS
from emu.verify.causes.objects import isolating
from emu.verify.causes.rules import isolated_pod
from emu.verify.causes.words import listed, port_words

if TYPE_CHECKING:
    from emu.verify.causes.cause import Cause
    from emu.verify.causes.scene import Scene


def refine(scene: Scene, cause: Cause) -> Cause | None:
    """Return the cause if a policy refused the packet, None if none did."""
    isolated = isolated_pod(cause.rule)
    if isolated is None:
        return None
    namespace, name, direction = isolated
    pod, is_ingress = f"Pod {namespace}/{name}", direction == "ingress"
    policies = isolating(scene.network, cause.rule)
    names = [each.object for each in policies]
    who = (
        f"{listed(names)} {'isolates' if len(names) == 1 else 'isolate'} {pod}"
        if names
        else f"{pod} is isolated"
    )
    verb = "it" if len(names) == 1 else "them" if names else "a policy"
    words = f"{who} for {direction}, and no rule of {verb} admits {_peer(scene, is_ingress=is_ingress)}"
    fix = f"add a rule to spec.{direction} of {names[0]} that admits it" if names else ""
    first = policies[0] if policies else None
    return attrs.evolve(
        cause,
        code=NETPOL_INGRESS if is_ingress else NETPOL_EGRESS,
        words=words,
        fix=fix,
        object=pod if first is None else first.object,
        field="" if first is None else first.field,
    )


def _peer(scene: Scene, *, is_ingress: bool) -> str:
    """Return who was refused, as the policy saw him, and what he was before NAT."""
    there, first = scene.there, scene.packet.tuples[0]
    address, was = (there.src, first.src) if is_ingress else (there.dst, first.dst)
    owner = scene.owner(address)
    who = str(address) if owner == str(address) else f"{owner} ({address})"
    words = f"{who} on {port_words(there)}"
    if was != address:
        words += f"; it was {'from' if is_ingress else 'to'} {was} until NAT changed that"
    return words
