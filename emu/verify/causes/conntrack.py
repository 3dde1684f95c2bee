# SPDX-License-Identifier: GPL-2.0-only
"""Connection tracking and NAT: packets that belong to no connection, to an old one, or find no room."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import attrs

from emu.kernel.drops import DropReason
from emu.kernel.facts import Invalid, Switched, Translated
from emu.verify.causes.codes import (
    CT_INSERT_FAILED,
    CT_INVALID,
    CT_NAT_PORTS_EXHAUSTED,
    CT_STALE_DNAT,
    REPLY_NOT_UNNATED,
)
from emu.verify.causes.scene import called
from emu.verify.causes.words import PROTOCOLS
from emu.verify.story import Way
from emu.wire.addresses import IpAddress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.kernel.namespace import Namespace
    from emu.observe.recording import Step
    from emu.verify.causes.cause import Cause
    from emu.verify.causes.scene import Scene
    from emu.verify.fivetuple import FiveTuple

_INVALID: Final = "INVALID"
_LIBERAL: Final = "net.netfilter.nf_conntrack_tcp_be_liberal"
_BRIDGE_NF: Final = "net.bridge.bridge-nf-call-iptables"
_TRANSLATES: Final = re.compile(r"\b(?:DNAT|REDIRECT|NETMAP|dnat|redirect)\b")
"""In the text of a rule of either tool that gives packets another destination."""

_UNNAT_FIX: Final = (
    f"have the answer pass the node that translated the request: on one bridge, by sysctl -w {_BRIDGE_NF}=1"
)


def refine(scene: Scene, cause: Cause) -> Cause | None:
    """Return the cause if connection tracking explains the end of the packet, None if it does not."""
    if cause.code == CT_INSERT_FAILED:
        return _exhausted(scene, cause)
    if scene.end.reason is DropReason.NETFILTER_DROP:
        return _invalid(scene, cause) if _INVALID in cause.rule else None
    if scene.way is Way.REPLY and cause.code == DropReason.NO_SOCKET.name:
        return _stranger(scene, cause)
    return _stale(scene, cause) if scene.way is Way.REQUEST else None


def _invalid(scene: Scene, cause: Cause) -> Cause | None:
    """Explain a packet that a rule dropped because it is INVALID."""
    if scene.decision is None or scene.decision.conntrack != _INVALID:
        return None
    why = _why_invalid(scene)
    words = f"connection tracking calls it INVALID{why}, and a rule drops such packets: {cause.words}"
    if scene.way is Way.REPLY and not _saw_request(scene):
        words = f"{called(scene.network, scene.end.net)} has not seen the request{_detour(scene)}; {words}"
    fix = f"have both directions pass {scene.end.net}, or sysctl -w {_LIBERAL}=1 there"
    return attrs.evolve(cause, code=CT_INVALID, words=words, fix=fix)


def _saw_request(scene: Scene) -> bool:
    """Return whether the request came through the namespace where its answer ended."""
    request = scene.story.request
    return request is not None and any(one.step.net == scene.end.net for one in request.line)


def _detour(scene: Scene) -> str:
    """Return who sent the answer there, by which route."""
    routes = [step for step in scene.steps if step.stage == "route" and step.net != scene.end.net]
    if not routes:
        return ""
    last = routes[-1]
    return f", and gets the answer by the route {last.detail} of {called(scene.network, last.net)}"


def _why_invalid(scene: Scene) -> str:
    for step in reversed(scene.steps):
        if isinstance(step.fact, Invalid):
            return f" ({step.fact.reason})"
    return ""


def _exhausted(scene: Scene, cause: Cause) -> Cause | None:
    """Tell a translation that found no free port from two packets that began one connection at once."""
    change = next((step for step in reversed(scene.steps) if _changes_source(step, scene)), None)
    table = scene.net.netfilter.conntrack
    there = scene.there
    mapped = [
        entry
        for entry in table.entries(scene.net.now)
        if (entry.reply.src, entry.reply.sport, entry.reply.dst, entry.reply.protocol)
        == (there.dst, there.dport, there.src, there.protocol)
    ]
    was = scene.packet.tuples[-2] if len(scene.packet.tuples) > 1 else there
    is_race = any((one.original.src, one.original.sport) == (was.src, was.sport) for one in mapped)
    if change is None or not mapped or is_race:
        return _overtaken(scene, cause, was)
    rule = _translating_rule(scene)
    words = (
        f"{len(mapped)} connections to {there.dst}:{there.dport} have all ports of {there.src} that NAT may "
        "use: it finds none that is free"
    )
    fix = "give NAT more ports or addresses, or have fewer connections to one destination at a time"
    return attrs.evolve(cause, code=CT_NAT_PORTS_EXHAUSTED, words=words, rule=rule, fix=fix)


def _overtaken(scene: Scene, cause: Cause, was: FiveTuple) -> Cause | None:
    """Explain a packet whose addresses and ports another one got that was under way at the same instant."""
    entries = scene.net.netfilter.conntrack.entries(scene.net.now)
    asked, there = (was.src, was.sport, was.dst, was.dport), scene.there
    for entry in entries:
        first, back = entry.original, entry.reply
        if first.protocol != there.protocol:
            continue
        if (first.src, first.sport, first.dst, first.dport) == asked:
            words = (
                f"two packets of one socket were under way at once: the other one was sent on to "
                f"{IpAddress(back.src)}:{back.sport} and entered first, and this one, for {there.dst}:"
                f"{there.dport}, is dropped"
            )
            fix = "send each by a socket of its own, or in turn: glibc's single-request-reopen, or use-vc"
            return attrs.evolve(cause, words=words, fix=fix)
        if (back.dst, back.dport, back.src, back.sport) == (there.src, there.sport, there.dst, there.dport):
            words = (
                f"two connections to {there.dst}:{there.dport} were masqueraded to port {there.sport} of "
                f"{there.src} at once: that of {IpAddress(first.src)} was entered first"
            )
            fix = f"have NAT draw the ports in {scene.end.net}: MASQUERADE with --random-fully"
            return attrs.evolve(cause, words=words, fix=fix, rule=_translating_rule(scene))
    return None


def _translating_rule(scene: Scene) -> str:
    """Return the last rule that gave the packet another source where it ended; empty if none did."""
    return next((step.rule for step in reversed(scene.steps) if _translates(step, scene.end.net)), "")


def _changes_source(step: Step, scene: Scene) -> bool:
    is_here = step.net == scene.end.net and step.stage == "nat"
    return is_here and isinstance(step.fact, Translated) and step.fact.is_source


def _changes_destination(step: Step) -> bool:
    return isinstance(step.fact, Translated) and not step.fact.is_source


def _translates(step: Step, net: str) -> bool:
    return step.net == net and any(
        word in step.rule for word in ("-j MASQUERADE", "-j SNAT", "masquerade", "snat")
    )


# --- answers from strangers ---


def _stranger(scene: Scene, cause: Cause) -> Cause | None:
    """Explain an answer that found no socket because it is not from who was asked."""
    story, there = scene.story, scene.there
    assert story.request is not None, "what was answered was asked"
    if there.src == scene.target.address:
        return None
    words = f"the answer comes from {there.src}, and {scene.target.address} was asked"
    if len({(one.dst, one.dport) for one in story.request.tuples}) == 1:
        return attrs.evolve(cause, words=words, fix="", object="", field="")
    seen = next((step.net for step in scene.steps if step.conntrack == _INVALID), None)
    if seen is not None:
        invalid = f"{words}: connection tracking of {called(scene.network, seen)} calls it INVALID"
        node = _node(scene, seen)
        return attrs.evolve(
            cause,
            code=CT_INVALID,
            words=f"{invalid}{_why_invalid(scene)}, and translates no such packet back",
            fix=f"sysctl -w {_LIBERAL}=1 in {seen}, if its sequence numbers are all that is wrong",
            object=node,
            field=_LIBERAL if node else "",
        )
    translator = _translator(scene)
    why, field = ("", "") if translator is None else _why_not_back(scene, translator)
    node = "" if translator is None else _node(scene, translator.name)
    found = attrs.evolve(cause, code=REPLY_NOT_UNNATED, words=words + why, fix=_UNNAT_FIX)
    return attrs.evolve(found, object=node, field=field if node else "")


def _translator(scene: Scene) -> Namespace | None:
    """Return the namespace that translated the request's destination."""
    assert scene.story.request is not None, "as above"
    for one in scene.story.request.line:
        if _changes_destination(one.step):
            return scene.network.fabric.namespace(one.step.net)
    return None


def _why_not_back(scene: Scene, translator: Namespace) -> tuple[str, str]:
    """Return why the translator did not translate the answer back, and the setting that is to blame."""
    name = called(scene.network, translator.name)
    there = [step for step in scene.steps if step.net == translator.name]
    if not there:
        return f": it did not come back by {name}, which translated the request", ""
    bridges = [step.fact.bridge for step in there if isinstance(step.fact, Switched)]
    if bridges and not any(step.conntrack for step in there):
        if translator.sysctl.number(_BRIDGE_NF):
            return f": bridge {bridges[0]} of {name} passed it on, and no rule saw it", ""
        return f": bridge {bridges[0]} of {name} passed it on at layer 2, {_BRIDGE_NF} is 0 there", _BRIDGE_NF
    return f": {name} knows no connection any more that it belongs to", ""


def _node(scene: Scene, net: str) -> str:
    _, node = scene.network.owners(net)
    return "" if node is None else f"Node {node}"


# --- connections that outlived their pod ---


def _stale(scene: Scene, cause: Cause) -> Cause | None:
    """Explain a packet that an entry, and no rule of today, sent to an address that nobody has any more."""
    for step, before, after in _changes(scene):
        decided = any(other.net == step.net and _TRANSLATES.search(other.rule) for other in scene.steps)
        if decided or scene.owners(after.dst):
            continue
        words = (
            f"an entry of {called(scene.network, step.net)}'s connection tracking still translates "
            f"{before.dst}:{before.dport} to {after.dst}:{after.dport}, an address that no pod has any more; "
            f"no rule was asked ({cause.words})"
        )
        protocol = PROTOCOLS.get(before.protocol, "").lower()
        fix = f"conntrack -D{f' -p {protocol}' if protocol else ''} --orig-dst {before.dst} in {step.net}"
        return attrs.evolve(cause, code=CT_STALE_DNAT, words=words, fix=fix, object=_node(scene, step.net))
    return None


def _changes(scene: Scene) -> Iterator[tuple[Step, FiveTuple, FiveTuple]]:
    """Yield the steps that changed the packet's destination, with its tuples before and after."""
    destinations = list(dict.fromkeys((one.dst, one.dport) for one in scene.packet.tuples))
    tuples = {(one.dst, one.dport): one for one in reversed(scene.packet.tuples)}
    steps = (step for step in scene.steps if step.stage == "nat" and _changes_destination(step))
    for step, old, new in zip(steps, destinations, destinations[1:], strict=False):
        yield step, tuples[old], tuples[new]
