# SPDX-License-Identifier: GPL-2.0-only
"""Pods and policies in a line each, and the rules that come of them."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final

import yaml
from hypothesis import strategies as st

from emu.kube.api import codec
from emu.kube.api.objects import NetworkPolicy
from emu.kube.policy.enforcer import AGENT
from emu.kube.policy.iptables import decide
from emu.kube.policy.settings import Settings
from emu.kube.policy.snapshot import NamedPort, PodView, Snapshot, view_of
from emu.testing.policy_strategies import policed_pods, policies

if TYPE_CHECKING:
    from collections.abc import Mapping

    from emu.kube.policy.enforcer import Enforcer
    from emu.kube.policy.wanted import Wanted


NODE: Final = "n1"


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    """Return policies and pods on one node, each pod with an address."""
    pods = [draw(policed_pods(number, [NODE])) for number in range(draw(st.integers(1, 4)))]
    views = [view_of(pod, f"10.0.1.{number}") for number, pod in enumerate(pods, 2)]
    found = [draw(policies(f"np{number}")) for number in range(draw(st.integers(1, 4)))]
    return Snapshot(tuple(found), tuple(each for each in views if each is not None))


def policy(name: str, spec: str) -> NetworkPolicy:
    """Return the policy `NS/NAME` with a `spec` in YAML."""
    namespace, _, own = name.partition("/")
    metadata = {"name": own, "namespace": namespace}
    kind = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy"}
    found = codec.read({**kind, "metadata": metadata, "spec": yaml.safe_load(spec)})
    assert isinstance(found, NetworkPolicy)
    return found


def pod(
    name: str,
    address: str,
    *ports: tuple[str, str, int],
    node: str = "n1",
    host_network: bool = False,
    **labels: str,
) -> PodView:
    """Return the pod `NS/NAME`."""
    namespace, _, own = name.partition("/")
    named = tuple(NamedPort(*each) for each in ports)
    return PodView(namespace, own, labels, node, address, named, host_network)


def wanted(
    given: list[NetworkPolicy],
    pods: list[PodView],
    *,
    namespaces: Mapping[str, Mapping[str, str]] | None = None,
    settings: Settings = Settings(),  # noqa: B008 - a value
    enforcer: Enforcer = AGENT,
    node: str = "n1",
) -> Wanted:
    """Return what a node is to have."""
    snapshot = Snapshot(tuple(given), tuple(pods), namespaces or {})
    return decide(snapshot, node, enforcer, settings)


def rules(found: Wanted) -> list[str]:
    """Return the rules of the pods' chains, but for comments and the refusals at their ends."""
    lines = [line for chain in found.chains for line in chain.lines[:-1] if _is_of_pod(chain.name)]
    return [line.partition("-m comment")[0].strip() for line in lines]


def comments(found: Wanted) -> list[str]:
    """Return the comments of the rules in the pods' chains."""
    lines = [line for chain in found.chains for line in chain.lines if _is_of_pod(chain.name)]
    return [line.split('"')[1] for line in lines]


def _is_of_pod(chain: str) -> bool:
    return chain.startswith(("NETPOL-IN-", "NETPOL-OUT-"))


def elements(found: Wanted) -> list[list[str]]:
    """Return the elements of each set, in the order of the rules that ask them."""
    sets = {each.name: sorted(each.elements) for each in found.sets}
    words = [word for line in rules(found) for word in line.split()]
    asked = [word for before, word in pairwise(words) if before == "--match-set"]
    return [sets[name] for name in asked]
