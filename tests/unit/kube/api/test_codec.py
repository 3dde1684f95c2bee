# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from emu.kube.api import codec
from emu.kube.api.codec import ManifestError
from emu.kube.api.objects import NetworkPolicy, Other, Pod, Service
from tests.unit.kube.api.manifests import manifests


def lost(given: Any, written: Any) -> bool:  # noqa: ANN401 - any part of a manifest
    """Return whether something that a manifest says is not in what was written of it.

    What is null, empty or false may be left out: the API does not tell it from what is missing.
    """
    match given:
        case dict():
            keys = written if isinstance(written, dict) else {}
            return any(lost(value, keys.get(key)) for key, value in given.items())
        case list():
            items = written if isinstance(written, list) else [None] * len(given)
            return len(items) != len(given) or any(map(lost, given, items))
        case None | "" | False | 0:
            return False
        case _:
            return bool(given != written)


class TestRoundTrip:
    """What is read can be written down again."""

    @settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
    @given(manifest=manifests())
    def test_nothing_that_a_manifest_says_is_lost(self, manifest: dict[str, Any]) -> None:
        """Known fields and unknown ones, of every kind, come back under their names."""
        assert not lost(manifest, codec.write(codec.read(manifest)))

    @settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
    @given(manifest=manifests())
    def test_what_was_written_reads_as_the_same_object(self, manifest: dict[str, Any]) -> None:
        """So a dump of a cluster loads as the same objects."""
        found = codec.read(manifest)
        assert codec.read(codec.write(found)) == found

    def test_a_kind_that_nobody_reads_comes_back_as_it_was(self) -> None:
        """A custom resource is kept whole."""
        manifest = {"apiVersion": "x.io/v1", "kind": "Foo", "metadata": {"name": "a"}, "spec": {"deep": [1]}}
        found = codec.read(manifest)
        assert isinstance(found, Other)
        assert codec.write(found) == manifest

    def test_a_known_kind_of_another_version_is_not_read(self) -> None:
        """Its fields may mean something else there."""
        assert isinstance(codec.read({"apiVersion": "v2", "kind": "Pod", "metadata": {}}), Other)

    def test_a_peer_of_everything_stays_a_peer_of_everything(self) -> None:
        """An empty selector selects all; without it the peer would be another one."""
        peers: list[dict[str, object]] = [{"namespaceSelector": {}}, {"podSelector": {}}]
        spec = {"podSelector": {}, "ingress": [{"from": peers}]}
        head = {"apiVersion": NetworkPolicy.API_VERSION, "kind": "NetworkPolicy", "metadata": {"name": "a"}}
        assert codec.write(codec.read({**head, "spec": spec}))["spec"] == spec


def service(**spec: object) -> Service:
    """Return the Service of a manifest."""
    metadata = {"name": "web", "labels": {"app": None}}
    found = codec.read({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec})
    assert isinstance(found, Service)
    return found


class TestValues:
    """Values are taken as the API server's decoder takes them."""

    def test_a_number_without_a_fraction_is_an_integer(self) -> None:
        """YAML calls 80.0 a float; the API gets 80."""
        port = service(ports=[{"port": 80.0, "targetPort": 8080.0}]).spec.ports[0]
        assert (port.port, port.target_port) == (80, 8080)
        assert {type(port.port), type(port.target_port)} == {int}

    def test_null_in_a_map_of_labels_is_the_empty_text(self) -> None:
        """`app:` with nothing behind it is a label without a value."""
        found = service(selector={"app": None})
        assert (found.metadata.labels, found.spec.selector) == ({"app": ""}, {"app": ""})

    @pytest.mark.parametrize("absent", [{}, {"ports": None}, {"ports": []}])
    def test_null_is_as_good_as_not_given(self, absent: dict[str, object]) -> None:
        """A field of null has its default."""
        assert service(**absent).spec.ports == ()

    def test_no_selector_and_an_empty_one_are_told_apart(self) -> None:
        """Of a Service without one nobody makes the slices."""
        assert service().spec.selector is None
        assert service(selector={}).spec.selector == {}

    @pytest.mark.parametrize(
        ("spec", "path", "message"),
        [
            (
                {"containers": [{"name": 5}]},
                "$.spec.containers[0].name",
                "Invalid value: 5: must be a string",
            ),
            ({"containers": [{}]}, "$.spec.containers[0].name", "Required value: name"),
            ({"containers": {}}, "$.spec.containers", "Invalid value: a mapping: must be a list"),
            ({"priority": 1.5}, "$.spec.priority", "Invalid value: 1.5: must be an integer"),
            ({"hostNetwork": "yes"}, "$.spec.hostNetwork", 'Invalid value: "yes": must be true or false'),
            ({"dnsConfig": []}, "$.spec.dnsConfig", "Invalid value: a list: must be a mapping"),
        ],
    )
    def test_what_is_of_a_wrong_type_is_told_with_its_path(
        self, spec: dict[str, object], path: str, message: str
    ) -> None:
        """In the API's names of the fields."""
        with pytest.raises(ManifestError) as caught:
            codec.read({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": spec})
        assert caught.value.faults[0][0] == path
        assert message in caught.value.faults[0][1]

    def test_all_faults_are_told_at_once(self) -> None:
        """Not the first one alone."""
        containers = [{"name": 1}, {"name": 2}]
        with pytest.raises(ManifestError) as caught:
            codec.read({"kind": "Pod", "metadata": {"name": "a"}, "spec": {"containers": containers}})
        assert len(caught.value.faults) == 2


def test_defaults_are_those_of_the_api() -> None:
    """A pod that says nothing restarts its containers and asks the cluster's DNS."""
    found = codec.read({"kind": "Pod", "metadata": {"name": "a"}})
    assert isinstance(found, Pod)
    spec = found.spec
    assert (spec.restart_policy, spec.dns_policy, spec.enable_service_links) == (
        "Always",
        "ClusterFirst",
        True,
    )


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("pod_ip", "podIP"),
        ("cluster_ips", "clusterIPs"),
        ("pod_cidr", "podCIDR"),
        ("set_hostname_as_fqdn", "setHostnameAsFQDN"),
        ("from_", "from"),
        ("uid", "uid"),
        ("system_uuid", "systemUUID"),
    ],
)
def test_names_are_those_of_the_api(name: str, written: str) -> None:
    """Camel case, abbreviations in capitals."""
    assert codec.camel(name) == written
