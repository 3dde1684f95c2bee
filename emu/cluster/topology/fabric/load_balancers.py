# SPDX-License-Identifier: GPL-2.0-only
"""The key `loadBalancers`: what stands in front of Services.

loadBalancers:
- {name: cloud, kind: passthrough, pool: [203.0.113.0/28], healthCheck: {interval: 8s}}
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, get_args

from emu.cluster.topology import pools, values
from emu.cluster.topology.fabric.quantities import duration
from emu.document.fields import Fields, boolean, elements, integer, one_of, text
from emu.errors import AddressError
from emu.kube.loadbalancers.settings import (
    KINDS,
    PROXY,
    VIP,
    AddressRange,
    Against,
    HealthCheck,
    Kind,
    LoadBalancerSpec,
)
from emu.sim.time import SECOND
from emu.wire.addresses import IpAddress

if TYPE_CHECKING:
    from emu.document.fields import Place
    from emu.sim.time import Duration

__all__ = ("LoadBalancerSpec", "load_balancers")

_BLANK: Final = AddressRange(IpAddress(bytes(4)), IpAddress(bytes(4)))
_DEFAULT: Final = HealthCheck()
_MOST: Final = 100  # checks in a row
_ONLY: Final = {"source": ("nat",), "proxyProtocol": ("proxy",), "gratuitousARP": ("l2",)}
"""Keys that only some kinds have."""


def load_balancers(place: Place) -> tuple[LoadBalancerSpec, ...]:
    """Read all balancers: names and classes are given once."""
    found = elements(place, load_balancer)
    names: set[str] = set()
    classes: set[str | None] = set()
    for index, each in enumerate(found):
        if each.name in names:
            place.at(index).fault(f"a second load balancer {each.name}")
        elif each.load_balancer_class in classes:
            whose = f"of class {each.load_balancer_class}" if each.load_balancer_class else "without a class"
            place.at(index).fault(f"a second one for Services {whose}: give it another class")
        names.add(each.name)
        classes.add(each.load_balancer_class)
    return found


def load_balancer(place: Place) -> LoadBalancerSpec:
    """Read one balancer."""
    fields = Fields(place)
    kind: Kind = fields.get("kind", one_of(*KINDS), KINDS[0])
    for key, kinds in _ONLY.items():
        if fields.has(key) and kind not in kinds:
            fields.place.at(key).fault(f"a {kind} balancer has no such setting; {', '.join(kinds)} has")
    if kind == "l2" and fields.has("healthCheck"):
        fields.place.at("healthCheck").fault("l2 asks no node: it looks at the endpoints of the cluster")
    return fields.done(
        LoadBalancerSpec(
            fields.get("name", values.name, kind),
            kind,
            pool=fields.get("pool", lambda each: elements(each, _range), ()),
            load_balancer_class=fields.get("class", text, None),
            ip_mode=fields.get("ipMode", one_of(VIP, PROXY), ""),
            keeps_source=fields.get("source", one_of("keep", "replace"), "keep") == "keep",
            proxy_protocol=int(fields.get("proxyProtocol", one_of("v1", "v2"), "v0")[1:]),
            gratuitous=fields.get("gratuitousARP", boolean, True),
            health=fields.get("healthCheck", _health, _DEFAULT),
            file=place.file,
            line=fields.place.at("pool").line,
        )
    )


def _range(place: Place) -> AddressRange:
    found = text(place)
    try:
        read = AddressRange.parse(found)
    except AddressError as error:
        if isinstance(place.value, str):
            place.fault(str(error))
        return _BLANK
    if read.first.family != 4:
        place.fault("only IPv4 is modelled")
        return _BLANK
    wrong = pools.complaint(read)
    if wrong is not None:
        place.fault(wrong)
    return read


def _health(place: Place) -> HealthCheck:
    if place.value == "none":
        return HealthCheck("none")
    fields = Fields(place)
    return fields.done(
        HealthCheck(
            fields.get("against", one_of(*get_args(Against)), _DEFAULT.against),
            fields.get("interval", _positive, _DEFAULT.interval),
            fields.get("timeout", _positive, _DEFAULT.timeout),
            fields.get("unhealthyThreshold", integer(1, _MOST), _DEFAULT.unhealthy),
            fields.get("healthyThreshold", integer(1, _MOST), _DEFAULT.healthy),
        )
    )


def _positive(place: Place) -> Duration:
    found = duration(place)
    if found <= 0:
        place.wrong("a time above 0, like 10s")
        return SECOND
    return found
