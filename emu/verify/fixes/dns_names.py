# SPDX-License-Identifier: GPL-2.0-only
"""Names that nobody knows: another name server, another namespace, another spelling."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Final

import attrs

from emu.cluster.points import parse_point, pods_of
from emu.errors import EmuError
from emu.kube.api.objects import Pod, Service
from emu.verify.fixes.fix import Proposal
from emu.verify.fixes.readiness import owner_of, spec_of, with_spec
from emu.verify.fixes.remedy import Change, Question

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.verify.fixes.case import Case

_DOMAIN: Final = "svc.cluster.local"


def ask_the_cluster(case: Case) -> Iterator[Proposal]:
    """Have the pod ask CoreDNS, if it asks whom its node asks."""
    pod = _asker(case)
    if pod is None:
        return
    name = f"pod {pod.metadata.namespace}/{pod.metadata.name}"
    spec = pod.spec
    if spec.dns_policy == "Default":
        wanted, why = "ClusterFirst", "has dnsPolicy Default: it asks its node's name server"
    elif spec.host_network and spec.dns_policy == "ClusterFirst":
        wanted, why = "ClusterFirstWithHostNet", "is on its node's network and asks the node's name server"
    else:
        return
    owner = owner_of(case, pod)
    change = with_spec(owner, attrs.evolve(spec_of(owner), dns_policy=wanted))
    words = f"{name} {why}, which does not know the cluster's names: have it ask the cluster's"
    yield Proposal(words, (Change(owner, change),))


def ask_the_name_that_there_is(case: Case) -> Iterator[Proposal]:
    """Ask for a Service of this name elsewhere, or of a similar name here."""
    if case.cluster is None:
        return
    name = case.verdict.target.point
    service, _, rest = name.rstrip(".").partition(".")
    namespace, _, domain = rest.partition(".")
    known = [each.metadata for each in case.store.list(Service)]
    own = [each.name for each in known if each.namespace == namespace]
    elsewhere = [each.namespace for each in known if each.name == service and each.namespace != namespace]
    likely = [(close, namespace) for close in difflib.get_close_matches(service, own, n=1)]
    others = [(service, near) for near in difflib.get_close_matches(namespace, elsewhere, n=1)]
    others += [(service, each) for each in elsewhere if (service, each) not in others]
    for found, where in [*others[:1], *likely, *others[1:2]]:
        right = f"{found}.{where}" + (f".{_DOMAIN}" if domain else "")
        if right != name:
            words = f"there is no {name}, but Service {where}/{found}: ask {right}"
            yield _asking(case, name, right, words)


def ask_an_outside_name(case: Case) -> Iterator[Proposal]:
    """Ask for the host outside that is called nearly so."""
    if case.cluster is None:
        return
    name = case.verdict.target.point
    known = [each.name for each in case.cluster.topology.fabric.external]
    for right in difflib.get_close_matches(name.rstrip("."), known, n=1):
        if right != name.rstrip("."):
            yield _asking(case, name, right, f"there is no {name}, but {right}: ask that")


def end_with_a_dot(case: Case) -> Iterator[Proposal]:
    """Ask for the name as it is, with nothing put behind it."""
    name = case.verdict.target.point
    if not name.endswith("."):
        words = f"{name} is looked up with each search domain behind it: end it with a dot"
        yield _asking(case, name, f"{name}.", words)


def _asking(case: Case, old: str, new: str, words: str) -> Proposal:
    target = case.target.replace(old, new, 1)
    return Proposal(words, (Question(case.source, target, case.namespace),))


def _asker(case: Case) -> Pod | None:
    """Return the pod that asks, None if it is none."""
    if case.cluster is None:
        return None
    try:
        pods = pods_of(case.store, parse_point(case.source, case.namespace))
    except EmuError:
        return None  # an address
    return pods[0] if len(pods) == 1 else None
