# SPDX-License-Identifier: GPL-2.0-only
"""Ingresses that nobody serves, that lead nowhere, or that show somebody else's certificate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu.kube.api.objects import Ingress, IngressClass, Service
from emu.kube.controller import Key
from emu.kube.ingress import nginx_annotations, patterns, secrets
from emu.kube.ingress.configuration import CLASS, class_of
from emu.kube.ingress.controller import port_of
from emu.kube.ingress.nginx_annotations import PREFIX
from emu.verify.lint.finding import Complaint, subject_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.kube.api.objects.network import IngressBackend
    from emu.verify.lint.facts import Facts


def without_controller(facts: Facts) -> Iterator[Complaint]:
    """Find Ingresses whose class is not there."""
    store = facts.store
    classes = store.list(IngressClass)
    known = {each.metadata.name for each in classes}
    for ingress in facts.given(Ingress):
        if ingress.metadata.annotations.get(CLASS) is not None or ingress.status.load_balancer.ingress:
            continue
        name = class_of(ingress, classes)
        if name is None or name not in known:
            yield Complaint(
                subject_of(ingress),
                "$.spec.ingressClassName" if name else "$.spec",
                f"there is no IngressClass {name}" if name else "it names no class, and none is the default",
                f"name one of {', '.join(sorted(known))}" if known else "install a controller with its class",
            )


def leads_nowhere(facts: Facts) -> Iterator[Complaint]:
    """Find backends whose Service, or port of it, is not there: such requests get a 503."""
    store = facts.store
    for ingress in facts.given(Ingress):
        namespace = ingress.metadata.namespace
        for path, backend in _backends(ingress):
            if backend.service is None:
                continue
            name, port = backend.service.name, backend.service.port.name or backend.service.port.number or ""
            service = store.find(Service, name, namespace)
            if service is None:
                yield Complaint(
                    subject_of(ingress),
                    f"{path}.service.name",
                    f"there is no Service {namespace}/{name}: requests get a 503",
                    "name a Service of this namespace",
                )
            elif port_of(service, port) is None:
                there = ", ".join(str(each.name or each.port) for each in service.spec.ports)
                yield Complaint(
                    subject_of(ingress),
                    f"{path}.service.port",
                    f"Service {namespace}/{name} has no port {port}: requests get a 503",
                    f"it has {there}; the port of the Service counts, not that of pods",
                )


def default_certificate(facts: Facts) -> Iterator[Complaint]:
    """Find hosts whose certificate is not there, or is somebody else's (TLS_DEFAULT_CERT)."""
    store = facts.store
    for ingress in facts.given(Ingress):
        for index, tls in enumerate(ingress.spec.tls):
            secret = Key(ingress.metadata.namespace, tls.secret_name)
            if not tls.secret_name:
                continue
            for host in tls.hosts:
                why = secrets.fault_of(store, secret, host)
                if why:
                    yield Complaint(
                        subject_of(ingress),
                        f"$.spec.tls[{index}].secretName",
                        f"{why}: clients of {host} get the controller's own certificate",
                        "a Secret of the type kubernetes.io/tls, for that name, in the same namespace",
                    )


def other_host(facts: Facts) -> Iterator[Complaint]:
    """Find backends outside that are asked for a name which is not theirs."""
    store = facts.store
    for ingress in facts.given(Ingress):
        if f"{PREFIX}upstream-vhost" in ingress.metadata.annotations:
            continue
        for path, backend in _backends(ingress):
            name = "" if backend.service is None else backend.service.name
            service = store.find(Service, name, ingress.metadata.namespace)
            if service is not None and service.spec.type == "ExternalName":
                outside = service.spec.external_name
                yield Complaint(
                    subject_of(ingress),
                    f"{path}.service.name",
                    f"{outside} is asked for the host of the Ingress, not for its own name",
                    f"annotation {PREFIX}upstream-vhost: {outside}",
                )


def refused_pattern(facts: Facts) -> Iterator[Complaint]:
    """Find regular expressions that are none, or may take too many steps."""
    given = [
        (ingress, number, index, rule.host, path)
        for ingress in facts.given(Ingress)
        for number, rule in enumerate(ingress.spec.rules)
        for index, path in enumerate(rule.http.paths if rule.http is not None else ())
        if path.path_type != "Exact"
    ]
    hosts = {host for ingress, _, _, host, _ in given if nginx_annotations.is_regex(ingress)}
    for ingress, number, index, host, path in given:
        why = patterns.fault(path.path) if host in hosts else ""
        if why:
            yield Complaint(
                subject_of(ingress),
                f"$.spec.rules[{number}].http.paths[{index}].path",
                why,
                "one of the paths of this host is a regular expression, so all are: repeat no repetition",
            )


def _backends(ingress: Ingress) -> Iterator[tuple[str, IngressBackend]]:
    """Yield each backend, and the way to it."""
    if ingress.spec.default_backend is not None:
        yield "$.spec.defaultBackend", ingress.spec.default_backend
    for number, rule in enumerate(ingress.spec.rules):
        for index, path in enumerate(rule.http.paths if rule.http is not None else ()):
            yield f"$.spec.rules[{number}].http.paths[{index}].backend", path.backend
