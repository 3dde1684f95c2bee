# SPDX-License-Identifier: GPL-2.0-only
"""The table of a node through changes: what is written in parts is what is written at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emu.apps.commands import nft
from emu.cluster.cluster import Cluster
from emu.cluster.topology import load_topology
from emu.document import scan
from emu.fabric.driver import Fabric
from emu.kernel.netfilter.nftables import requests as ask
from emu.kernel.netfilter.nftables import ruleset as kernel
from emu.kube.proxy.config import Detect, ProxyConfig
from emu.kube.proxy.nft import mode, values
from emu.kube.proxy.nft.mode import NftablesPlane
from emu.sim.time import SECOND
from emu.testing.manifests import pod
from emu.testing.proxies import Proxies, endpoint, service, slice_of
from emu.testing.proxy_strategies import NODES, clusters
from emu.testing.whole_state import whole_state
from emu.tools.nft.commands import parse
from emu.verify.asker import Asker

if TYPE_CHECKING:
    from emu.kernel.namespace import Namespace
    from emu.kernel.netfilter.nftables.live import LiveTable
    from emu.kube.api.objects.service import EndpointSlice, Service

    Pairs = list[tuple[Service, EndpointSlice]]

CONFIG: Final = ProxyConfig(
    "a", ("192.168.0.2",), "nftables", cluster_cidr="10.0.0.0/8", node_port_addresses=("primary",)
)
WEB: Final = service("ns/web", "172.30.0.1", node_port=30080, session_affinity="ClientIP")
TWO: Final = slice_of("ns/web", [endpoint("10.0.0.1"), endpoint("10.0.0.2")])


def table(net: Namespace) -> LiveTable:
    """Return kube-proxy's table of a node."""
    return net.netfilter.nft.tables["ip", "kube-proxy"]


def held(net: Namespace) -> tuple[object, object]:
    """Return the rules by chain and the elements by set, in whatever order they were made.

    Comments of elements are left out: kube-proxy keeps an element that has another.
    """
    found = table(net)
    chains = {name: [rule.value for rule in chain.rules] for name, chain in found.chains.items()}
    sets = {
        name: (each.value, {key: slot.element.data for key, slot in each.slots.items()})
        for name, each in found.sets.items()
    }
    return chains, sets


def replace(cluster: Proxies, before: Pairs, after: Pairs) -> None:
    """Have the objects of `after` instead of those of `before`."""
    names = {each.metadata.name for pair in after for each in pair}
    for pair in before:
        for each in pair:
            if each.metadata.name not in names:
                cluster.store.delete(type(each), each.metadata.name, each.metadata.namespace)
    cluster.put(*(each for pair in after for each in pair))


def check_parts(before: Pairs, after: Pairs, name: str) -> None:
    """Compare a node that saw a change with one that is new."""
    changed, fresh = Proxies(Fabric()), Proxies(Fabric())
    changed.put(*(each for pair in before for each in pair))
    config = attrs.evolve(CONFIG, node_name=name)
    ours = changed.start(config)
    replace(changed, before, after)
    changed.wait(70 * SECOND)
    fresh.put(*(each for pair in after for each in pair))
    theirs = fresh.start(config)
    assert held(ours) == held(theirs)
    changed.fleet.proxies[name].request_full_sync()
    changed.wait(2 * SECOND)
    assert held(ours) == held(theirs)


@given(before=clusters(), after=clusters(), name=st.sampled_from(NODES))
def test_what_is_written_in_parts_is_what_is_written_at_once(before: Pairs, after: Pairs, name: str) -> None:
    """Rules, maps and sets of a changed node are those of a new node, once unwanted chains are gone."""
    check_parts(before, after, name)


def test_a_difference_that_is_left_out_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Were elements not taken away, the comparison would fail."""
    keep = mode._elements

    def forgetful(*args: object) -> object:
        return (each for each in keep(*args) if not isinstance(each, ask.DeleteElements))  # type: ignore[arg-type]

    monkeypatch.setattr(mode, "_elements", forgetful)
    with pytest.raises(AssertionError):
        check_parts([(WEB, TWO)], [], "a")


def test_chains_are_deleted_a_while_after_they_were_emptied() -> None:
    """At once they have no rules; a sync at least a second later deletes them."""
    cluster = Proxies(Fabric())
    cluster.put(WEB, TWO)
    net = cluster.start(CONFIG)
    own = {name for name in table(net).chains if "ns/web" in name}
    assert len(own) == 4
    cluster.store.delete(type(WEB), "web", "ns")
    cluster.wait(2 * SECOND)
    assert {name: len(table(net).chains[name].rules) for name in own} == dict.fromkeys(own, 0)
    assert cluster.fleet.proxies["a"].needs_attention()
    cluster.wait(60 * SECOND)
    assert not own & table(net).chains.keys()
    assert not cluster.fleet.proxies["a"].needs_attention()


def test_clients_stay_with_their_endpoint_through_a_full_sync() -> None:
    """What sets remember of clients is kept where the endpoint is."""
    cluster = Proxies(Fabric())
    cluster.put(WEB, TWO)
    net = cluster.start(CONFIG)
    (first, _) = [name for name in table(net).sets if name.startswith("affinity-")]
    held_by = table(net).sets[first]
    held_by.add(kernel.Element(0x0A000009), net.now)
    cluster.fleet.proxies["a"].request_full_sync()
    cluster.wait(2 * SECOND)
    assert list(table(net).sets[first].slots) == [0x0A000009]


def test_a_table_that_somebody_deleted_is_written_anew_by_the_next_change() -> None:
    """Nobody looks before: the sync fails, and the one behind it is a full one."""
    cluster = Proxies(Fabric())
    cluster.put(WEB, TWO)
    net = cluster.start(CONFIG)
    nft.prepare(("delete", "table", "ip", "kube-proxy"))(net)
    cluster.wait(60 * SECOND)
    assert ("ip", "kube-proxy") not in net.netfilter.nft.tables
    cluster.put(slice_of("ns/web", [endpoint("10.0.0.1")]))
    cluster.wait(60 * SECOND)
    assert len([name for name in table(net).chains if name.startswith("endpoint-")]) == 1


@pytest.mark.parametrize(("first", "second"), [("iptables", "nftables"), ("nftables", "iptables")])
def test_a_proxy_takes_away_what_another_mode_left(first: str, second: str) -> None:
    """Switching modes leaves no rules of the other one that packets could meet."""
    cluster = Proxies(Fabric())
    cluster.put(WEB, TWO)
    net = cluster.start(attrs.evolve(CONFIG, mode=first))
    cluster.fleet.stop(cluster.fleet.proxies["a"])
    cluster.fleet.start(net, attrs.evolve(CONFIG, mode=second))
    cluster.wait(0)
    chains = [name for each in net.netfilter.tables.values() for name in each.table.by_name]
    left = {name for name in chains if name.startswith("KUBE-") and name != "KUBE-FIREWALL"}
    assert bool(left) == (second == "iptables")
    assert (("ip", "kube-proxy") in net.netfilter.nft.tables) == (second == "nftables")


def test_nodes_that_see_the_same_share_their_rules() -> None:
    """The same objects, worked out once."""
    cluster = Proxies(Fabric())
    cluster.put(WEB, TWO)
    for name in ("a", "b"):
        cluster.start(attrs.evolve(CONFIG, node_name=name))
    planes = [cluster.fleet.proxies[name].plane for name in ("a", "b")]
    assert all(isinstance(each, NftablesPlane) for each in planes)
    assert planes[0].ruleset is planes[1].ruleset  # type: ignore[attr-defined]  # asserted above


@given(cluster=clusters(), name=st.sampled_from(NODES))
def test_frequent_rules_are_read_as_nft_reads_them(cluster: Pairs, name: str) -> None:
    """The quick way gives the same values as the tool's own reader."""
    proxies = Proxies(Fabric())
    proxies.put(*(each for pair in cluster for each in pair))
    proxies.start(attrs.evolve(CONFIG, node_name=name))
    plane = proxies.fleet.proxies[name].plane
    assert isinstance(plane, NftablesPlane)
    for chain in plane.ruleset.chains:
        for line in chain.lines:
            (command,) = parse(f"add rule ip kube-proxy c {line}")
            assert isinstance(command.asked, ask.AddRule)
            assert values.read_rule(line) == command.asked.rule


@pytest.mark.parametrize(
    ("config", "first"),
    [
        (CONFIG, "ip daddr 172.30.0.1 ip saddr != 10.0.0.0/8 jump mark-for-masquerade"),
        (attrs.evolve(CONFIG, masquerade_all=True), "ip daddr 172.30.0.1 jump mark-for-masquerade"),
        (
            attrs.evolve(CONFIG, detect=Detect.BRIDGE_INTERFACE, bridge_interface="cni0"),
            "ip daddr 172.30.0.1 iif != cni0 jump mark-for-masquerade",
        ),
        (
            attrs.evolve(CONFIG, detect=Detect.INTERFACE_PREFIX, interface_prefix="veth"),
            "ip daddr 172.30.0.1 iif != veth* jump mark-for-masquerade",
        ),
    ],
)
def test_who_is_masqueraded_is_told_by_the_way_of_detection(config: ProxyConfig, first: str) -> None:
    """By the words of nftables that it has."""
    cluster = Proxies(Fabric())
    cluster.put(service("ns/web", "172.30.0.1"), TWO)
    cluster.start(config)
    lines = cluster.fleet.proxies["a"].plane.text().splitlines()
    assert any(line.endswith(f" {first}") and " service-" in line for line in lines)


CLUSTER: Final = """
apiVersion: emu/v1
kind: Cluster
spec:
  kubeProxy: {mode: nftables}
  nodes: [{name: one, role: control-plane}, {name: two}]
"""
PODS: Final = pod("client", "one") + "".join(
    pod(f"web-{node}", node, "tcp/80", app="web") for node in ("one", "two")
)
SERVICES: Final = """
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, sessionAffinity: ClientIP, ports: [{port: 80}]}
"""
SHOP: Final = CLUSTER + PODS + SERVICES


def test_questions_leave_everything_as_it_was() -> None:
    """Sets that remember clients, rules, connections; and the same question has the same answer."""
    shop = Cluster(load_topology(scan(SHOP.encode(), "cluster.yaml")))
    before = whole_state(shop.fabric)
    for _ in range(2):
        verdict = Asker(shop).judge("client", "svc/web:80")
        assert len(verdict.outcomes) == 2
        assert whole_state(shop.fabric) == before


def test_what_a_client_did_before_counts_and_what_was_asked_does_not() -> None:
    """Real packets are remembered by the sets, questions by nothing."""
    shop = Cluster(load_topology(scan(SHOP.encode(), "cluster.yaml")))
    Asker(shop).judge("client", "svc/web:80")
    shop.pod("client").run("nc -z web 80")
    assert len(Asker(shop).judge("client", "svc/web:80").outcomes) == 1
