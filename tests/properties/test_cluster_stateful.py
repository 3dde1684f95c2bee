# SPDX-License-Identifier: GPL-2.0-only
"""A cluster in which things come and go between packets: after each step, all that holds elsewhere holds.

Pods, Services and nodes are made, scaled, deleted and made again, pods turn
unready and ready. Two things have a memory that must not mislead: a datagram
from a port that was used before (its entry may lead to a pod that is gone), and
a connection that outlives a change of endpoints (it stays with its pod).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from emu.apps import datagram, stream
from emu.kube.api.objects import Deployment, Pod, Service
from emu.kube.api.objects.service import ServicePort
from emu.sim.time import SECOND, later
from emu.testing.cluster_strategies import Traffic, topologies, traffics
from emu.testing.clusters import ClusterLab
from emu.testing.invariants import Findings, check_checksums, check_nothing_lost
from emu.testing.plans import HEALTH_PORT, Plan, pod, service, workload
from emu.testing.service_invariants import backends, check_shares, doors
from emu.testing.talk import talk, talk_to_services
from emu.verify.endpoint import Protocol
from emu.verify.journeys import journeys
from emu.wire.addresses import IpAddress
from tests.properties.held import HELD, MOST_TOLD

if TYPE_CHECKING:
    from emu.apps.stream import Exchange
    from emu.cluster.topology import ClusterSpec
    from emu.fabric.process import Process
    from emu.testing.clusters import Party

PORT: Final = 8000
APPS: Final = ("web", "bare")
UDP_PORT: Final = 5300
OWN_PORT: Final = 33333  # of the client that asks again and again
HELD_FOR: Final = 60 * SECOND  # a connection stands still; longer than a step takes
MOST_NODES: Final = 4
NUMBERS: Final = st.integers(0, 9)
REQUEST: Final = b"GET / HTTP/1.1\r\nHost: s\r\n\r\n"


@attrs.frozen
class Standing:
    """A connection that stands: whose program it is, and the pod at its other end."""

    process: Process[Exchange]
    backend: str
    uid: str


class Comings(RuleBasedStateMachine):
    """A cluster with a Deployment and its Service to begin with."""

    def __init__(self) -> None:
        super().__init__()
        self.found = Findings()
        self.made = 0
        self.held: list[Standing] = []
        self.asked: set[IpAddress] = set()

    @initialize(cluster=topologies(most=2), replicas=st.integers(1, 3))
    def begin(self, cluster: ClusterSpec, replicas: int) -> None:
        """Build it."""
        nodes = tuple(attrs.evolve(each, taints=()) for each in cluster.nodes)
        web = workload(Deployment, "web", replicas=replicas, ports=(PORT,), gated=HEALTH_PORT)
        self.lab = ClusterLab(
            Plan(attrs.evolve(cluster, nodes=nodes), (pod("client"), web, self.service("web", "s")))
        )
        self.check()

    def service(self, app: str, name: str) -> Service:
        """Return a Service by TCP and UDP."""
        ports = (ServicePort(80, "t", "TCP", PORT), ServicePort(UDP_PORT, "u", "UDP", PORT))
        return service(name, app, ports)

    def client(self) -> Party:
        """Return the pod that asks."""
        return next(each for each in self.lab.pods if each.name == "default/client")

    # --- what comes and goes ---

    @rule(node=NUMBERS, gated=st.booleans())
    def create_pod(self, node: int, gated: bool) -> None:  # noqa: FBT001 - drawn
        """Make a bare pod behind the Service `t`, if there is one."""
        names = list(self.lab.machines)
        self.made += 1
        self.lab.apply(
            attrs.evolve(
                made := pod(
                    f"bare{self.made}",
                    node=names[node % len(names)],
                    ports=(PORT,),
                    gated=HEALTH_PORT if gated else 0,
                ),
                metadata=attrs.evolve(made.metadata, labels={"app": "bare"}),
            )
        )
        self.check()

    @rule(number=NUMBERS, again=st.booleans())
    def delete_pod(self, number: int, again: bool) -> None:  # noqa: FBT001 - drawn
        """Delete any pod but the client; make a bare one again, if that is drawn."""
        pods = [each for each in self.lab.store.list(Pod, "default") if each.metadata.name != "client"]
        if not pods:
            return
        chosen = pods[number % len(pods)]
        self.lab.writer.delete(chosen, grace_seconds=0)
        self.lab.settle_down()
        if again and chosen.metadata.controller is None:
            meta = attrs.evolve(chosen.metadata, uid="", creation_timestamp=None)
            fresh = pod("x", ports=(PORT,))
            spec = attrs.evolve(chosen.spec, node_name=chosen.spec.node_name)
            self.lab.apply(attrs.evolve(fresh, metadata=meta, spec=spec))
        self.check()

    @rule(replicas=st.integers(0, 4))
    def scale(self, replicas: int) -> None:
        """Scale the Deployment."""
        web = self.lab.store.get(Deployment, "web", "default")
        self.lab.apply(attrs.evolve(web, spec=attrs.evolve(web.spec, replicas=replicas)))
        self.check()

    @rule(number=NUMBERS, ready=st.booleans())
    def turn(self, number: int, ready: bool) -> None:  # noqa: FBT001 - drawn
        """Have a pod turn unready, or ready."""
        pods = [each for each in self.lab.gated if each.is_ready != ready]
        if pods:
            self.lab.turn(pods[number % len(pods)], ready=ready)
            self.check()

    @rule(app=st.sampled_from(APPS))
    def flip_service(self, app: str) -> None:
        """Delete the Service of an app, or make it."""
        name = app[0]
        known = self.lab.store.find(Service, name, "default")
        if known is not None:
            self.lab.writer.delete(known)
            self.lab.settle_down()
        else:
            self.lab.apply(self.service(app, name))
        self.check()

    @precondition(lambda self: len(self.lab.machines) < MOST_NODES)
    @rule()
    def join(self) -> None:
        """Have another node join, beside the others."""
        self.made += 1
        first = self.lab.topology.cluster.nodes[0]
        devices = tuple(
            tuple(
                attrs.evolve(each, address=IpAddress.from_int(int(each.address) + 100 + self.made))
                for each in device
            )
            for device in first.addresses
        )
        new = attrs.evolve(first, name=f"late{self.made}", role="worker", addresses=devices, pod_cidr=None)
        self.lab.join(new)
        self.check()

    @precondition(lambda self: any(name.startswith("late") for name in self.lab.machines))
    @rule()
    def leave(self) -> None:
        """Have the node leave that joined last, unless the client is there."""
        name = [name for name in self.lab.machines if name.startswith("late")][-1]
        if self.client().node != name:
            self.lab.leave(name)
            self.check()

    # --- what has a memory ---

    @rule()
    def ask_from_the_same_port(self) -> None:
        """A datagram from a port that was used before reaches a pod that is there.

        Where a Service has lost its last endpoint kube-proxy leaves old entries
        alone, so such a datagram may still be answered: nothing is asked of it then.
        IPVS knows answers by client and pod: of two Services that one port asked, who
        have a pod in common, it takes the one for the other.
        """
        known = self.lab.store.find(Service, "w", "default") or self.lab.store.find(Service, "s", "default")
        if known is None:
            return
        address = IpAddress.parse(known.spec.cluster_ip)
        door = next(each for each in doors(self.lab) if each.service.metadata.name == known.metadata.name)
        self.asked.add(address)
        is_balanced = self.lab.topology.cluster.proxy.mode == "ipvs"
        is_served = bool(backends(self.lab, door)) and not (is_balanced and len(self.asked) > 1)
        question = datagram.request(address, UDP_PORT, b"again", src_port=OWN_PORT, timeout=2 * SECOND)
        process = self.lab.fabric.spawn(self.lab.net_of(self.client()), question)
        self.lab.finish(process)
        outcome = "failed" if process.error is not None else process.result[0]
        fault = f"{outcome}, endpoints {sorted(backends(self.lab, door))}"
        self.found.expect("same port again", fault, holds=outcome == "reply" or not is_served)
        self.tell()

    @rule()
    def connect(self) -> None:
        """Begin a connection to the Service that stands for a while, then asks once more."""
        known = self.lab.store.find(Service, "s", "default")
        door = (
            None
            if known is None
            else next(each for each in doors(self.lab) if each.service.metadata.name == "s")
        )
        if door is None or not backends(self.lab, door):
            return
        first = len(self.lab.steps)
        program = stream.request(door.address, 80, REQUEST, rounds=2, gap=HELD_FOR, timeout=10 * SECOND)
        process = self.lab.fabric.spawn(self.lab.net_of(self.client()), program)
        self.lab.settle(1)
        ends = [
            each.ends[0].header.dst
            for each in journeys(self.lab.steps[first:])
            if each.first.step.net == self.client().net and each.first.flow.dport == 80 and each.ends
        ]
        (pod_there,) = [each for each in backends(self.lab, door).values() if each.address == ends[0]]
        found = self.lab.store.get(Pod, pod_there.name.partition("/")[2], "default")
        self.held.append(Standing(process, pod_there.name, found.metadata.uid))

    @precondition(lambda self: bool(self.held))
    @rule()
    def go_on(self) -> None:
        """Go on with a connection: it is with its pod still, if that lives, whoever is an endpoint now."""
        held = self.held.pop(0)
        while not held.process.done:
            self.lab.wait_until(later(self.lab.fabric.loop.now, 10 * SECOND))
        pod_there = self.lab.store.find(Pod, held.backend.partition("/")[2], "default")
        if pod_there is not None and pod_there.metadata.uid == held.uid:
            outcome = str(held.process.error or held.process.result.outcome)
            self.found.expect("outlives changes", f"{held.backend}: {outcome}", holds=outcome == "ok")
        self.tell()

    # --- what holds ---

    @rule(questions=st.lists(traffics(), min_size=1, max_size=2))
    def talk(self, questions: list[Traffic]) -> None:
        """Have some talk to each other and to Services."""
        talk(self.found, self.lab, questions)
        talk_to_services(self.found, self.lab, questions)
        self.tell()

    def check(self) -> None:
        """Check that the first and the last pod, and the first node, reach each other, and who is chosen."""
        pods = [number for number, each in enumerate(self.lab.parties) if each.role == "pod"]
        ways = [(pods[0], pods[-1]), (pods[-1], pods[0]), (len(self.lab.pods), pods[-1])]
        talk(self.found, self.lab, [Traffic(one, other, Protocol.TCP, 40) for one, other in ways])
        check_shares(self.found, self.lab)
        self.tell()

    def tell(self) -> None:
        """Raise what was found."""
        assert not self.found.faults, "\n".join(self.found.faults[:MOST_TOLD])

    def teardown(self) -> None:
        """Check everything that ever passed a tap, and count the cluster."""
        if not hasattr(self, "lab"):
            return
        self.lab.settle(4)  # what waits for a neighbour gives up after three seconds
        check_checksums(self.found, self.lab.steps)
        check_nothing_lost(self.found, self.lab, self.lab.steps)
        self.tell()
        HELD.clusters += 1
        HELD.checked += self.found.checked


Comings.TestCase.settings = settings(
    max_examples=max(settings().max_examples // 5, 6), stateful_step_count=12
)


class TestComings(Comings.TestCase):  # type: ignore[misc,valid-type]  # made when the machine is defined
    """After each step of any life of a cluster, its network is as Kubernetes promises."""
