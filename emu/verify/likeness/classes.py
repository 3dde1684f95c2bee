# SPDX-License-Identifier: GPL-2.0-only
"""Finds out which questions must end alike, from what the kernels have, and not from labels.

    nodes   settings, devices, rules    for everybody, for each pod that rules single out, for each other node
    pods    settings, routes, sockets   and in which sets of addresses they are that some rule asks for
    ports   edges of ranges, listeners

All of it is told without names: what a node calls "my pods" is the same words on
every node. What is not understood is shared by nobody: it can cost questions,
and never an answer.

What is not looked at, as it changes no end: counters, which neighbours are known
(if they are right), names of chains and sets, comments of rules that refuse
nothing, IPv6, IP identifications and whatever else is drawn at random.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.errors import EmuError
from emu.verify.likeness import constants
from emu.verify.likeness import plan as plans
from emu.verify.likeness import pods as pod_texts
from emu.verify.likeness.doubt import Doubt
from emu.verify.likeness.likeness import Likeness, port_classes
from emu.verify.likeness.listening import sockets
from emu.verify.likeness.nodes import Asked, Node
from emu.verify.likeness.sets import Sets
from emu.verify.likeness.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from emu.cluster.emulation import Emulation
    from emu.verify.likeness.likeness import Place
    from emu.verify.likeness.packets import Ports
    from emu.verify.likeness.plan import Plan

PROTOCOLS: Final = {"icmp": 1, "tcp": 6, "udp": 17, "sctp": 132}
_RANGE: Final = "net.ipv4.ip_local_port_range"


def classes(network: Emulation, pods: Sequence[Place], protocol: str, ports: Sequence[int]) -> Likeness:
    """Return which questions between `pods` must end alike.

    Args:
        network: it is only looked at. The answer holds until something is changed there.
        pods: network namespaces, as `NS/POD`; of a pod on its node's network, `node/NAME`.
        protocol: `tcp`, `udp`, `sctp` or `icmp`, in either case.
        ports: those that are asked; none for ICMP.

    Raises:
        UnknownNameError: there is no such namespace.
        EmuError: there is no such protocol.
    """
    number = PROTOCOLS.get(protocol.lower())
    if number is None:
        raise EmuError(f"no protocol {protocol}")
    return _Comparison(plans.draw(network.fabric, pods), number, ports).compare()


class _Comparison:
    """A comparison under way."""

    def __init__(self, plan: Plan, protocol: int, ports: Sequence[int]) -> None:
        self._plan = plan
        self._ports = sorted(set(ports))
        self._protocol = protocol
        self._settings = Settings(plan.fabric.loop.now)
        self._numbers: dict[Hashable, int] = {}
        self._refusals = {f"{pod}: {why}" for pod, why in plan.odd.items()}
        self._edges: set[int] = set()
        self._nodes: dict[str, Node] = {}
        self._apart: set[frozenset[Place]] = set()
        self._asks = 0
        self._asks_for: dict[Place, int] = {}

    def compare(self) -> Likeness:
        """Return which questions must end alike."""
        plan = self._plan
        self._read_nodes()
        texts = {pod: self._text(pod) for pod in plan.homes}
        memberships = plan.universe.memberships()
        of: dict[Place, int | Place] = {pod: pod for pod in plan.odd}
        for pod, text in texts.items():
            always = memberships[plan.universe.index[pod]] & self._asks
            of[pod] = pod if text is None else self._number(("pod", text, always))
        foreign, between = self._foreign(), self._between()
        if self._refusals:
            self._read_constants()
        return Likeness(
            port_classes(self._edges, self._ports),
            tuple(sorted(self._refusals)),
            of=of,
            members={pod: memberships[plan.universe.index[pod]] for pod in plan.homes},
            asks=self._asks_for,
            homes={pod: home.node.name for pod, home in plan.homes.items()},
            foreign=foreign,
            between=between,
            apart=frozenset(self._apart),
        )

    def _number(self, text: Hashable) -> int:
        return self._numbers.setdefault(text, len(self._numbers))

    # --- nodes ---

    def _read_nodes(self) -> None:
        plan = self._plan
        low, high = 65535, 0
        for home in plan.homes.values():
            first, last = home.net.sysctl.numbers(_RANGE)
            low, high = min(low, first), max(high, last)
            self._edges |= {first, last + 1}
            for each in sockets(home.net, self._protocol):
                self._edges |= {each.local_port, each.local_port + 1}
        asked = Asked(self._protocol, _ranges(self._ports), ((low, high),))
        sets = Sets(plan.universe, self._protocol)
        for name, net in plan.nodes.items():
            try:
                node = self._nodes[name] = Node(net, plan, asked, sets, self._settings)
            except Doubt as doubt:
                self._refusals.add(f"{name}: {doubt}")
                continue
            self._edges |= node.meaning.edges
            self._asks |= node.meaning.asks
            for number, asks in node.meaning.asks_for.items():
                pod = plan.universe.places[number]
                self._asks_for[pod] = self._asks_for.get(pod, 0) | asks
            self._apart |= {
                frozenset(plan.universe.places[each] for each in pair) for pair in node.meaning.pairs
            }

    def _read_constants(self) -> None:
        """Tell ports apart by all numbers that stand in what was not understood, and by who listens there."""
        for name, net in self._plan.fabric.namespaces.items():
            if name not in self._nodes:
                self._edges |= constants.edges(net)
        for pod in self._plan.odd:
            for each in sockets(self._plan.fabric.namespace(pod), self._protocol):
                self._edges |= {each.local_port, each.local_port + 1}

    def _between(self) -> dict[tuple[str, str], int]:
        """Return what the way between each two nodes is like."""
        found: dict[tuple[str, str], int] = {}
        for here, node in self._nodes.items():
            for there, peer in self._nodes.items():
                if here == there:
                    continue
                try:
                    found[here, there] = self._number(("between", node.to_node(peer), peer.to_node(node)))
                except Doubt as doubt:
                    self._refusals.add(f"{here}, {there}: {doubt}")
        return found

    def _foreign(self) -> dict[tuple[str, Place], int]:
        """Return what each pod is to each other node."""
        plan, found = self._plan, dict[tuple[str, str], int]()
        for name, node in self._nodes.items():
            for pod, home in plan.homes.items():
                peer = self._nodes.get(home.node.name)
                if peer is None or peer is node:
                    continue
                try:
                    way = node.to_pod(home, peer)
                except Doubt as doubt:
                    self._refusals.add(f"{pod}: {doubt}")
                else:
                    own = node.meaning.of.get(plan.universe.index[pod], ())
                    found[name, pod] = self._number(("foreign", way, tuple(own)))
        return found

    # --- pods ---

    def _text(self, pod: Place) -> Hashable | None:
        """Return what a pod and its node are like together, None if that is not understood."""
        plan = self._plan
        home, number = plan.homes[pod], plan.universe.index[pod]
        node = self._nodes.get(home.node.name)
        if node is None:
            return None
        try:
            plan.universe.take()
            own = pod_texts.text(home, plan, node, self._protocol, self._settings)
            self._asks_for[pod] = self._asks_for.get(pod, 0) | plan.universe.take()
            on_node = node.of_own(home)
        except Doubt as doubt:
            self._refusals.add(f"{pod}: {doubt}")
            return None
        for each in pod_texts.acquainted(home.net):
            other = plan.universe.number(each)
            if other is not None:
                self._apart.add(frozenset((pod, plan.universe.places[other])))
        return self._number(node.text), own, on_node, tuple(node.meaning.of.get(number, ()))


def _ranges(ports: Sequence[int]) -> Ports:
    """Return ports, in ascending order, as ranges."""
    found: list[tuple[int, int]] = []
    for port in ports:
        if found and found[-1][1] == port - 1:
            found[-1] = found[-1][0], port
        else:
            found.append((port, port))
    return tuple(found)
