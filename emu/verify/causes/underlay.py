# SPDX-License-Identifier: GPL-2.0-only
"""Filters between the nodes, and those that meet the packets of a tunnel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from emu.kernel.drops import DropReason
from emu.verify import fivetuple
from emu.verify.causes.codes import FORWARD_POLICY_DROP, UNDERLAY_FILTER
from emu.verify.causes.scene import called
from emu.verify.causes.words import PROTOCOLS

if TYPE_CHECKING:
    from emu.verify.causes.cause import Cause
    from emu.verify.causes.scene import Scene
    from emu.verify.fivetuple import FiveTuple


def refine(scene: Scene, cause: Cause) -> Cause | None:
    """Return the cause if what was dropped is a tunnel's packet, or it was dropped between the nodes."""
    if scene.end.reason is DropReason.TC_INGRESS:
        return _by_guard(scene, cause)
    if scene.end.reason is not DropReason.NETFILTER_DROP:
        return None
    packet = fivetuple.packet_of(scene.end)
    inside = fivetuple.carried(packet)
    is_between = scene.network.is_cluster and _is_underlay(scene.end.net)
    outer = fivetuple.read(packet)
    if outer is None or not (inside or is_between):
        return None
    if cause.code not in {DropReason.NETFILTER_DROP.name, FORWARD_POLICY_DROP}:
        return None
    words = f"{_what(scene, outer)} is dropped by {called(scene.network, scene.end.net)}: {cause.words}"
    fix = f"let {_kind(outer)} pass between the nodes in {scene.end.net}"
    return attrs.evolve(cause, code=UNDERLAY_FILTER, words=words, fix=fix)


def _is_underlay(net: str) -> bool:
    """Return whether a namespace of a cluster stands between machines."""
    from emu.cluster.underlay import is_underlay  # noqa: PLC0415 - a network has none

    return is_underlay(net)


def _by_guard(scene: Scene, cause: Cause) -> Cause:
    """Return the cause where a filter of a document dropped it: that has words and a line."""
    outer = fivetuple.read(fivetuple.packet_of(scene.end))
    what = "a frame" if outer is None else _what(scene, outer)
    words = f"{what} is dropped by {called(scene.network, scene.end.net)}: {scene.end.detail}"
    kind = "it" if outer is None else _kind(outer)
    return attrs.evolve(
        cause, code=UNDERLAY_FILTER, words=words, fix=f"let {kind} pass between the nodes in {scene.end.net}"
    )


def _what(scene: Scene, outer: FiveTuple) -> str:
    what = f"{PROTOCOLS.get(outer.protocol, outer.protocol)} {outer}"
    if fivetuple.carried(fivetuple.packet_of(scene.end)):
        return f"the tunnel's packet {what}, which carries {scene.packet.tuples[-1]},"
    return what


def _kind(outer: FiveTuple) -> str:
    """Return what has to be let through."""
    name = PROTOCOLS.get(outer.protocol)
    if outer.has_ports:
        return f"{name} port {outer.dport}"
    return name or f"protocol {outer.protocol}"
