# SPDX-License-Identifier: GPL-2.0-only
"""Parts of a VPC as documents write them: for what is proposed to be written there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from emu.cluster.vpc.spec import EVERYWHERE, Gate
from emu.cluster.vpc.traffic import PROTOCOLS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.cluster.vpc.spec import (
        AclRule,
        AclSpec,
        GroupRule,
        RouteTableSpec,
        SecurityGroupSpec,
        Traffic,
        Who,
    )

_NAMES: Final = {number: name for name, number in PROTOCOLS.items()}


def group(spec: SecurityGroupSpec) -> dict[str, Any]:
    """Return a security group."""
    found: dict[str, Any] = {"name": spec.name, "ingress": [_rule(each, "from") for each in spec.ingress]}
    if spec.egress is not None:
        found["egress"] = [_rule(each, "to") for each in spec.egress]
    return found


def acl(spec: AclSpec) -> dict[str, Any]:
    """Return a network ACL."""
    return {
        "name": spec.name,
        "subnets": list(spec.subnets),
        "ingress": [_acl_rule(each, "from") for each in spec.ingress],
        "egress": [_acl_rule(each, "to") for each in spec.egress],
    }


def route_table(spec: RouteTableSpec) -> dict[str, Any]:
    """Return a route table."""
    routes = [
        {"to": str(each.to), "via": each.via.value if isinstance(each.via, Gate) else f"node/{each.via}"}
        for each in spec.routes
    ]
    return {
        "name": spec.name,
        **({"subnets": list(spec.subnets)} if spec.subnets else {}),
        "routes": routes,
    }


def _rule(rule: GroupRule, side: str) -> dict[str, Any]:
    return {**_traffic(rule.traffic), side: _one_or_more([_who(each) for each in rule.who])}


def _acl_rule(rule: AclRule, side: str) -> dict[str, Any]:
    action = "allow" if rule.allows else "deny"
    who = {} if rule.who == EVERYWHERE else {side: str(rule.who)}
    return {"rule": rule.number, "action": action, **_traffic(rule.traffic), **who}


def _traffic(traffic: Traffic) -> dict[str, Any]:
    if traffic.protocol not in _NAMES:
        return {"protocol": traffic.protocol}
    found: dict[str, Any] = {"protocol": _NAMES[traffic.protocol]}
    if traffic.ports:
        found["ports"] = _one_or_more(
            [low if low == high else f"{low}-{high}" for low, high in traffic.ports]
        )
    return found


def _who(who: Who) -> str:
    return str(who)


def _one_or_more(values: Sequence[Any]) -> Any:  # noqa: ANN401 - as YAML has it
    return values[0] if len(values) == 1 else list(values)
