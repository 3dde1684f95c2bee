# SPDX-License-Identifier: GPL-2.0-only
"""The machine that balances: what it does follows its frontends and the health of their nodes.

frontends --+--> checks ----turned---+
            |                        v
            +-----------------> rules, routes, servers
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar, Final

import attrs

from emu.apps import relay
from emu.fabric import program
from emu.kernel import rtnetlink
from emu.kernel.route import Insertion, Nexthop, Route, RoutePattern, RouteType
from emu.kernel.rules import RoutingRule
from emu.kube.loadbalancers.checks import Asked, Checks
from emu.kube.loadbalancers.rules import Ruleset, commands, ruleset
from emu.sim.choice import Uniform
from emu.wire.addresses import ANY_IP4, Interface, Prefix

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from emu.fabric.driver import Fabric
    from emu.fabric.process import Process
    from emu.fabric.program import Program
    from emu.kernel.namespace import Namespace
    from emu.kernel.sockets import Socket
    from emu.kube.loadbalancers.frontends import Frontend, Target
    from emu.kube.loadbalancers.settings import LoadBalancerSpec
    from emu.sim.time import Instant
    from emu.wire.addresses import IpAddress

_EVERYWHERE: Final = Prefix(ANY_IP4, 0)
_HOST: Final = 32
_WHOLE_MARK: Final = 0xFFFFFFFF
_FIRST_TABLE: Final = 100  # of the routing tables that lead to one node each
_IFACE: Final = "eth0"


class Machine:
    """A machine that balances.

    Args:
        fabric: where it is.
        net: its namespace, attached to the network of the nodes.
        address: its own there.
        spec: how it works.
        inside: where clients are whose answers would not pass it: nodes and pods.
        announced: is told which addresses lead to it.
        warn: is told what a user should know.
    """

    is_still: ClassVar[bool] = True

    def __init__(  # noqa: PLR0917 - where it is, what it is, and who is around it
        self,
        fabric: Fabric,
        net: Namespace,
        address: Interface,
        spec: LoadBalancerSpec,
        inside: Sequence[Prefix],
        announced: Callable[[Sequence[Prefix]], None],
        warn: Callable[[str], None],
    ) -> None:
        self.net = net
        self.address = address.address
        self.segment = address.prefix
        self.spec = spec
        self.frontends: tuple[Frontend, ...] = ()
        self._fabric = fabric
        self._inside = tuple(inside)
        self._announced = announced
        self._warn = warn
        self._checks = Checks(fabric, net, spec.health, self._write)
        self._marks: dict[str, int] = {}
        self._ways: dict[str, IpAddress] = {}
        self._written = Ruleset()
        self._addresses: tuple[IpAddress, ...] = ()
        self._servers: dict[tuple[IpAddress, int], Process[None]] = {}
        for name in ("all", _IFACE):  # it sends out what came in there: that is its business
            net.sysctl.set(f"net.ipv4.conf.{name}.send_redirects", 0)
        if spec.kind != "proxy":
            net.sysctl.set("net.ipv4.ip_forward", 1)

    def follow(self, frontends: Sequence[Frontend]) -> None:
        """Serve these and nothing else."""
        self.frontends = tuple(map(self._reachable, frontends))
        for each in self.frontends:
            for target in each.targets:
                self._marks.setdefault(target.node, len(self._marks) + 1)
        self._checks.follow(
            Asked(target.node, target.address, each.check)
            for each in self.frontends
            if each.check is not None
            for target in each.targets
        )
        self._write()

    def _reachable(self, frontend: Frontend) -> Frontend:
        """Return a frontend without the nodes that nothing can be passed on to by MAC address."""
        if self.spec.kind != "passthrough":
            return frontend
        near = tuple(each for each in frontend.targets if each.address in self.segment)
        if len(near) < len(frontend.targets):
            far = ", ".join(each.node for each in frontend.targets if each not in near)
            self._warn(
                f"load balancer {self.spec.name} passes nothing on to {far}: it hands packets on by "
                f"MAC address, and its subnet is {self.segment}"
            )
        return attrs.evolve(frontend, targets=near)

    def healthy(self, frontend: Frontend) -> list[Target]:
        """Return the nodes that work."""
        check = frontend.check
        return [
            target
            for target in frontend.targets
            if check is None or self._checks.is_healthy(Asked(target.node, target.address, check))
        ]

    def is_settled(self, since: Instant) -> bool:
        """Return whether it has looked at all nodes since then, and nothing is about to change."""
        return self._checks.is_settled(since)

    def hold_still(self) -> None:
        """Ask no node whether it works from now on."""
        self._checks.hold_still()

    # --- what follows ---

    def _write(self) -> None:
        self._write_addresses()
        if self.spec.kind == "passthrough":
            self._write_ways()
        healthy = {each.identity: {one.node for one in self.healthy(each)} for each in self.frontends}
        inside = self._inside if self.spec.kind == "nat" else ()
        wanted = ruleset(self.spec, self.frontends, healthy, self._marks, inside, self.segment)
        text = commands(self._written, wanted)
        if text:
            self._fabric.call(self.net, partial(_load, text=text))
            self._written = wanted
        if self.spec.kind == "proxy":
            self._serve()

    def _write_addresses(self) -> None:
        """Have the addresses lead here: to the programs of a proxy, else to nobody whom no rule leads on."""
        wanted = tuple(dict.fromkeys(each.address for each in self.frontends))
        if wanted == self._addresses:
            return
        for address in self._addresses:
            if address not in wanted:
                self._fabric.call(self.net, partial(self._remove, address=address))
        for address in wanted:
            if address not in self._addresses:
                self._fabric.call(self.net, partial(self._add, address=address))
        self._addresses = wanted
        self._announced([Prefix(address, _HOST) for address in wanted])

    def _add(self, net: Namespace, address: IpAddress) -> None:
        if self.spec.kind == "proxy":
            rtnetlink.add_address(net, net.devices[_IFACE], Interface(address, _HOST))
        else:
            net.fib.add(Route(Prefix(address, _HOST), RouteType.BLACKHOLE))

    def _remove(self, net: Namespace, address: IpAddress) -> None:
        if self.spec.kind == "proxy":
            rtnetlink.delete_address(net, net.devices[_IFACE], Interface(address, _HOST))
        else:
            net.fib.delete(RoutePattern(Prefix(address, _HOST), type=RouteType.BLACKHOLE))

    def _write_ways(self) -> None:
        """Have a routing table for each node, which the node's mark leads to."""
        wanted = {target.node: target.address for each in self.frontends for target in each.targets}
        for node, address in wanted.items():
            if self._ways.get(node) != address:
                self._fabric.call(
                    self.net, partial(_lead, mark=self._marks[node], old=self._ways.get(node), new=address)
                )
                self._ways[node] = address

    def _serve(self) -> None:
        """Have a server for each frontend, and no other."""
        wanted = [(each.address, each.port) for each in self.frontends]
        for known in [each for each in self._servers if each not in wanted]:
            self._servers.pop(known).kill()
        for address, port in wanted:
            if (address, port) not in self._servers:
                server = relay.serve(
                    port,
                    self._choose,
                    address=address,
                    source=self.address,
                    header=self.spec.proxy_protocol,
                )
                self._servers[address, port] = self._fabric.spawn(self.net, server)

    def _choose(self, client: Socket) -> Program[relay.Peer | None]:
        """Draw a node for a connection."""
        there = client.local, client.local_port
        frontend = next((each for each in self.frontends if (each.address, each.port) == there), None)
        targets = [] if frontend is None else self.healthy(frontend)
        if frontend is None or not targets:
            return None
        names = [target.node for target in targets]
        question = f"{self.spec.name} for {frontend.name}"
        index = yield from program.call(
            lambda net: net.choice.pick(question, Uniform(len(names)), names) if len(names) > 1 else 0
        )
        return relay.Peer(targets[index].address, targets[index].port)


def _load(net: Namespace, text: str) -> None:
    from emu.tools.nft import loading  # noqa: PLC0415 - only where there is a balancer

    loading.load(net.netfilter.nft, text, net.now)


def _lead(net: Namespace, mark: int, old: IpAddress | None, new: IpAddress) -> None:
    """Have what carries `mark` go to a node.

    Raises:
        RouteError: the node is not on the balancer's own network.
    """
    table = _FIRST_TABLE + mark
    if old is None:
        net.fib.add_rule(RoutingRule(net.fib.next_rule_priority, table=table, mark=mark, mask=_WHOLE_MARK))
    net.fib.add(Route(_EVERYWHERE, nexthops=(Nexthop(_IFACE, new),), table=table), Insertion.REPLACE)
