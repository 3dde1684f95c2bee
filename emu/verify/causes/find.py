# SPDX-License-Identifier: GPL-2.0-only
"""Finds why a question got no answer, from what its packets met.

the packet that ended   of question and answer, or a later one of the connection
the kernel's reason     `kernel`
what explains it        the first of `_REFINERS` that knows it
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Final

import attrs

from emu.apps.outcome import TIMEOUT
from emu.kernel.drops import DropReason
from emu.observe.recording import Kind
from emu.verify.causes import (
    addressing,
    balancers,
    bridge,
    conntrack,
    dns,
    headless,
    ipvs,
    kernel,
    listeners,
    mtu,
    neighbour,
    offload,
    policy,
    proxied,
    reverse_path,
    service,
    tunnel,
    underlay,
    vpc,
)
from emu.verify.causes.cause import Cause
from emu.verify.causes.codes import (
    CODES,
    DNS_NXDOMAIN,
    DNS_TIMEOUT,
    FRAME_STORM,
    NO_ANSWER,
    SEND_REFUSED,
)
from emu.verify.causes.origin import store_of
from emu.verify.causes.packets import lost_later
from emu.verify.causes.scene import Scene
from emu.verify.exchange import CLOSED, STORM
from emu.verify.story import UNROUTED, Way

if TYPE_CHECKING:
    from emu.cluster.emulation import Emulation
    from emu.verify.endpoint import Source, Target
    from emu.verify.exchange import Exchange
    from emu.verify.story import Packet, Story

_NO_ROUTE: Final = frozenset((errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EINVAL))
_NO_ROUTE_NAMES: Final = frozenset(errno.errorcode[number] for number in _NO_ROUTE)
_ENDED: Final = frozenset((CLOSED, "ECONNRESET", TIMEOUT))
_REFINERS: Final = (
    ipvs.refine,
    policy.refine,
    balancers.refine,
    service.refine,
    vpc.refine,
    underlay.refine,
    tunnel.refine,
    offload.refine,
    reverse_path.refine,
    conntrack.refine,
    bridge.refine,
    mtu.refine,
    addressing.refine,
    neighbour.refine,
    service.is_refused_port,
    listeners.refine,
)
"""Who explains a packet's end in the words of Kubernetes, in order; the first that can does."""


def find_cause(network: Emulation, exchange: Exchange, story: Story, source: Source, target: Target) -> Cause:
    """Return why `exchange` was not completed, as its packets tell it.

    Args:
        network: where it took place, as the packets left it.
        exchange: what was told.
        story: of `exchange`.
        source: who asked.
        target: whom.
    """
    cause = _find(network, exchange, story, source, target)
    store = store_of(network)
    return headless.hinted(service.hinted(cause, store, target), store, target)


def _find(network: Emulation, exchange: Exchange, whole: Story, source: Source, target: Target) -> Cause:
    story = whole.last  # what a proxy has taken did arrive

    def explained(packet: Packet, way: Way) -> Cause:
        return explained_end(Scene(network, exchange, story, source, target, packet, way))

    if exchange.outcome == STORM:
        return _storm(exchange, source)
    if story.request is None:
        return _unsent(exchange, source, target)
    if not story.request.is_accepted:
        return explained(story.request, Way.REQUEST)
    if story.answer is not None and not story.answer.is_accepted:
        return explained(story.answer, Way.REPLY)
    ended = balancers.of_ended(network, whole, target) if exchange.outcome in _ENDED else None
    if ended is None and exchange.outcome in _ENDED:
        ended = proxied.of_ended(network, whole)
    if ended is not None:
        return ended
    later = lost_later(exchange, story)
    if later is not None:
        return explained(*later)
    step = story.request.end.step
    if step.stage == UNROUTED:
        code, dst = DropReason.IP_OUTNOROUTES.name, story.request.tuples[-1].src
        fix = kernel.FIXES[code].format(net=step.net, dst=dst)
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
        cause = Cause(DNS_NXDOMAIN, words, Way.REQUEST, source.namespace)
        pod, _ = network.owners(source.namespace)
        return dns.hinted(cause, store_of(network), words.partition(":")[0], (pod or "").partition("/")[0])
    cause = find_cause(network, exchange, story, source, server)
    if cause.code in {NO_ANSWER, SEND_REFUSED}:
        return Cause(DNS_TIMEOUT, words, Way.REQUEST, source.namespace)
    name, _, answer = words.partition(": ")
    asked = f"it was the DNS query for {name} ({answer}), and without an address nothing else is sent"
    return attrs.evolve(cause, words=f"{cause.words}; {asked}")


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
        return Cause(code, words, Way.REQUEST, net, fix=kernel.FIXES[code].format(net=net, dst=dst))
    return Cause(SEND_REFUSED, f"{CODES[SEND_REFUSED]}: {exchange.outcome}", Way.REQUEST, net)


def explained_end(scene: Scene) -> Cause:
    """Return why a packet ended: the kernel's reason, or what explains it better."""
    cause = kernel.cause_of(scene)
    for refine in _REFINERS:
        found = refine(scene, cause)
        if found is not None:
            return found
    return cause
