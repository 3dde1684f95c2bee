# SPDX-License-Identifier: GPL-2.0-only
"""Networks small enough for a test, made in a line, that remember all that happened.

    lab = routed_chain(2, mtus=(1500, 1400, 1500))
    assert lab.ping("client", "server")[0].outcome == "reply"
    assert lab.drops == []

Names are short: hosts `a` and `b`, nodes `node1`, pods `pod1`, routers `r1`.
A *point* is a device with its namespace, `pod1/eth0`.
"""

from __future__ import annotations

import contextlib
import io
from itertools import pairwise
from typing import TYPE_CHECKING, Final, TypeVar

from emu.apps.ping import Echo, ping
from emu.cluster.network import steps
from emu.cluster.network.lab import Network
from emu.cluster.network.model import (
    BridgeSpec,
    EndSpec,
    FdbSpec,
    LinkSpec,
    NamespaceSpec,
    NeighbourSpec,
    NetworkDocument,
    PortSpec,
    RouteSpec,
    Sysctl,
    VxlanSpec,
)
from emu.cluster.network.run import NetworkRun
from emu.errors import DocumentError, UnknownNameError
from emu.observe.capture import describe, name_table
from emu.observe.recording import Kind
from emu.sim.time import MILLISECOND, SECOND, Duration, later
from emu.wire.addresses import Interface, IpAddress, MacAddress, Prefix

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from emu.cluster.network.actions import Action
    from emu.cluster.network.steps import Result
    from emu.fabric.cable import Cable
    from emu.fabric.process import Process
    from emu.fabric.program import Program
    from emu.kernel.link.device import Device
    from emu.kernel.namespace import Namespace
    from emu.observe.recording import Step

T = TypeVar("T")

EVERYWHERE: Final = Prefix.parse("0.0.0.0/0")
_TAPS: Final = frozenset((Kind.IN, Kind.OUT))
_FORWARDING: Final = (Sysctl("net.ipv4.ip_forward", "1"),)
_VNI: Final = 1
_PROBE_DELAY: Final = 5
"""Seconds; Linux' own. With the 60 that documents get, which is longer than an
entry stays REACHABLE, neighbours are probed again and again and nothing comes to rest.
"""


class Lab(Network):
    """A network with a memory.

    Attributes:
        steps: everything that happened since it was built, in order.
    """

    def __init__(self, document: NetworkDocument, *, seed: int = 0, budget: int | None = None) -> None:
        """Build `document` and leave its actions undone; stop after `budget` events of one call."""
        super().__init__(NetworkRun(document, seed=seed))
        self.steps: list[Step] = []
        self.recording.add(self)
        for net in self.fabric.namespaces.values():
            for name in net.devices:
                net.sysctl.set(f"net/ipv4/neigh/{name}/delay_first_probe_time", _PROBE_DELAY)
        if budget is not None:
            self.fabric.loop.budget = budget
        self.fabric.loop.replenish()

    def hear(self, step: Step) -> None:
        """Remember `step`."""
        self.steps.append(step)

    # --- names ---

    def net(self, name: str) -> Namespace:
        """Return the namespace `name`.

        Raises:
            UnknownNameError: there is none.
        """
        return self.fabric.namespace(name)

    def find(self, point: str) -> tuple[Namespace, Device]:
        """Return the device at `point`, and its namespace.

        Raises:
            UnknownNameError: there is none.
        """
        owner, _, name = point.rpartition("/")
        net = self.net(owner)
        return net, net.device(name)

    def address(self, name: str) -> IpAddress:
        """Return the first address of the namespace `name` that is not the loopback's.

        Raises:
            UnknownNameError: there is no such namespace, or it has no address.
        """
        for device in self.net(name).devices.values():
            if device.addresses and not device.is_loopback:
                return device.addresses[0].address
        raise UnknownNameError(f"{name} has no address")

    def peer(self, point: str) -> str | None:
        """Return the point at the other end of the cable of `point`, None if it has none."""
        for link in self.document.links:
            ends = [f"{end.ns}/{end.iface}" for end in link.ends]
            if point in ends:
                return ends[ends[0] == point]
        return None

    # --- doing ---

    def start(self, name: str, program: Program[T]) -> Process[T]:
        """Start `program` in the namespace `name`."""
        return self.fabric.spawn(self.net(name), program)

    def run(self, name: str, program: Program[T]) -> T:
        """Run `program` in the namespace `name` and return its result.

        Raises:
            OSError: what it failed with.
            RuntimeError: nothing is left to happen, and it still waits.
        """
        process = self.start(name, program)
        self.finish(process)
        return process.result

    def begin(self, action: Action) -> Process[Result]:
        """Start what a document's `actions` tell; those that wait for captures (`quiet`) are not taken.

        Raises:
            ValueError: it is one of these.
        """
        name = getattr(action, "ns", self.document.namespaces[0].name)
        return self.start(name, steps.as_program(self.fabric, action))

    def call(self, name: str, function: Callable[[Namespace], T]) -> T:
        """Call `function` with the namespace `name`, and carry out what follows at once."""
        return self.fabric.call(self.net(name), function)

    def ping(
        self,
        name: str,
        dst: str | IpAddress,
        *,
        count: int = 1,
        size: int = 56,
        timeout: Duration = 10 * SECOND,
    ) -> list[Echo]:
        """Ping `dst`, a namespace or an address, from the namespace `name`."""
        target = self.address(dst) if isinstance(dst, str) else dst
        return self.run(name, ping(target, count=count, size=size, timeout=timeout))

    def wait(self, duration: Duration = 100 * MILLISECOND) -> None:
        """Let `duration` pass."""
        self.fabric.loop.run_until(later(self.fabric.loop.now, duration))

    def rest(self) -> None:
        """Let time pass until nothing is left to happen."""
        self.fabric.loop.run_until_idle()

    def plug(self, a: str, b: str, cable: Cable) -> None:
        """Connect two points by `cable` instead of what connected them."""
        (net_a, device_a), (net_b, device_b) = self.find(a), self.find(b)
        self.fabric.connect((net_a, device_a.name), (net_b, device_b.name), cable)

    # --- looking ---

    def at(self, point: str) -> list[Step]:
        """Return what passed the tap at `point`, in order."""
        owner, _, name = point.rpartition("/")
        return [s for s in self.steps if s.kind in _TAPS and (s.net, s.device) == (owner, name)]

    @property
    def drops(self) -> list[Step]:
        """What was dropped, in order."""
        return [step for step in self.steps if step.kind is Kind.DROP]


def recorded(document: NetworkDocument, *, seed: int = 0) -> bytes:
    """Run `document` to its end and return the pcapng file of all its captures.

    A program that finds no route ends the run before.
    """
    run = NetworkRun(document, seed=seed)
    with contextlib.suppress(DocumentError):
        run.run()
    stream = io.BytesIO()
    run.capture.write_pcapng(stream, describe(run.fabric, run.capture.points), name_table(run.fabric))
    return stream.getvalue()


# --- labs ---


def mac(number: int) -> MacAddress:
    """Return the MAC address 02:00:00:00:00:00 plus `number`."""
    return MacAddress(b"\x02" + number.to_bytes(5, "big"))


def _link(a: EndSpec, b: EndSpec) -> LinkSpec:
    return LinkSpec(a, b)


def _end(ns: str, iface: str, number: int, *addresses: str, mtu: int = 1500) -> EndSpec:
    return EndSpec(ns, iface, mac(number), tuple(map(Interface.parse, addresses)), mtu)


def _route(ns: str, dst: str, via: str, dev: str | None = None, *, onlink: bool = False) -> RouteSpec:
    return RouteSpec(ns, Prefix.parse(dst), via=IpAddress.parse(via), dev=dev, onlink=onlink)


def two_hosts(*, mtu: int = 1500, seed: int = 0) -> Lab:
    """Return hosts `a` (10.0.0.1) and `b` (10.0.0.2), their `eth0` connected by one cable."""
    cable = _link(
        _end("a", "eth0", 1, "10.0.0.1/24", mtu=mtu),
        _end("b", "eth0", 2, "10.0.0.2/24", mtu=mtu),
    )
    return Lab(NetworkDocument((NamespaceSpec("a"), NamespaceSpec("b")), links=(cable,)), seed=seed)


def pods_on_a_bridge(count: int = 2, *, seed: int = 0) -> Lab:
    """Return `node1` with bridge `cni0` (10.244.0.1), and `pod1` (10.244.0.2), `pod2`, ... behind it.

    The node's ports are `veth1`, `veth2`, ...; it forwards, and is the pods' default gateway.
    """
    pods = range(1, count + 1)
    links = [
        _link(
            _end("node1", f"veth{number}", 0x100 + number),
            _end(f"pod{number}", "eth0", number, f"10.244.0.{number + 1}/24"),
        )
        for number in pods
    ]
    bridge = BridgeSpec(
        "node1",
        "cni0",
        mac(0x100),
        (Interface.parse("10.244.0.1/24"),),
        ports=tuple(PortSpec(f"veth{number}") for number in pods),
    )
    return Lab(
        NetworkDocument(
            (
                NamespaceSpec("node1", sysctls=_FORWARDING),
                *(NamespaceSpec(f"pod{number}") for number in pods),
            ),
            links=tuple(links),
            bridges=(bridge,),
            routes=tuple(_route(f"pod{number}", "0.0.0.0/0", "10.244.0.1") for number in pods),
        ),
        seed=seed,
    )


def routed_chain(routers: int = 1, mtus: Sequence[int] = (), *, seed: int = 0) -> Lab:
    """Return `client`, `r1`, `r2`, ..., `server` in a row, each cable with a subnet of its own.

    Cable number N, counted from 0, is 10.0.N.0/24, with .1 at its left end
    (`eth0` of `client`, `eth1` of a router) and .2 at its right (`eth0`).

    Args:
        routers: how many, 0 to 250.
        mtus: of the cables, from the left; 1500 for those that are left out.
        seed: of everything random.
    """
    names = ["client", *(f"r{number}" for number in range(1, routers + 1)), "server"]
    links, routes = [], []
    for number, (left, right) in enumerate(pairwise(names)):
        mtu = mtus[number] if number < len(mtus) else 1500
        links.append(
            _link(
                _end(left, "eth1" if number else "eth0", 2 * number + 1, f"10.0.{number}.1/24", mtu=mtu),
                _end(right, "eth0", 2 * number + 2, f"10.0.{number}.2/24", mtu=mtu),
            )
        )
    for at, name in enumerate(names):
        routes += [_route(name, f"10.0.{far}.0/24", f"10.0.{at - 1}.1") for far in range(at - 1)]
        routes += [_route(name, f"10.0.{far}.0/24", f"10.0.{at}.2") for far in range(at + 1, routers + 1)]
    specs = [NamespaceSpec(name, sysctls=_FORWARDING if name[0] == "r" else ()) for name in names]
    return Lab(NetworkDocument(tuple(specs), links=tuple(links), routes=tuple(routes)), seed=seed)


def vxlan_pair(*, seed: int = 0) -> Lab:
    """Return `node1` and `node2`, each with a pod behind a bridge, and VXLAN between them as flannel does.

    The nodes' `eth0` are 192.168.0.1 and .2; on `nodeN` are `cni0` (10.244.N.1),
    `flannel.1` (10.244.N.0) and, by port `veth1`, `podN` (10.244.N.2, MTU 1450).
    """
    nodes = (1, 2)
    links = [_link(_end("node1", "eth0", 1, "192.168.0.1/24"), _end("node2", "eth0", 2, "192.168.0.2/24"))]
    links += [
        _link(
            _end(f"node{n}", "veth1", 0x100 * n + 1, mtu=1450),
            _end(f"pod{n}", "eth0", 0x10 + n, f"10.244.{n}.2/24", mtu=1450),
        )
        for n in nodes
    ]
    bridges = [
        BridgeSpec(
            f"node{n}",
            "cni0",
            mac(0x100 * n),
            (Interface.parse(f"10.244.{n}.1/24"),),
            ports=(PortSpec("veth1"),),
        )
        for n in nodes
    ]
    vxlans, neighbours, routes = [], [], []
    for own, other in (nodes, nodes[::-1]):
        node, far_mac = f"node{own}", mac(0x900 + other)
        far = IpAddress.parse(f"10.244.{other}.0")
        vxlans.append(
            VxlanSpec(
                node,
                "flannel.1",
                mac(0x900 + own),
                _VNI,
                IpAddress.parse(f"192.168.0.{own}"),
                "eth0",
                addresses=(Interface.parse(f"10.244.{own}.0/32"),),
                udpcsum=False,
                fdb=(FdbSpec(far_mac, IpAddress.parse(f"192.168.0.{other}")),),
            )
        )
        neighbours.append(NeighbourSpec(node, "flannel.1", far, far_mac))
        routes.append(_route(node, f"10.244.{other}.0/24", str(far), "flannel.1", onlink=True))
        routes.append(_route(f"pod{own}", "0.0.0.0/0", f"10.244.{own}.1"))
    names = [NamespaceSpec(f"node{n}", sysctls=_FORWARDING) for n in nodes]
    names += [NamespaceSpec(f"pod{n}") for n in nodes]
    return Lab(
        NetworkDocument(
            tuple(names),
            links=tuple(links),
            bridges=tuple(bridges),
            vxlans=tuple(vxlans),
            neighbours=tuple(neighbours),
            routes=tuple(routes),
        ),
        seed=seed,
    )


def looped_switches(*, budget: int = 20_000, seed: int = 0) -> Lab:
    """Return `sw1` and `sw2` with two cables between them (`p1`, `p2`), and hosts `a` and `b` at `p3`.

    Nothing breaks the loop: the first broadcast goes round until `budget` events have happened.
    """
    links = [
        _link(_end("sw1", "p1", 0x11), _end("sw2", "p1", 0x21)),
        _link(_end("sw1", "p2", 0x12), _end("sw2", "p2", 0x22)),
        _link(_end("sw1", "p3", 0x13), _end("a", "eth0", 1, "10.0.0.1/24")),
        _link(_end("sw2", "p3", 0x23), _end("b", "eth0", 2, "10.0.0.2/24")),
    ]
    ports = tuple(PortSpec(f"p{number}") for number in (1, 2, 3))
    bridges = tuple(BridgeSpec(f"sw{n}", "br0", mac(0x10 * n), ports=ports) for n in (1, 2))
    names = tuple(NamespaceSpec(name) for name in ("sw1", "sw2", "a", "b"))
    return Lab(NetworkDocument(names, links=tuple(links), bridges=bridges), seed=seed, budget=budget)
