# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import pytest

from emu.kube.api import codec
from emu.kube.api.defaults import with_defaults
from emu.kube.api.objects import Service


def service(**spec: object) -> Service:
    """Return the Service `web` that a manifest with `spec` describes."""
    found = codec.read({"kind": "Service", "apiVersion": "v1", "metadata": {"name": "web"}, "spec": spec})
    assert isinstance(found, Service)
    return found


def test_a_plain_service_gets_what_the_api_server_adds() -> None:
    """Type, protocol, target, policies and families appear."""
    spec = with_defaults(service(ports=[{"port": 80}], selector={"a": "b"})).spec
    assert (spec.type, spec.session_affinity, spec.internal_traffic_policy) == (
        "ClusterIP",
        "None",
        "Cluster",
    )
    assert spec.external_traffic_policy == ""
    assert (spec.ports[0].protocol, spec.ports[0].target_port) == ("TCP", 80)
    assert (spec.ip_family_policy, spec.ip_families) == ("SingleStack", ("IPv4",))


@pytest.mark.parametrize(("target", "kept"), [(0, 80), ("", 80), (8080, 8080), ("http", "http")])
def test_a_target_port_of_nothing_is_the_port(target: object, kept: object) -> None:
    """A number or name that was given stays."""
    spec = with_defaults(service(ports=[{"port": 80, "targetPort": target}])).spec
    assert spec.ports[0].target_port == kept


@pytest.mark.parametrize(
    ("spec", "external", "internal"),
    [
        ({"type": "NodePort"}, "Cluster", "Cluster"),
        ({"type": "LoadBalancer"}, "Cluster", "Cluster"),
        ({"externalIPs": ["192.0.2.1"]}, "Cluster", "Cluster"),
        ({"type": "NodePort", "externalTrafficPolicy": "Local"}, "Local", "Cluster"),
        ({"internalTrafficPolicy": "Local"}, "", "Local"),
        ({"type": "ExternalName", "externalName": "example.org"}, "", ""),
    ],
)
def test_policies_follow_the_type(spec: dict[str, object], external: str, internal: str) -> None:
    """External policy for what is reachable from outside, internal for all but ExternalName."""
    found = with_defaults(service(**spec)).spec
    assert (found.external_traffic_policy, found.internal_traffic_policy) == (external, internal)


def test_client_affinity_lasts_three_hours_unless_told_otherwise() -> None:
    """10800 s is the default timeout."""
    config = with_defaults(service(sessionAffinity="ClientIP")).spec.session_affinity_config
    assert config is not None
    assert config.client_ip is not None
    assert config.client_ip.timeout_seconds == 10800
    given = {"clientIP": {"timeoutSeconds": 5}}
    config = with_defaults(
        service(sessionAffinity="ClientIP", sessionAffinityConfig=given)
    ).spec.session_affinity_config
    assert config is not None
    assert config.client_ip is not None
    assert config.client_ip.timeout_seconds == 5
    assert with_defaults(service()).spec.session_affinity_config is None


def test_a_load_balancer_gets_node_ports_and_modes() -> None:
    """Its addresses are virtual unless they say Proxy; names have no mode."""
    manifest = codec.write(service(type="LoadBalancer"))
    ingress = [{"ip": "192.0.2.1"}, {"ip": "192.0.2.2", "ipMode": "Proxy"}, {"hostname": "lb.example.org"}]
    found = codec.read({**manifest, "status": {"loadBalancer": {"ingress": ingress}}})
    assert isinstance(found, Service)
    filled = with_defaults(found)
    assert filled.spec.allocate_load_balancer_node_ports is True
    assert [each.ip_mode for each in filled.status.load_balancer.ingress] == ["VIP", "Proxy", None]
    renouncing = with_defaults(service(type="LoadBalancer", allocateLoadBalancerNodePorts=False))
    assert renouncing.spec.allocate_load_balancer_node_ports is False


@pytest.mark.parametrize(
    ("spec", "cluster", "policy", "families"),
    [
        ({"clusterIP": "None"}, ("IPv4",), "RequireDualStack", ("IPv4", "IPv6")),
        ({"clusterIP": "None", "selector": {"a": "b"}}, ("IPv4",), "SingleStack", ("IPv4",)),
        ({"ipFamilyPolicy": "PreferDualStack"}, ("IPv4",), "PreferDualStack", ("IPv4",)),
        ({"ipFamilyPolicy": "PreferDualStack"}, ("IPv6", "IPv4"), "PreferDualStack", ("IPv6", "IPv4")),
        ({"clusterIP": "fd00::1"}, ("IPv4", "IPv6"), "SingleStack", ("IPv6",)),
    ],
)
def test_families_come_from_the_cluster(
    spec: dict[str, object], cluster: tuple[str, ...], policy: str, families: tuple[str, ...]
) -> None:
    """Headless Services without selector want both, others what the cluster and the manifest say."""
    found = with_defaults(service(**spec), cluster).spec
    assert (found.ip_family_policy, found.ip_families) == (policy, families)


def test_filling_in_twice_changes_nothing() -> None:
    """What has the defaults keeps them."""
    once = with_defaults(service(type="LoadBalancer", ports=[{"port": 80}], sessionAffinity="ClientIP"))
    assert with_defaults(once) == once
