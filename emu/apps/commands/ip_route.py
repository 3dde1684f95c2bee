# SPDX-License-Identifier: GPL-2.0-only
"""`ip route`: routes listed, entered, deleted, and asked."""

from __future__ import annotations

import errno
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final

import attrs

from emu.apps.commands.answers import find_device, refusal, refusals
from emu.errors import CommandError
from emu.kernel import routing
from emu.kernel.drops import DropReason
from emu.kernel.fib import Flow, Insertion, RouteType
from emu.kernel.skb import Skb
from emu.tools.ip import route, route_get, route_show
from emu.tools.ip.record import render
from emu.tools.ip.words import USAGE, choose, not_modelled
from emu.wire import ipv4
from emu.wire.addresses import ANY_IP4

if TYPE_CHECKING:
    from emu.apps.commands.action import Action
    from emu.kernel.fib import Route
    from emu.kernel.namespace import Namespace
    from emu.kernel.routing import Refusal, RouteDecision
    from emu.tools.ip.options import Options
    from emu.tools.ip.words import Words

_INSERTIONS: Final = {
    "add": Insertion.ADD,
    "change": Insertion.CHANGE,
    "chg": Insertion.CHANGE,
    "replace": Insertion.REPLACE,
    "prepend": Insertion.PREPEND,
    "append": Insertion.APPEND,
}
_LISTING: Final = ("list", "show", "lst")
_UNMODELLED: Final = ("test", "save", "restore", "showdump")
_NO_TABLE: Final = "Error: ipv4: FIB table does not exist.\n{} terminated"
_ERRORS: Final = {
    RouteType.BLACKHOLE: errno.EINVAL,
    RouteType.UNREACHABLE: errno.EHOSTUNREACH,
    RouteType.PROHIBIT: errno.EACCES,
}


def prepare(words: Words, options: Options) -> Action:
    """Return what the words behind `ip route` ask for."""
    verb = words.take() if words else "show"
    match choose(verb, (*_LISTING, "get", *_INSERTIONS, *_UNMODELLED[:1], "delete", "flush", *_UNMODELLED)):
        case "list" | "show" | "lst":
            return partial(show, selection=route_show.parse_selection(words), options=options)
        case "get":
            return partial(get, question=route_get.parse(words), options=options)
        case "delete":
            return partial(delete, spec=route.parse_spec(words))
        case "flush":
            if not words:
                raise CommandError('"ip route flush" requires arguments.', 1)
            return partial(flush, selection=route_show.parse_selection(words))
        case str() as known if known in _INSERTIONS:
            return partial(enter, spec=route.parse_spec(words), how=_INSERTIONS[known])
        case str() as known:
            raise not_modelled(f"ip route {known}")
        case None:
            raise CommandError(f'Command "{verb}" is unknown, try "ip route help".', USAGE)


def _find_devices(net: Namespace, spec: route.RouteSpec) -> None:
    for hop in spec.nexthops:
        if hop.device:
            find_device(net, hop.device)


def enter(net: Namespace, spec: route.RouteSpec, how: Insertion) -> str:
    """Do `ip route add` and its like."""
    _find_devices(net, spec)
    with refusals():
        net.fib.add(spec.route, how)
    return ""


def delete(net: Namespace, spec: route.RouteSpec) -> str:
    """Do `ip route del`."""
    _find_devices(net, spec)
    with refusals():
        net.fib.delete(spec.pattern)
    return ""


# --- many at once ---


def _check(net: Namespace, selection: route_show.Selection, what: str, begun: str = "") -> None:
    if selection.device:
        find_device(net, selection.device)
    if selection.table and selection.table not in net.fib.tables:
        raise CommandError(_NO_TABLE.format(what), stdout=begun)


def flush(net: Namespace, selection: route_show.Selection) -> str:
    """Do `ip route flush`; `flush cache` forgets what ICMP taught about paths."""
    if selection.cached:
        net.exceptions.clear()
        return ""
    _check(net, selection, "Flush")
    net.fib.flush(selection.has)
    return ""


def _ignores_linkdown(net: Namespace, device: str) -> bool:
    return net.sysctl.conf_or(device, "ignore_routes_with_linkdown")


def show(net: Namespace, selection: route_show.Selection, options: Options) -> str:
    """Do `ip route show`."""
    if options.family == 6:
        return render([], options)
    if selection.cached:
        return _show_cache(net, selection, options)
    _check(net, selection, "Dump", "[" if options.json else "")
    routes = net.fib.routes(selection.table or None)
    ignores = partial(_ignores_linkdown, net)
    records = [route_show.render(one, selection, options, ignores) for one in routes if selection.has(one)]
    return render(records, options)


def _show_cache(net: Namespace, selection: route_show.Selection, options: Options) -> str:
    """List the ways about which ICMP taught something."""
    records = []
    for dst in net.exceptions.destinations(net.now):
        question = route_get.Question(dst)
        with suppress(CommandError):  # there is no way any more
            if selection.holds(dst):
                answer = attrs.evolve(_own(net, question), prefsrc=None)
                records.append(route_get.render(question, answer, options, listed=True))
    return render(records, options)


# --- which way? ---


def get(net: Namespace, question: route_get.Question, options: Options) -> str:
    """Do `ip route get`. Source: net/ipv4/route.c `inet_rtm_getroute`."""
    for name in (question.iif, question.oif):
        if name:
            find_device(net, name)
    if question.fibmatch:
        ignores = partial(_ignores_linkdown, net)
        found = _match(net, question)
        return render([route_show.render(found, _WHOLE, options, ignores)], options)
    answer = _from_outside(net, question) if question.iif else _own(net, question)
    return render([route_get.render(question, answer, options)], options)


_WHOLE: Final = route_show.Selection(table=0)


def _flow(question: route_get.Question) -> Flow:
    src = question.src or ANY_IP4
    return Flow(question.dst, src, question.iif or "lo", question.oif, question.mark, question.tos)


def _match(net: Namespace, question: route_get.Question) -> Route:
    found = routing.lookup(net, _flow(question))
    if found is None or found.type in _ERRORS:
        raise refusal(errno.ENETUNREACH if found is None else _ERRORS[found.type])
    return attrs.evolve(found.route, table=found.table)


def _own(net: Namespace, question: route_get.Question) -> route_get.Answer:
    """Return the way of a packet of this host."""
    src = question.src or ANY_IP4
    with refusals():
        decision = routing.route_output(
            net, question.dst, src=src, oif=question.oif, mark=question.mark, tos=question.tos
        )
    answer = _answer(net, question, decision)
    return attrs.evolve(answer, prefsrc=decision.src if question.src is None else None)


def _from_outside(net: Namespace, question: route_get.Question) -> route_get.Answer:
    """Return the way of a packet that comes in by a device."""
    src = question.src or ANY_IP4
    packet = ipv4.build(17, src, question.dst, bytes(8), tos=question.tos)
    skb = Skb(packet, 0)
    skb.mark = question.mark
    device = net.devices[question.iif]
    decision = routing.route_input(net, skb, device)
    if isinstance(decision, routing.Refusal):
        raise refusal(_errno(decision, forwards=bool(device.conf["forwarding"])))
    redirects = decision.redirect and net.sysctl.conf_or(decision.device.name, "send_redirects")
    return attrs.evolve(_answer(net, question, decision), redirects=redirects)


def _errno(refused: Refusal, *, forwards: bool) -> int:
    """Return the error that Linux gives for a packet that is refused."""
    if refused.reason not in {DropReason.IP_INNOROUTES, DropReason.IP_INADDRERRORS}:
        return errno.EINVAL
    if not forwards:
        return errno.EHOSTUNREACH
    return refused.error or errno.EINVAL


def _answer(net: Namespace, question: route_get.Question, decision: RouteDecision) -> route_get.Answer:
    found = routing.lookup(net, _flow(question))
    answer = route_get.Answer(decision.kind, decision.device.name, decision.gateway, None, mtu=decision.mtu)
    if found is not None and decision.route is not None:
        answer = attrs.evolve(answer, table=found.table, mtu_locked=decision.route.mtu_locked)
    learned = net.exceptions.get(question.dst, decision.hop, net.now)
    if learned is None or decision.kind is RouteType.LOCAL:
        return answer
    return attrs.evolve(
        answer,
        mtu=learned.mtu or answer.mtu,
        mtu_locked=learned.locked if learned.mtu else answer.mtu_locked,
        expires=learned.expires - net.now,
        redirected=learned.gateway is not None,
    )
