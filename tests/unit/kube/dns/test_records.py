# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import random

import attrs
import pytest

from emu.kube.api.objects import EndpointSlice, Namespace, Pod, Service
from emu.kube.api.objects.meta import Meta, Reference
from emu.kube.api.objects.pod import PodStatus
from emu.kube.api.objects.service import (
    SERVICE_NAME,
    Endpoint,
    EndpointConditions,
    EndpointPort,
    ServicePort,
    ServiceSpec,
)
from emu.kube.api.store import Store
from emu.kube.dns.directory import Directory
from emu.kube.dns.records import Answer, Outcome, answer, soa
from emu.kube.dns.reverse import reverse_names
from emu.kube.dns.settings import Fallthrough, Kubernetes
from emu.sim.loop import EventLoop

ZONES = ("cluster.local.", "in-addr.arpa.", "ip6.arpa.")
USUAL = Kubernetes(ZONES, "insecure", 30, through=Fallthrough(("in-addr.arpa.", "ip6.arpa.")))


def endpoint(
    address: str, *, ready: bool | None = True, hostname: str | None = None, pod: str = "p"
) -> Endpoint:
    """Return an endpoint of a pod."""
    return Endpoint((address,), EndpointConditions(ready=ready), hostname, Reference("Pod", pod))


def slice_of(
    service: str, *endpoints: Endpoint, ports: tuple[EndpointPort, ...], name: str = ""
) -> EndpointSlice:
    """Return a slice of a Service in the namespace default."""
    metadata = Meta(name or f"{service}-1", "default", labels={SERVICE_NAME: service})
    family = "IPv6" if ":" in endpoints[0].addresses[0] else "IPv4"
    return EndpointSlice(metadata, family, endpoints, ports)


def service(
    name: str, *addresses: str, ports: tuple[ServicePort, ...] = (), external_name: str = ""
) -> Service:
    """Return a Service in the namespace default; one with an `external_name` is nothing else."""
    kind = "ExternalName" if external_name else "ClusterIP"
    first = addresses[0] if addresses else ""
    found = ServiceSpec(kind, ports, cluster_ip=first, cluster_ips=addresses, external_name=external_name)
    return Service(Meta(name, "default"), found)


HTTP = ServicePort(80, "http", target_port=8080)
DNS = ServicePort(53, "dns", "UDP")
TARGET = EndpointPort("http", 8080)


def make_directory() -> Directory:
    """Return what a small cluster has."""
    store = Store(EventLoop(), 1_700_000_000 * 10**9, random.Random(1))
    for name in ("default", "empty"):
        store.put(Namespace(Meta(name)))
    store.put(service("web", "10.96.0.5", ports=(HTTP, DNS)))
    store.put(slice_of("web", endpoint("10.244.0.5"), ports=(TARGET,)))
    store.put(service("both", "10.96.0.6", "fd00::6", ports=(HTTP,)))
    store.put(service("idle", "10.96.0.7", ports=(HTTP,)))
    store.put(service("headless", "None", ports=(HTTP,)))
    store.put(
        slice_of(
            "headless",
            endpoint("10.244.0.5"),
            endpoint("10.244.1.7", hostname="web-1"),
            endpoint("10.244.1.8", ready=False),
            endpoint("10.244.1.9", ready=None, pod="named"),
            ports=(TARGET,),
        )
    )
    store.put(slice_of("headless", endpoint("fd00:10::1"), ports=(TARGET,), name="headless-6"))
    store.put(service("nobody", "None", ports=(HTTP,)))
    store.put(service("portless", "None"))
    store.put(slice_of("portless", endpoint("10.244.2.2"), ports=()))
    store.put(service("outside", external_name="example.org"))
    store.put(service("inside", external_name="web.default.svc.cluster.local"))
    store.put(service("circle", external_name="circle.default.svc.cluster.local"))
    store.put(service("number", external_name="192.0.2.1"))
    store.put(Pod(Meta("p", "default"), status=PodStatus("Running", pod_ip="10.244.0.5")))
    return Directory(store)


DIRECTORY = make_directory()


def ask(name: str, kind: str = "A", settings: Kubernetes = USUAL) -> Answer:
    """Return the answer for a name below `cluster.local.`, or for one with a final dot."""
    full = name if name.endswith(".") else f"{name}.cluster.local."
    return answer(full, kind, settings, DIRECTORY, ["10.244.0.5"])


def data(found: Answer) -> list[str]:
    """Return the data of an answer's records."""
    return [each.data for each in found.records]


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("dns-version", "TXT", ['"1.1.0"']),
        ("web.default.svc", "A", ["10.96.0.5"]),
        ("both.default.svc", "A", ["10.96.0.6"]),
        ("both.default.svc", "AAAA", ["fd00::6"]),
        ("idle.default.svc", "A", ["10.96.0.7"]),
        ("WEB.Default.SVC.Cluster.Local.", "A", ["10.96.0.5"]),
        ("_http._tcp.web.default.svc", "SRV", ["0 100 80 web.default.svc.cluster.local."]),
        ("http.tcp.web.default.svc", "SRV", ["0 100 80 web.default.svc.cluster.local."]),
        ("_dns._udp.web.default.svc", "SRV", ["0 100 53 web.default.svc.cluster.local."]),
        (
            "web.default.svc",
            "SRV",
            ["0 50 80 web.default.svc.cluster.local.", "0 50 53 web.default.svc.cluster.local."],
        ),
        ("_http._tcp.web.default.svc", "A", ["10.96.0.5"]),
        ("10-244-0-5.web.default.svc", "A", ["10.244.0.5"]),
        ("headless.default.svc", "A", ["10.244.0.5", "10.244.1.7", "10.244.1.9"]),
        ("headless.default.svc", "AAAA", ["fd00:10::1"]),
        ("web-1.headless.default.svc", "A", ["10.244.1.7"]),
        ("10-244-0-5.headless.default.svc", "A", ["10.244.0.5"]),
        ("fd00-10--1.headless.default.svc", "AAAA", ["fd00:10::1"]),
        ("portless.default.svc", "A", ["10.244.2.2"]),
        ("5.0.96.10.in-addr.arpa.", "PTR", ["web.default.svc.cluster.local."]),
        ("7.1.244.10.in-addr.arpa.", "PTR", ["web-1.headless.default.svc.cluster.local."]),
        (
            "5.0.244.10.in-addr.arpa.",
            "PTR",
            [
                "10-244-0-5.headless.default.svc.cluster.local.",
                "10-244-0-5.web.default.svc.cluster.local.",
            ],
        ),
        (reverse_names(["fd00::6"])[0], "PTR", ["both.default.svc.cluster.local."]),
        ("10-244-9-9.default.pod", "A", ["10.244.9.9"]),
        ("fd00--9.default.pod", "AAAA", ["fd00::9"]),
        ("outside.default.svc", "CNAME", ["example.org."]),
        ("inside.default.svc", "A", ["web.default.svc.cluster.local.", "10.96.0.5"]),
    ],
)
def test_records_that_are_found(name: str, kind: str, expected: list[str]) -> None:
    """The specification's records, and what CoreDNS gives beyond them."""
    found = ask(name, kind)
    assert found.outcome is Outcome.FOUND
    assert data(found) == expected


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("web.default.svc", "AAAA"),
        ("web.default.svc", "MX"),
        ("web.default.svc", "TXT"),
        ("cluster.local.", "A"),
        ("svc", "A"),
        ("pod", "A"),
        ("default.svc", "A"),
        ("empty.svc", "A"),
        ("default.pod", "A"),
        ("10-244-9-9.default.pod", "AAAA"),
        ("portless.default.svc", "SRV"),
        ("outside.default.svc", "SRV"),
        ("circle.default.svc", "A"),
        ("web.default.svc", "CNAME"),
        ("in-addr.arpa.", "A"),
    ],
)
def test_names_that_have_no_such_record(name: str, kind: str) -> None:
    """NODATA: the name is there, with another kind or with names below it."""
    found = ask(name, kind)
    assert (found.outcome, found.records) == (Outcome.NODATA, ())


@pytest.mark.parametrize(
    "name",
    [
        "nope.default.svc",
        "web.nowhere.svc",
        "nowhere.svc",
        "nobody.default.svc",
        "_https._tcp.web.default.svc",
        "_http._udp.web.default.svc",
        "10-244-9-9.web.default.svc",
        "10-244-1-8.headless.default.svc",
        "a.b.c.web.default.svc",
        "number.default.svc",
        "x.outside.default.svc",
        "web.default",
        "*.default.svc",
        "10-244-9-9.nowhere.pod",
        "not-an-address.default.pod",
        "1.2.3.4.in-addr.arpa.",
    ],
)
def test_names_that_do_not_exist(name: str) -> None:
    """NXDOMAIN: also a namespace, port or endpoint that is not there, and wildcards."""
    kind = "PTR" if name.endswith("arpa.") else "A"
    assert ask(name, kind).outcome is Outcome.NXDOMAIN


def test_names_of_other_zones_are_not_ours() -> None:
    """Somebody else is asked."""
    assert ask("example.org.").outcome is Outcome.NOT_OURS


def test_srv_of_a_headless_service_names_its_endpoints() -> None:
    """With the pods' port, equal weights, and addresses beside."""
    found = ask("_http._tcp.headless.default.svc", "SRV")
    assert data(found) == [
        "0 25 8080 10-244-0-5.headless.default.svc.cluster.local.",
        "0 25 8080 web-1.headless.default.svc.cluster.local.",
        "0 25 8080 10-244-1-9.headless.default.svc.cluster.local.",
        "0 25 8080 fd00-10--1.headless.default.svc.cluster.local.",
    ]
    assert [(each.kind, each.data) for each in found.additional] == [
        ("A", "10.244.0.5"),
        ("A", "10.244.1.7"),
        ("A", "10.244.1.9"),
        ("AAAA", "fd00:10::1"),
    ]


def test_the_name_servers_are_the_services_that_this_server_is_behind() -> None:
    """With the addresses of a headless one's endpoints; a server behind none names itself."""
    found = ask("cluster.local.", "NS")
    assert "web.default.svc.cluster.local." in data(found)
    assert "web-1.headless.default.svc.cluster.local." in data(found)
    assert ("web.default.svc.cluster.local.", "10.96.0.5") in [(e.name, e.data) for e in found.additional]
    alone = answer("cluster.local.", "NS", USUAL, DIRECTORY, ["192.0.2.9"])
    assert data(alone) == ["ns.dns.cluster.local."]
    assert data(answer("ns.dns.cluster.local.", "A", USUAL, DIRECTORY, ["192.0.2.9"])) == ["192.0.2.9"]


def test_an_external_name_outside_leads_on() -> None:
    """The alias is told, and where to ask further."""
    found = ask("outside.default.svc")
    assert (data(found), found.outside) == (["example.org."], "example.org.")


def test_the_name_comes_back_as_it_was_asked() -> None:
    """With its capitals, which some resolvers check."""
    assert ask("WEB.default.svc.cluster.local.").records[0].name == "WEB.default.svc.cluster.local."


@pytest.mark.parametrize(
    ("mode", "name", "outcome"),
    [
        ("disabled", "10-244-0-5.default.pod", Outcome.NXDOMAIN),
        ("verified", "10-244-0-5.default.pod", Outcome.FOUND),
        ("verified", "10-244-0-6.default.pod", Outcome.NXDOMAIN),
        ("verified", "10-244-0-5.empty.pod", Outcome.NXDOMAIN),
        ("insecure", "10-244-0-6.empty.pod", Outcome.FOUND),
    ],
)
def test_modes_of_pods(mode: str, name: str, outcome: Outcome) -> None:
    """Insecure believes every address, verified looks for the pod, disabled knows none."""
    assert ask(name, settings=attrs.evolve(USUAL, pods=mode)).outcome is outcome


def test_options_change_the_answers() -> None:
    """Names after pods, no endpoints, only some namespaces, no Services without endpoints."""
    named = attrs.evolve(USUAL, endpoint_pod_names=True)
    assert data(ask("named.headless.default.svc", settings=named)) == ["10.244.1.9"]
    bare = attrs.evolve(USUAL, noendpoints=True)
    assert ask("headless.default.svc", settings=bare).outcome is Outcome.NXDOMAIN
    some = attrs.evolve(USUAL, namespaces=("empty",))
    assert ask("web.default.svc", settings=some).outcome is Outcome.NXDOMAIN
    assert ask("empty.svc", settings=some).outcome is Outcome.NODATA
    full = attrs.evolve(USUAL, ignore_empty=True)
    assert ask("idle.default.svc", settings=full).outcome is Outcome.NXDOMAIN
    assert ask("web.default.svc", settings=full).outcome is Outcome.FOUND


def test_the_soa_tells_the_last_change() -> None:
    """Its times are the plugin's, five minutes at the most."""
    assert soa("cluster.local.", USUAL, DIRECTORY) == (
        "cluster.local.",
        "SOA",
        30,
        "ns.dns.cluster.local. hostmaster.cluster.local. 1700000000 7200 1800 86400 30",
    )
    assert soa("cluster.local.", attrs.evolve(USUAL, ttl=900), DIRECTORY).ttl == 300


def test_the_directory_follows_changes() -> None:
    """A Service that goes takes its names along, an endpoint that turns unready its record."""
    store = Store(EventLoop(), 0, random.Random(1))
    store.put(Namespace(Meta("default")))
    found = Directory(store)
    store.put(service("web", "10.96.0.5", ports=(HTTP,)))
    store.put(service("pods", "None", ports=(HTTP,)))
    store.put(slice_of("pods", endpoint("10.244.0.5"), ports=(TARGET,)))
    name, reverse = "pods.default.svc.cluster.local.", "5.0.244.10.in-addr.arpa."
    assert data(answer(name, "A", USUAL, found)) == ["10.244.0.5"]
    assert answer(reverse, "PTR", USUAL, found).outcome is Outcome.FOUND
    store.put(slice_of("pods", endpoint("10.244.0.5", ready=False), ports=(TARGET,)))
    assert answer(name, "A", USUAL, found).outcome is Outcome.NXDOMAIN
    assert answer(reverse, "PTR", USUAL, found).outcome is Outcome.NXDOMAIN
    store.delete(Service, "web", "default")
    assert answer("5.0.96.10.in-addr.arpa.", "PTR", USUAL, found).outcome is Outcome.NXDOMAIN
