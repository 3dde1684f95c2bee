# SPDX-License-Identifier: GPL-2.0-only
"""Nodes that fail and come back: what of them goes on, what is lost, what begins anew.

        cables   kubelet   kube-proxy   pods        the kernel's state
network  cut     unheard   unheard      run on      stays
power    dead    gone      gone         gone        gone
kubelet  -       gone      goes on      run on      stays
"""

from __future__ import annotations

from contextlib import suppress
from operator import attrgetter
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from emu.errors import CommandError
from emu.kernel import rtnetlink
from emu.kernel.route import RouteError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from emu.cluster.control_plane import ControlPlane
    from emu.kernel.link.device import Device
    from emu.kernel.namespace import Namespace
    from emu.kernel.route import Route
    from emu.kube.kubelet.machine import Machine

How: TypeAlias = Literal["network", "power", "kubelet"]

_NETWORK: Final = "network"
_POWER: Final = "power"
_KUBELET: Final = "kubelet"
_PROXY: Final = "kube-proxy"
_INTERFACES: Final = "eth"
"""How the names of those begin."""


class Outages:
    """Who has failed, and how."""

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane
        self._failed: dict[str, str] = {}  # how, by node
        self._stopped: set[tuple[str, str]] = set()  # nodes and components

    def fail(self, name: str, how: str = _NETWORK) -> None:
        """Let a node fail; one that has failed can only lose its power, too.

        Raises:
            UnknownNameError: there is no such node.
        """
        machine = self._plane.machine(name)
        before = self._failed.get(name, "")
        if before in {how, _POWER} or (before and how != _POWER):
            return
        self._failed[name] = how
        if how == _KUBELET:
            self._without_kubelet(machine)
            return
        machine.is_up = False
        self._plane.underlay.cut(machine.net)
        self._plane.nodes.end(name)
        self._plane.balancers.lose(name)
        self._stop_proxy(name)
        if how == _POWER:
            self._plane.kubelets.by_node[name].crash()
            self._plane.lose_state(machine)

    def recover(self, name: str) -> None:
        """Let a node come back: its kubelet does what it has missed.

        Raises:
            UnknownNameError: there is no such node.
        """
        machine = self._plane.machine(name)
        how = self._failed.pop(name, "")
        self._stopped -= {(name, _KUBELET), (name, _PROXY)}
        if not how:
            return
        if how == _KUBELET:
            self._with_kubelet(machine)
            return
        machine.is_up = machine.has_kubelet = True
        self._plane.underlay.mend(machine.net)
        self._plane.come_back(machine)

    def stop(self, name: str, component: str) -> None:
        """Stop a component of a node.

        Raises:
            UnknownNameError: there is no such node.
            CommandError: it does not run there.
        """
        machine = self._plane.machine(name)
        if (name, component) in self._stopped or not machine.is_up:
            raise CommandError(f"error: {component} of node {name} does not run", 1)
        self._stopped.add((name, component))
        if component == _KUBELET:
            self._without_kubelet(machine)
        else:
            self._stop_proxy(name)

    def start(self, name: str, component: str) -> None:
        """Start a component of a node that was stopped.

        Raises:
            UnknownNameError: there is no such node.
            CommandError: it was not.
        """
        machine = self._plane.machine(name)
        if (name, component) not in self._stopped:
            raise CommandError(f"error: {component} of node {name} was not stopped", 1)
        self._stopped.remove((name, component))
        if component == _KUBELET:
            self._with_kubelet(machine)
        else:
            self._plane.start_proxy(machine)

    def _without_kubelet(self, machine: Machine) -> None:
        machine.has_kubelet = False
        self._plane.nodes.end(machine.name)

    def _with_kubelet(self, machine: Machine) -> None:
        machine.has_kubelet = True
        self._plane.nodes.begin(machine.name)
        self._plane.network_is_ready(machine)

    def _stop_proxy(self, name: str) -> None:
        proxy = self._plane.proxies.proxies.get(name)
        if proxy is not None:
            self._plane.proxies.stop(proxy)


def forget_everything(net: Namespace) -> None:
    """Take from a machine what its kernel knows, but for the devices that are made by programs.

    Rules, connections, neighbours and routes are lost. Settings of `sysctl` stand
    in files that are read again.
    """
    if net.used_netfilter is not None:
        net.used_netfilter.conntrack.flush(net.now)
        net.used_netfilter = None
        del net.netfilter  # it is made again when somebody asks
    for device in net.devices.values():
        if device.name.startswith(_INTERFACES):
            rtnetlink.set_down(net, device)


def made_devices(net: Namespace) -> list[Device]:
    """Return the devices of a machine that programs have made: all but its interfaces and the loopback."""
    own = [each for each in net.devices.values() if each.name.startswith(_INTERFACES)]
    return [each for each in net.devices.values() if each not in (net.loopback, *own)]


def boot(net: Namespace, *, routes: Iterable[Route]) -> None:
    """Bring a machine's network interfaces up, with the routes of its configuration.

    The near ones come first: a gateway is taken only where a route leads to it.
    """
    for device in list(net.devices.values()):
        if device.name.startswith(_INTERFACES):
            rtnetlink.set_up(net, device)
    for route in sorted(routes, key=attrgetter("scope"), reverse=True):
        if not net.fib.holds(route):
            with suppress(RouteError):  # what comes by itself, or leads through what is gone
                net.fib.add(route)
