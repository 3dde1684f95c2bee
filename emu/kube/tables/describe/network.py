# SPDX-License-Identifier: GPL-2.0-only
"""Descriptions of policies and Ingresses."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from emu.kube.api.objects import Service
from emu.kube.api.timestamps import parse
from emu.kube.tables.cells.words import NONE, addresses, selector
from emu.kube.tables.describe.services import ready, slices_of
from emu.sim.time import SECOND

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.kube.api.objects import Ingress, IngressClass, NetworkPolicy
    from emu.kube.api.objects.network import (
        EgressRule,
        IngressBackend,
        IngressRule,
        NetworkPolicySpec,
        PolicyPeer,
        PolicyPort,
    )
    from emu.kube.tables.describe.page import Page
    from emu.kube.tables.world import World

_RULES: Final = 2  # levels of indent of a policy's rules


def policy(page: Page, one: NetworkPolicy, world: World) -> None:
    """Write the description of a NetworkPolicy; it has no events."""
    del world
    spec = one.spec
    instant = parse(one.metadata.creation_timestamp or "", 0)
    created = "<unset>"
    if instant is not None:
        created = time.strftime("%Y-%m-%d %H:%M:%S +0000 UTC", time.gmtime(instant // SECOND))
    page.field("Name", one.metadata.name)
    page.field("Namespace", one.metadata.namespace)
    page.field("Created on", created)
    page.metadata(one.metadata)
    page.line("Spec:")
    chosen = selector(spec.pod_selector)
    everything = f"{NONE} (Allowing the specific traffic to all pods in this namespace)"
    page.line(f"PodSelector:     {everything if chosen == NONE else chosen}", 1)
    types = policy_types(spec)
    for direction, rules in (("Ingress", spec.ingress), ("Egress", spec.egress)):
        word = direction.lower()
        if direction in types:
            page.line(f"Allowing {word} traffic:", 1)
            _rules(page, rules, word)
        else:
            page.line(f"Not affecting {word} traffic", 1)
    page.line(f"Policy Types: {', '.join(types) or NONE}", 1)


def policy_types(spec: NetworkPolicySpec) -> tuple[str, ...]:
    """Return what a policy is about; where it does not say so, as the API server fills it in."""
    return spec.policy_types or (("Ingress", "Egress") if spec.egress else ("Ingress",))


def _rules(page: Page, rules: Sequence[IngressRule | EgressRule], word: str) -> None:
    if not rules:
        page.line(f"{NONE} (Selected pods are isolated for {word} connectivity)", _RULES)
    for number, rule in enumerate(rules):
        if number:
            page.line("----------", _RULES)
        for port in rule.ports:
            page.line(_port(port), _RULES)
        if not rule.ports:
            page.line("To Port: <any> (traffic allowed to all ports)", _RULES)
        peers = getattr(rule, "from_", None) if word == "ingress" else getattr(rule, "to", None)
        title, side = ("From", "source") if word == "ingress" else ("To", "destination")
        for peer in peers or ():
            page.line(f"{title}:", _RULES)
            _peer(page, peer)
        if not peers:
            page.line(f"{title}: <any> (traffic not restricted by {side})", _RULES)


def _port(port: PolicyPort) -> str:
    number = "<nil>" if port.port is None else port.port
    if port.end_port is None:
        return f"To Port: {number}/{port.protocol}"
    return f"To Port Range: {number}-{port.end_port}/{port.protocol}"


def _peer(page: Page, peer: PolicyPeer) -> None:
    if peer.namespace_selector is not None:
        page.line(f"NamespaceSelector: {selector(peer.namespace_selector)}", _RULES + 1)
    if peer.pod_selector is not None:
        page.line(f"PodSelector: {selector(peer.pod_selector)}", _RULES + 1)
    elif peer.namespace_selector is None and peer.ip_block is not None:
        page.line("IPBlock:", _RULES + 1)
        page.line(f"CIDR: {peer.ip_block.cidr}", _RULES + 2)
        page.line(f"Except: {', '.join(peer.ip_block.except_)}", _RULES + 2)


# --- Ingress ---


def ingress(page: Page, one: Ingress, world: World) -> None:
    """Write the description of an Ingress, without its events."""
    spec, namespace = one.spec, one.metadata.namespace
    page.field("Name", one.metadata.name)
    page.labels("Labels", one.metadata.labels)
    page.field("Namespace", namespace)
    page.field("Address", addresses(one.status.load_balancer, wide=True))
    page.field("Ingress Class", spec.ingress_class_name or NONE)
    default = (
        "<default>" if spec.default_backend is None else _backend(spec.default_backend, namespace, world)
    )
    page.field("Default backend", default)
    if spec.tls:
        page.line("TLS:")
    for certificate in spec.tls:
        hosts = ",".join(certificate.hosts)
        name = certificate.secret_name
        page.line(f"{name} terminates {hosts}" if name else f"SNI routes {hosts}", 1)
    page.line("Rules:")
    page.line("Host\tPath\tBackends", 1)
    page.line("----\t----\t--------", 1)
    rules = [rule for rule in spec.rules if rule.http is not None]
    for rule in rules:
        page.line(f"{rule.host or '*'}\t", 1)
        for path in rule.http.paths if rule.http else ():
            page.line(f"\t{path.path} \t{_backend(path.backend, namespace, world)}", 2)
    if not rules:
        page.line(f"*\t*\t{default}", 1)
    page.annotations("Annotations", one.metadata.annotations)


def _backend(backend: IngressBackend, namespace: str, world: World) -> str:
    """Return where requests go, and the endpoints that are there."""
    if wanted := backend.service:
        text = f"{wanted.name}:{wanted.port.number or wanted.port.name}"
        found = [one for one in world.objects.list(Service, namespace) if one.metadata.name == wanted.name]
        if not found:
            return f'{text} (<error: services "{wanted.name}" not found>)'
        names = [
            port.name
            for port in found[0].spec.ports
            if (wanted.port.number and wanted.port.number == port.port)
            or (wanted.port.name and wanted.port.name == port.name)
        ]
        slices = slices_of(namespace, wanted.name, world)
        return f"{text} ({ready(slices, names[-1] if names else '')})"
    if resource := backend.resource:
        group = resource.rest.get("apiGroup") or NONE
        return f"APIGroup: {group}, Kind: {resource.kind}, Name: {resource.name}"
    return ""


def ingress_class(page: Page, one: IngressClass, world: World) -> None:
    """Write the description of an IngressClass, without its events."""
    del world
    page.field("Name", one.metadata.name)
    page.metadata(one.metadata)
    page.field("Controller", one.spec.controller)
    if found := one.spec.parameters:
        page.line("Parameters:")
        if found.rest.get("apiGroup"):
            page.field("APIGroup", found.rest["apiGroup"], 1)
        page.field("Kind", found.kind, 1)
        page.field("Name", found.name, 1)
