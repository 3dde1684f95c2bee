# SPDX-License-Identifier: GPL-2.0-only
"""Hints: whose clients should take which endpoint.

`trafficDistribution` gives each endpoint to its own zone or node. The older
annotation spreads endpoints over zones by their CPUs, and gives up where that
would overload one. A real controller moves no more hints than it has to when
endpoints come and go; here they are spread anew each time, so they depend on
what there is alone.

Source: staging/src/k8s.io/endpointslice/trafficdist/trafficdist.go,
topologycache/topologycache.go (`SetNodes`, `getAllocations`, `AddHints`), utils.go.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Final, NamedTuple

import attrs

from emu.errors import EmuError
from emu.kube.api.objects.service import EndpointHints, ForZone
from emu.kube.endpoints.pods import ZONE
from emu.kube.tables.formats.sorting import quantity

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from emu.kube.api.objects import Node, Service
    from emu.kube.api.objects.service import Endpoint

MODE: Final = "service.kubernetes.io/topology-mode"
OLD_MODE: Final = "service.kubernetes.io/topology-aware-hints"
CONTROL_PLANE: Final = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")

NEAR_ZONE: Final = "PreferSameZone"
NEAR_NODE: Final = "PreferSameNode"
_SINCE: Final = {"PreferClose": 31, NEAR_ZONE: 34, NEAR_NODE: 34}
_OVERLOAD: Final = Fraction(6, 5)  # what a zone's endpoints may get of their fair share
_HALF: Final = Fraction(1, 2)
_NOT_KNOWN: Final = (
    "Insufficient Node information: allocatable CPU or zone not specified on one or more nodes"
)


class NoHintsError(EmuError):
    """Endpoints cannot be spread over zones; `str()` says why."""


def is_auto(service: Service) -> bool:
    """Whether endpoints are to be spread over zones by their CPUs."""
    annotations = service.metadata.annotations
    value = annotations.get(MODE, annotations.get(OLD_MODE, ""))
    return value in {"Auto", "auto"}


def preference(service: Service, minor: int) -> str:
    """Return `PreferSameZone`, `PreferSameNode` or nothing, as the release 1.`minor` understands it."""
    wanted = service.spec.traffic_distribution or ""
    if is_auto(service) or minor < _SINCE.get(wanted, minor + 1):
        return ""
    return NEAR_ZONE if wanted == "PreferClose" else wanted


def near(endpoint: Endpoint, wanted: str) -> Endpoint:
    """Return `endpoint` with hints for its own zone, and node, as `wanted`; only a ready one has some."""
    if not wanted or endpoint.conditions.ready is not True:
        return endpoint
    zones = (ForZone(endpoint.zone),) if endpoint.zone else ()
    nodes = (ForZone(endpoint.node_name),) if endpoint.node_name and wanted == NEAR_NODE else ()
    return attrs.evolve(endpoint, hints=EndpointHints(zones, nodes)) if zones or nodes else endpoint


# --- by CPUs ---


class _Allocation(NamedTuple):
    minimum: int
    desired: Fraction


def shares(nodes: Iterable[Node]) -> Mapping[str, Fraction]:
    """Return each zone's share of the CPUs of ready workers.

    Raises:
        NoHintsError: a node has no zone or no CPUs, or there is one zone only.
    """
    cpus: dict[str, Fraction] = {}
    for node in nodes:
        labels = node.metadata.labels
        if any(label in labels for label in CONTROL_PLANE) or not node.is_ready:
            continue
        zone = labels.get(ZONE)
        cpu = quantity(str(node.status.allocatable.get("cpu", "0")))
        if not zone or not cpu:
            raise NoHintsError(_NOT_KNOWN)
        cpus[zone] = cpus.get(zone, Fraction(0)) + cpu
    if len(cpus) < 2:
        raise NoHintsError(_NOT_KNOWN)
    total = sum(cpus.values())
    return {zone: cpus[zone] / total for zone in sorted(cpus)}


def spread(endpoints: Sequence[Endpoint], nodes: Iterable[Node]) -> tuple[Endpoint, ...]:
    """Return `endpoints`, the ready ones with a hint for one zone each, in proportion to the zones' CPUs.

    Raises:
        NoHintsError: that would overload a zone, or something is not known.
    """
    ready = [each for each in endpoints if each.conditions.ready is True]
    allocations = _allocations(shares(nodes), len(ready))
    if not all(each.zone for each in ready):
        raise NoHintsError("One or more endpoints do not have a zone specified")
    held: dict[str, int] = {}
    for each in ready:
        assert each.zone
        held[each.zone] = held.get(each.zone, 0) + 1
    giving, receiving = _moves(allocations, held)
    hinted = []
    for each in endpoints:
        if each.conditions.ready is not True:
            hinted.append(each)
            continue
        zone = each.zone or ""
        if giving.get(zone) and receiving:
            giving[zone] -= 1
            taker = min(receiving)
            receiving[taker] -= 1
            if not receiving[taker]:
                del receiving[taker]
            zone = taker
        hinted.append(attrs.evolve(each, hints=EndpointHints((ForZone(zone),))))
    return tuple(hinted)


def _allocations(ratios: Mapping[str, Fraction], count: int) -> dict[str, _Allocation]:
    """Return how many of `count` endpoints each zone needs at least, and should have."""
    told = f"({count} endpoints, {len(ratios)} zones)"
    if len(ratios) > count:
        raise NoHintsError(f"Insufficient number of endpoints {told}")
    found = {}
    for zone, ratio in ratios.items():
        desired = ratio * count
        minimum = math.ceil(desired / _OVERLOAD)
        found[zone] = _Allocation(minimum, max(desired, Fraction(minimum)))
    if sum(each.minimum for each in found.values()) > count:
        raise NoHintsError(
            "Minimum allocation of required endpoints exceeds the number of endpoints for safe overload: "
            f"{told}"
        )
    return found


def _moves(
    allocations: Mapping[str, _Allocation], held: Mapping[str, int]
) -> tuple[dict[str, int], dict[str, int]]:
    """Return how many endpoints zones give away, and how many others get."""
    surplus, need = {}, {}
    for zone, allocation in allocations.items():
        difference = held.get(zone, 0) - allocation.desired
        if difference > 0:
            surplus[zone] = difference
        elif difference < 0:
            need[zone] = -difference
    giving: dict[str, int] = {}
    receiving: dict[str, int] = {}
    while surplus and need:
        giver = max(surplus, key=lambda zone: (surplus[zone], zone))
        taker = max(need, key=lambda zone: (need[zone], zone))
        most, least = max(surplus[giver], need[taker]), min(surplus[giver], need[taker])
        if most < 1 or least < _HALF:
            break
        giving[giver] = giving.get(giver, 0) + 1
        receiving[taker] = receiving.get(taker, 0) + 1
        surplus[giver] -= 1
        need[taker] -= 1
    return giving, receiving
