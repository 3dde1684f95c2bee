# SPDX-License-Identifier: GPL-2.0-only
"""A node's rules in namespaces of their own, for questions that must change nothing.

The tables are values, so a copy costs next to nothing; what packets leave
behind (connections, counters, the memory of rules) begins empty. Devices and
routes are copied once for all branches of a question.
"""

from __future__ import annotations

import copy
from contextlib import suppress
from typing import TYPE_CHECKING

from emu.errors import EndPointError
from emu.kernel.fib import Fib
from emu.kernel.link.device import Counters
from emu.kernel.namespace import Namespace
from emu.kernel.route import TABLE_LOCAL, Insertion, RouteError

if TYPE_CHECKING:
    from emu.kernel.link.device import Device


class Replicas:
    """Gives namespaces like `net` (devices, routes, settings, rules) in which nothing has happened.

    `net` must not change between two of them, and each is done with before the next one is made.

    Raises:
        EndPointError: `net` has rules of nftables or sets of ipset: these have
            contents that are not copied.
    """

    def __init__(self, net: Namespace) -> None:
        if net.used_netfilter is not None and (net.netfilter.nft.tables or len(net.netfilter.ipsets)):
            raise EndPointError(f"{net.name}: rules of nftables and sets of ipset cannot be asked on a copy")
        self._net = net
        self._devices: dict[str, Device] = {}
        for name, device in net.devices.items():
            twin = self._devices[name] = copy.copy(device)
            twin.counters = Counters()
        self._fib = _routes(net, self._devices)

    def __call__(self) -> Namespace:
        """Return another one."""
        net = self._net
        self._fib.forget_choices()
        made = Namespace(
            net.name, random=copy.copy(net.random), choice=net.choice, flow_secret=net.flow_secret
        )
        made.now = net.now
        made.sysctl = net.sysctl  # it is only read
        made.devices, made.fib = self._devices, self._fib
        if net.used_netfilter is not None:
            made.netfilter.is_legacy = net.netfilter.is_legacy
            for xtable in net.netfilter.tables.values():
                made.netfilter.replace(xtable.table, {})
        return made


def replica(net: Namespace) -> Namespace:
    """Return one namespace like `net`; see `Replicas`.

    Raises:
        EndPointError: `net` has rules of nftables or sets of ipset.
    """
    return Replicas(net)()


def _routes(net: Namespace, devices: dict[str, Device]) -> Fib:
    """Return the routes of `net`, entered anew: what chance decided for a flow is not known there.

    Those that others need for their gateways come first. What cannot be entered
    leads nowhere as things are: its device is down.
    """
    fib = Fib(devices, net.fib.ignores_linkdown)
    for route in sorted(net.fib.routes(), key=lambda each: (each.table != TABLE_LOCAL, -each.scope)):
        with suppress(RouteError):
            fib.insert(route, Insertion.APPEND)
    for rule in net.fib.rules:
        if rule not in fib.rules:
            fib.add_rule(rule)
    fib.has_custom_local_routes = net.fib.has_custom_local_routes
    return fib
