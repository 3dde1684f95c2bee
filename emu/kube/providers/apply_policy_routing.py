# SPDX-License-Identifier: GPL-2.0-only
"""Routing by more than the destination: routing rules, and devices that the table `main` does not know."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from emu.kernel import rtnetlink
from emu.kernel.route import TABLE_MAIN, Nexthop, RouteError, RoutePattern
from emu.kernel.rules import RulePattern

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from emu.kernel.namespace import Namespace
    from emu.kernel.rules import RoutingRule
    from emu.wire.addresses import Interface


def ensure_addresses(net: Namespace, wanted: Iterable[tuple[str, Interface]]) -> None:
    """Give devices their addresses, and take the routes to their subnets out of `main`."""
    for name, address in wanted:
        device = net.devices.get(name)
        if device is None:
            continue
        if all(each.address != address.address for each in device.addresses):
            rtnetlink.add_address(net, device, address)
        with suppress(RouteError):  # it is gone already
            net.fib.delete(RoutePattern(address.prefix, table=TABLE_MAIN, nexthops=(Nexthop(name),)))


def ensure_routing_rules(net: Namespace, before: Sequence[RoutingRule], now: Sequence[RoutingRule]) -> None:
    """Enter the rules that are missing, and take out those that are wanted no more."""
    for rule in before:
        if rule not in now and rule in net.fib.rules:
            net.fib.delete_rule(RulePattern(rule.priority, table=rule.table, src=rule.src, dst=rule.dst))
    for rule in now:
        if rule not in net.fib.rules:
            net.fib.add_rule(rule)
