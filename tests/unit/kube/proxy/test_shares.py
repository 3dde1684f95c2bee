# SPDX-License-Identifier: GPL-2.0-only
"""Where packets go, asked of the kernel: each usable endpoint gets its exact share, and nothing else does."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emu.apps.commands.iptables_tables import take_all
from emu.fabric.driver import Fabric
from emu.kube.proxy import port_rules
from emu.kube.proxy.config import ProxyConfig
from emu.sim.time import SECOND
from emu.testing.proxies import Proxies, endpoint, service, slice_of
from emu.testing.proxy_strategies import NODES, clusters
from emu.tools.iptables.save import render
from emu.verify.firstpacket import Judgement, Question, judge_at
from emu.verify.nodewalk import Word
from emu.wire.addresses import IpAddress

if TYPE_CHECKING:
    from emu.kernel.namespace import Namespace
    from emu.kube.api.objects.service import Endpoint, EndpointSlice, Service

POD: Final = "10.200.0.9"
MODES: Final = ("iptables", "nftables")


def ask(net: Namespace, to: str, port: int, protocol: str = "TCP", *, pod: str = POD) -> Judgement:
    """Send a first packet from a pod of the node."""
    question = Question(IpAddress.parse(pod), IpAddress.parse(to), port, protocol, "pod")
    return judge_at(net, question)


def usable(endpoints: tuple[Endpoint, ...], here: str | None) -> list[Endpoint]:
    """Return those that traffic may go to: the ready ones, or else those that are going but still serve.

    Args:
        endpoints: all of them, without hints.
        here: only those of this node; None for all.
    """
    there = [each for each in endpoints if here in {None, each.node_name}]
    ready = [each for each in there if each.conditions.ready is not False]
    going = [each for each in there if each.conditions.serving is not False and each.conditions.terminating]
    return ready or going


def without_hints(piece: EndpointSlice) -> tuple[Endpoint, ...]:
    """Return a slice's endpoints, meant for everybody."""
    return tuple(
        endpoint(
            each.addresses[0],
            each.node_name,
            ready=each.conditions.ready,
            serving=each.conditions.serving,
            terminating=each.conditions.terminating,
        )
        for each in piece.endpoints
    )


def check_shares(cluster: list[tuple[Service, EndpointSlice]], name: str, mode: str = "iptables") -> None:
    """Ask every port of every ClusterIP from a pod of the node `name`, and compare the shares."""
    proxies = Proxies(Fabric())
    for each, piece in cluster:
        listed = [(port.name or "", port.port or 0) for port in piece.ports]
        proxies.put(
            each,
            slice_of(
                f"ns/{each.metadata.name}", without_hints(piece), listed, protocol=piece.ports[0].protocol
            ),
        )
    net = proxies.start(ProxyConfig(name, ("192.168.0.2",), mode, cluster_cidr="10.0.0.0/8"))
    for each, piece in cluster:
        for port, target in zip(each.spec.ports, piece.ports, strict=True):
            is_local = each.spec.internal_traffic_policy == "Local"
            wanted = usable(without_hints(piece), name if is_local else None)
            found = ask(net, each.spec.cluster_ip, port.port, port.protocol)
            assert found.endpoints == {
                f"{one.addresses[0]}:{target.port}": Fraction(1, len(wanted)) for one in wanted
            }
            if not wanted:
                elsewhere = usable(without_hints(piece), None)
                assert found.word is (Word.DROP if is_local and elsewhere else Word.REJECT)


@given(cluster=clusters(), name=st.sampled_from(NODES), mode=st.sampled_from(MODES))
def test_every_usable_endpoint_gets_an_equal_share_and_no_other_any(
    cluster: list[tuple[Service, EndpointSlice]], name: str, mode: str
) -> None:
    """Exactly 1/n, as fractions, for any mix of Services and states of endpoints, in each mode."""
    check_shares(cluster, name, mode)


@given(cluster=clusters(), name=st.sampled_from(NODES))
def test_a_second_sync_changes_nothing(cluster: list[tuple[Service, EndpointSlice]], name: str) -> None:
    """Writing what is written is nothing, be it in part or in full."""
    proxies = Proxies(Fabric())
    proxies.put(*(each for pair in cluster for each in pair))
    net = proxies.start(ProxyConfig(name, cluster_cidr="10.0.0.0/8"))
    proxy = proxies.fleet.proxies[name]
    tables = {name: xtable.table for name, xtable in net.netfilter.tables.items()}
    proxy.sync()
    assert all(net.netfilter.tables[name].table is table for name, table in tables.items())
    text = render(take_all(net).values())
    proxy.request_full_sync()
    proxies.wait(2 * SECOND)
    assert render(take_all(net).values()) == text


def test_wrong_shares_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """With 1/n for each rule, instead of 1/n of what is left, the comparison fails."""
    web = service("ns/web", "172.30.0.1")
    piece = slice_of("ns/web", [endpoint(f"10.0.0.{each}") for each in (1, 2, 3)])
    check_shares([(web, piece)], "a")
    monkeypatch.setattr(port_rules, "probability", lambda _: "0.3333333333")
    with pytest.raises(AssertionError):
        check_shares([(web, piece)], "a")


def test_a_forgotten_fallback_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without endpoints that are going, the last ones of a Service are refused too early."""
    web = service("ns/web", "172.30.0.1")
    piece = slice_of("ns/web", [endpoint("10.0.0.1", ready=False, serving=True, terminating=True)])
    check_shares([(web, piece)], "a")
    original = port_rules.PortWriter.write

    def forgetful(self: port_rules.PortWriter, found: object, *, in_range: bool) -> port_rules.PortRules:
        return original(self, found._replace(cluster=(), anywhere=False), in_range=in_range)  # type: ignore[attr-defined]

    monkeypatch.setattr(port_rules.PortWriter, "write", forgetful)
    with pytest.raises(AssertionError):
        check_shares([(web, piece)], "a")


def test_fifty_endpoints_share_exactly() -> None:
    """The kernel keeps probabilities as fractions of 2**31; what is meant is 1/50 each all the same."""
    web = service("ns/web", "172.30.0.1")
    piece = slice_of("ns/web", [endpoint(f"10.0.0.{each}") for each in range(1, 51)])
    check_shares([(web, piece)], "a")


def test_a_backend_that_reaches_itself_is_masqueraded() -> None:
    """Otherwise its answer would never pass the node; other clients keep their address."""
    proxies = Proxies(Fabric())
    proxies.put(
        service("ns/web", "172.30.0.1"), slice_of("ns/web", [endpoint("10.0.0.1"), endpoint("10.0.0.2")])
    )
    net = proxies.start(ProxyConfig("a", ("192.168.0.2",), cluster_cidr="10.0.0.0/8"))
    assert ask(net, "172.30.0.1", 80, pod="10.0.0.1").masquerade_only_for == ("10.0.0.1:8080",)
    assert not ask(net, "172.30.0.1", 80).masquerade


def test_an_answer_is_what_probes_print() -> None:
    """The JSON of a first packet's verdict."""
    proxies = Proxies(Fabric())
    proxies.put(
        service("ns/web", "172.30.0.1"), slice_of("ns/web", [endpoint("10.0.0.1"), endpoint("10.0.0.2")])
    )
    net = proxies.start(ProxyConfig("a", ("192.168.0.2",), cluster_cidr="10.0.0.0/8"))
    assert ask(net, "172.30.0.1", 80, pod="10.0.0.1").as_json() == {
        "verdict": "dnat",
        "endpoints": ["10.0.0.1:8080", "10.0.0.2:8080"],
        "probabilities": {"10.0.0.1:8080": "1/2", "10.0.0.2:8080": "1/2"},
        "masquerade": True,
        "masqueradeOnlyFor": ["10.0.0.1:8080"],
    }
