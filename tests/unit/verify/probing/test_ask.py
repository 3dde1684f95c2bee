# SPDX-License-Identifier: GPL-2.0-only
"""Probes: who is meant, what is asked, what is answered."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from emu import lab
from emu.errors import DocumentError
from emu.verify.probing.ask import ask_all
from emu.verify.probing.probe import read_probes

if TYPE_CHECKING:
    from pathlib import Path

    from emu.cluster.emulation import Emulation

CLUSTER = """
{apiVersion: emu/v1, kind: Cluster, spec: {nodes: [{name: n1}, {name: n2}]}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: shop}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: c, image: i, ports: [{containerPort: 8080, name: http}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {selector: {app: web}, ports: [{port: 8080, targetPort: http}]}
---
{apiVersion: v1, kind: Pod, metadata: {name: client}, spec: {containers: [{name: c, image: busybox}]}}
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Emulation:
    """Two web servers behind a Service, and a client; what probes add to it hurts no other probe."""
    path: Path = tmp_path_factory.mktemp("probes") / "cluster.yaml"
    path.write_text(CLUSTER, encoding="utf-8")
    return lab.load(str(path))


def ask(network: Emulation, *probes: dict[str, Any], listen_all: bool = False) -> list[dict[str, Any]]:
    """Return the answers as machines get them."""
    read = read_probes("p.json", json.dumps(probes), listen_all=listen_all)
    return [answer.as_json() for answer in ask_all(network, read)]


CLIENT = {"from": "client", "port": 8080}


def test_a_workload_means_each_of_its_pods(cluster: Emulation) -> None:
    """Each counts alike, and each has its outcome."""
    [answer] = ask(cluster, {**CLIENT, "to": "shop/web[Deployment]"})
    assert (answer["verdict"], answer["delivered"]) == ("ALWAYS", "1")
    assert [each["probability"] for each in answer["outcomes"]] == ["1/2", "1/2"]
    assert len({each["endpoint"]["pod"] for each in answer["outcomes"]}) == 2


@pytest.mark.parametrize("to", ["svc/shop/web", "deploy/shop/web[0]"])
def test_by_the_service_the_client_sees_only_that(cluster: Emulation, to: str) -> None:
    """`via: service` finds the Service that selects the pod; a Service needs no `via`."""
    via = {} if to.startswith("svc") else {"via": "service"}
    [answer] = ask(cluster, {**CLIENT, **via, "to": to})
    assert answer["verdict"] == "ALWAYS"
    assert [each["dnat"] for each in answer["outcomes"]] == [True, True]


def test_a_name_of_a_port_is_looked_up(cluster: Emulation) -> None:
    """At the pod that is asked."""
    [answer] = ask(cluster, {"from": "client", "to": "deploy/shop/web[0]", "port": "http"})
    assert answer["outcomes"][0]["endpoint"]["port"] == 8080


def test_strangers_ask_and_answer(cluster: Emulation) -> None:
    """An address of nobody gets a host outside that sends from it and listens on what is asked."""
    inward, outward = ask(
        cluster,
        {"from": "203.0.113.9", "to": "deploy/shop/web[0]", "port": 8080},
        {"from": "client", "to": "198.51.100.99", "port": 443},
    )
    assert (inward["verdict"], outward["verdict"]) == ("ALWAYS", "ALWAYS")
    assert inward["outcomes"][0]["seen_source"]["ip"] == "203.0.113.9"
    assert outward["outcomes"][0]["masquerade"] is True


def test_an_address_inside_the_cluster_is_no_stranger(cluster: Emulation) -> None:
    """Nobody has that pod address: silence or a refusal, and no host that answers."""
    [answer] = ask(cluster, {"from": "client", "to": "10.244.1.200", "port": 80})
    assert answer["verdict"] == "NEVER"


def test_everybody_listens_if_so_asked(cluster: Emulation) -> None:
    """And only for the questions that ask for it."""
    closed = {"from": "deploy/shop/web[0]", "to": "client", "port": 9999}
    answers = ask(cluster, closed, {**closed, "listen": "all"}, closed)
    assert [each["verdict"] for each in answers] == ["NEVER", "ALWAYS", "NEVER"]
    assert (answers[0]["result"], answers[0]["reason"]) == ("refused", "NO_SOCKET")


@pytest.mark.parametrize("protocol", ["TCP", "UDP", "SCTP"])
def test_a_payload_has_to_arrive(cluster: Emulation, protocol: str) -> None:
    """Behind the handshake, or in the datagram."""
    probe = {
        "from": "client",
        "to": "deploy/shop/web[0]",
        "port": 7777,
        "protocol": protocol,
        "payload": 1000,
    }
    [answer] = ask(cluster, probe, listen_all=True)
    assert answer["verdict"] == "ALWAYS"


def test_a_node_alone_judges_a_first_packet(cluster: Emulation) -> None:
    """In kube-proxy's words; who sends it need not exist."""
    question = {"at": "node/n1", "iif": "eth0", "from": "203.0.113.2", "port": 8080, "protocol": "TCP"}
    served, stranger = ask(cluster, {**question, "to": "svc/shop/web"}, {**question, "to": "192.0.2.1"})
    assert (served["verdict"], sorted(served["probabilities"].values())) == ("dnat", ["1/2", "1/2"])
    assert (stranger["verdict"], stranger["endpoints"]) == ("accept-unchanged", [])


def test_answers_stand_in_the_order_of_the_probes_and_keep_their_names(cluster: Emulation) -> None:
    """Without an `id` a probe is called by its number."""
    ping = {"from": "client", "to": "deploy/shop/web[0]", "protocol": "icmp"}
    answers = ask(cluster, {**ping, "listen": "all", "id": "z"}, ping, {**ping, "id": "a"})
    assert [each["id"] for each in answers] == ["z", "2", "a"]


def test_what_nobody_is_called_is_told_all_at_once(cluster: Emulation) -> None:
    """With the file and the place of each."""
    probes = [
        {"from": "nobody", "to": "deploy/shop/wob", "port": 1},
        {"from": "client", "to": "svc/x", "port": 1},
    ]
    with pytest.raises(DocumentError) as caught:
        ask(cluster, *probes)
    assert [(fault.file, fault.path) for fault in caught.value.faults] == [
        ("p.json", "$[0].from"),
        ("p.json", "$[0].to"),
        ("p.json", "$[1].to"),
    ]


def test_several_processes_answer_the_same(cluster: Emulation) -> None:
    """Every question is asked from the same state, whoever asks it."""
    read = read_probes(
        "p",
        json.dumps([{"from": "client", "to": "svc/shop/web", "port": port} for port in range(7000, 7450)]),
    )
    alone, together = (ask_all(cluster, read, jobs=jobs) for jobs in (1, 2))
    assert [each.as_json() for each in alone] == [each.as_json() for each in together]
