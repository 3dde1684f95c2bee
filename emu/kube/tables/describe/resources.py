# SPDX-License-Identifier: GPL-2.0-only
"""Quantities of resources: what containers ask for, summed up and written as Kubernetes writes them.

Source: `k8s.io/apimachinery/pkg/api/resource`, `k8s.io/component-helpers/resource`.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Final

from attrs import frozen

from emu.kube.tables.cells.others import inner
from emu.kube.tables.formats.sorting import quantity

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from emu.kube.api.objects import Pod
    from emu.kube.api.objects.container import Container

_BINARY: Final = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
_DECIMAL: Final = ("n", "u", "m", "", "k", "M", "G", "T", "P", "E")
_NANO: Final = Fraction(1, 10**9)


@frozen
class Quantity:
    """An amount, and whether it is written in powers of 1024."""

    amount: Fraction = Fraction(0)
    is_binary: bool = False

    def __add__(self, other: Quantity) -> Quantity:
        return Quantity(self.amount + other.amount, self.is_binary if self.amount else other.is_binary)

    def __str__(self) -> str:
        if not self.amount:
            return "0"
        if self.is_binary and self.amount.denominator == 1:
            return _scaled(self.amount.numerator, 1024, _BINARY)
        return _scaled(-(-self.amount // _NANO), 1000, _DECIMAL)  # a finer amount is rounded up


def _scaled(number: int, base: int, suffixes: tuple[str, ...]) -> str:
    """Return the number with the largest suffix that leaves it whole."""
    for suffix in suffixes[:-1]:
        if number % base:
            return f"{number}{suffix}"
        number //= base
    return f"{number}{suffixes[-1]}"


def read(value: object) -> Quantity:
    """Return what a manifest says; what is no quantity is nothing."""
    text = str(value)
    amount = quantity(text)
    return Quantity() if amount is None else Quantity(amount, text.endswith("i"))


def asked(container: Container, which: str) -> dict[str, Quantity]:
    """Return the `limits` or `requests` of a container; a limit without request is one, too."""
    found = inner(dict(container.rest), "resources", which)
    amounts = {name: read(value) for name, value in found.items()} if isinstance(found, dict) else {}
    return {**asked(container, "limits"), **amounts} if which == "requests" else amounts


def written(container: Container, which: str) -> dict[str, Quantity]:
    """Return the `limits` or `requests` of a container as they stand in the manifest."""
    found = inner(dict(container.rest), "resources", which)
    return {name: read(found[name]) for name in sorted(found)} if isinstance(found, dict) else {}


def of_pod(pod: Pod, which: str) -> dict[str, Quantity]:
    """Return what a pod needs: all containers and sidecars, or an init container if that needs more."""
    total = _sum(asked(one, which) for one in pod.spec.containers)
    sidecars: dict[str, Quantity] = {}
    peak: dict[str, Quantity] = {}
    for one in pod.spec.init_containers:
        if one.restart_policy == "Always":
            sidecars = _sum((sidecars, asked(one, which)))
            peak = _most(peak, sidecars)
        else:
            peak = _most(peak, _sum((sidecars, asked(one, which))))
    return _most(_sum((total, sidecars)), peak)


def of_pods(pods: Iterable[Pod], which: str) -> dict[str, Quantity]:
    """Return what pods need together."""
    return _sum(of_pod(pod, which) for pod in pods)


def _sum(parts: Iterable[Mapping[str, Quantity]]) -> dict[str, Quantity]:
    total: dict[str, Quantity] = {}
    for part in parts:
        for name, amount in part.items():
            total[name] = total.get(name, Quantity()) + amount
    return total


def _most(left: Mapping[str, Quantity], right: Mapping[str, Quantity]) -> dict[str, Quantity]:
    names = {**left, **right}
    empty = Quantity()
    return {
        name: max(left.get(name, empty), right.get(name, empty), key=lambda each: each.amount)
        for name in names
    }


def quality(pod: Pod) -> str:
    """Return the class of service of a pod: what its status says, or follows from what it asks for."""
    if pod.status.qos_class:
        return pod.status.qos_class
    everyone = (*pod.spec.init_containers, *pod.spec.containers)
    if not any(asked(one, "requests") for one in everyone):
        return "BestEffort"
    names = ("cpu", "memory")
    for one in everyone:
        limits, requests = asked(one, "limits"), asked(one, "requests")
        if any(name not in limits or limits[name].amount != requests[name].amount for name in names):
            return "Burstable"
    return "Guaranteed"
