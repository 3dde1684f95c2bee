# SPDX-License-Identifier: GPL-2.0-only
"""The tables of policies and Ingresses.

Source: `printNetworkPolicy`, `printIngress`, `printIngressClass`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kube.tables.cells.printer import Cells, Printer, columns
from emu.kube.tables.cells.words import NONE, SHOWN, addresses, selector

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.kube.api.objects import Ingress, IngressClass, NetworkPolicy
    from emu.kube.api.objects.network import HostRule
    from emu.kube.tables.world import World

IS_DEFAULT: Final = "ingressclass.kubernetes.io/is-default-class"


def _policy(policy: NetworkPolicy, world: World) -> Cells:
    metadata = policy.metadata
    return metadata.name, selector(policy.spec.pod_selector), world.since(metadata.creation_timestamp)


def _ingress(ingress: Ingress, world: World) -> Cells:
    return (
        ingress.metadata.name,
        ingress.spec.ingress_class_name or NONE,
        _hosts(ingress.spec.rules),
        addresses(ingress.status.load_balancer, wide=world.is_wide),
        "80, 443" if ingress.spec.tls else "80",
        world.since(ingress.metadata.creation_timestamp),
    )


def _hosts(rules: Sequence[HostRule]) -> str:
    """Return the first hosts; how many more is counted in rules, as kubectl does."""
    hosts = [rule.host for rule in rules if rule.host]
    if not hosts:
        return "*"
    third = [number for number, rule in enumerate(rules) if rule.host][SHOWN - 1 : SHOWN]
    has_more = bool(third) and third[0] + 1 < len(rules)
    return ",".join(hosts[:SHOWN]) + (f" + {len(rules) - SHOWN} more..." if has_more else "")


def _ingress_class(one: IngressClass, world: World) -> Cells:
    metadata, found = one.metadata, one.spec.parameters
    is_default = metadata.annotations.get(IS_DEFAULT) == "true"
    parameters = NONE
    if found is not None:
        group = found.rest.get("apiGroup")
        parameters = f"{found.kind}{f'.{group}' if group else ''}/{found.name}"
    return (
        metadata.name + (" (default)" if is_default else ""),
        one.spec.controller,
        parameters,
        world.since(metadata.creation_timestamp),
    )


NETWORK_POLICIES: Final = Printer(columns("Name", "Pod-Selector", "Age"), _policy)
INGRESSES: Final = Printer(columns("Name", "Class", "Hosts", "Address", "Ports", "Age"), _ingress)
INGRESS_CLASSES: Final = Printer(columns("Name", "Controller", "Parameters", "Age"), _ingress_class)
