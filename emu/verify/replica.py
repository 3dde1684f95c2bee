# SPDX-License-Identifier: GPL-2.0-only
"""A node's rules in a namespace of their own, for a question that must change nothing.

The tables are values, so a copy costs next to nothing; what packets leave
behind (connections, counters, the memory of rules) begins empty.
"""

from __future__ import annotations

import copy
from contextlib import suppress

from emu.errors import EndPointError
from emu.kernel.fib import Fib
from emu.kernel.link.device import Counters
from emu.kernel.namespace import Namespace
from emu.kernel.route import TABLE_LOCAL, Insertion, RouteError


def replica(net: Namespace) -> Namespace:
    """Return a namespace like `net` (devices, routes, settings, rules) in which nothing has happened.

    Raises:
        EndPointError: `net` has rules of nftables or sets of ipset: these have
            contents that are not copied.
    """
    made = Namespace(net.name, random=copy.copy(net.random), choice=net.choice, flow_secret=net.flow_secret)
    made.now = net.now
    made.sysctl = net.sysctl  # it is only read
    made.devices.clear()
    for name, device in net.devices.items():
        twin = made.devices[name] = copy.copy(device)
        twin.counters = Counters()
    made.fib = _routes(net, made)
    if net.used_netfilter is None:
        return made
    if net.netfilter.nft.tables or len(net.netfilter.ipsets):
        raise EndPointError(f"{net.name}: rules of nftables and sets of ipset cannot be asked on a copy")
    made.netfilter.is_legacy = net.netfilter.is_legacy
    for xtable in net.netfilter.tables.values():
        made.netfilter.replace(xtable.table, {})
    return made


def _routes(net: Namespace, made: Namespace) -> Fib:
    """Return the routes of `net`, entered anew: what chance decided for a flow is not known there.

    Those that others need for their gateways come first. What cannot be entered
    leads nowhere as things are: its device is down.
    """
    fib = Fib(made.devices, net.fib.ignores_linkdown)
    for route in sorted(net.fib.routes(), key=lambda each: (each.table != TABLE_LOCAL, -each.scope)):
        with suppress(RouteError):
            fib.insert(route, Insertion.APPEND)
    for rule in net.fib.rules:
        if rule not in fib.rules:
            fib.add_rule(rule)
    fib.has_custom_local_routes = net.fib.has_custom_local_routes
    return fib
