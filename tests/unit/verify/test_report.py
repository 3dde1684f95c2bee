# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import emu
from emu.cluster.network import lab as network_lab
from emu.testing.lab import looped_switches, two_hosts, vxlan_pair
from emu.verify import asker as module
from emu.verify.asker import Asker
from emu.verify.report import report
from emu.verify.telling.places import Places

if TYPE_CHECKING:
    from collections.abc import Callable

    from emu.cluster.network.lab import Network

TOPOLOGIES = Path(__file__).parents[3] / "topologies"
TWO_WAYS = Path(__file__).parents[1] / "cli" / "two-ways.yaml"
OUTCOME = [
    "probability",
    "result",
    "reason",
    "direction",
    "where",
    "endpoint",
    "seen_source",
    "dnat",
    "masquerade",
    "choices",
    "hops",
]
HOP = [
    "time_ns",
    "namespace",
    "device",
    "stage",
    "table",
    "chain",
    "rule",
    "object",
    "before",
    "after",
    "conntrack",
    "decision",
    "module",
]


def answer(start: Callable[[], Network], source: str, target: str) -> dict[str, Any]:
    """Return the JSON of a question."""
    verdict = Asker(start()).judge(source, target)
    written: dict[str, Any] = json.loads(json.dumps(report(verdict, verdict.outcomes)))
    return written


@pytest.mark.parametrize(
    ("start", "source", "target"),
    [
        (partial(network_lab.load, TWO_WAYS), "pod1", "server:80"),
        (partial(network_lab.load, TWO_WAYS), "pod1", "server:9/udp"),
        (partial(network_lab.load, TWO_WAYS), "pod1", "server"),
        (two_hosts, "a", "b"),
        (two_hosts, "a", "10.9.9.9"),
        (vxlan_pair, "pod1", "pod2:80"),
        (looped_switches, "a", "10.0.0.9"),
    ],
)
def test_every_key_is_always_there(start: Callable[[], Network], source: str, target: str) -> None:
    """Null or empty where it does not apply, and in the same order."""
    written = answer(start, source, target)
    assert list(written) == ["from", "to", "verdict", "delivered", "outcomes", "assumptions"]
    for outcome in written["outcomes"]:
        assert list(outcome) == OUTCOME
        assert (outcome["result"] == "delivered") is (outcome["reason"] is None)
        assert outcome["direction"] in {None, "request", "reply"}
        for hop in outcome["hops"]:
            assert list(hop) == HOP


def test_fractions_are_strings_in_lowest_terms() -> None:
    """The sum over delivered outcomes, exactly."""
    written = answer(partial(network_lab.load, TWO_WAYS), "pod1", "server:80")
    assert (written["from"], written["to"]) == ("pod1", "server:80/TCP")
    assert (written["verdict"], written["delivered"]) == ("SOMETIMES", "1/2")
    delivered, dropped = written["outcomes"]
    assert delivered["probability"] == dropped["probability"] == "1/2"
    assert delivered["choices"] == [
        "nexthop of 10.3.0.0/24 from 10.1.0.2 to 10.3.0.2 -> via 10.2.1.2 dev eth1 (1/2)"
    ]
    assert (dropped["reason"], dropped["direction"], dropped["where"]) == ("IP_FORWARD_OFF", "request", "up2")
    assert (dropped["endpoint"], dropped["seen_source"]) == (None, None)


def test_certainty_is_one_or_zero() -> None:
    """Not 1/1."""
    assert answer(two_hosts, "a", "b")["delivered"] == "1"
    assert answer(two_hosts, "a", "b:1")["delivered"] == "0"


def test_an_end_point_is_a_namespace_in_a_network_document() -> None:
    """Without a pod or node; the port is null for an echo."""
    [closed] = answer(two_hosts, "a", "b:1")["outcomes"]
    assert closed["endpoint"] == {"namespace": "b", "pod": None, "node": None, "ip": "10.0.0.2", "port": 1}
    assert closed["seen_source"]["ip"] == "10.0.0.1"
    [echo] = answer(two_hosts, "a", "b")["outcomes"]
    assert echo["endpoint"]["port"] is None
    assert echo["seen_source"] == {"ip": "10.0.0.1", "port": None}


def test_hops_tell_stage_chain_addresses_and_decision() -> None:
    """A drop is a hop, too."""
    [outcome] = answer(two_hosts, "a", "b:1")["outcomes"]
    chains = [hop["chain"] for hop in outcome["hops"] if hop["chain"]]
    assert chains == ["OUTPUT", "POSTROUTING", "PREROUTING", "INPUT"] * 2
    drop = next(hop for hop in outcome["hops"] if hop["stage"] == "drop")
    assert drop["decision"] == "NO_SOCKET: nobody listens on TCP port 1"
    assert drop["namespace"], drop["device"] == ("b", "eth0")
    assert drop["after"].endswith(" > 10.0.0.2:1")
    assert drop["module"] == "emu.kernel.tcp.delivery"


def test_what_is_not_known_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the verdict UNKNOWN, and then alone."""
    monkeypatch.setattr(module, "MAX_BRANCHES", 1)
    written = answer(partial(network_lab.load, TWO_WAYS), "pod1", "server")
    assert (written["verdict"], written["delivered"]) == ("UNKNOWN", None)
    assert written["unknown"] == ["more than 1 branches"]


def test_hops_name_the_object_that_they_are_owed_to() -> None:
    """Service, pod, node and programs; null where it is nobody's."""
    network = emu.load(TOPOLOGIES / "two-workers.yaml")
    verdict = Asker(network).judge("client", "svc/web:80")
    written = report(verdict, verdict.outcomes, Places(network).object)
    hops = [hop for outcome in written["outcomes"] for hop in outcome["hops"]]
    assert {hop["object"] for hop in hops if hop["stage"] == "socket"} >= {"Pod default/client"}
    assert {hop["object"] for hop in hops if (hop["chain"] or "").startswith("KUBE-SVC-")} == {
        "Service default/web"
    }
    assert {"kube-proxy", None} <= {hop["object"] for hop in hops}
