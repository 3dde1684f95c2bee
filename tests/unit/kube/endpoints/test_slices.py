# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from typing import Any

import attrs
import pytest

from emu.kube.api.objects import EndpointSlice, Node, Pod, Service
from emu.kube.api.objects.container import Container, ContainerPort
from emu.kube.api.objects.meta import Condition, Meta
from emu.kube.api.objects.node import NodeStatus
from emu.kube.api.objects.pod import PodIp, PodSpec, PodStatus
from emu.kube.api.objects.service import EndpointHints, ForZone, ServicePort, ServiceSpec
from emu.kube.endpoints import slices
from emu.kube.endpoints.hints import NoHintsError, spread
from emu.kube.endpoints.slices import Plan, Surroundings

READY = (Condition("Ready", "True"),)
NOT_READY = (Condition("Ready", "False"),)


def node(name: str, zone: str = "", cpu: str = "4", *, ready: bool = True) -> Node:
    """Return a node, perhaps in a zone."""
    labels = {"topology.kubernetes.io/zone": zone} if zone else {}
    conditions = READY if ready else NOT_READY
    return Node(Meta(name, labels=labels), status=NodeStatus((), conditions, None, allocatable={"cpu": cpu}))


def pod(name: str, number: int = 1, **changes: object) -> Pod:
    """Return a ready pod on node `n1` with the address 10.244.0.`number`."""
    spec = PodSpec(node_name="n1")
    status = PodStatus("Running", pod_ip=f"10.244.{number >> 8}.{number & 255}", conditions=READY)
    found = Pod(Meta(name, "default", f"uid-{name}", labels={"app": "web"}), spec, status)
    for path, value in changes.items():
        part = path.split("__", maxsplit=1)
        inner = attrs.evolve(getattr(found, part[0]), **{part[1]: value})
        found = attrs.evolve(found, **{part[0]: inner})
    return found


def service(*ports: ServicePort, **spec: object) -> Service:
    """Return the Service `web` that selects `app=web`."""
    wanted: dict[str, Any] = {"selector": {"app": "web"}, "cluster_ip": "10.96.0.5", **spec}
    found = ServiceSpec(ports=ports or (ServicePort(80, target_port=8080),))
    metadata = Meta("web", "default", "uid-web", labels={"team": "a"})
    return Service(metadata, attrs.evolve(found, **wanted))


def around(*nodes: Node, minor: int = 35, most: int = 100) -> Surroundings:
    """Return the surroundings with some nodes, `n1` without a zone unless told otherwise."""
    known = {each.metadata.name: each for each in nodes or (node("n1"),)}
    return Surroundings(known.get, known.values, minor, most, "2025-01-01T00:00:00Z")


def plan(found: Service, *pods: Pod, near: Surroundings | None = None) -> Plan:
    """Return what has to change where there is no slice yet."""
    return slices.plan(found, pods, (), near or around())


def named(*found: EndpointSlice) -> list[EndpointSlice]:
    """Return new slices with names, as the controller gives them."""
    return [
        attrs.evolve(each, metadata=attrs.evolve(each.metadata, name=each.metadata.name or f"web-{index}"))
        for index, each in enumerate(found)
    ]


def shown(found: EndpointSlice) -> list[tuple[bool | None, bool | None, bool | None]]:
    """Return ready, serving, terminating of each endpoint."""
    return [(e.conditions.ready, e.conditions.serving, e.conditions.terminating) for e in found.endpoints]


DELETED = "2025-01-01T00:00:00Z"


class TestStatesOfAPod:
    """The table of states."""

    @pytest.mark.parametrize(
        "gone", [{"status__pod_ip": ""}, {"status__phase": "Succeeded"}, {"status__phase": "Failed"}]
    )
    def test_a_pod_without_address_or_that_has_ended_is_left_out(self, gone: dict[str, Any]) -> None:
        """Not even an endpoint that is not ready is made of it."""
        for publish in (False, True):
            found = plan(service(publish_not_ready_addresses=publish), pod("a", **gone))
            assert found.put[0].endpoints == ()

    @pytest.mark.parametrize(
        ("changes", "plain", "published"),
        [
            ({"status__conditions": NOT_READY}, (False, False, False), (True, False, False)),
            ({"status__conditions": ()}, (False, False, False), (True, False, False)),
            ({}, (True, True, False), (True, True, False)),
            ({"metadata__deletion_timestamp": DELETED}, (False, True, True), (True, True, True)),
            (
                {"metadata__deletion_timestamp": DELETED, "status__conditions": NOT_READY},
                (False, False, True),
                (True, False, True),
            ),
        ],
    )
    def test_conditions_follow_readiness_and_deletion(
        self, changes: dict[str, Any], plain: tuple[bool, ...], published: tuple[bool, ...]
    ) -> None:
        """Published addresses are always ready; serving and terminating tell the truth."""
        found = pod("a", **changes)
        assert shown(plan(service(), found).put[0]) == [plain]
        assert shown(plan(service(publish_not_ready_addresses=True), found).put[0]) == [published]

    def test_a_pod_whose_node_is_missing_is_left_out_unless_published(self) -> None:
        """It may be the rest of a node that was deleted."""
        stray = pod("a", spec__node_name="gone")
        assert plan(service(), stray).put[0].endpoints == ()
        found = plan(service(publish_not_ready_addresses=True), stray).put[0].endpoints[0]
        assert (found.node_name, found.zone) == ("gone", None)


class TestAnEndpoint:
    """What stands in it."""

    def test_it_names_its_pod_its_node_and_its_zone(self) -> None:
        """The zone is the node's label."""
        found = plan(service(), pod("a"), near=around(node("n1", "z1"))).put[0].endpoints[0]
        assert (found.addresses, found.node_name, found.zone) == (("10.244.0.1",), "n1", "z1")
        assert found.target_ref is not None
        assert (found.target_ref.kind, found.target_ref.name, found.target_ref.uid) == ("Pod", "a", "uid-a")

    @pytest.mark.parametrize(
        ("hostname", "subdomain", "kept"),
        [("web-0", "web", "web-0"), ("web-0", "other", None), ("", "web", None), ("web-0", "", None)],
    )
    def test_a_hostname_needs_the_service_as_subdomain(
        self, hostname: str, subdomain: str, kept: str | None
    ) -> None:
        """Then it is a name below the Service's."""
        found = pod("a", spec__hostname=hostname, spec__subdomain=subdomain)
        assert plan(service(), found).put[0].endpoints[0].hostname == kept

    def test_each_family_has_slices_of_its_own(self) -> None:
        """A pod with two addresses is in both."""
        both = pod("a", status__pod_ips=(PodIp("10.244.0.1"), PodIp("fd00::1")))
        found = plan(service(ip_families=("IPv4", "IPv6")), both, pod("b", 2)).put
        assert [(each.address_type, len(each.endpoints)) for each in found] == [("IPv4", 2), ("IPv6", 1)]


class TestPorts:
    """How a Service's ports become the pods'."""

    def test_names_are_looked_up_in_containers_then_sidecars(self) -> None:
        """By name and protocol; an ordinary init container is not asked."""
        ports = (ContainerPort(8080, "http"), ContainerPort(53, "dns", "UDP"))
        sidecar = Container("s", ports=(ContainerPort(9000, "metrics"),), restart_policy="Always")
        init = Container("i", ports=(ContainerPort(1, "init"),))
        found = pod(
            "a", spec__containers=(Container("c", ports=ports),), spec__init_containers=(init, sidecar)
        )
        wanted = service(
            ServicePort(80, "http", target_port="http"),
            ServicePort(81, "wrong", target_port="dns"),
            ServicePort(53, "dns", "UDP", target_port="dns"),
            ServicePort(90, "metrics", target_port="metrics"),
            ServicePort(91, "init", target_port="init"),
            ServicePort(92, "plain", app_protocol="kubernetes.io/h2c"),
        )
        made = plan(wanted, found).put[0].ports
        assert [(each.name, each.port, each.protocol) for each in made] == [
            ("http", 8080, "TCP"),
            ("dns", 53, "UDP"),
            ("metrics", 9000, "TCP"),
            ("plain", 92, "TCP"),
        ]
        assert made[3].app_protocol == "kubernetes.io/h2c"

    def test_pods_with_different_numbers_are_in_different_slices(self) -> None:
        """A slice has one set of ports."""

        def with_port(name: str, number: int, port: int) -> Pod:
            container = Container("c", ports=(ContainerPort(port, "http"),))
            return pod(name, number, spec__containers=(container,))

        wanted = service(ServicePort(80, target_port="http"))
        found = plan(wanted, with_port("a", 1, 80), with_port("b", 2, 8080), with_port("c", 3, 80)).put
        assert sorted((each.ports[0].port, len(each.endpoints)) for each in found) == [(80, 2), (8080, 1)]

    def test_an_unnamed_port_has_an_empty_name(self) -> None:
        """That is not the same as none."""
        assert plan(service(), pod("a")).put[0].ports[0].name == ""

    def test_headless_without_ports_lists_addresses_alone(self) -> None:
        """Its slice has no ports."""
        found = service(cluster_ip="None")
        found = attrs.evolve(found, spec=attrs.evolve(found.spec, ports=()))
        made = plan(found, pod("a")).put[0]
        assert (made.ports, len(made.endpoints)) == ((), 1)


class TestSlices:
    """How endpoints are laid out."""

    def test_a_slice_holds_a_hundred(self) -> None:
        """More go to further slices, in the order of pods' names."""
        found = plan(service(), *(pod(f"p{n:03}", n) for n in range(1, 251))).put
        assert [len(each.endpoints) for each in found] == [100, 100, 50]

    def test_new_endpoints_fill_slices_that_have_room(self) -> None:
        """No slice is made for one more."""
        pods = [pod(f"p{n:03}", n) for n in range(1, 151)]
        existing = named(*plan(service(), *pods).put)
        more = slices.plan(service(), [*pods, pod("q", 200)], existing, around())
        assert [(each.metadata.name, len(each.endpoints)) for each in more.put] == [("web-1", 51)]
        assert more.delete == ()

    def test_a_placeholder_stands_where_there_is_nobody(self) -> None:
        """It has neither ports nor endpoints, and becomes the first real slice."""
        (found,) = named(*plan(service()).put)
        assert (found.endpoints, found.ports) == ((), ())
        assert slices.plan(service(), [], [found], around()) == Plan()
        real = slices.plan(service(), [pod("a")], [found], around())
        assert [each.metadata.name for each in real.put] == ["web-0"]
        assert real.delete == ()
        empty = slices.plan(service(), [], list(real.put), around())
        assert [(each.metadata.name, each.endpoints, each.ports) for each in empty.put] == [("web-0", (), ())]

    def test_slices_left_empty_are_deleted(self) -> None:
        """All but the one that is needed as a placeholder."""
        pods = [pod(f"p{n:03}", n) for n in range(1, 151)]
        existing = named(*plan(service(), *pods).put)
        found = slices.plan(service(), pods[:100], existing, around())
        assert (found.put, found.delete) == ((), ("web-1",))

    def test_a_family_the_service_gives_up_goes(self) -> None:
        """Its slices are deleted."""
        existing = named(*plan(service(ip_families=("IPv4", "IPv6")), pod("a")).put)
        assert slices.plan(service(), [pod("a")], existing, around()).delete == ("web-1",)

    def test_what_describes_the_state_is_left_alone(self) -> None:
        """In whatever order its endpoints and ports stand."""
        ports = (ServicePort(80, "a"), ServicePort(81, "b"))
        pods = [pod("a", 1), pod("b", 2)]
        (found,) = named(*plan(service(*ports), *pods).put)
        turned = attrs.evolve(found, endpoints=found.endpoints[::-1], ports=found.ports[::-1])
        assert slices.plan(service(*ports), pods, [turned], around()) == Plan()

    def test_metadata_tells_whose_it_is(self) -> None:
        """The Service's labels, its name, who manages it, the owner, the time of the change."""
        metadata = plan(service(), pod("a")).put[0].metadata
        assert metadata.labels == {
            "team": "a",
            "kubernetes.io/service-name": "web",
            "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
        }
        assert metadata.generate_name == "web-"
        owner = metadata.controller
        assert owner is not None
        assert (owner.kind, owner.name, owner.uid) == ("Service", "web", "uid-web")
        assert metadata.annotations == {
            "endpoints.kubernetes.io/last-change-trigger-time": "2025-01-01T00:00:00Z"
        }
        headless = plan(service(cluster_ip="None"), pod("a")).put[0].metadata
        assert headless.labels["service.kubernetes.io/headless"] == ""


# --- hints ---

ZONES = (node("n1", "z1"), node("n2", "z2"), node("n3", "z3"))


def hinted(found: Plan) -> list[tuple[tuple[str, ...], tuple[str, ...]] | None]:
    """Return the zones and nodes hinted at for each endpoint of the first slice."""
    return [
        None
        if each.hints is None
        else (tuple(z.name for z in each.hints.for_zones), tuple(n.name for n in each.hints.for_nodes))
        for each in found.put[0].endpoints
    ]


class TestTrafficDistribution:
    """The field of a Service."""

    @pytest.mark.parametrize(
        ("wanted", "minor", "expected"),
        [
            ("PreferSameZone", 35, (("z1",), ())),
            ("PreferClose", 35, (("z1",), ())),
            ("PreferSameNode", 35, (("z1",), ("n1",))),
            ("PreferClose", 31, (("z1",), ())),
            ("PreferClose", 30, None),
            ("PreferSameZone", 33, None),
            (None, 35, None),
        ],
    )
    def test_ready_endpoints_are_for_their_own_zone(
        self, wanted: str | None, minor: int, expected: object
    ) -> None:
        """Or also for their own node; releases before the value knew it give none."""
        found = plan(
            service(traffic_distribution=wanted),
            pod("a", 1),
            pod("b", 2, status__conditions=NOT_READY),
            near=around(*ZONES, minor=minor),
        )
        assert hinted(found) == [expected, None]

    def test_the_annotation_wins_over_the_field(self) -> None:
        """With too few endpoints it then gives no hints at all."""
        found = service(traffic_distribution="PreferSameZone")
        annotations = {"service.kubernetes.io/topology-mode": "Auto"}
        found = attrs.evolve(found, metadata=attrs.evolve(found.metadata, annotations=annotations))
        made = plan(found, pod("a"), near=around(*ZONES))
        assert hinted(made) == [None]
        assert made.complaint == "Insufficient number of endpoints (1 endpoints, 3 zones), addressType: IPv4"


class TestTopologyMode:
    """The annotation `Auto`."""

    def endpoints(self, *counts: int) -> list[Pod]:
        """Return as many pods on n1, n2, n3 as `counts` say."""
        made: list[Pod] = []
        for index, count in enumerate(counts):
            made += [
                pod(f"{index}-{n}", 1 + len(made) + n, spec__node_name=f"n{index + 1}") for n in range(count)
            ]
        return made

    def shares(self, *counts: int, nodes: tuple[Node, ...] = ZONES) -> dict[str, int]:
        """Return how many endpoints each zone is hinted to use."""
        found = plan(service(), *self.endpoints(*counts), near=around(*nodes)).put[0].endpoints
        taken: dict[str, int] = {}
        for each in spread(found, nodes):
            assert each.hints is not None
            zone = each.hints.for_zones[0].name
            taken[zone] = taken.get(zone, 0) + 1
        return taken

    def test_an_even_spread_stays_as_it_is(self) -> None:
        """Every endpoint is for its own zone."""
        assert self.shares(2, 2, 2) == {"z1": 2, "z2": 2, "z3": 2}

    def test_a_zone_with_too_many_gives_some_away(self) -> None:
        """Until each has its share of CPUs."""
        assert self.shares(4, 1, 1) == {"z1": 2, "z2": 2, "z3": 2}

    def test_shares_follow_the_cpus(self) -> None:
        """A zone with half of them gets half of the endpoints."""
        nodes = (node("n1", "z1", "8"), node("n2", "z2", "4000m"), node("n3", "z3", "4"))
        assert self.shares(4, 4, 4, nodes=nodes) == {"z1": 6, "z2": 3, "z3": 3}

    @pytest.mark.parametrize(
        ("counts", "nodes", "why"),
        [
            ((1, 1), ZONES, r"Insufficient number of endpoints \(2 endpoints, 3 zones\)"),
            ((2, 2, 2), (*ZONES, node("n4")), "Insufficient Node information"),
            ((2, 2, 2), (*ZONES, node("n4", "z1", "0")), "Insufficient Node information"),
            ((6,), (node("n1", "z1"), node("n2", "z1")), "Insufficient Node information"),
            (
                (1, 1, 1),
                (node("n1", "z1", "8"), node("n2", "z2", "1"), node("n3", "z3", "1")),
                r"exceeds .* \(3 endpoints, 3 zones\)",
            ),
        ],
    )
    def test_when_it_gives_up(self, counts: tuple[int, ...], nodes: tuple[Node, ...], why: str) -> None:
        """Too few endpoints, a node without zone or CPUs, one zone, or a zone overloaded."""
        found = plan(service(), *self.endpoints(*counts), near=around(*nodes)).put[0].endpoints
        with pytest.raises(NoHintsError, match=why):
            spread(found, nodes)

    def test_an_endpoint_without_zone_spoils_it(self) -> None:
        """Nobody then has a hint."""
        found = plan(service(), *self.endpoints(2, 2, 2), near=around(*ZONES)).put[0].endpoints
        blank = attrs.evolve(found[0], zone=None)
        with pytest.raises(NoHintsError, match="do not have a zone"):
            spread([blank, *found[1:]], ZONES)

    def test_control_planes_and_nodes_that_are_not_ready_do_not_count(self) -> None:
        """A control plane without CPUs does no harm."""
        master = attrs.evolve(
            node("cp", cpu="0"), metadata=Meta("cp", labels={"node-role.kubernetes.io/control-plane": ""})
        )
        dead = node("n5", "", ready=False)
        assert self.shares(2, 2, 2, nodes=(*ZONES, master, dead)) == {"z1": 2, "z2": 2, "z3": 2}

    def test_endpoints_that_are_not_ready_have_no_hints(self) -> None:
        """They are not counted either."""
        found = plan(service(), *self.endpoints(3, 2, 2), near=around(*ZONES)).put[0].endpoints
        off = attrs.evolve(found[0], conditions=attrs.evolve(found[0].conditions, ready=False))
        made = spread([off, *found[1:]], ZONES)
        assert made[0].hints is None
        assert made[1].hints == EndpointHints((ForZone("z1"),))
