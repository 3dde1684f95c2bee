# SPDX-License-Identifier: GPL-2.0-only
"""What the properties of NetworkPolicies do with clusters: call things otherwise, let connections last."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.cluster.cluster import Cluster
from emu.kube.api.objects import Namespace, NetworkPolicy, Pod, Service
from emu.kube.policy.settings import Settings
from emu.sim.time import SECOND
from emu.testing.lasting import OK, use_twice
from emu.testing.policies import check_probes, connections, expected, may_be_misheard
from emu.testing.policy_strategies import Situation
from emu.verify.asker import Asker

if TYPE_CHECKING:
    from fractions import Fraction
    from random import Random

    from emu.kube.api.objects import Known
    from emu.sim.time import Duration
    from emu.testing.invariants import Findings
    from emu.testing.policy_strategies import Probe

_PAUSE: Final[Duration] = 10 * SECOND  # of connections; policies come in the middle of it

LASTING: Final = (Settings("keep"), Settings("recheck"))
"""What a cluster can be told of connections that stand."""

# --- names ---


def renamed(situation: Situation, random: Random) -> Situation:
    """Return a situation in which documents come in another order and have other names.

    Addresses depend on the order of nodes and workloads, so those keep it.
    """
    plan = situation.plan
    pods = [each for each in plan.objects if isinstance(each, Pod)]
    rest = [each for each in plan.objects if not isinstance(each, Pod)]
    random.shuffle(rest)
    names = [f"{letter}{number}" for number, letter in enumerate(random.sample("abcdefghijklmnopq", 17))]
    others = {_place(each): name for each, name in zip((*pods, *rest), names, strict=False)}
    objects = [_called(each, others) for each in rest]
    for each in reversed(pods):  # in their order, somewhere among the others
        objects.insert(random.randint(0, len(objects)) if each is pods[-1] else 0, _called(each, others))
    probes = tuple(_of_others(each, others) for each in situation.probes)
    return Situation(attrs.evolve(plan, objects=tuple(objects)), probes)


def _place(thing: Known) -> str:
    """Return a thing as end points have it."""
    kind = "svc" if isinstance(thing, Service) else thing.KIND.lower()
    return f"{kind}/{thing.metadata.namespace}/{thing.metadata.name}"


def _called(thing: Known, names: dict[str, str]) -> Known:
    if isinstance(thing, Namespace):
        return thing  # its name is a label
    return attrs.evolve(thing, metadata=attrs.evolve(thing.metadata, name=names[_place(thing)]))


def _of_others(probe: Probe, names: dict[str, str]) -> Probe:
    ends = []
    for end in (probe.source, probe.target):
        kind, _, rest = end.partition("/")
        ends.append(f"{kind}/{rest.partition('/')[0]}/{names[end]}" if end in names else end)
    return attrs.evolve(probe, source=ends[0], target=ends[1])


def check_names(found: Findings, situation: Situation, random: Random) -> None:
    """Check that verdicts are the same in another order and by other names."""
    other = renamed(situation, random)
    one, two = (Asker(Cluster(each.plan.topology), is_brief=True) for each in (situation, other))
    for probe, same in zip(situation.probes, other.probes, strict=True):
        before, after = _outcomes(one, probe), _outcomes(two, same)
        found.expect("names", f"{probe}: {before}; {same}: {after}", holds=before == after)


def _outcomes(asker: Asker, probe: Probe) -> tuple[Fraction | None, frozenset[str]]:
    """Return the probability that a probe is delivered, and where it arrives."""
    verdict = asker.judge(probe.source, probe.question)
    found = (each.arrival for each in verdict.outcomes)
    return verdict.delivered, frozenset(f"{each.address}:{each.port}" for each in found if each is not None)


# --- connections that last ---


def check_lasting(found: Findings, situation: Situation) -> None:
    """Check that connections that stand when policies come fare as the cluster's settings say.

    Who opens one afterwards, between the same ends too, is judged by the policies.
    """
    plan = situation.plan
    without = tuple(each for each in plan.objects if not isinstance(each, NetworkPolicy))
    cluster = Cluster(attrs.evolve(plan, objects=without).topology)
    direct = [each for each in situation.probes if not each.target.startswith("svc/")]
    started = []
    for probe in direct:
        (connection,) = connections(cluster, probe)
        program = use_twice(probe.protocol, connection.target_address, probe.port, _PAUSE)
        started.append((probe, cluster.fabric.spawn(cluster.host(probe.source).net, program)))
    cluster.settle(_PAUSE / SECOND / 2)
    cluster.apply(*situation.policies)
    cluster.settle(2 * _PAUSE / SECOND)
    keeps = cluster.topology.cluster.policies.established_connections == "keep"
    for probe, process in started:
        wanted = expected(cluster, probe)
        if may_be_misheard(cluster, probe, wanted):
            continue
        first, second = process.result
        found.expect("opened", f"{probe}: {first} before there were policies", holds=first == OK)
        lives = keeps or bool(wanted.allowed)
        found.expect("lasting", f"{probe}: {second} afterwards", holds=(second == OK) == lives)
    check_probes(found, cluster, situation.probes)
