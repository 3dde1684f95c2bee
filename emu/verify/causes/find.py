# SPDX-License-Identifier: GPL-2.0-only
"""Finds why a question got no answer, from what its packets met."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Final

import attrs

from emu.kernel.drops import DropReason
from emu.kernel.netfilter.hooks import Hook
from emu.observe.recording import Kind
from emu.verify.causes.cause import Cause
from emu.verify.causes.codes import (
    CODES,
    CT_INSERT_FAILED,
    CT_TABLE_FULL,
    DNS_NXDOMAIN,
    DNS_TIMEOUT,
    FORWARD_POLICY_DROP,
    FRAME_STORM,
    IP_FORWARD_OFF,
    NO_ANSWER,
    REPLY_NOT_UNNATED,
    SEND_REFUSED,
    TTL_EXPIRED,
)
from emu.verify.exchange import STORM
from emu.verify.fivetuple import packet_of
from emu.verify.story import UNROUTED, Way

if TYPE_CHECKING:
    from collections.abc import Mapping

    from emu.cluster.emulation import Emulation
    from emu.observe.recording import Step
    from emu.verify.endpoint import Source, Target
    from emu.verify.exchange import Exchange
    from emu.verify.story import Packet, Story

_FIXES: Final[Mapping[str, str]] = {
    IP_FORWARD_OFF: "sysctl -w net.ipv4.ip_forward=1 in {net}",
    "IP_INNOROUTES": "ask `ip route get {dst}` in {net}, and give it a route that leads there",
    "IP_OUTNOROUTES": "ask `ip route get {dst}` in {net}, and give it a route that leads there",
    "IP_RPFILTER": "give {net} a route back to {src} by {device}, or set rp_filter to 2 (loose) or 0",
    "NO_SOCKET": "have a program in {net} listen there",
    "PKT_TOO_BIG": "let the MTUs on the way agree, or let the ICMP error reach the sender",
    TTL_EXPIRED: "look for a routing loop: which hops does the packet pass twice?",
    FORWARD_POLICY_DROP: "accept it by a rule of filter/FORWARD in {net}, or `iptables -P FORWARD ACCEPT`",
    REPLY_NOT_UNNATED: "have the answer pass the node that translated the request: on one bridge, by "
    "sysctl -w net.bridge.bridge-nf-call-iptables=1",
    CT_TABLE_FULL: "raise net.netfilter.nf_conntrack_max on the machine of {net}",
}
_BY_DETAIL: Final = {"nf_conntrack: table full": CT_TABLE_FULL, "insert_failed": CT_INSERT_FAILED}
_NO_ROUTE: Final = frozenset((errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EINVAL))
_NO_ROUTE_NAMES: Final = frozenset(errno.errorcode[number] for number in _NO_ROUTE)


def find_cause(network: Emulation, exchange: Exchange, story: Story, source: Source, target: Target) -> Cause:
    """Return why `exchange` was not completed, as its packets tell it.

    Args:
        network: where it took place, as the packets left it.
        exchange: what was told.
        story: of `exchange`.
        source: who asked.
        target: whom.
    """
    del network
    if exchange.outcome == STORM:
        return _storm(exchange, source)
    if story.request is None:
        return _unsent(exchange, source, target)
    if not story.request.is_accepted:
        return _ended(story.request, Way.REQUEST)
    if story.answer is not None and not story.answer.is_accepted:
        return _unwelcome(_ended(story.answer, Way.REPLY), story, target)
    step = story.request.end.step
    if step.stage == UNROUTED:
        code, dst = DropReason.IP_OUTNOROUTES.name, story.request.tuples[-1].src
        fix = _FIXES[code].format(net=step.net, dst=dst)
        return Cause(code, step.detail, Way.REPLY, step.net, step.device, fix)
    return Cause(NO_ANSWER, f"{CODES[NO_ANSWER]} ({step.detail})", Way.REPLY, step.net, step.device)


def find_cause_of_no_name(  # noqa: PLR0917 - what is known of a failure, and nothing else
    network: Emulation,
    exchange: Exchange,
    story: Story,
    source: Source,
    server: Target,
    words: str,
    *,
    is_absent: bool,
) -> Cause:
    """Return why a name has no address: there is none, or what became of the query.

    Args:
        network: where it took place.
        exchange: of the look-up.
        story: of its first query.
        source: who asked.
        server: whom.
        words: what the resolver says.
        is_absent: a server answered that there is no such name.
    """
    if is_absent:
        return Cause(DNS_NXDOMAIN, words, Way.REQUEST, source.namespace)
    cause = find_cause(network, exchange, story, source, server)
    if cause.code in {NO_ANSWER, SEND_REFUSED}:
        return Cause(DNS_TIMEOUT, words, Way.REQUEST, source.namespace)
    return attrs.evolve(cause, words=f"{cause.words} (the query to {server.address}; {words})")


def _storm(exchange: Exchange, source: Source) -> Cause:
    """Name the place that saw a frame most often."""
    passed: dict[tuple[str, str], int] = {}
    for step, _ in exchange.told:
        if step.kind is Kind.IN:
            passed[step.net, step.device] = passed.get((step.net, step.device), 0) + 1
    net, device = max(passed, key=passed.__getitem__, default=(source.namespace, ""))
    times = passed.get((net, device), 0)
    words = f"{CODES[FRAME_STORM]}: {times} came in here before this was stopped"
    return Cause(FRAME_STORM, words, Way.REQUEST, net, device)


def _unsent(exchange: Exchange, source: Source, target: Target) -> Cause:
    """Nothing was sent: the program's call failed."""
    net, dst = source.namespace, target.address
    if exchange.outcome in _NO_ROUTE_NAMES:
        code = DropReason.IP_OUTNOROUTES.name
        words = f"no route to {dst} ({exchange.outcome})"
        return Cause(code, words, Way.REQUEST, net, fix=_FIXES[code].format(net=net, dst=dst))
    return Cause(SEND_REFUSED, f"{CODES[SEND_REFUSED]}: {exchange.outcome}", Way.REQUEST, net)


def _ended(packet: Packet, way: Way) -> Cause:
    """Return why the copy of `packet` that matters ended where it did."""
    step = packet.end.step
    device = step.device or next(
        (one.step.device for one in reversed(packet.line) if one.step.net == step.net and one.step.device),
        "",
    )
    code, words = drop_code(packet)
    there = packet.tuples[-1]
    fix = _FIXES.get(code, "").format(net=step.net, device=device, src=there.src, dst=there.dst)
    return Cause(code, words, way, step.net, device, fix)


def _unwelcome(cause: Cause, story: Story, target: Target) -> Cause:
    """Say so if the answer found no socket because it is not from who was asked."""
    assert story.answer is not None, "there is an answer nobody takes"
    assert story.request is not None, "what was answered was asked"
    there = story.answer.tuples[-1]
    if cause.code != DropReason.NO_SOCKET.name:
        return cause
    words = f"the answer comes from {there.src}, and {target.address} was asked"
    if there.src == target.address:
        words = cause.words
    was_translated = len({(one.dst, one.dport) for one in story.request.tuples}) > 1
    if was_translated and there.src != target.address:
        return attrs.evolve(cause, code=REPLY_NOT_UNNATED, words=words, fix=_FIXES[REPLY_NOT_UNNATED])
    return attrs.evolve(cause, words=words, fix="")


def drop_code(packet: Packet) -> tuple[str, str]:
    """Return the code for the end of `packet`, and what happened in words.

    One that vanished without a drop (it waits still, or a device swallowed it)
    gets the reason that fits where it was seen last.
    """
    step = packet.end.step
    before = packet.line[-2].step if len(packet.line) > 1 else step
    if step.kind is not Kind.DROP:
        code = DropReason.NEIGH_FAILED if step.stage == "neighbour" else DropReason.NOT_SPECIFIED
        last = f"{step.stage}: {step.detail}" if step.stage else f"passing {step.device}"
        return code.name, f"it is not seen again after {last}"
    assert step.reason is not None, "a drop has a reason"
    code_name = step.reason.name
    if step.reason is DropReason.NETFILTER_DROP:
        return _netfilter_code(packet)
    if step.reason is DropReason.IP_INADDRERRORS:
        code_name = IP_FORWARD_OFF
    elif step.reason is DropReason.IP_INHDR and before.stage == "route" and packet_of(step)[8:9] <= b"\1":
        code_name = TTL_EXPIRED
    return code_name, step.detail or CODES[code_name]


def _netfilter_code(packet: Packet) -> tuple[str, str]:
    """Return the code for what netfilter dropped, and the rule that did it."""
    step = packet.end.step
    for beginning, code in _BY_DETAIL.items():
        if step.detail.startswith(beginning):
            return code, step.detail
    decided = _last_in_a_chain(packet)
    if decided is None or decided.chain is None:
        return DropReason.NETFILTER_DROP.name, step.detail
    is_policy = not decided.rule and decided.chain[1] == Hook.FORWARD.name
    code = FORWARD_POLICY_DROP if is_policy else DropReason.NETFILTER_DROP.name
    return code, f"{decided.stage} {decided.detail}"


def _last_in_a_chain(packet: Packet) -> Step | None:
    """Return the last step within a chain, since the packet passed a tap."""
    for step, _ in reversed(packet.line[:-1]):
        if step.kind is not Kind.NOTE or step.chain is not None:
            return step
    return None
