# SPDX-License-Identifier: GPL-2.0-only
"""Faults, planted on purpose into what writes the rules of NetworkPolicies: those that implementers make.

Each replaces a piece of `emu.kube.policy` while clusters are built and asked;
the oracle has none of it, so that the same property that holds elsewhere finds it.
"""

from __future__ import annotations

from contextlib import nullcontext, suppress
from random import Random
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from unittest import mock

import attrs
from hypothesis import HealthCheck, Phase, find, settings

from emu.cluster.cluster import Cluster
from emu.kube.api import selectors as labels
from emu.kube.api.objects.meta import LabelSelector
from emu.kube.policy import enforcer, iptables, selection
from emu.kube.policy.enforcer import AGENT
from emu.kube.policy.iptables import Decision, PolicyRules
from emu.kube.policy.selection import Selection
from emu.testing.invariants import Findings
from emu.testing.policies import check_probes
from emu.testing.policy_strategies import NETWORKS, situations
from tests.properties.policed import LASTING, check_lasting, check_names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from emu.cluster.topology import NetworkSpec
    from emu.kube.api.objects import NetworkPolicy
    from emu.kube.api.objects.field import Labels
    from emu.kube.api.objects.network import IpBlock, PolicyPeer, PolicyPort
    from emu.kube.policy.settings import Settings
    from emu.kube.policy.snapshot import Snapshot
    from emu.kube.policy.wanted import WantedSet
    from emu.testing.policy_strategies import Situation

    Conditions = Callable[..., Iterator[str]]

Patch: TypeAlias = tuple[object, str, Any]

MOST_TRIED: Final = 300  # situations before a fault counts as not found
MOST_SHRUNK: Final = 3  # situations that are tried to make one smaller
_AGENT_ALONE: Final = tuple(each for each in NETWORKS if each.policy == "iptables")
_KINDNET: Final = NETWORKS[:1]


def look_at_probes(found: Findings, situation: Situation) -> None:
    """Look for what packets experience otherwise than policies mean."""
    check_probes(found, Cluster(situation.plan.topology), situation.probes)


def look_at_names(found: Findings, situation: Situation) -> None:
    """Look for what changes with names and the order of documents."""
    check_names(found, situation, Random(7))


@attrs.frozen
class PolicyFault:
    """A planted fault.

    Attributes:
        patch: what is replaced: where, the name, and by what.
        needs: what has to be in the objects of a cluster for the fault to show, as `repr` has it.
        networks: those on which it is looked for.
        look: what is done to find it.
        settings: of the clusters; None to draw them.
    """

    patch: Patch
    needs: tuple[str, ...] = ()
    networks: Sequence[NetworkSpec] = NETWORKS
    look: Callable[[Findings, Situation], None] = look_at_probes
    settings: Settings | None = None


class _Enough(KeyboardInterrupt):
    """Enough was tried: what ends Hypothesis for a user ends it here, too."""


class _WrongError(Exception):
    """Something is wrong; nobody asks what else is."""


class _First(Findings):
    """Findings that end with the first fault."""

    def expect(self, invariant: str, fault: str, *, holds: bool) -> None:
        """Count a look at `invariant`, and end all looks unless it holds."""
        super().expect(invariant, fault, holds=holds)
        if not holds:
            raise _WrongError(fault)


def findings_on(fault: PolicyFault, situation: Situation, *, planted: bool = True) -> Findings:
    """Return what is found with `fault`, or without it: the first that is wrong, if anything is."""
    found = _First()
    with mock.patch.object(*fault.patch) if planted else nullcontext(), suppress(_WrongError):
        fault.look(found, situation)
    return found


def discover(fault: PolicyFault) -> Situation:
    """Return a situation on which the property finds `fault`, made smaller a little.

    Raises:
        NoSuchExample: it finds it on none.
    """
    best: list[Situation] = []
    tried = 0

    def is_found(situation: Situation) -> bool:
        nonlocal tried
        if best:
            tried += 1
            if tried > MOST_SHRUNK:
                raise _Enough
        if findings_on(fault, situation).faults:
            best.append(situation)
            return True
        return False

    chosen = settings(
        max_examples=MOST_TRIED,
        database=None,
        derandomize=True,
        deadline=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    drawn = situations(
        fault.networks, settings=fault.settings, fewest_probes=12, most_probes=24, mentions=fault.needs
    )
    with suppress(_Enough):
        return find(drawn, is_found, settings=chosen)
    return best[-1]  # each that Hypothesis accepts is smaller than the one before


# --- what rules ask ---


def _conditions(change: Callable[..., Iterator[str]]) -> Patch:
    """Replace the conditions that a peer and some ports come to; `change` gets the right way, too."""
    right = Decision._conditions

    def wrong(
        self: Decision,
        direction: str,
        namespace: str,
        peer: PolicyPeer | None,
        ports: Sequence[PolicyPort],
        sets: dict[str, WantedSet],
    ) -> Iterator[str]:
        def ask(other: PolicyPeer | None, those: Sequence[PolicyPort]) -> Iterator[str]:
            return right(self, direction, namespace, other, those, sets)

        return change(ask, direction, peer, ports)

    return Decision, "_conditions", wrong


def names_of_the_source() -> Patch:
    """Look a port's name up on the pod that sends."""

    def change(ask: Conditions, direction: str, peer: PolicyPeer | None, ports: Any) -> Iterator[str]:  # noqa: ANN401 - passed on
        del direction
        return (each.replace(" dst,dst ", " src,dst ") for each in ask(peer, ports))

    return _conditions(change)


def and_read_as_or() -> Patch:
    """Read both selectors of one peer as two peers."""

    def change(ask: Conditions, direction: str, peer: PolicyPeer | None, ports: Any) -> Iterator[str]:  # noqa: ANN401 - passed on
        del direction
        if peer is None or peer.pod_selector is None or peer.namespace_selector is None:
            yield from ask(peer, ports)
        else:
            yield from ask(attrs.evolve(peer, pod_selector=None), ports)
            yield from ask(attrs.evolve(peer, namespace_selector=None), ports)

    return _conditions(change)


def no_protocol_means_any() -> Patch:
    """Take TCP, which is what stands where nothing was said, for any protocol."""

    def change(ask: Conditions, direction: str, peer: PolicyPeer | None, ports: Any) -> Iterator[str]:  # noqa: ANN401 - passed on
        del direction
        every = []
        for port in ports:
            others = ("TCP", "UDP", "SCTP") if port.protocol == "TCP" else (port.protocol,)
            every += [attrs.evolve(port, protocol=each) for each in others]
        return ask(peer, every)

    return _conditions(change)


def pods_of_any_namespace() -> Patch:
    """Find the pods of a lone podSelector in every namespace."""
    right = Selection.peers

    def wrong(self: Selection, namespace: str, peer: PolicyPeer) -> WantedSet:
        everywhere = peer.namespace_selector or LabelSelector()
        return right(self, namespace, attrs.evolve(peer, namespace_selector=everywhere))

    return Selection, "peers", wrong


def selectors_without_expressions() -> Patch:
    """Forget the expressions of selectors."""

    def wrong(selector: LabelSelector | None, found: Labels) -> bool:
        return selector is not None and labels.contains(found, selector.match_labels)

    return selection, "selects", wrong


def denials_that_want_the_key() -> Patch:
    """Have NotIn and DoesNotExist fail for who lacks the key."""
    right = labels.selects

    def wrong(selector: LabelSelector | None, found: Labels) -> bool:
        denied = () if selector is None else selector.match_expressions
        lacks = any(each.operator == "NotIn" and each.key not in found for each in denied)
        return not lacks and right(selector, found)

    return selection, "selects", wrong


# --- ports and blocks ---


def end_port_ignored() -> Patch:
    """Open the first port of a range alone."""
    right = iptables._port
    return iptables, "_port", lambda port: right(attrs.evolve(port, end_port=None))


def end_port_left_out() -> Patch:
    """Leave the last port out of a range."""
    right = iptables._port

    def wrong(port: PolicyPort) -> str:
        last = port.end_port
        is_range = last is not None and isinstance(port.port, int) and last > port.port
        return right(attrs.evolve(port, end_port=last - 1) if is_range and last is not None else port)

    return iptables, "_port", wrong


def except_forgotten() -> Patch:
    """Take a block with its exceptions."""
    right = iptables._block

    def wrong(block: IpBlock, *rest: Any) -> str | None:  # noqa: ANN401 - passed on
        return right(attrs.evolve(block, except_=()), *rest)

    return iptables, "_block", wrong


def except_that_ends_it() -> Patch:
    """Refuse who is in an exception, whatever else admits it."""
    right = Decision._rules

    def wrong(self: Decision, policy: NetworkPolicy, direction: str) -> PolicyRules:
        found = right(self, policy, direction)
        is_ingress = direction == "ingress"
        peers = (
            [peer for rule in policy.spec.ingress for peer in rule.from_]
            if is_ingress
            else [peer for rule in policy.spec.egress for peer in rule.to]
        )
        refused = [each for peer in peers if peer.ip_block is not None for each in peer.ip_block.except_]
        option = "-s" if is_ingress else "-d"
        return PolicyRules((*(f"{option} {each} -j DROP" for each in refused), *found.lines), found.sets)

    return Decision, "_rules", wrong


# --- whom, when and where ---


def _directions(change: Callable[[NetworkPolicy], tuple[str, ...]]) -> Patch:
    right = iptables.directions
    return iptables, "directions", lambda policy: change(policy) or right(policy)


def egress_always() -> Patch:
    """Take a policy that states no types for one about egress, too."""
    return _directions(lambda policy: () if policy.spec.policy_types else ("ingress", "egress"))


def egress_never() -> Patch:
    """Take a policy that states no types for one about ingress alone, whatever rules it has."""
    return _directions(lambda policy: () if policy.spec.policy_types else ("ingress",))


def nodes_as_pods() -> Patch:
    """Have selectors find pods on their node's network whatever the cluster's settings say."""
    return Selection, "_counts", lambda *_: True


def own_node_shut_out() -> Patch:
    """Judge what a node sends to its own pods."""
    right = Decision._dispatch
    return Decision, "_dispatch", lambda self, jumps, **_: right(self, jumps, sees_own=False)


def replies_judged() -> Patch:
    """Judge every packet, answers too."""
    return Decision, "_passing", lambda _: ()


def before_translation() -> Patch:
    """Judge packets before the addresses of Services are translated."""
    early = attrs.evolve(AGENT, table="raw", routed="PREROUTING")
    return enforcer, "AGENT", early


def first_name_wins() -> Patch:
    """Heed one policy of each namespace, the first by its name."""
    right = Decision._enter

    def wrong(self: Decision, policy: NetworkPolicy) -> None:
        heeded: set[str] = self.__dict__.setdefault("_heeded", set())
        if policy.metadata.namespace not in heeded:
            heeded.add(policy.metadata.namespace)
            right(self, policy)

    return Decision, "_enter", wrong


def always(how: Settings) -> Patch:
    """Treat connections that stand in one way, whatever the cluster's settings say."""
    right = Decision.__init__

    def wrong(self: Decision, snapshot: Snapshot, settings: Settings) -> None:
        chosen = attrs.evolve(settings, established_connections=how.established_connections)
        right(self, snapshot, chosen)

    return Decision, "__init__", wrong


FAULTS: Final = {
    "a port's name looked up on the source": PolicyFault(names_of_the_source(), ("port='web'", "EgressRule")),
    "an exception that ends the evaluation": PolicyFault(except_that_ends_it(), ("except_=('",)),
    "an exception forgotten": PolicyFault(except_forgotten(), ("except_=('",)),
    "AND read as OR": PolicyFault(and_read_as_or(), ("namespace_selector=LabelSelector",)),
    "endPort ignored": PolicyFault(end_port_ignored()),
    "endPort left out": PolicyFault(end_port_left_out()),
    "no protocol read as any": PolicyFault(no_protocol_means_any()),
    "a podSelector that reaches other namespaces": PolicyFault(
        pods_of_any_namespace(), ("namespace_selector=None, ip_block=None",)
    ),
    "expressions forgotten": PolicyFault(selectors_without_expressions()),
    "NotIn that wants the key": PolicyFault(denials_that_want_the_key(), ("operator='NotIn'",)),
    "no types read as both": PolicyFault(egress_always(), ("policy_types=()",)),
    "egress rules without the type": PolicyFault(egress_never(), ("policy_types=()", "EgressRule(")),
    "a node known by the labels of its pod": PolicyFault(nodes_as_pods(), ("host_network=True",)),
    "a pod closed to its node": PolicyFault(own_node_shut_out(), networks=_KINDNET),
    "answers judged": PolicyFault(replies_judged()),
    "judged before translation": PolicyFault(before_translation(), networks=_AGENT_ALONE),
    "a policy that hides others": PolicyFault(first_name_wins(), ("name='np2'",), look=look_at_names),
    "connections cut that should stand": PolicyFault(
        always(LASTING[1]), look=check_lasting, settings=LASTING[0]
    ),
    "connections that should not stand": PolicyFault(
        always(LASTING[0]), look=check_lasting, settings=LASTING[1]
    ),
}
