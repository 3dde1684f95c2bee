# SPDX-License-Identifier: GPL-2.0-only
"""The rules of Services.

Source: `ValidateService` of pkg/apis/core/validation/validation.go, `warningsForService`
of pkg/api/service/warnings.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kube.api.validation import names
from emu.kube.api.validation.addresses import check_cidr, check_ip, check_ordinary
from emu.kube.api.validation.metadata import check_labels, check_metadata
from emu.kube.api.validation.ports import PROTOCOLS, check_number, check_number_or_name

if TYPE_CHECKING:
    from emu.kube.api.validation.field import Field
    from emu.kube.api.validation.names import Rule

_MAX_TIMEOUT: Final = 86400  # seconds of session affinity
_ONLY_LOAD_BALANCER: Final = "may only be used when `type` is 'LoadBalancer'"
_NOT_FOR_EXTERNAL_NAME: Final = "may not be set for ExternalName services"


def service_name(version: tuple[int, int]) -> Rule:
    """Return the rule for names of Services: from 1.36 on they may start with a digit."""
    return names.label if version >= (1, 36) else names.label_1035


def check_service(service: Field) -> None:
    """Check a Service."""
    check_metadata(service.at("metadata"), service_name(service.version))
    spec = service.at("spec")
    kind = spec.text("type") or "ClusterIP"
    headless = _cluster_ips(spec)[:1] == ["None"]
    if not spec.at("ports").value and not headless and kind != "ExternalName":
        spec.at("ports").required()
    spec.at("type").one_of("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
    _check_ports(spec, kind)
    check_labels(spec.at("selector"))
    _check_cluster_ips(spec, kind, headless=headless)
    _check_families(spec, kind)
    _check_affinity(spec, headless=headless)
    for address in spec.items("externalIPs"):
        ip = check_ip(address)
        if ip is not None:
            check_ordinary(address, ip)
    _check_load_balancer(spec, kind)
    _check_traffic(spec, kind)
    for ingress in service.at("status", "loadBalancer").items("ingress"):
        if ingress.at("ip").value:
            check_ip(ingress.at("ip"))
    if kind == "ExternalName":
        _check_external_name(spec)
    elif spec.text("externalName"):
        spec.at("externalName").warn('spec.externalName is ignored when spec.type is not "ExternalName"')


def _cluster_ips(spec: Field) -> list[object]:
    """Return the addresses wished for: `clusterIP` stands for a list of one."""
    wished = spec.at("clusterIPs").value
    if isinstance(wished, list) and wished:
        return list(wished)
    return [spec.text("clusterIP")] if spec.text("clusterIP") else []


def _check_cluster_ips(spec: Field, kind: str, *, headless: bool) -> None:
    single, several = spec.at("clusterIP"), spec.at("clusterIPs")
    line = several.line if several.value else single.line
    if kind == "ExternalName":
        if _cluster_ips(spec):
            several.report.error(line, several.path, f"Forbidden: {_NOT_FOR_EXTERNAL_NAME}")
        return
    if headless:
        first = several.path + "[0]"
        if kind in {"LoadBalancer", "NodePort"}:
            text = f"may not be set to 'None' for {kind} services"
            several.report.error(line, first, f'Invalid value: "None": {text}')
        if len(several.elements()) > 1:
            several.invalid("'None' must be the first and only value")
        return
    if several.value and single.value and single.value != _cluster_ips(spec)[0]:
        single.invalid("must match the first entry of `clusterIPs`")
    addresses = several.elements() or ([single] if single.value else [])
    if len(addresses) > 2:
        several.invalid("may only hold up to 2 values")
    families = [ip.version for address in addresses if (ip := check_ip(address)) is not None]
    if len(families) == 2 and families[0] == families[1]:
        several.invalid("may specify no more than one IP for each IP family")


def _check_families(spec: Field, kind: str) -> None:
    families, policy = spec.at("ipFamilies"), spec.at("ipFamilyPolicy")
    if kind == "ExternalName":
        for field in (families, policy):
            if field.value:
                field.forbidden(_NOT_FOR_EXTERNAL_NAME)
        return
    seen: set[object] = set()
    for family in families.elements():
        family.one_of("IPv4", "IPv6")
        if isinstance(family.value, str):
            if family.value in seen:
                family.duplicate()
            seen.add(family.value)
    policy.one_of("PreferDualStack", "RequireDualStack", "SingleStack")


def _check_ports(spec: Field, kind: str) -> None:
    ports = spec.items("ports")
    seen_names: set[str] = set()
    seen_ports: set[tuple[str, int | None]] = set()
    seen_node_ports: set[tuple[str, int]] = set()
    for port in ports:
        _check_port(port, seen_names, must_have_name=len(ports) > 1)
        protocol = port.text("protocol") or "TCP"
        node_port = port.number("nodePort") or 0
        if node_port and kind == "ClusterIP":
            port.at("nodePort").forbidden("may not be used when `type` is 'ClusterIP'")
        if node_port:
            if (protocol, node_port) in seen_node_ports:
                port.at("nodePort").duplicate()
            seen_node_ports.add((protocol, node_port))
        pair = (protocol, port.number("port"))
        if pair in seen_ports and pair[1] is not None:
            port.duplicate(_port_key(*pair))
        seen_ports.add(pair)


def _check_port(port: Field, seen_names: set[str], *, must_have_name: bool) -> None:
    name = port.at("name")
    if isinstance(name.value, str) and name.value:
        name.each_invalid(names.label(name.value))
        if name.value in seen_names:
            name.duplicate()
        seen_names.add(name.value)
    elif must_have_name:
        name.required()
    check_number(port.at("port"))
    port.at("protocol").one_of(*PROTOCOLS)
    if port.at("targetPort").value:
        check_number_or_name(port.at("targetPort"))
    if protocol := port.text("appProtocol"):
        port.at("appProtocol").each_invalid(names.qualified_name(protocol))


def _port_key(protocol: str, port: int | None) -> dict[str, object]:
    """Return what the API server prints of a port that is there twice."""
    return {
        "Name": "",
        "Protocol": protocol,
        "AppProtocol": None,
        "Port": port,
        "TargetPort": 0,
        "NodePort": 0,
    }


def _check_affinity(spec: Field, *, headless: bool) -> None:
    affinity = spec.at("sessionAffinity")
    affinity.one_of("ClientIP", "None")
    config = spec.at("sessionAffinityConfig")
    if affinity.value == "ClientIP":
        timeout = config.at("clientIP", "timeoutSeconds")
        if type(timeout.value) is int and not 0 < timeout.value <= _MAX_TIMEOUT:
            timeout.invalid(f"must be greater than 0 and less than {_MAX_TIMEOUT}")
        if headless:
            affinity.warn("spec.SessionAffinity is ignored for headless services")
    elif affinity.value in (None, "None", "") and config.is_given:
        config.forbidden("must not be set when session affinity is None")


def _check_load_balancer(spec: Field, kind: str) -> None:
    ranges = spec.at("loadBalancerSourceRanges")
    if kind != "LoadBalancer":
        if ranges.value:  # the API calls this field so, with a capital
            path = f"{spec.path}.LoadBalancerSourceRanges"
            spec.report.error(ranges.line, path, f"Forbidden: {_ONLY_LOAD_BALANCER}")
        for key in ("allocateLoadBalancerNodePorts", "loadBalancerClass"):
            if spec.has(key):
                spec.at(key).forbidden(_ONLY_LOAD_BALANCER)
    elif name := spec.text("loadBalancerClass"):
        spec.at("loadBalancerClass").each_invalid(names.qualified_name(name))
    for prefix in ranges.elements():
        check_cidr(prefix, padded=True)


def _check_traffic(spec: Field, kind: str) -> None:
    external = spec.at("externalTrafficPolicy")
    accessible = kind in {"LoadBalancer", "NodePort"} or (
        kind == "ClusterIP" and bool(spec.at("externalIPs").value)
    )
    if accessible:
        external.one_of("Cluster", "Local")
    elif external.value:
        external.invalid("may only be set for externally-accessible services")
    health = spec.at("healthCheckNodePort")
    if kind == "LoadBalancer" and external.value == "Local":
        if health.value:
            check_number(health)
    elif health.value:
        health.invalid("may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'")
    spec.at("internalTrafficPolicy").one_of("Cluster", "Local")
    distribution = spec.at("trafficDistribution")
    if spec.version < (1, 34):
        distribution.one_of("PreferClose")
        return
    distribution.one_of("PreferClose", "PreferSameZone", "PreferSameNode")
    if distribution.value == "PreferClose":
        distribution.warn('spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"')


def _check_external_name(spec: Field) -> None:
    name = spec.at("externalName")
    if not name.value:
        name.required()
    elif isinstance(name.value, str):
        name.each_invalid(names.subdomain(name.value.removesuffix(".")))
