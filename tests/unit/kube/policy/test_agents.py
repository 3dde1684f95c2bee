# SPDX-License-Identifier: GPL-2.0-only
"""When agents work, and what they know."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import attrs
import pytest

from emu.fabric.driver import Fabric
from emu.kube.api.objects import Namespace, NetworkPolicy, Pod
from emu.kube.api.objects.meta import Meta
from emu.kube.api.objects.pod import PodSpec, PodStatus
from emu.kube.api.store import Store
from emu.kube.kubelet.machine import Machine
from emu.kube.policy import agents as module
from emu.kube.policy.agents import Agents
from emu.kube.policy.enforcer import AGENT
from emu.kube.policy.settings import Settings
from emu.wire.addresses import IpAddress
from tests.unit.kube.policy.rules import policy

if TYPE_CHECKING:
    from emu.kube.policy.wanted import Wanted

SPEC = "podSelector: {}\ningress: [{from: [{namespaceSelector: {matchLabels: {team: red}}}]}]"


def pod(name: str, address: str = "", node: str = "n1", **labels: str) -> Pod:
    """Return the pod `NS/NAME`."""
    namespace, _, own = name.partition("/")
    return Pod(Meta(own, namespace, labels=labels), PodSpec(node_name=node), PodStatus(pod_ip=address))


class World:
    """A store, and two nodes with agents."""

    def __init__(self) -> None:
        fabric = Fabric()
        self.loop = fabric.loop
        self.store = Store(fabric.loop, 0, random.Random(1))
        self.agents = Agents(self.store, AGENT, Settings())
        for name in ("n1", "n2"):
            self.agents.start(Machine(name, fabric.add_namespace(f"node/{name}")))

    def members(self) -> list[str]:
        """Return the elements of the one set on node n1, after what is to happen at this instant."""
        self.loop.run_until(self.loop.now)
        (found,) = self.agents.wanted["n1"].sets
        return sorted(found.elements)


@pytest.fixture
def world() -> World:
    """Two agents, a namespace of the red team, and a policy for pods of the namespace x."""
    found = World()
    found.store.put(Namespace(Meta("red", labels={"team": "red"})))
    found.store.put(policy("x/p", SPEC))
    found.store.put(pod("x/a", "10.0.1.2"))
    return found


def test_changes_of_an_instant_are_worked_out_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many objects and nodes; and what policies do not ask for is no change."""
    loads: list[str] = []
    monkeypatch.setattr(module, "load", lambda net, _, __: loads.append(net.name))
    for number in range(9):
        world.store.put(pod(f"red/p{number}", f"10.0.2.{number}", "n2"))
    world.loop.run_until(world.loop.now)
    assert loads == ["node/n1"]
    one = world.store.get(Pod, "a", "x")
    world.store.put(attrs.evolve(one, status=attrs.evolve(one.status, phase="Running")))
    world.loop.run_until(world.loop.now)
    assert loads == ["node/n1"]


def test_pods_and_labels_that_come_and_go_are_followed(world: World) -> None:
    """A pod of the right namespace, one that is deleted or has ended, a namespace that changes teams."""
    world.store.put(pod("red/b", "10.0.2.2", "n2"))
    world.store.put(pod("red/c", "10.0.2.3", "n2"))
    assert world.members() == ["10.0.2.2", "10.0.2.3"]
    world.store.delete(Pod, "b", "red")
    assert world.members() == ["10.0.2.3"]
    ended = world.store.get(Pod, "c", "red")
    world.store.put(attrs.evolve(ended, status=attrs.evolve(ended.status, phase="Succeeded")))
    assert world.members() == []
    world.store.put(Namespace(Meta("x", labels={"team": "red"})))
    assert world.members() == ["10.0.1.2"]


def test_the_word_of_the_runtime_counts_until_the_api_has_it(world: World) -> None:
    """Also for a pod that was somewhere else before: its old address is nobody's."""
    new = world.store.put(pod("red/b", "", "n2"))
    assert world.members() == []
    world.agents.attached(new, IpAddress.parse("10.0.2.2"))
    assert world.members() == ["10.0.2.2"]
    world.store.put(pod("red/b", "10.0.2.2", "n2"))
    world.agents.attached(new, IpAddress.parse("10.0.2.9"))
    assert world.members() == ["10.0.2.9"]


def test_a_pod_is_found_by_its_address_and_asked_whether_it_is_isolated(world: World) -> None:
    """For who explains a verdict."""
    world.loop.run_until(world.loop.now)
    found = world.agents.pod_at("10.0.1.2")
    assert found is not None
    assert (found.namespace, found.name) == ("x", "a")
    assert world.agents.isolates(found, "ingress")
    assert not world.agents.isolates(found, "egress")
    assert world.agents.pod_at("10.0.1.3") is None


def test_with_the_last_policy_everything_goes(world: World) -> None:
    """And nothing is done any more until there is one again."""
    world.loop.run_until(world.loop.now)
    assert _nodes(world.agents.wanted) == ["n1"]
    world.store.delete(NetworkPolicy, "p", "x")
    world.loop.run_until(world.loop.now)
    assert _nodes(world.agents.wanted) == []


def _nodes(wanted: dict[str, Wanted]) -> list[str]:
    return sorted(wanted)
