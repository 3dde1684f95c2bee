# SPDX-License-Identifier: GPL-2.0-only
"""What a container finds in its environment: Services, values, and where they come from."""

from __future__ import annotations

from typing import Any

import pytest

from emu.kube.api.objects import Service
from emu.kube.api.objects.meta import Meta
from emu.kube.api.objects.service import ServicePort, ServiceSpec
from emu.kube.kubelet.environment import of_service
from emu.kube.kubelet.variables import expanded
from tests.unit.kube.kubelet.lab import container, found, pod, read, start


def service(name: str, *ports: dict[str, Any], namespace: str = "default", **spec: Any) -> dict[str, Any]:  # noqa: ANN401 - a manifest
    """Return the manifest of a Service."""
    given = list(ports) or [{"port": 80}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"ports": given, **spec},
    }


class TestServices:
    """Services that are older than the container are in its environment."""

    def test_each_has_the_variables_of_docker_links(self) -> None:
        """Host and port of the first, and four for each."""
        ports = (ServicePort(80, "http"), ServicePort(53, "dns-udp", "UDP"))
        given = Service(Meta("my-web", "default"), ServiceSpec(ports=ports, cluster_ip="10.96.0.5"))
        assert of_service(given) == {
            "MY_WEB_SERVICE_HOST": "10.96.0.5",
            "MY_WEB_SERVICE_PORT": "80",
            "MY_WEB_SERVICE_PORT_HTTP": "80",
            "MY_WEB_SERVICE_PORT_DNS_UDP": "53",
            "MY_WEB_PORT": "tcp://10.96.0.5:80",
            "MY_WEB_PORT_80_TCP": "tcp://10.96.0.5:80",
            "MY_WEB_PORT_80_TCP_PROTO": "tcp",
            "MY_WEB_PORT_80_TCP_PORT": "80",
            "MY_WEB_PORT_80_TCP_ADDR": "10.96.0.5",
            "MY_WEB_PORT_53_UDP": "udp://10.96.0.5:53",
            "MY_WEB_PORT_53_UDP_PROTO": "udp",
            "MY_WEB_PORT_53_UDP_PORT": "53",
            "MY_WEB_PORT_53_UDP_ADDR": "10.96.0.5",
        }

    @pytest.mark.parametrize("address", ["None", ""])
    def test_one_without_an_address_has_none(self, address: str) -> None:
        """Headless ones, and names for what is outside."""
        assert of_service(Service(Meta("a"), ServiceSpec(ports=(ServicePort(80),), cluster_ip=address))) == {}

    def test_those_of_the_namespace_and_the_api_count(self) -> None:
        """Not those of others."""
        cluster = start(service("own"), pod("web"), service("other", namespace="kube-system"))
        variables = cluster.pod("web").run("env")
        assert "OWN_SERVICE_HOST=" in variables
        assert "KUBERNETES_SERVICE_HOST=10.96.0.1\n" in variables
        assert "OTHER_SERVICE_HOST=" not in variables

    def test_without_service_links_only_the_api_counts(self) -> None:
        """`enableServiceLinks: false`."""
        cluster = start(service("own"), pod("web", enableServiceLinks=False))
        variables = cluster.pod("web").run("env")
        assert "KUBERNETES_SERVICE_PORT=443\n" in variables
        assert "OWN_SERVICE_HOST=" not in variables

    def test_one_that_comes_later_is_not_seen(self) -> None:
        """And a change of an older one changes nothing."""
        cluster = start(service("old"), pod("web"))
        cluster.apply(read(service("late")), read(service("old", {"port": 8080})))
        variables = cluster.pod("web").run("env")
        assert "LATE_SERVICE_HOST=" not in variables
        assert "OLD_SERVICE_PORT=80\n" in variables


class TestVariables:
    """`env` and `envFrom`."""

    def test_fields_of_the_pod_are_told(self) -> None:
        """The downward API, with the address that the pod got."""
        paths = {
            "IP": "status.podIP",
            "NODE": "spec.nodeName",
            "NAME": "metadata.name",
            "NS": "metadata.namespace",
            "HOST": "status.hostIP",
            "APP": "metadata.labels['app']",
        }
        env = [{"name": key, "valueFrom": {"fieldRef": {"fieldPath": path}}} for key, path in paths.items()]
        cluster = start(pod("web", container(env=env)))
        variables = cluster.pod("web").run("env").splitlines()
        for line in (
            f"IP={found(cluster).status.pod_ip}",
            "NODE=node-1",
            "NAME=web",
            "NS=default",
            "HOST=172.18.0.2",
            "APP=web",
        ):
            assert line in variables

    def test_config_maps_and_secrets_are_read(self) -> None:
        """By key, or whole with a prefix; what is missing is not set."""
        config = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "c"},
            "data": {"A": "1", "B": "2"},
        }
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"P": "aHVzaA=="}}
        env = [
            {"name": "ONE", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "A"}}},
            {"name": "SECRET", "valueFrom": {"secretKeyRef": {"name": "s", "key": "P"}}},
            {"name": "NONE", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "X", "optional": True}}},
        ]
        sources = [{"prefix": "C_", "configMapRef": {"name": "c"}}]
        cluster = start(config, secret, pod("web", container(env=env, envFrom=sources)))
        variables = cluster.pod("web").run("env").splitlines()
        assert {"ONE=1", "SECRET=hush", "C_A=1", "C_B=2"} <= set(variables)
        assert not any(line.startswith("NONE=") for line in variables)

    def test_values_refer_to_what_stands_before_them(self) -> None:
        """To variables of Services, too."""
        env = [
            {"name": "A", "value": "1"},
            {"name": "B", "value": "$(A)-$(KUBERNETES_SERVICE_HOST)-$(LATER)-$$(A)"},
            {"name": "LATER", "value": "x"},
        ]
        cluster = start(pod("web", container(env=env)))
        assert "B=1-10.96.0.1-$(LATER)-$(A)\n" in cluster.pod("web").run("env")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("$(A)", "1"), ("$$(A)", "$(A)"), ("$A", "$A"), ("$(B)", "$(B)"), ("x$(A)y$(A)", "x1y1"), ("$(", "$(")],
)
def test_references_are_in_parentheses(text: str, expected: str) -> None:
    """What is not known stays as it is."""
    assert expanded(text, {"A": "1"}) == expected
