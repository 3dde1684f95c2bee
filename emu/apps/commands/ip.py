# SPDX-License-Identifier: GPL-2.0-only
"""`ip`: which object, which command."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from emu.apps.commands.answers import find_device, refusals
from emu.errors import CommandError
from emu.kernel import arp, inetdev, rtnetlink
from emu.kernel.link.bridge import Bridge
from emu.kernel.link.device import MIN_MTU
from emu.kernel.route import TABLE_MAIN, Insertion, RouteError
from emu.kernel.rules import RoutingRule, RuleAction
from emu.tools.ip import address, link, neigh, route, rule
from emu.tools.ip.words import USAGE, Words, choose, is_short_for, no_device, not_modelled, prefix, wrong

if TYPE_CHECKING:
    from collections.abc import Mapping

    from emu.kernel.link.device import Device
    from emu.kernel.namespace import Namespace
    from emu.kernel.route import Route

OBJECTS: Final = ("address", "route", "rule", "neighbor", "neighbour", "link")


def run(net: Namespace, argv: list[str]) -> str:
    """Run `ip` with the words of `argv` behind its name."""
    words = Words(argv)
    name = words.take()
    chosen = choose(name, OBJECTS)
    if chosen is None:
        raise CommandError(f'Object "{name}" is unknown, try "ip help".', 1)
    _RUN[chosen](net, words)
    return ""


def _unknown(verb: str, thing: str) -> CommandError:
    return CommandError(f'Command "{verb}" is unknown, try "ip {thing} help".', USAGE)


# --- link ---


def _link(net: Namespace, words: Words) -> None:
    verb = words.take()
    if not is_short_for(verb, "set"):
        raise _unknown(verb, "link")
    change = link.parse_set(words)
    device = find_device(net, change.device)
    if change.mac is not None:
        with refusals():
            rtnetlink.set_mac(net, device, change.mac)
    if change.mtu is not None:
        _set_mtu(net, device, change.mtu)
    if change.master is not None:
        _set_master(net, device, change.master)
    if change.up is not None:
        (rtnetlink.set_up if change.up else rtnetlink.set_down)(net, device)


def _set_mtu(net: Namespace, device: Device, mtu: int) -> None:
    if mtu < MIN_MTU and not device.is_loopback:
        raise CommandError("Error: mtu less than device minimum.")
    if mtu > rtnetlink.MAX_MTU and not device.is_loopback:
        raise CommandError("Error: mtu greater than device maximum.")
    with refusals():
        rtnetlink.set_mtu(net, device, mtu)


def _set_master(net: Namespace, device: Device, name: str) -> None:
    bridge = None
    if name:
        bridge = net.devices.get(name)
        if bridge is None:
            raise wrong(name, "Device does not exist\n")
        if not isinstance(bridge.link, Bridge):
            raise CommandError("RTNETLINK answers: Operation not supported")
    with refusals(extacks={errno.ELOOP: "Can not enslave a bridge to a bridge"}):
        rtnetlink.set_master(net, device, bridge)


# --- addresses ---


def _address(net: Namespace, words: Words) -> None:
    verb = words.take()
    chosen = choose(verb, ("add", "change", "replace", "delete", "flush"))
    if chosen == "flush":
        _flush_addresses(net, words)
        return
    if chosen is None:
        raise _unknown(verb, "address")
    spec = address.parse_spec(words)
    device = find_device(net, spec.device)
    with refusals():
        if chosen == "delete":
            promote = net.sysctl.conf_or(device.name, "promote_secondaries")
            wanted = spec.interface if spec.has_length else spec.interface.address
            inetdev.delete_address(net.fib, device, wanted, promote=promote, peer=spec.peer)
        else:
            _enter_address(net, device, spec, replace=chosen != "add")


def _enter_address(net: Namespace, device: Device, spec: address.AddressSpec, *, replace: bool) -> None:
    try:
        inetdev.add_address(
            net.fib, device, spec.interface, peer=spec.peer, broadcast=spec.broadcast, scope=spec.scope
        )
    except RouteError as error:
        if not replace or error.errno != errno.EEXIST:
            raise
    net.sysctl.address_added(device.name)


def _flush_addresses(net: Namespace, words: Words) -> None:
    if not words:
        raise CommandError("Flush requires arguments.", 1)
    if words.peek() == "dev":
        words.take()
    name = words.take()
    if words:
        raise not_modelled("ip addr flush by anything but the device")
    device = net.devices.get(name)
    if device is None:
        raise CommandError(f'Device "{name}" does not exist.', 1)
    inetdev.flush_addresses(net.fib, device)


# --- routes ---

_INSERTIONS: Final = {
    "add": Insertion.ADD,
    "change": Insertion.CHANGE,
    "chg": Insertion.CHANGE,
    "replace": Insertion.REPLACE,
    "prepend": Insertion.PREPEND,
    "append": Insertion.APPEND,
}


def _route(net: Namespace, words: Words) -> None:
    verb = words.take()
    chosen = choose(verb, (*_INSERTIONS, "delete", "flush"))
    if chosen == "flush":
        _flush_routes(net, words)
        return
    if chosen is None:
        raise _unknown(verb, "route")
    spec = route.parse_spec(words)
    for hop in spec.nexthops:
        if hop.device and hop.device not in net.devices:
            raise no_device(hop.device)
    with refusals():
        if chosen == "delete":
            net.fib.delete(spec.pattern)
        else:
            net.fib.add(spec.route, _INSERTIONS[chosen])


def _flush_routes(net: Namespace, words: Words) -> None:
    if not words:
        raise CommandError('"ip route flush" requires arguments.', 1)
    table, tests = TABLE_MAIN, list[Callable[["Route"], bool]]()
    while words:
        word = words.take()
        if is_short_for(word, "table"):
            table = route.table(words.take(), "table id value is invalid\n")
        elif word == "dev":
            device = find_device(net, words.take()).name
            tests.append(lambda it, name=device: any(hop.device == name for hop in it.nexthops))
        else:
            dst = prefix(words.take() if word == "to" else word)
            tests.append(lambda it, dst=dst: it.dst == dst)
    if table not in net.fib.tables:
        raise CommandError("Error: ipv4: FIB table does not exist.\nFlush terminated")
    net.fib.flush(lambda it: it.table == table and all(test(it) for test in tests))


# --- routing rules ---


def _rule(net: Namespace, words: Words) -> None:
    verb = words.take()
    chosen = choose(verb, ("add", "delete"))
    if chosen is None:
        raise _unknown(verb, "rule")
    spec = rule.parse_spec(words, deleting=chosen == "delete")
    wanted = spec.pattern
    with refusals():
        if chosen == "delete":
            net.fib.delete_rule(wanted)
            return
        action = wanted.action or RuleAction.LOOKUP
        new = RoutingRule(
            net.fib.next_rule_priority if wanted.priority is None else wanted.priority,
            action,
            table=wanted.table or (TABLE_MAIN if action is RuleAction.LOOKUP else 0),
            src=wanted.src,
            dst=wanted.dst,
            iif=wanted.iif,
            oif=wanted.oif,
            mark=wanted.mark,
            mask=wanted.mask,
            tos=wanted.tos,
            inverted=spec.inverted,
            suppress_length=wanted.suppress_length,
        )
        net.fib.add_rule(new)


# --- neighbours ---


def _neigh(net: Namespace, words: Words) -> None:
    verb = words.take()
    chosen = choose(verb, ("add", "change", "chg", "replace", "delete", "flush"))
    if chosen == "flush":
        _flush_neighbours(net, words)
        return
    if chosen is None:
        raise _unknown(verb, "neigh")
    spec = neigh.parse_spec(words)
    device = find_device(net, spec.device).name
    table = net.neighbours
    if spec.proxy:
        if chosen == "delete":
            table.proxies.discard((device, spec.ip))
        else:
            table.proxies.add((device, spec.ip))
        return
    with refusals(extacks={errno.EINVAL: "No link layer address given"}):
        if chosen == "delete":
            actions = table.delete(device, spec.ip, net.now)
        else:
            enter = {"add": table.add, "replace": table.replace}.get(chosen, table.change)
            actions = enter(device, spec.ip, spec.mac, spec.state, net.now)
    arp.act(net, actions)
    deadline = table.next_deadline
    if deadline is not None:
        net.arm(deadline)


def _flush_neighbours(net: Namespace, words: Words) -> None:
    if not words:
        raise CommandError("Flush requires arguments.", 1)
    if words.take() != "dev":
        raise not_modelled("ip neigh flush by anything but the device")
    device = find_device(net, words.take())
    arp.act(net, net.neighbours.flush(device.name, net.now))


_RUN: Final[Mapping[str, Callable[[Namespace, Words], None]]] = {
    "link": _link,
    "address": _address,
    "route": _route,
    "rule": _rule,
    "neighbor": _neigh,
    "neighbour": _neigh,
}
