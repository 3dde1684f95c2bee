# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emu.kube import endpoints
from emu.kube.api.objects import Endpoints, EndpointSlice, Event, Node, Pod, Service
from emu.kube.api.objects.meta import Condition, Meta
from emu.kube.api.objects.pod import PodSpec, PodStatus
from emu.kube.api.objects.service import (
    Endpoint,
    EndpointAddress,
    EndpointsPort,
    EndpointSubset,
    ServicePort,
    ServiceSpec,
)
from emu.kube.api.store import Store
from emu.kube.endpoints import apiserver
from emu.sim.loop import EventLoop
from emu.sim.rng import Streams

if TYPE_CHECKING:
    from emu.kube.api.store import Change

MANAGED = "endpointslice.kubernetes.io/managed-by"


class Cluster:
    """A store with the controllers of endpoints at work."""

    def __init__(self, *objects: Node | Pod | Service | Endpoints | EndpointSlice, minor: int = 35) -> None:
        self.loop = EventLoop()
        self.store = Store(self.loop, 0, random.Random(1))
        self.put(Node(Meta("n1")), settle=False)
        for each in objects:
            self.put(each, settle=False)
        self.index = endpoints.start(self.store, Streams(1), minor=minor)
        self.loop.run_until_idle()

    def put(self, obj: Node | Pod | Service | Endpoints | EndpointSlice, *, settle: bool = True) -> None:
        """Keep an object and let the controllers work."""
        self.store.put(obj)
        if settle:
            self.loop.run_until_idle()

    def slices(self, name: str = "web") -> list[EndpointSlice]:
        """Return the slices of a Service."""
        return [each for each in self.store.list(EndpointSlice) if each.service == name]

    def ready(self, name: str = "web") -> set[str]:
        """Return the addresses that are ready."""
        return {
            endpoint.addresses[0]
            for each in self.slices(name)
            for endpoint in each.endpoints
            if endpoint.conditions.ready
        }

    def legacy(self, name: str = "web") -> Endpoints:
        """Return the Endpoints of a Service."""
        return self.store.get(Endpoints, name, "default")


def pod(name: str, number: int = 1, *, ready: bool = True, app: str = "web", phase: str = "Running") -> Pod:
    """Return a pod with the address 10.244.0.`number`."""
    conditions = (Condition("Ready", "True" if ready else "False"),)
    status = PodStatus(phase, pod_ip=f"10.244.0.{number}", conditions=conditions)
    return Pod(Meta(name, "default", labels={"app": app}), PodSpec(node_name="n1"), status)


def service(name: str = "web", **spec: object) -> Service:
    """Return a Service that selects `app=NAME`."""
    wanted: dict[str, Any] = {"selector": {"app": name}, "cluster_ip": "10.96.0.5", **spec}
    found = ServiceSpec(ports=(ServicePort(80, target_port=8080),))
    return Service(Meta(name, "default"), attrs.evolve(found, **wanted))


def test_a_service_gets_slices_and_endpoints() -> None:
    """The slice has a name made from the Service's."""
    cluster = Cluster(service(), pod("a", 1), pod("b", 2), pod("c", 3, app="other"))
    (found,) = cluster.slices()
    assert found.metadata.name.startswith("web-")
    assert len(found.metadata.name) == len("web-") + 5
    assert cluster.ready() == {"10.244.0.1", "10.244.0.2"}
    (subset,) = cluster.legacy().subsets
    assert [each.ip for each in subset.addresses] == ["10.244.0.1", "10.244.0.2"]
    assert subset.ports == (EndpointsPort(8080),)


def test_slices_follow_pods() -> None:
    """One comes, one turns unready, one changes its label, one goes."""
    cluster = Cluster(service(), pod("a", 1))
    (name,) = [each.metadata.name for each in cluster.slices()]
    cluster.put(pod("b", 2))
    assert cluster.ready() == {"10.244.0.1", "10.244.0.2"}
    cluster.put(pod("a", 1, ready=False))
    assert cluster.ready() == {"10.244.0.2"}
    cluster.put(pod("b", 2, app="other"))
    assert cluster.ready() == set()
    cluster.store.delete(Pod, "a", "default")
    cluster.loop.run_until_idle()
    (found,) = cluster.slices()
    assert (found.metadata.name, found.endpoints) == (name, ())


def test_a_pods_change_touches_only_services_that_select_it() -> None:
    """Slices of others are not written."""
    cluster = Cluster(service(), service("db"), pod("a", 1), pod("d", 2, app="db"))
    told: list[str] = []

    def tell(change: Change) -> None:
        told.append(change.object.metadata.name)

    cluster.store.watch(EndpointSlice, tell)
    cluster.store.watch(Endpoints, tell)
    cluster.put(pod("a", 1, ready=False))
    assert sorted(name[:3] for name in told) == ["web", "web"]


def test_changes_of_one_instant_are_one_write() -> None:
    """Twenty pods at once change a slice once."""
    cluster = Cluster(service())
    before = cluster.slices()[0].metadata.generation
    for number in range(20):
        cluster.put(pod(f"p{number}", number), settle=False)
    cluster.loop.run_until_idle()
    assert before is not None
    assert cluster.slices()[0].metadata.generation == before + 1


def test_a_nodes_zone_reaches_the_endpoints() -> None:
    """Also when the node comes after the pod, or its label changes."""
    cluster = Cluster(service(), attrs.evolve(pod("a"), spec=PodSpec(node_name="n2")))
    assert cluster.ready() == set()
    cluster.put(Node(Meta("n2")))
    assert cluster.ready() == {"10.244.0.1"}
    cluster.put(Node(Meta("n2", labels={"topology.kubernetes.io/zone": "z1"})))
    assert cluster.slices()[0].endpoints[0].zone == "z1"


@pytest.mark.parametrize("spec", [{"selector": None}, {"type": "ExternalName"}])
def test_without_selector_nobody_makes_slices(spec: dict[str, Any]) -> None:
    """What people write themselves stays as it is."""
    manual = EndpointSlice(
        Meta("mine", "default", labels={"kubernetes.io/service-name": "web"}),
        "IPv4",
        (Endpoint(("192.0.2.1",)),),
    )
    cluster = Cluster(service(**spec), pod("a"), manual)
    assert [each.metadata.name for each in cluster.slices()] == ["mine"]
    assert cluster.store.find(Endpoints, "web", "default") is None


def test_slices_of_a_dump_are_kept_while_they_are_true() -> None:
    """Names and annotations stay; only what differs is written."""
    made = Cluster(service(), pod("a", 1), pod("b", 2))
    dumped = [
        attrs.evolve(each, metadata=attrs.evolve(each.metadata, annotations={"mark": "dump"}))
        for each in made.slices()
    ]
    pods = [made.store.get(Pod, name, "default") for name in ("a", "b")]
    again = Cluster(made.store.get(Service, "web", "default"), *pods, *dumped)
    (found,) = again.slices()
    assert found.metadata.name == dumped[0].metadata.name
    assert found.metadata.annotations == {"mark": "dump"}
    changed = Cluster(made.store.get(Service, "web", "default"), pods[0], *dumped)
    (found,) = changed.slices()
    assert found.metadata.name == dumped[0].metadata.name
    assert changed.ready() == {"10.244.0.1"}


def test_they_go_with_the_service() -> None:
    """Slices and Endpoints alike."""
    cluster = Cluster(service(), pod("a"))
    cluster.store.delete(Service, "web", "default")
    cluster.loop.run_until_idle()
    assert cluster.slices() == []
    assert cluster.store.find(Endpoints, "web", "default") is None


def test_somebody_elses_change_is_put_right() -> None:
    """A slice that is deleted by hand comes back, as do Endpoints."""
    cluster = Cluster(service(), pod("a"))
    cluster.store.delete(EndpointSlice, cluster.slices()[0].metadata.name, "default")
    cluster.store.delete(Endpoints, "web", "default")
    cluster.loop.run_until_idle()
    assert cluster.ready() == {"10.244.0.1"}
    assert cluster.legacy().subsets


def test_hints_that_cannot_be_given_are_told() -> None:
    """Once, as an event of the Service."""
    found = service()
    annotations = {"service.kubernetes.io/topology-mode": "Auto"}
    found = attrs.evolve(found, metadata=attrs.evolve(found.metadata, annotations=annotations))
    cluster = Cluster(found, pod("a"))
    cluster.put(pod("b", 2))
    events = cluster.store.list(Event)
    assert [(each.reason, each.count) for each in events] == [("TopologyAwareHintsDisabled", 1)]


# --- the older kind ---


def test_endpoints_leave_terminating_pods_out() -> None:
    """And list those that are not ready apart."""
    leaving = pod("c", 3)
    leaving = attrs.evolve(
        leaving, metadata=attrs.evolve(leaving.metadata, deletion_timestamp="2025-01-01T00:00:00Z")
    )
    pods = pod("a", 1), pod("b", 2, ready=False), leaving
    (subset,) = Cluster(service(), *pods).legacy().subsets
    assert [each.ip for each in subset.addresses] == ["10.244.0.1"]
    assert [each.ip for each in subset.not_ready_addresses] == ["10.244.0.2"]
    (subset,) = Cluster(service(publish_not_ready_addresses=True), *pods).legacy().subsets
    assert len(subset.addresses) == 3


@pytest.mark.parametrize(("minor", "labelled"), [(32, False), (33, True)])
def test_endpoints_say_who_manages_them_since_133(minor: int, labelled: bool) -> None:  # noqa: FBT001 - a table
    """Headless ones say that they are headless."""
    labels = Cluster(service(cluster_ip="None"), minor=minor).legacy().metadata.labels
    assert (labels.get("endpoints.kubernetes.io/managed-by") == "endpoint-controller") is labelled
    assert labels["service.kubernetes.io/headless"] == ""


def test_endpoints_stop_at_a_thousand() -> None:
    """Those that are not ready are cut off first."""
    pods = [pod(f"p{n}", ready=n < 990) for n in range(1010)]
    pods = [
        attrs.evolve(each, status=attrs.evolve(each.status, pod_ip=f"10.244.{n >> 8}.{n & 255}"))
        for n, each in enumerate(pods)
    ]
    found = Cluster(service(), *pods).legacy()
    assert found.metadata.annotations["endpoints.kubernetes.io/over-capacity"] == "truncated"
    (subset,) = found.subsets
    assert (len(subset.addresses), len(subset.not_ready_addresses)) == (990, 10)


# --- the mirror ---


def manual(**metadata: object) -> Endpoints:
    """Return Endpoints as people write them."""
    subset = EndpointSubset(
        (EndpointAddress("192.0.2.1"), EndpointAddress("2001:db8::1")),
        (EndpointAddress("192.0.2.2"),),
        (EndpointsPort(5432, "db"),),
    )
    wanted: dict[str, Any] = metadata
    return Endpoints(attrs.evolve(Meta("web", "default"), **wanted), (subset,))


def test_manual_endpoints_are_mirrored_where_the_service_has_no_selector() -> None:
    """A slice for each family, with ready alone as condition, and the labels and annotations of both."""
    notes = {"note": "x", "kubectl.kubernetes.io/last-applied-configuration": "{}"}
    cluster = Cluster(service(selector=None), manual(labels={"l": "1"}, annotations=notes))
    four, six = sorted(cluster.slices(), key=lambda each: each.address_type)
    assert [(e.addresses[0], e.conditions.ready, e.conditions.serving) for e in four.endpoints] == [
        ("192.0.2.1", True, None),
        ("192.0.2.2", False, None),
    ]
    assert six.endpoints[0].addresses == ("2001:db8::1",)
    assert four.metadata.labels == {
        "l": "1",
        "kubernetes.io/service-name": "web",
        MANAGED: "endpointslicemirroring-controller.k8s.io",
    }
    assert four.metadata.annotations == {"note": "x"}
    owner = four.metadata.controller
    assert owner is not None
    assert owner.kind == "Endpoints"


@pytest.mark.parametrize(
    "metadata",
    [
        {"labels": {"endpointslice.kubernetes.io/skip-mirror": "true"}},
        {"annotations": {"control-plane.alpha.kubernetes.io/leader": "{}"}},
    ],
)
def test_some_endpoints_are_not_mirrored(metadata: dict[str, Any]) -> None:
    """Those that say so, and those that elect a leader."""
    assert Cluster(service(selector=None), manual(**metadata)).slices() == []


def test_endpoints_without_service_are_not_mirrored_until_it_comes() -> None:
    """And the mirror goes with either."""
    cluster = Cluster(manual())
    assert cluster.slices() == []
    cluster.put(service(selector=None))
    names = {each.metadata.name for each in cluster.slices()}
    assert len(names) == 2
    cluster.put(attrs.evolve(manual(), subsets=(EndpointSubset((EndpointAddress("192.0.2.9"),)),)))
    assert [each.endpoints[0].addresses for each in cluster.slices()] == [("192.0.2.9",)]
    cluster.store.delete(Endpoints, "web", "default")
    cluster.loop.run_until_idle()
    assert cluster.slices() == []


def test_the_api_server_has_a_slice_of_its_own_choice_of_name() -> None:
    """Nobody mirrors or changes it."""
    cluster = Cluster(
        apiserver.service("10.96.0.1"),
        apiserver.endpoint_slice(["172.18.0.2"]),
        apiserver.endpoints(["172.18.0.2"]),
    )
    (found,) = cluster.slices("kubernetes")
    assert found.metadata.name == "kubernetes"
    assert found.metadata.labels == {"kubernetes.io/service-name": "kubernetes"}
    assert [(each.name, each.port) for each in found.ports] == [("https", 6443)]
    assert cluster.store.get(Service, "kubernetes", "default").metadata.labels == {
        "component": "apiserver",
        "provider": "kubernetes",
    }


# --- whatever happens ---

PODS = st.lists(
    st.builds(
        pod,
        name=st.sampled_from([f"p{n}" for n in range(12)]),
        number=st.integers(1, 200),
        ready=st.booleans(),
        app=st.sampled_from(["web", "db"]),
        phase=st.sampled_from(["Running", "Running", "Succeeded"]),
    ),
    max_size=30,
)


@given(
    before=PODS,
    after=PODS,
    gone=st.sets(st.sampled_from([f"p{n}" for n in range(12)])),
    most=st.integers(1, 4),
)
def test_exactly_the_ready_selected_pods_are_ready(
    before: list[Pod], after: list[Pod], gone: set[str], most: int
) -> None:
    """After any changes; no slice is over full, and a fresh start finds nothing to do."""
    loop = EventLoop()
    store = Store(loop, 0, random.Random(1))
    store.put(Node(Meta("n1")))
    store.put(service())
    for each in before:
        store.put(each)
    endpoints.start(store, Streams(1), most=most)
    loop.run_until_idle()
    for each in after:
        store.put(each)
    for name in sorted(gone):
        store.delete(Pod, name, "default")
    loop.run_until_idle()
    found = [each for each in store.list(EndpointSlice) if each.service == "web"]
    selected = [
        each for each in store.list(Pod) if each.metadata.labels["app"] == "web" and not each.is_finished
    ]
    names = sorted(e.target_ref.name for each in found for e in each.endpoints if e.target_ref)
    assert names == sorted(each.metadata.name for each in selected)
    ready = sorted(e.addresses[0] for each in found for e in each.endpoints if e.conditions.ready)
    assert ready == sorted(each.status.pod_ip for each in selected if each.is_ready)
    assert found
    assert all(len(each.endpoints) <= most for each in found)
    assert len(found) == 1 or all(each.endpoints for each in found)
    revision = store.revision
    endpoints.start(store, Streams(2), most=most)
    loop.run_until_idle()
    assert store.revision == revision
