# SPDX-License-Identifier: GPL-2.0-only
"""CoreDNS in a pod: every question and every answer is a packet."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import dns.flags
import dns.message
import dns.rcode
import pytest

from emu.apps import dns_server
from emu.apps.http import client
from emu.apps.http.message import Request
from emu.fabric.userland import Userland
from emu.kube.api.objects import ConfigMap, EndpointSlice, Namespace, Pod, Service
from emu.kube.api.objects.container import Container
from emu.kube.api.objects.meta import Meta
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
from emu.kube.dns import addon
from emu.kube.dns.forward import Upstream, exchange
from emu.kube.dns.image import CoreDns
from emu.sim.choice import ScriptedChoice
from emu.sim.rng import Streams
from emu.sim.time import SECOND
from emu.testing.lab import Lab, pods_on_a_bridge
from emu.testing.zone import Zone
from emu.wire.addresses import IpAddress

if TYPE_CHECKING:
    from emu.fabric.process import Process

SERVER = IpAddress.parse("10.244.0.2")
UPSTREAM = "nameserver 10.244.0.4\n"


class Setup:
    """A client (`pod2`), CoreDNS (`pod1`), and whom it forwards to (`pod3`)."""

    def __init__(self, corefile: str = "", *, resolv: str = UPSTREAM, zone: Zone | None = None) -> None:
        self.lab: Lab = pods_on_a_bridge(3)
        self.zone = zone or Zone({("example.org", "A"): ["192.0.2.80"]})
        self.lab.start("pod3", dns_server.serve(self.zone.answer))
        self.store = Store(self.lab.fabric.loop, 0, random.Random(1))
        for name in ("default", "kube-system"):
            self.store.put(Namespace(Meta(name)))
        data = {"Corefile": corefile or addon.corefile(35)}
        self.store.put(ConfigMap(Meta("coredns", "kube-system"), data))
        self.put_service("web", "10.96.0.5")
        self.put_service("pods", "None", "10.244.0.5", "10.244.0.6", "10.244.0.7")
        pod = Pod(Meta("client", "default"), status=PodStatus("Running", pod_ip="10.244.0.3"))
        self.store.put(pod)
        self.image = CoreDns(self.store, Streams(1))
        userland = Userland("coredns", {"/etc/resolv.conf": resolv})
        programs = self.image(Pod(Meta("coredns", "kube-system")), Container("coredns"), userland)
        self.processes: list[Process[int]] = [self.lab.start("pod1", each) for each in programs]
        self.lab.wait()

    def put_service(self, name: str, address: str, *endpoints: str) -> None:
        """Keep a Service, and its endpoints."""
        spec = ServiceSpec(ports=(ServicePort(80, "http"),), cluster_ip=address, cluster_ips=(address,))
        self.store.put(Service(Meta(name, "default"), spec))
        if endpoints:
            members = tuple(Endpoint((each,), EndpointConditions(ready=True)) for each in endpoints)
            metadata = Meta(f"{name}-1", "default", labels={SERVICE_NAME: name})
            self.store.put(EndpointSlice(metadata, "IPv4", members, (EndpointPort("http", 80),)))

    def ask(self, name: str, kind: str = "A", *, by: str = "udp", payload: int = 0) -> dns.message.Message:
        """Return the reply to a question of the client."""
        query = dns.message.make_query(name, kind, use_edns=0 if payload else -1, payload=payload or 1232)
        net = self.lab.net("pod2")
        return self.lab.run("pod2", exchange(Upstream(SERVER, 53), query, by, net, 10 * SECOND))

    def addresses(self, name: str) -> list[str]:
        """Return the data of an answer, in order."""
        return [each.to_text() for rrset in self.ask(name).answer for each in rrset]

    def pass_by(self, seconds: int) -> None:
        """Let time go by."""
        self.lab.wait(seconds * SECOND)


def flags(reply: dns.message.Message) -> str:
    """Return the flags of a reply as CoreDNS' log has them."""
    return dns.flags.to_text(reply.flags).lower().replace(" ", ",")


@pytest.mark.parametrize("by", ["udp", "tcp"])
def test_a_service_is_answered_by_both_transports(by: str) -> None:
    """With authority; recursion is not offered."""
    reply = Setup().ask("web.default.svc.cluster.local", by=by)
    assert flags(reply) == "qr,aa,rd"
    assert [each.to_text() for each in reply.answer] == ["web.default.svc.cluster.local. 30 IN A 10.96.0.5"]


def test_a_name_that_does_not_exist_brings_the_soa() -> None:
    """For as long as it says, clients may remember."""
    reply = Setup().ask("nope.default.svc.cluster.local")
    assert reply.rcode() == dns.rcode.NXDOMAIN
    (soa,) = reply.authority
    assert (soa.name.to_text(), soa.ttl) == ("cluster.local.", 30)


def test_other_names_are_forwarded_and_kept() -> None:
    """The second answer comes from the cache, with authority and less time; after 30 s it is asked again."""
    setup = Setup(zone=Zone({("example.org", "A"): ["192.0.2.80"]}))
    first = setup.ask("example.org")
    setup.pass_by(10)
    second = setup.ask("Example.Org")
    assert setup.zone.asked.count(("example.org", "A")) == 1
    assert "aa" in flags(second)
    assert first.answer[0].ttl <= 30
    assert second.answer[0].ttl < first.answer[0].ttl
    setup.pass_by(30)
    setup.ask("example.org")
    assert setup.zone.asked.count(("example.org", "A")) == 2


def test_names_of_the_cluster_are_not_kept_since_132() -> None:
    """A Service that goes is gone at once; before, it lived on in the cache."""
    new, old = Setup(), Setup(addon.corefile(31))
    for setup in (new, old):
        setup.ask("web.default.svc.cluster.local")
        setup.store.delete(Service, "web", "default")
    assert new.ask("web.default.svc.cluster.local").rcode() == dns.rcode.NXDOMAIN
    assert old.ask("web.default.svc.cluster.local").rcode() == dns.rcode.NOERROR
    old.pass_by(31)
    assert old.ask("web.default.svc.cluster.local").rcode() == dns.rcode.NXDOMAIN


def test_negative_answers_are_kept_too() -> None:
    """A Service that comes is not seen before the SOA's time is over."""
    setup = Setup(addon.corefile(31))
    setup.ask("late.default.svc.cluster.local")
    setup.put_service("late", "10.96.0.9")
    assert setup.ask("late.default.svc.cluster.local").rcode() == dns.rcode.NXDOMAIN
    setup.pass_by(31)
    assert setup.addresses("late.default.svc.cluster.local") == ["10.96.0.9"]


def test_an_external_name_is_followed() -> None:
    """Alias first, then what the target resolves to."""
    setup = Setup()
    spec = ServiceSpec("ExternalName", external_name="example.org")
    setup.store.put(Service(Meta("out", "default"), spec))
    assert setup.addresses("out.default.svc.cluster.local") == ["example.org.", "192.0.2.80"]


def test_no_upstream_that_answers_is_a_failure() -> None:
    """After five seconds and the last try."""
    setup = Setup(resolv="nameserver 10.244.0.99\n")
    before = setup.lab.fabric.loop.now
    assert setup.ask("example.org").rcode() == dns.rcode.SERVFAIL
    assert 0 < setup.lab.fabric.loop.now - before < 8 * SECOND


def test_a_silent_upstream_is_left_for_another() -> None:
    """After two seconds for the try, or at once when checks have found it down."""
    corefile = ".:53 {\n forward . 10.244.0.99 10.244.0.4 {\n policy sequential\n }\n}\n"
    setup = Setup(corefile)
    assert setup.addresses("example.org") == ["192.0.2.80"]
    setup.pass_by(10)
    before = setup.lab.fabric.loop.now
    assert setup.addresses("example.org") == ["192.0.2.80"]
    assert setup.lab.fabric.loop.now - before < SECOND


def test_the_first_address_is_a_choice() -> None:
    """Each of them can come first."""
    first = set()
    for index in range(3):
        setup = Setup()
        setup.lab.fabric.decide_by(ScriptedChoice((index,)))
        first.add(setup.addresses("pods.default.svc.cluster.local")[0])
    assert first == {"10.244.0.5", "10.244.0.6", "10.244.0.7"}


def test_a_long_answer_is_cut_for_small_clients() -> None:
    """512 octets without EDNS; TCP and larger buffers get all."""
    setup = Setup()
    setup.put_service("many", "None", *(f"10.244.1.{n}" for n in range(1, 61)))
    name = "many.default.svc.cluster.local"
    assert "tc" in flags(setup.ask(name))
    whole = setup.ask(name, payload=4096)
    assert "tc" not in flags(whole)
    assert len(whole.answer[0]) == len(setup.ask(name, by="tcp").answer[0]) == 60
    assert whole.edns == 0


def test_a_server_that_forwards_to_itself_ends() -> None:
    """The probe of `loop` comes back: the container crashes, again and again."""
    (process,) = Setup(resolv="nameserver 127.0.0.53\n").processes
    assert process.done
    assert process.result == 1


@pytest.mark.parametrize("corefile", ["nothing\n", ".:53 {\n"])
def test_a_corefile_that_cannot_be_read_ends_the_server(corefile: str) -> None:
    """And it is said why."""
    setup = Setup(corefile)
    assert setup.processes[0].result == 1
    assert "Corefile" in setup.image.warnings[0]


def test_a_server_tells_that_it_is_well_and_ready() -> None:
    """On the ports that the kubelet probes."""
    setup = Setup()
    for port, path in ((8080, "/health"), (8181, "/ready")):
        found = setup.lab.run("pod2", client.fetch(SERVER, port, Request(target=path)))
        assert isinstance(found, client.Fetched)
        assert (found.response.status, found.response.body) == (200, b"OK")


def test_autopath_walks_the_clients_search_path() -> None:
    """One question does for a name outside; the answer leads from the asked name to the found one."""
    corefile = """.:53 {
        autopath @kubernetes
        kubernetes cluster.local {
            pods verified
        }
        forward . 10.244.0.4
    }
    """
    setup = Setup(corefile)
    assert setup.addresses("example.org.default.svc.cluster.local") == ["example.org.", "192.0.2.80"]
    assert setup.addresses("web.default.svc.cluster.local") == ["10.96.0.5"]


def test_other_plugins_change_names_and_answers() -> None:
    """Hosts in the file, a stub domain, a name for another."""
    corefile = """.:53 {
        rewrite name exact db.old.example.org db.example.org
        hosts {
            10.0.0.1 db.example.org
            fallthrough
        }
        kubernetes cluster.local
        forward example.org 10.244.0.4
    }
    corp.example:53 {
        forward . 10.244.0.4
    }
    """
    zone = Zone({("example.org", "A"): ["192.0.2.80"], ("a.corp.example", "A"): ["192.0.2.81"]})
    setup = Setup(corefile, zone=zone)
    assert setup.addresses("db.example.org") == ["10.0.0.1"]
    renamed = setup.ask("db.old.example.org").answer[0]
    assert (renamed.name.to_text(), renamed[0].to_text()) == ("db.old.example.org.", "10.0.0.1")
    assert setup.addresses("example.org") == ["192.0.2.80"]
    assert setup.addresses("a.corp.example") == ["192.0.2.81"]
    assert setup.ask("nowhere.test").rcode() == dns.rcode.SERVFAIL


def test_transfers_and_foreign_zones_are_refused() -> None:
    """As is everything where no server has the zone."""
    setup = Setup("cluster.local:53 {\n kubernetes\n}\n")
    assert setup.ask("example.org").rcode() == dns.rcode.REFUSED
    assert setup.ask("cluster.local", "AXFR", by="tcp").rcode() == dns.rcode.REFUSED


# --- the objects ---


def test_an_installer_makes_what_the_input_lacks() -> None:
    """ConfigMap, Deployment and Service, each unless it is there."""
    made = addon.objects([], "1.35", "10.96.0.10")
    assert [(each.metadata.name, type(each).__name__) for each in made] == [
        ("coredns", "ConfigMap"),
        ("coredns", "Deployment"),
        ("kube-dns", "Service"),
    ]
    assert addon.objects(made, "1.35", "10.96.0.10") == []


@pytest.mark.parametrize(
    ("minor", "version"),
    [(30, "v1.11.1"), (31, "v1.11.3"), (33, "v1.12.0"), (34, "v1.12.1"), (36, "v1.14.2")],
)
def test_each_release_has_its_coredns(minor: int, version: str) -> None:
    """As kubeadm of that release installs it."""
    image = addon.deployment(minor).spec.template.spec.containers[0].image
    assert image.endswith(f"coredns:{version}")
