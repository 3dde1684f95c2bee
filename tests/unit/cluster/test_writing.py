# SPDX-License-Identifier: GPL-2.0-only
"""Writing to the API server, as people do with `kubectl apply` and `kubectl delete`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from emu.errors import DocumentError
from emu.kube.api.objects import Namespace, Pod, Service
from tests.unit.kube.kubelet.lab import container, found, pod, read, start

if TYPE_CHECKING:
    from emu.kube.api.store import Change


def service(name: str, **spec: Any) -> dict[str, Any]:  # noqa: ANN401 - fields of a manifest
    """Return the manifest of a Service."""
    given = {"ports": [{"port": 80}], **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": given}


class TestApply:
    """What is applied is there, once."""

    def test_twice_the_same_changes_nothing(self) -> None:
        """No revision is counted, nobody hears of it."""
        manifests = [pod("web", container(image="nginx")), service("web", selector={"app": "web"})]
        cluster = start(*manifests)
        heard: list[Change] = []
        for kind in (Pod, Service):
            cluster.store.watch(kind, heard.append)
        before = cluster.store.revision
        cluster.apply(*map(read, manifests))
        assert (heard, cluster.store.revision) == ([], before)

    def test_new_labels_of_a_pod_are_taken_over_while_it_runs(self) -> None:
        """It keeps its node, its address and its containers."""
        cluster = start(pod("web", container(image="nginx")))
        before = found(cluster)
        changed = pod("web", container(image="nginx"))
        changed["metadata"]["labels"] = {"app": "other"}
        cluster.apply(read(changed))
        after = found(cluster)
        assert after.metadata.labels == {"app": "other"}
        assert (after.spec.node_name, after.status) == (before.spec.node_name, before.status)

    def test_a_service_keeps_its_address(self) -> None:
        """Also where its ports change."""
        cluster = start(service("web"))
        before = cluster.store.get(Service, "web", "default").spec.cluster_ip
        cluster.apply(read(service("web", ports=[{"port": 8080}])))
        after = cluster.store.get(Service, "web", "default").spec
        assert (after.cluster_ip, after.ports[0].port) == (before, 8080)

    def test_a_namespace_that_nobody_makes_is_made_with_a_warning(self) -> None:
        """One line for each."""
        manifest = pod("web")
        manifest["metadata"]["namespace"] = "shop"
        cluster = start(manifest)
        assert cluster.warnings == ["namespace shop is used and not in the input: it was made"]
        labels = cluster.store.get(Namespace, "shop").metadata.labels
        assert labels == {"kubernetes.io/metadata.name": "shop"}

    def test_the_last_one_of_a_name_counts(self) -> None:
        """As when a file says it twice."""
        cluster = start(service("web"), service("web", ports=[{"port": 81}]))
        assert cluster.store.get(Service, "web", "default").spec.ports[0].port == 81


class TestRefused:
    """What an API server refuses is told with its place, and nothing of it is written."""

    @pytest.mark.parametrize(
        ("spec", "words"),
        [
            ({"clusterIP": "10.96.0.10"}, "provided IP is already allocated"),
            ({"clusterIP": "192.168.0.1"}, "is not in the valid range"),
            ({"type": "NodePort", "ports": [{"port": 80, "nodePort": 80}]}, "is not in the valid range"),
        ],
    )
    def test_a_service_that_wants_what_it_cannot_have(self, spec: dict[str, Any], words: str) -> None:
        """Its file and line are named."""
        with pytest.raises(DocumentError) as caught:
            start(pod("web"), service("web", **spec))
        fault = caught.value.faults[0]
        assert (fault.file, fault.path.startswith("$.spec.")) == ("lab.yaml", True)
        assert fault.line > 1
        assert words in fault.message

    def test_nothing_else_is_written_with_it(self) -> None:
        """All or nothing."""
        cluster = start()
        with pytest.raises(DocumentError):
            cluster.apply(read(pod("web")), read(service("web", clusterIP="1.2.3.4")))
        assert cluster.store.find(Pod, "web", "default") is None

    def test_all_refusals_are_told_at_once(self) -> None:
        """Not the first one alone."""
        wrong = [service(name, clusterIP="1.2.3.4") for name in "abc"]
        with pytest.raises(DocumentError) as caught:
            start(*wrong)
        assert len(caught.value.faults) == 3


class TestDelete:
    """What is deleted gives back what it had."""

    @pytest.mark.parametrize("how", ["service", "namespace"])
    def test_the_address_of_a_service_is_free_again(self, how: str) -> None:
        """Whether it went alone or with its namespace."""
        manifest = service(
            "web", clusterIP="10.96.77.77", type="NodePort", ports=[{"port": 80, "nodePort": 30077}]
        )
        manifest["metadata"]["namespace"] = "shop"
        cluster = start({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}, manifest)
        found = (
            cluster.store.get(Service, "web", "shop")
            if how == "service"
            else cluster.store.get(Namespace, "shop")
        )
        cluster.writer.delete(found)
        cluster.settle_down()
        again = service("again", **manifest["spec"])
        cluster.apply(read(again))
        spec = cluster.store.get(Service, "again", "default").spec
        assert (spec.cluster_ip, spec.ports[0].node_port) == ("10.96.77.77", 30077)
