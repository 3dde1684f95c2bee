# SPDX-License-Identifier: GPL-2.0-only
"""As much of `ip` as the transcripts need, over a `Fib` and its devices and nothing else."""

from __future__ import annotations

import errno
import os
from typing import Final

import attrs

from emu.kernel import inetdev
from emu.kernel.fib import (
    Fib,
    Flow,
    Insertion,
    Nexthop,
    Route,
    RouteError,
    RoutePattern,
    RouteType,
    RoutingRule,
    RuleAction,
    RulePattern,
    Scope,
)
from emu.kernel.link.device import Device
from emu.kernel.link.dummy import Dummy
from emu.kernel.route import TABLE_MAIN, default_scope, default_table
from emu.wire.addresses import ANY_IP4, ZERO_MAC, Interface, IpAddress, Prefix

TABLES: Final = {"local": 255, "main": 254, "default": 253}
PROTOCOLS: Final = {"kernel": 2, "boot": 3, "static": 4}
_TYPES: Final = {kind.value: kind for kind in RouteType}
_ACTIONS: Final = {"blackhole", "unreachable", "prohibit"}
_FLAGS: Final = {"onlink", "not"}
_ERRORS: Final = {
    RouteType.BLACKHOLE: errno.EINVAL,
    RouteType.UNREACHABLE: errno.EHOSTUNREACH,
    RouteType.PROHIBIT: errno.EACCES,
}


def _name(names: dict[str, int], number: int) -> str:
    return next((name for name, value in names.items() if value == number), str(number))


def _number(names: dict[str, int], name: str) -> int:
    return names[name] if name in names else int(name, 0)


def _prefix(text: str) -> Prefix:
    """Return a prefix whose host bits may be set, as a routing rule keeps it."""
    interface = Interface.parse("0.0.0.0/0" if text in {"all", "default"} else text)
    return Prefix(interface.address, interface.length)


def _short(prefix: Prefix) -> str:
    return str(prefix.address) if prefix.is_host else str(prefix)


def _words(options: list[str]) -> dict[str, str]:
    """Return options by their names; those without a value have their own name as value."""
    found = {}
    rest = iter(options)
    for word in rest:
        found[word] = word if word in _FLAGS or word in _ACTIONS else next(rest)
    return found


@attrs.define
class Lab:
    """A namespace's devices `lo`, `eth0`, `eth1`, `eth2`, all down, and its FIB."""

    sysctls: dict[str, bool] = attrs.field(factory=dict)
    devices: dict[str, Device] = attrs.field(init=False)
    fib: Fib = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        names = ("lo", "eth0", "eth1", "eth2")
        self.devices = {name: Device(name, index, ZERO_MAC, Dummy()) for index, name in enumerate(names, 1)}
        self.fib = Fib(
            self.devices, lambda name: self.sysctls.get(f"{name}.ignore_routes_with_linkdown", False)
        )

    def _is_set(self, device: str, key: str) -> bool:
        return self.sysctls.get(f"{device}.{key}", False)

    def answer(self, command: str) -> list[str]:
        """Return the lines that `command` prints."""
        words = command.split()
        try:
            match words:
                case ["sysctl", "-qw", setting]:
                    name, _, value = setting.removeprefix("net.ipv4.conf.").partition("=")
                    self.sysctls[name] = value == "1"
                    return []
                case ["ip", "-n", "peer", "link", "set", name, state]:
                    return self._carrier(self.devices[name], carrier=state == "up")
                case ["ip", "link", *rest]:
                    return self._link(*rest)
                case ["ip", "addr"]:
                    return [line for device in self.devices.values() for line in _addresses(device)]
                case ["ip", "addr", verb, address, *options]:
                    return self._address(verb, address, _words(options))
                case ["ip", "rule"]:
                    return [_show_rule(rule) for rule in self.fib.rules]
                case ["ip", "rule", verb, *options]:
                    return self._rule(verb, _words([option for option in options if option != "all"]))
                case ["ip", "route", "show", *selector]:
                    return self._show(selector)
                case ["ip", "route", "get", *options]:
                    return self._get(options)
                case ["ip", "route", verb, *options]:
                    return self._route(verb, options)
        except RouteError as error:
            if error.extack:
                return [f"Error: {error.extack}."]
            return [f"RTNETLINK answers: {os.strerror(error.errno)}"]
        raise AssertionError(f"no such command here: {command}")

    # --- devices and addresses ---

    def _carrier(self, device: Device, *, carrier: bool) -> list[str]:
        device.carrier = carrier
        if device.up:
            self.fib.carrier_changed(device.name)
        return []

    def _link(self, verb: str, name: str, state: str = "") -> list[str]:
        device = self.devices[name]
        if verb == "del":
            device.up = False
            inetdev.device_down(self.fib, device)
            inetdev.device_removed(self.fib, device)
            del self.devices[name]
            return []
        device.up = state == "up"
        (inetdev.device_up if device.up else inetdev.device_down)(self.fib, device)
        return []

    def _address(self, verb: str, text: str, options: dict[str, str]) -> list[str]:
        device = self.devices[options["dev"]]
        interface = Interface.parse(text)
        if verb == "del":
            promote = self._is_set(device.name, "promote_secondaries")
            inetdev.delete_address(self.fib, device, interface, promote=promote)
            return []
        broadcast = None
        if "brd" in options:
            broadcast = interface.broadcast if options["brd"] == "+" else IpAddress.parse(options["brd"])
        inetdev.add_address(
            self.fib,
            device,
            interface,
            peer=Prefix.parse(options["peer"]) if "peer" in options else None,
            broadcast=broadcast,
            scope=options.get("scope"),
        )
        return []

    # --- routes ---

    def _route(self, verb: str, options: list[str]) -> list[str]:
        kind = _TYPES.get(options[0])
        head, *tails = _split(options[1:] if kind else options, "nexthop")
        words = _words([word for word in head[1:] if word != "lock"])
        dst = Prefix.parse("0.0.0.0/0" if head[0] == "default" else head[0])
        nexthops = tuple(_nexthop(_words(tail)) for tail in tails)
        if {"via", "dev"} & set(words):
            nexthops = (_nexthop(words),)
        source = IpAddress.parse(words["src"]) if "src" in words else None
        scope = Scope[words["scope"].upper()] if "scope" in words else None
        table = (
            _number(TABLES, words["table"]) if "table" in words else default_table(kind or RouteType.UNICAST)
        )
        metric, tos, mtu = (int(words.get(name, "0"), 0) for name in ("metric", "tos", "mtu"))
        if verb == "del":
            if kind is not None and not kind.is_error and kind is not RouteType.UNICAST:
                scope = scope or default_scope(kind, ())
            protocol = PROTOCOLS[words["proto"]] if "proto" in words else None
            pattern = RoutePattern(
                dst, tos, table, kind, scope, source, protocol, metric, nexthops, mtu or None
            )
            self.fib.delete(pattern)
            return []
        kind = kind or RouteType.UNICAST
        route = Route(
            dst,
            kind,
            nexthops,
            table=table,
            scope=default_scope(kind, nexthops) if scope is None else scope,
            prefsrc=source,
            metric=metric,
            tos=tos,
            protocol=PROTOCOLS[words.get("proto", "boot")],
            mtu=mtu,
            mtu_locked="lock" in head,
        )
        self.fib.add(route, Insertion(verb))
        return []

    def _show(self, selector: list[str]) -> list[str]:
        match selector:
            case ["table", "all"]:
                routes = list(self.fib.routes())
            case ["table", table]:
                number = _number(TABLES, table)
                if number not in self.fib.tables:
                    return ["Error: ipv4: FIB table does not exist.", "Dump terminated"]
                routes = list(self.fib.routes(number))
            case [dst]:
                routes = [route for route in self.fib.routes(TABLE_MAIN) if str(route.dst) == dst]
            case _:
                raise AssertionError(selector)
        return [line for route in routes for line in self._show_route(route)]

    def _show_route(self, route: Route) -> list[str]:
        words = [] if route.type is RouteType.UNICAST else [route.type.value]
        words.append(_short(route.dst) if route.dst.length else "default")
        words += [f"tos 0x{route.tos:02x}"] if route.tos else []
        hops = [self._show_nexthop(hop) for hop in route.nexthops]
        words += hops[0][0] if len(hops) == 1 else []
        words += [f"table {_name(TABLES, route.table)}"] if route.table != TABLE_MAIN else []
        words += [f"proto {_name(PROTOCOLS, route.protocol)}"] if route.protocol != PROTOCOLS["boot"] else []
        words += [f"scope {route.scope.name.lower()}"] if route.scope else []
        words += [f"src {route.prefsrc}"] if route.prefsrc else []
        words += [f"metric {route.metric}"] if route.metric else []
        words += hops[0][1] if len(hops) == 1 else ["linkdown"] if route.is_linkdown else []
        words += [f"mtu {'lock ' * route.mtu_locked}{route.mtu}"] if route.mtu else []
        lines = [" ".join(words)]
        if len(hops) > 1:
            for hop, (way, flags) in zip(route.nexthops, hops, strict=True):
                lines.append(" ".join(["    nexthop", *way, f"weight {hop.weight}", *flags]))
        return lines

    def _show_nexthop(self, hop: Nexthop) -> tuple[list[str], list[str]]:
        way = [f"via {hop.gateway}"] if hop.gateway else []
        dead = hop.dead or (hop.linkdown and self.fib.ignores_linkdown(hop.device))
        flags = ((dead, "dead"), (hop.onlink, "onlink"), (hop.linkdown, "linkdown"))
        return [*way, f"dev {hop.device}"], [word for flag, word in flags if flag]

    def _get(self, options: list[str]) -> list[str]:
        fibmatch = options[0] == "fibmatch"
        dst, *rest = options[fibmatch:]
        words = _words(rest)
        mark, tos = (int(words.get(name, "0"), 0) for name in ("mark", "tos"))
        address = IpAddress.parse(dst)
        found = self.fib.lookup(Flow(address, ANY_IP4, "lo", words.get("oif", ""), mark, tos))
        if found is None or found.type.is_error:
            raise RouteError(errno.ENETUNREACH if found is None else _ERRORS[found.type])
        if fibmatch:
            return self._show_route(attrs.evolve(found.route, table=found.table))
        devices = self.devices.values()
        device = self.devices[found.device]
        source = found.prefsrc or inetdev.select_source(devices, device, found.gateway, found.route.scope)
        via = f" via {found.gateway}" if found.gateway else ""
        return [f"{dst}{via} dev {found.device} src {source}"]

    # --- routing rules ---

    def _rule(self, verb: str, words: dict[str, str]) -> list[str]:
        mark, _, mask = words.get("fwmark", "0").partition("/")
        action = next((RuleAction(word) for word in words if word in _ACTIONS), None)
        priority = int(words["pref"]) if "pref" in words else None
        table = _number(TABLES, words["table"]) if "table" in words else 0
        wanted = RulePattern(
            priority,
            action,
            table,
            src=_prefix(words.get("from", "all")),
            dst=_prefix(words.get("to", "all")),
            iif=words.get("iif", ""),
            oif=words.get("oif", ""),
            mark=int(mark, 0),
            mask=int(mask, 0) if mask else 0xFFFFFFFF * (mark != "0"),
            tos=int(words.get("tos", "0"), 0),
            suppress_length=int(words.get("suppress_prefixlength", "-1")),
        )
        if verb == "del":
            self.fib.delete_rule(wanted)
            return []
        known = attrs.asdict(wanted, recurse=False) | {"inverted": "not" in words}
        known["action"] = action or RuleAction.LOOKUP
        known["table"] = table if action or table else TABLE_MAIN
        known["priority"] = self.fib.next_rule_priority if priority is None else priority
        self.fib.add_rule(RoutingRule(**known))
        return []


def _addresses(device: Device) -> list[str]:
    lines = []
    for own in device.addresses:
        is_peer = own.address not in own.prefix
        words = [
            f"{device.index}: {device.name} inet {own.address}"
            + ((is_peer and " peer ") or f"/{own.prefix.length}")
        ]
        words[0] += str(own.prefix) if is_peer else ""
        words += [f"brd {own.broadcast}"] if own.broadcast else []
        words += [f"scope {own.scope}", *(["secondary"] if own.secondary else []), device.name]
        lines.append(" ".join(words))
    return lines


def _split(words: list[str], separator: str) -> list[list[str]]:
    parts: list[list[str]] = [[]]
    for word in words:
        if word == separator:
            parts.append([])
        else:
            parts[-1].append(word)
    return parts


def _nexthop(words: dict[str, str]) -> Nexthop:
    gateway = IpAddress.parse(words["via"]) if "via" in words else None
    return Nexthop(words.get("dev", ""), gateway, int(words.get("weight", "1")), "onlink" in words)


def _show_rule(rule: RoutingRule) -> str:
    words = [f"{rule.priority}:", *(["not"] if rule.inverted else [])]
    words.append(f"from {_short(rule.src) if rule.src.length else 'all'}")
    words += [f"to {_short(rule.dst)}"] if rule.dst.length else []
    words += [f"tos 0x{rule.tos:02x}"] if rule.tos else []
    mask = "" if rule.mask == 0xFFFFFFFF else f"/0x{rule.mask:x}"
    words += [f"fwmark 0x{rule.mark:x}{mask}"] if rule.mask else []
    words += [f"iif {rule.iif}"] if rule.iif else []
    words += [f"oif {rule.oif}"] if rule.oif else []
    words += [f"lookup {_name(TABLES, rule.table)}"] if rule.table else []
    words += [f"suppress_prefixlength {rule.suppress_length}"] if rule.suppress_length >= 0 else []
    words += [rule.action.value] if rule.action is not RuleAction.LOOKUP else []
    return " ".join(words)
