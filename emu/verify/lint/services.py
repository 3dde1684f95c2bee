# SPDX-License-Identifier: GPL-2.0-only
"""Services that lead nowhere, or elsewhere than it seems."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu.kube.endpoints.pods import has_selector
from emu.verify.lint.facts import labels_text, number, pods
from emu.verify.lint.finding import Complaint, subject_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from emu.kube.api.objects import Service
    from emu.verify.lint.facts import Body, Facts


def _selecting(facts: Facts) -> Iterator[tuple[Service, list[Body]]]:
    """Yield the Services that have a selector, and what it selects."""
    for service in facts.services:
        if has_selector(service):
            yield service, facts.of_service(service)


def selects_nothing(facts: Facts) -> Iterator[Complaint]:
    """Find selectors that no pod and no template of the namespace meets."""
    for service, bodies in _selecting(facts):
        if not bodies:
            namespace = service.metadata.namespace
            yield Complaint(
                subject_of(service),
                "$.spec.selector",
                f"no pod of namespace {namespace} has the labels {labels_text(service.spec.selector or {})}",
                f"select labels that pods have{_nearest(facts, service)}",
            )


def _nearest(facts: Facts, service: Service) -> str:
    """Return the labels of the pods that share a key with the selector, as a hint."""
    wanted = service.spec.selector or {}
    found = {
        labels_text({key: body.labels[key] for key in wanted if key in body.labels})
        for body in facts.bodies
        if body.namespace == service.metadata.namespace and wanted.keys() & body.labels.keys()
    }
    return f": there are {'; '.join(sorted(found)[:5])}" if found else ""


def named_target(facts: Facts) -> Iterator[Complaint]:
    """Find target ports by a name that no container of the selected pods has."""
    for service, bodies in _selecting(facts):
        for index, port in enumerate(service.spec.ports):
            name = port.target_port
            if not isinstance(name, str) or not bodies:
                continue
            lacking = [body for body in bodies if body.named_port(name, port.protocol) is None]
            if lacking:
                every = len(lacking) == len(bodies)
                who = "no selected pod has" if every else f"{pods(number(lacking))} of those selected lack"
                yield Complaint(
                    subject_of(service),
                    f"$.spec.ports[{index}].targetPort",
                    f"{who} a {port.protocol} port called {name}",
                    f"name a container's port so, or write its number{_declared(lacking)}",
                )


def undeclared_target(facts: Facts) -> Iterator[Complaint]:
    """Find target ports by a number that no container of the selected pods declares."""
    for service, bodies in _selecting(facts):
        for index, port in enumerate(service.spec.ports):
            target = port.target_port or port.port
            if isinstance(target, str) or not any(body.declares_ports for body in bodies):
                continue
            if not any(body.has_port(target, port.protocol) for body in bodies):
                yield Complaint(
                    subject_of(service),
                    f"$.spec.ports[{index}].{'targetPort' if port.target_port else 'port'}",
                    f"no container of the selected pods declares {port.protocol} port {target}",
                    f"lead to the port that a container listens on{_declared(bodies)}",
                )


def _declared(bodies: Sequence[Body]) -> str:
    found = {
        f"{each.container_port}/{each.protocol}" + (f" ({each.name})" if each.name else "")
        for body in bodies
        for container in body.spec.containers
        for each in container.ports
    }
    return f": declared are {', '.join(sorted(found)[:5])}" if found else ""


def headless_port(facts: Facts) -> Iterator[Complaint]:
    """Find headless Services whose port is another than the target port: nobody translates it."""
    for service, bodies in _selecting(facts):
        if not service.is_headless:
            continue
        for index, port in enumerate(service.spec.ports):
            target = port.target_port or port.port
            numbers = {target} if isinstance(target, int) else set()
            if isinstance(target, str):
                numbers = {found for body in bodies if (found := body.named_port(target, port.protocol))}
            if numbers and numbers != {port.port}:
                asked = " or ".join(map(str, sorted(numbers)))
                yield Complaint(
                    subject_of(service),
                    f"$.spec.ports[{index}].port",
                    f"is headless, so port {port.port} becomes nothing else: clients have to ask {asked}",
                    f"make port and targetPort the same ({asked}), or give the Service a clusterIP",
                )


def local_without_endpoint(facts: Facts) -> Iterator[Complaint]:
    """Find traffic policies `Local` where nodes have no endpoint of the Service."""
    for service, bodies in _selecting(facts):
        spec = service.spec
        policies = {"externalTrafficPolicy": spec.external_traffic_policy}
        if spec.type not in {"NodePort", "LoadBalancer"} and not spec.external_ips:
            policies = {}
        policies["internalTrafficPolicy"] = spec.internal_traffic_policy
        has = {body.pod.spec.node_name for body in bodies if body.pod is not None}
        without = [each.metadata.name for each in facts.nodes if each.metadata.name not in has]
        for field, value in policies.items():
            if value != "Local" or not without or not has:
                continue
            who = "from outside" if field.startswith("external") else "from pods there"
            yield Complaint(
                subject_of(service),
                f"$.spec.{field}",
                f"is Local, and {_listed(without)} no endpoint: what comes {who} is dropped",
                "run a pod on each of these nodes, keep clients away from them, or set Cluster",
            )


def _listed(names: Sequence[str]) -> str:
    if len(names) == 1:
        return f"node {names[0]} has"
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return f"nodes {', '.join(names[:5])}{more} have"
