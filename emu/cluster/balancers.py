# SPDX-License-Identifier: GPL-2.0-only
"""Where load balancers stand: a machine among the nodes, or speakers on the nodes themselves.

    lb/cloud eth0 --+
    node-1 eth0 ----+-- switch/underlay --- router --- ext/laptop
    node-2 eth0 ----+

The routers send to the machine what is for the addresses that it gives away.
Where nodes are to see their clients' addresses and the balancer translates
those of the nodes, answers have to come back to it: the gateway of the nodes
sees to that, as a cloud's network does.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar, Final

from emu.kernel.route import Insertion, Nexthop, Route
from emu.kernel.rules import RoutingRule
from emu.kube.loadbalancers.controller import LoadBalancers
from emu.kube.loadbalancers.machine import Machine as BalancingMachine
from emu.kube.loadbalancers.settings import AddressRange
from emu.kube.loadbalancers.speakers import Speakers
from emu.wire.addresses import ANY_IP4, Interface, IpAddress, Prefix

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from emu.cluster.underlay.base import Underlay
    from emu.fabric.driver import Fabric
    from emu.kernel.namespace import Namespace
    from emu.kube.api.store import Store
    from emu.kube.kubelet.machine import Machine
    from emu.kube.loadbalancers.controller import Balancer
    from emu.kube.loadbalancers.frontends import Frontend
    from emu.kube.loadbalancers.settings import LoadBalancerSpec
    from emu.sim.time import Instant

POOL: Final = AddressRange.parse("203.0.113.128-203.0.113.254")
"""What balancers give away that name no addresses, from network 203.0.113.0/24 of documentation."""

_L2_POOL: Final = 51  # addresses at the top of the nodes' subnet
_L2_FIRST: Final = 200  # of the last octet, as in everybody's guide to MetalLB on kind
_LONG: Final = 24
_MARK: Final = 0xB00  # of what the gateway of nodes sends back to a balancer; one more for each
_TABLE: Final = 2000
_WHOLE_MARK: Final = 0xFFFFFFFF
_EVERYWHERE: Final = Prefix(ANY_IP4, 0)


class Balancers:
    """The load balancers of a cluster.

    Args:
        fabric: where they are.
        underlay: what the nodes hang on.
        store: the API server.
        specs: what documents say of them.
        segment: the subnet of the nodes that the machines stand in.
        inside: where clients are whose packets do not pass the gateway: nodes and pods.
        warn: is told what a user should know.
    """

    is_still: ClassVar[bool] = True

    def __init__(  # noqa: PLR0917 - where they are, what is known of it, and what is said of them
        self,
        fabric: Fabric,
        underlay: Underlay,
        store: Store,
        specs: Sequence[LoadBalancerSpec],
        segment: Prefix,
        inside: Sequence[Prefix],
        warn: Callable[[str], None],
    ) -> None:
        self._fabric = fabric
        self._underlay = underlay
        self._warn = warn
        self.machines: dict[str, BalancingMachine] = {}
        self.speakers: list[Speakers] = []
        balancers: list[tuple[LoadBalancerSpec, Sequence[AddressRange], Balancer]] = []
        for number, spec in enumerate(specs):
            if _is_cloud(underlay):
                warn(f"load balancer {spec.name} is not there: balancers in a VPC are not modelled")
            elif spec.kind == "l2":
                speakers = Speakers(fabric, store, spec)
                self.speakers.append(speakers)
                balancers.append((spec, spec.pool or (_top_of(segment),), _Announcing(speakers)))
            else:
                machine = self._machine(spec, number, segment, inside)
                balancers.append((spec, spec.pool or (POOL,), machine))
        self.controller = LoadBalancers(store, balancers, warn)

    @property
    def is_settled(self) -> bool:
        """Whether all of them have seen what has changed."""
        return self.controller.is_settled

    def proxy_of(self, address: IpAddress, port: int) -> LoadBalancerSpec | None:
        """Return the balancer that takes connections to an address itself, None if none does."""
        for each in self.machines.values():
            if each.spec.kind == "proxy" and any(
                (one.address, one.port) == (address, port) for one in each.frontends
            ):
                return each.spec
        return None

    def start(self, machine: Machine) -> None:
        """Hear of a node that has joined, or come back."""
        for each in self.speakers:
            each.start(machine)

    def lose(self, name: str) -> None:
        """Hear of a node that was cut off."""
        for each in self.speakers:
            each.lose(name)

    def hold_still(self) -> None:
        """Ask no node whether it works from now on."""
        for each in self.machines.values():
            each.hold_still()

    def _machine(
        self, spec: LoadBalancerSpec, number: int, segment: Prefix, inside: Sequence[Prefix]
    ) -> BalancingMachine | _Returning:
        net = self._fabric.add_namespace(f"lb/{spec.name}")
        address = Interface(self._underlay.free_address(segment), segment.length)
        self._underlay.attach(net, ((address,),))
        announced = partial(self._underlay.announce, address.address)
        machine = BalancingMachine(self._fabric, net, address, spec, inside, announced, self._warn)
        self.machines[spec.name] = machine
        if spec.kind != "nat" or not spec.keeps_source:
            return machine
        gateway = self._gateway(self._underlay.gateways[segment])
        return _Returning(self._fabric, machine, gateway, number)

    def _gateway(self, address: IpAddress) -> Namespace:
        """Return the machine with the address of a gateway."""
        return next(
            net
            for net in self._fabric.namespaces.values()
            if any(own.address == address for device in net.devices.values() for own in device.addresses)
        )


class _Announcing:
    """Speakers, told what balancers are told."""

    is_still: ClassVar[bool] = True

    def __init__(self, speakers: Speakers) -> None:
        self._speakers = speakers

    def follow(self, frontends: Sequence[Frontend]) -> None:
        """Announce the addresses of these."""
        nodes = dict.fromkeys(target.node for each in frontends for target in each.targets)
        self._speakers.follow({each.address: each.service for each in frontends}, nodes)

    def is_settled(self, since: Instant) -> bool:  # noqa: ARG002 - they see what changes at once
        """Speakers ask nobody."""
        return True


class _Returning:
    """A balancer that translates and leaves the client's address: answers have to be led back to it.

    The gateway marks what comes from the node ports, unless the balancer itself
    sends it: of connections to node ports that it has no part in.
    """

    is_still: ClassVar[bool] = True

    def __init__(self, fabric: Fabric, machine: BalancingMachine, gateway: Namespace, number: int) -> None:
        self._fabric = fabric
        self._machine = machine
        self._gateway = gateway
        self._mark = _MARK + number
        self._chain = f"BALANCER-{number}"
        self._written: tuple[str, ...] = ()
        self._known: dict[str, dict[tuple[str, IpAddress, int], None]] = {}
        device = next(
            name
            for name, each in gateway.devices.items()
            if any(machine.address in own.prefix for own in each.addresses)
        )
        self._device = device
        way = Route(_EVERYWHERE, nexthops=(Nexthop(device, machine.address),), table=_TABLE + number)
        rule = RoutingRule(
            gateway.fib.next_rule_priority, table=_TABLE + number, mark=self._mark, mask=_WHOLE_MARK
        )
        fabric.call(gateway, lambda net: net.fib.add(way, Insertion.REPLACE))
        fabric.call(gateway, lambda net: net.fib.add_rule(rule))

    def follow(self, frontends: Sequence[Frontend]) -> None:
        """Serve these, and have the answers come back."""
        self._machine.follow(frontends)
        known = {each.identity: self._known.get(each.identity, {}) for each in frontends}
        for each in frontends:  # who has left still has connections
            known[each.identity] |= dict.fromkeys((each.protocol, *target[1:]) for target in each.targets)
        self._known = known
        places = dict.fromkeys(place for found in known.values() for place in found)
        rules = tuple(
            f"-A {self._chain} -s {address} -p {protocol} -m {protocol} --sport {port} "
            f"-j MARK --set-mark {self._mark:#x}"
            for protocol, address, port in places
        )
        if rules != self._written:
            self._fabric.call(self._gateway, partial(_restore, text=self._text(rules)))
            self._written = rules

    def is_settled(self, since: Instant) -> bool:
        """Return whether the machine has seen what was changed until then."""
        return self._machine.is_settled(since)

    def _text(self, rules: Sequence[str]) -> str:
        own = self._machine.net.devices["eth0"].mac
        jump = f"-A PREROUTING -i {self._device} -m mac ! --mac-source {own} -j {self._chain}"
        lines = ["*mangle", f":{self._chain} - [0:0]", *([] if self._written else [jump]), *rules, "COMMIT"]
        return "".join(f"{line}\n" for line in lines)


def _is_cloud(underlay: Underlay) -> bool:
    """Return whether machines have no network in common: each hangs on the cloud's router alone."""
    from emu.cluster.vpc.underlay import VpcUnderlay  # noqa: PLC0415 - few clusters are in one

    return isinstance(underlay, VpcUnderlay)


def _restore(net: Namespace, text: str) -> None:
    from emu.apps.commands.iptables_tables import restore  # noqa: PLC0415 - only where there is a balancer

    restore(net, text, flush=False)


def _top_of(segment: Prefix) -> AddressRange:
    """Return the top of a subnet: .200 to .250 of its last 256 addresses, or half of a small one."""
    end = int(segment.address) + (1 << (32 - segment.length)) - 1
    if segment.length <= _LONG:
        first = (end & ~0xFF) + _L2_FIRST
        return AddressRange(IpAddress.from_int(first), IpAddress.from_int(first + _L2_POOL - 1))
    middle = int(segment.address) + (1 << (31 - segment.length))
    return AddressRange(IpAddress.from_int(middle), IpAddress.from_int(max(middle, end - 10)))
