# SPDX-License-Identifier: GPL-2.0-only
"""What a matrix asks: which parties, which ports."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from emu.cluster.points import DEFAULT_NAMESPACE
from emu.errors import EndPointError, UnknownNameError, did_you_mean
from emu.kube.api.objects import Pod
from emu.kube.api.selectors import all_hold, parse
from emu.kube.dns.addon import NAMESPACE as DNS_NAMESPACE
from emu.verify.endpoint import LITERAL
from emu.verify.matrix.matrix import Plan, port_ranges
from emu.verify.questions import Member, Party, Port, is_called, others, workloads

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from emu.cluster.cluster import Cluster
    from emu.verify.questions import Workload

ALL_PORTS = "all"
"""Instead of ports: one for each range of them that nothing tells apart."""

_HIGHEST_PORT = 65535
_OTHERS = ("node/", "ext/", "svc/")
"""What names of those begin with that are no pods."""


def make_plan(
    cluster: Cluster,
    *,
    ports: Sequence[str] = (),
    protocols: Sequence[str] = (),
    namespaces: Sequence[str] = (),
    selector: str = "",
    sources: Sequence[str] = (),
    targets: Sequence[str] = (),
    each_pod: bool = False,
) -> Plan:
    """Return what to ask.

    Args:
        cluster: where the workloads are.
        ports: numbers or names, or `all`; none for what each target's containers declare.
        protocols: in capitals; none for those of the ports, or TCP.
        namespaces: only workloads of these; none for all.
        selector: only pods whose labels it holds for.
        sources: only who is called so, with `*` and `?`: workloads, nodes, hosts outside; and addresses.
        targets: only whom, likewise, and `svc/NS/NAME`.
        each_pod: every pod is a party of its own.

    Raises:
        EndPointError: a port is none, or the selector is no selector.
        UnknownNameError: a name fits nobody.
    """
    found = [
        each
        for workload in workloads(
            cluster.store, system=DNS_NAMESPACE in namespaces or bool(sources or targets)
        )
        if not namespaces or workload.namespace in namespaces
        for each in _parts(cluster, workload, selector, each_pod=each_pod)
    ]
    if not found and not (sources and targets):
        where = f" of {', '.join(namespaces)}" if namespaces else ""
        raise UnknownNameError(f"no pods{where} are there to ask or to be asked")
    beside = others(cluster) if sources or targets else ()
    asking = _chosen(found, beside, sources)
    asked = _chosen(found, beside, targets)
    declared = {each.party.point: each.ports for each in (*found, *beside)}
    if ALL_PORTS in ports:
        spoken = [each for each in protocols if each != "ICMP"] or ["TCP"]
        parties = [*asking, *asked]
        last = {port: end for each in spoken for port, end in port_ranges(cluster, parties, each).items()}
        wanted = (*last, *([Port(0, "ICMP")] if "ICMP" in protocols else []))
        return Plan(tuple(asking), tuple((party, wanted) for party in asked), last)
    numbers = [_numbers(cluster, text) for text in ports]
    plan = Plan(
        tuple(asking),
        tuple((party, _ports(declared.get(party.point, ()), numbers, protocols)) for party in asked),
    )
    if not plan.ports:
        raise EndPointError("no port is declared by who is asked: name some, like --ports 80,443")
    return plan


def _parts(cluster: Cluster, workload: Workload, selector: str, *, each_pod: bool) -> Iterable[Workload]:
    """Yield a workload, without the pods that are not wanted, or each of its pods."""
    members = workload.party.members
    if selector:
        members = tuple(each for each in members if _holds(cluster, selector, each))
    if not members:
        return
    if each_pod:
        for each in members:
            yield attrs.evolve(workload, party=Party(each.point, each.shown, (each,)))
    else:
        yield attrs.evolve(workload, party=attrs.evolve(workload.party, members=members))


def _holds(cluster: Cluster, selector: str, member: Member) -> bool:
    namespace, _, name = member.shown.partition("/")
    pod = cluster.store.get(Pod, name, namespace)
    try:
        return all_hold(parse(selector), pod.metadata.labels)
    except ValueError as error:
        raise EndPointError(f"{selector!r} is no selector: {error}") from None


def _chosen(found: Sequence[Workload], beside: Sequence[Workload], patterns: Sequence[str]) -> list[Party]:
    """Return the parties of workloads that are called so, and those beside them that patterns name."""
    if not patterns:
        return [each.party for each in found]
    chosen: dict[str, Party] = {}
    for pattern in patterns:
        fitting = _fitting(found, (pattern, f"{DEFAULT_NAMESPACE}/{pattern}"))
        if not fitting and pattern.startswith(_OTHERS):
            kind, _, name = pattern.partition("/")
            fitting = _fitting(beside, (pattern, f"{kind}/{DEFAULT_NAMESPACE}/{name}"))
        if not fitting and LITERAL.fullmatch(pattern):
            fitting = [_single(pattern)]
        if not fitting:
            known = [each.party.shown for each in (*found, *beside)]
            raise UnknownNameError(f"nobody is called {pattern}{did_you_mean(pattern, known)}")
        chosen |= {each.point: each for each in fitting}
    return list(chosen.values())


def _fitting(workloads: Iterable[Workload], patterns: Sequence[str]) -> list[Party]:
    return [each.party for each in workloads if is_called(each.party, patterns)]


def _single(point: str) -> Party:
    return Party(point, point, (Member(point, point),))


def _numbers(cluster: Cluster, text: str) -> int:
    """Return the port that a number, or a name that all containers mean alike, stands for."""
    if text.isascii() and text.isdigit():
        if len(text) > len(str(_HIGHEST_PORT)) or not 0 < int(text) <= _HIGHEST_PORT:
            raise EndPointError(f"{text!r}: a port is a number from 1 to {_HIGHEST_PORT}")
        return int(text)
    named = {
        port.container_port
        for pod in cluster.store.each(Pod)
        for container in pod.spec.containers
        for port in container.ports
        if port.name == text
    }
    if len(named) != 1:
        what = "several ports" if named else "no port"
        raise EndPointError(f"{text!r}: {what} of a container is called so; name a number")
    return named.pop()


def _ports(declared: Sequence[Port], numbers: Sequence[int], protocols: Sequence[str]) -> tuple[Port, ...]:
    ping = (Port(0, "ICMP"),) if "ICMP" in protocols else ()
    spoken = [each for each in protocols if each != "ICMP"]
    if numbers:
        wanted = spoken or ([] if ping else ["TCP"])
        return (*(Port(number, protocol) for number in numbers for protocol in wanted), *ping)
    return (*(port for port in declared if not protocols or port.protocol in spoken), *ping)
