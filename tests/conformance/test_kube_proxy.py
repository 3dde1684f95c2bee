# SPDX-License-Identifier: GPL-2.0-only
"""First packets and rule texts that kube-proxy's own tests expect, asked of a node with emu's kube-proxy.

Each flow of a scenario is a packet that is put into a node's namespace and
followed on every branch of chance. Modes that there are none of, and IPv6, are
expected to fail, by what the file says.
"""

from __future__ import annotations

import random
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import attrs
import pytest
import yaml

from emu.fabric.driver import Fabric
from emu.kernel.link.veth import Veth
from emu.kernel.netfilter.conntrack.table import ConnectionTable
from emu.kernel.netfilter.conntrack.tuples import Tuple
from emu.kernel.rtnetlink import add_address, set_up
from emu.kube.api.codec import read
from emu.kube.api.objects.node import Node
from emu.kube.api.objects.service import EndpointSlice, Service
from emu.kube.api.store import Store
from emu.kube.proxy import names, stale
from emu.kube.proxy.catalogue import Catalogue
from emu.kube.proxy.config import Detect, Features, ProxyConfig, UnmodelledModeError, options_of
from emu.kube.proxy.modes import MODES
from emu.kube.proxy.nft.names import endpoint_base, port_base
from emu.kube.proxy.nft.values import read_rule
from emu.kube.proxy.proxy import Fleet, proxied_without_local
from emu.sim.time import SECOND, START, later
from emu.verify.alone import alone
from emu.verify.firstpacket import Question, follow, summary
from emu.verify.nodewalk import Word
from emu.wire.addresses import Interface, IpAddress, MacAddress

if TYPE_CHECKING:
    from collections.abc import Callable

    from emu.kernel.namespace import Namespace
    from emu.kube.proxy.node import Proxy

HERE: Final = Path(__file__).parent
KINDS: Final = (Node, Service, EndpointSlice)
Document = dict[str, Any]
"""A scenario is data of many shapes; it goes no further than this file."""


class Case(NamedTuple):
    """One flow or expectation of a file: in which mode, after which step, what it is and its number."""

    path: Path
    mode: str
    step: int
    what: tuple[str, int]


_PROTOCOLS: Final = {"TCP": 6, "UDP": 17, "SCTP": 132}


# --- cases ---


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make a test of each expectation of each scenario, in each of its modes."""
    if "case" not in metafunc.fixturenames:
        return
    chosen = metafunc.config.getoption("--conformance-dir")
    folder = HERE if chosen is None else chosen
    cases = [case for path in sorted((folder / "kube-proxy").glob("*.yaml")) for case in _cases(path)]
    metafunc.parametrize("case", cases)


@cache
def load(path: Path) -> Document:
    """Return what a file says."""
    found: Document = yaml.safe_load(path.read_text(encoding="utf-8"))
    return found


def steps_of(document: Document) -> list[Document]:
    """Return the states of a scenario, one after the other."""
    steps: list[Document] = document.get("steps") or [document]
    return steps


def _cases(path: Path) -> list[object]:
    document = load(path)
    if "vectors" in document:
        return [
            _param(path, _mode_of(key), 0, (key, at))
            for key, listed in document["vectors"].items()
            for at in range(len(listed) if key in VECTORS else 0)
        ]
    found = []
    for mode in document["modes"]:
        for number, step in enumerate(steps_of(document)):
            flows = [
                ("flow", at)
                for at, flow in enumerate(step.get("flows", ()))
                if mode in flow.get("modes", document["modes"])
            ]
            expected = [
                (key, 0) for key in step if key.startswith("expect") and mode in _modes_of(key, document)
            ]
            found += [_param(path, mode, number, what) for what in (*flows, *expected)]
    return found


def _modes_of(expectation: str, document: Document) -> list[str]:
    """Return the modes for which an expectation of a scenario is meant."""
    if expectation.startswith("expectNft"):
        return ["nftables"]
    modes: list[str] = ["iptables"] if expectation == "expectChains" else document["modes"]
    return modes


def _mode_of(vector: str) -> str:
    return "nftables" if vector in {"nftablesChainBases", "serviceCIDRs"} else "iptables"


def _param(path: Path, mode: str, step: int, what: tuple[str, int]) -> object:
    family = load(path).get("ipFamily", "IPv4")
    marks = [pytest.mark.judge("conformance")]
    if mode not in MODES or family != "IPv4":
        reason = f"{family} is not modelled" if mode in MODES else f"mode {mode} is not modelled"
        marks.append(pytest.mark.xfail(raises=UnmodelledModeError, strict=True, reason=reason))
    label = "-".join(str(each) for each in (path.stem, mode, step, *what))
    return pytest.param(Case(path, mode, step, what), id=label, marks=marks)


# --- the node ---


class World:
    """A node with kube-proxy, and the objects of a scenario's steps one after the other.

    Attributes:
        proxy: the node's.
        asked_cleanup: the last change asks for removal of stale UDP entries.
    """

    def __init__(self, document: Document, mode: str) -> None:
        config = _config(document, mode)
        config.check()
        self.fabric = Fabric()
        self.net = self.fabric.add_namespace(f"node/{config.node_name}")
        set_up(self.net, self.net.loopback)
        eth0 = self.net.add_device("eth0", Veth(), MacAddress.parse("02:00:00:00:00:01"), mtu=1500)
        for address in document["nodeAddresses"]:
            if ":" not in address:
                add_address(self.net, eth0, Interface.parse(f"{address}/24"))
        set_up(self.net, eth0)
        self.net.take_effects()
        self.store = Store(self.fabric.loop, 0, random.Random(0))
        self.fleet = Fleet(self.store)
        self._config = config
        self.proxy: Proxy | None = None
        self.asked_cleanup = False

    def enter(self, objects: list[Document]) -> None:
        """Have exactly these objects, and let the proxy follow."""
        before = self.fleet.catalogue.udp_generation
        wanted = [read(each) for each in objects]
        for kind in KINDS:
            mine = [each for each in wanted if isinstance(each, kind)]
            kept = {(each.metadata.namespace, each.metadata.name) for each in mine}
            for old in self.store.list(kind):
                if (old.metadata.namespace, old.metadata.name) not in kept:
                    self.store.delete(kind, old.metadata.name, old.metadata.namespace)
            for each in mine:
                self.store.put(each)
        if self.proxy is None:
            self.proxy = self.fleet.start(self.net, self._config)
        loop = self.fabric.loop
        loop.run_until(later(loop.now, 5 * SECOND))
        self.fleet.catalogue.refresh()
        self.asked_cleanup = self.fleet.catalogue.udp_generation != before


def _config(document: Document, mode: str) -> ProxyConfig:
    """Return the configuration of a scenario's kube-proxy."""
    given = {**document, **document.get("modeSettings", {}).get(mode, {})}
    detect = {"clusterCIDR": Detect.CLUSTER_CIDR, "none": Detect.NONE}[given["localDetector"]]
    return ProxyConfig(
        given["nodeName"],
        (given["nodeIP"],),
        mode=mode,
        family=6 if given["ipFamily"] == "IPv6" else 4,
        detect=detect,
        cluster_cidr=given["clusterCIDR"],
        masquerade_all=given["masqueradeAll"],
        masquerade_bit=int(given["masqueradeMark"], 16).bit_length() - 1,
        node_port_addresses=tuple(given["nodePortAddresses"]),
        localhost_node_ports=given["localhostNodePorts"],
        service_cidrs=tuple(given["serviceCIDRs"]),
        tcp_be_liberal=given.get("conntrackTCPBeLiberal", False),
        features=Features(
            nfacct=given.get("nfacctCounters", True), random_fully=given.get("iptablesRandomFully", False)
        ),
    )


def world_at(document: Document, mode: str, step: int) -> tuple[World, Proxy]:
    """Return the node as it is after the step number `step` of a scenario."""
    world = World(document, mode)
    for each in steps_of(document)[: step + 1]:
        world.enter(each["objects"])
    assert world.proxy is not None
    return world, world.proxy


# --- flows ---


def check_flow(world: World, flow: Document) -> None:
    """Send the first packet of a flow, and compare what becomes of it on all branches."""
    question = question_of(flow)
    expected = flow["expect"]
    with alone(world.net) as start:
        found = follow(start, [question])
    judged = summary((branch.fates[0], branch.probability) for branch in found)
    endpoints = expected["endpoints"]
    assert set(judged.words) == {Word(expected["verdict"])}
    assert judged.endpoints == {each: Fraction(1, len(endpoints)) for each in endpoints}
    assert judged.masquerade is expected["masquerade"]
    assert list(judged.masquerade_only_for or ()) == sorted(expected.get("masqueradeOnlyFor", ()))
    if "explicitAccept" in expected:
        assert judged.is_accepted is expected["explicitAccept"]
    if "affinity" in expected:
        check_affinity(world, question, expected["affinity"]["timeoutSeconds"])


def question_of(flow: Document) -> Question:
    """Return what a flow of the cases asks of a node."""
    devices = {"pod-on-node": "pod", "external": "eth0"}
    return Question(
        IpAddress.parse(flow["sourceIP"]),
        IpAddress.parse(flow["destIP"]),
        flow["destPort"],
        flow["protocol"],
        devices.get(flow["sourceHost"], ""),
    )


def check_affinity(world: World, question: Question, seconds: int) -> None:
    """Connect again before the time is over, and after it: the same endpoint, then any."""
    again = attrs.evolve(question, source_port=question.source_port + 1)
    for waited, stays in ((seconds - 1, True), (seconds + 1, False)):

        def wait(net: Namespace, number: int, waited: int = waited) -> None:
            net.now = later(net.now, number * waited * SECOND)

        pairs: dict[tuple[str, str], Fraction] = {}
        with alone(world.net) as start:
            found = follow(start, [question, again], wait)
        for branch in found:
            pair = branch.fates[0].endpoint, branch.fates[1].endpoint
            pairs[pair] = pairs.get(pair, Fraction(0)) + branch.probability
        first = {each for each, _ in pairs}
        if stays:
            assert pairs == {(each, each): Fraction(1, len(first)) for each in first}
        else:
            assert pairs == {(one, two): Fraction(1, len(first) ** 2) for one in first for two in first}


# --- other expectations ---


def check_chains(_: World, proxy: Proxy, expected: list[Document]) -> None:
    """Compare the text of whole chains in what iptables-restore is given."""
    tables: dict[str, list[str]] = {}
    for line in proxy.plane.text().splitlines():
        if line.startswith("*"):
            tables[line[1:]] = lines = []
        else:
            lines.append(line)
    for chain in expected:
        start = f"-A {chain['chain']} "
        rules = [line.removeprefix(start) for line in tables[chain["table"]] if line.startswith(start)]
        assert rules == chain["rules"]


def check_endpoint_sets(world: World, proxy: Proxy, expected: Document) -> None:
    """Compare which endpoints may be used for traffic to all nodes, and to this one."""
    (entry,) = world.fleet.catalogue.entries
    usable = entry.usable(proxy.place)
    sets = {"cluster": usable.cluster, "local": usable.local}
    found = {name: None if each is None else [one.text for one in each] for name, each in sets.items()}
    assert {**found, "anyInCluster": usable.anywhere} == expected


def check_endpoints(world: World, proxy: Proxy, expected: Document) -> None:
    """Compare the endpoints of each service port, their order and which are local."""
    node = proxy.config.node_name
    assert {
        f"{key.namespace}/{key.service}:{key.port}/{key.protocol}": [
            {"endpoint": each.text, "local": each.node == node} for each in backends.seen_from(node)
        ]
        for key, backends in world.fleet.catalogue.backends().items()
    } == expected


def check_cleanup(world: World, _: Proxy, expected: bool) -> None:  # noqa: FBT001 - as the file says it
    """Compare whether the change asks for removal of stale entries."""
    assert world.asked_cleanup is expected


def check_local_ready(_: World, proxy: Proxy, expected: Document) -> None:
    """Compare how many ready endpoints of each Service are on the node."""
    assert {"/".join(key): count for key, count in proxy.local_endpoints().items()} == expected


def check_health_ports(_: World, proxy: Proxy, expected: Document) -> None:
    """Compare the health check node ports."""
    assert {"/".join(key): port for key, port in proxy.health_check_node_ports().items()} == expected


def check_service_ports(world: World, _: Proxy, expected: int) -> None:
    """Compare how many service ports there are."""
    assert len(world.fleet.catalogue.entries) == expected


def check_no_local(world: World, proxy: Proxy, expected: Document) -> None:
    """Compare how many service ports have endpoints elsewhere only."""
    internal, external = proxied_without_local(world.fleet, proxy.place)
    assert {"internal": internal, "external": external} == expected


def check_nft_chains(world: World, proxy: Proxy, expected: list[Document]) -> None:
    """Compare the rules of whole chains: as they are given to nft, and as they are in the kernel."""
    given = proxy.plane.text().splitlines()
    table = world.net.netfilter.nft.tables["ip", "kube-proxy"]
    for chain in expected:
        name, rules = chain["chain"], [" ".join(rule.split()) for rule in chain["rules"]]
        start = f"add rule ip kube-proxy {name} "
        assert [line.removeprefix(start) for line in given if line.startswith(start)] == rules
        assert [rule.value for rule in table.chains[name].rules] == [read_rule(rule) for rule in rules]


def check_nft_elements(world: World, proxy: Proxy, expected: list[Document]) -> None:
    """Compare the elements of whole sets and maps, likewise."""
    given = proxy.plane.text().splitlines()
    for each in expected:
        start = f"add element ip kube-proxy {each['name']} {{ "
        found = [line.removeprefix(start).removesuffix(" }") for line in given if line.startswith(start)]
        assert sorted(found) == sorted(each["elements"])
        held = world.net.netfilter.nft.tables["ip", "kube-proxy"].sets[each["name"]]
        assert len(held.slots) == len(found)


EXPECTATIONS: Final[dict[str, Callable[[World, Proxy, Any], None]]] = {
    "expectChains": check_chains,
    "expectNftChains": check_nft_chains,
    "expectNftElements": check_nft_elements,
    "expectEndpointSets": check_endpoint_sets,
    "expectEndpoints": check_endpoints,
    "expectConntrackCleanup": check_cleanup,
    "expectLocalReadyEndpoints": check_local_ready,
    "expectHealthCheckNodePorts": check_health_ports,
    "expectServicePorts": check_service_ports,
    "expectNoLocalEndpoints": check_no_local,
}


# --- vectors ---


def check_chain_name(_: Document, vector: Document) -> None:
    """Compare the name of a chain."""
    port, protocol, wanted = vector["servicePortName"], vector["protocol"], vector["chain"]
    if "endpoint" in vector:
        assert names.endpoint_chain(port, protocol, vector["endpoint"]) == wanted
    else:
        assert wanted[:9].rstrip("-") + "-" in names.PER_SERVICE or wanted.startswith("KUBE-FW-")
        assert names.port_hash(port, protocol) == wanted.rpartition("-")[2]


def check_probability(_: Document, vector: Document) -> None:
    """Compare how the share of an endpoint is written."""
    assert names.probability(vector["remaining"]) == vector["text"]


def check_connection(vectors: Document, entry: Document) -> None:
    """Enter a connection into a node's table, and look whether it is there after a clean-up."""
    catalogue = Catalogue()
    for each in map(read, vectors["objects"]):
        if isinstance(each, Service):
            catalogue.service_changed(None, each)
        elif isinstance(each, EndpointSlice):
            catalogue.slice_changed(None, each)
    table = ConnectionTable()
    client, server = IpAddress.parse("203.0.113.7"), IpAddress.parse(entry["origDst"] or "192.168.0.2")
    protocol = _PROTOCOLS[entry["protocol"]]
    original = Tuple(client, server, protocol, 40000, entry["origDstPort"])
    reply = Tuple(IpAddress.parse(entry["replySrc"]), client, protocol, 8000, 40000)
    connection = table.begin(original, reply)
    connection.timeout = 100 * SECOND
    assert table.confirm(connection, START) is None
    stale.clean(table, [(each.port, each.backends) for each in catalogue.entries], START)
    assert table.entries(START) == ([] if entry["removed"] else [connection])


def check_chain_base(_: Document, vector: Document) -> None:
    """Compare what the names of chains end with."""
    words = vector["namespace"], vector["service"], vector["protocol"], vector["port"]
    if "endpoint" in vector:
        ip, _, number = vector["endpoint"].rpartition(":")
        assert endpoint_base(words, ip.strip("[]"), number) == vector["base"]
    else:
        assert port_base(*words) == vector["base"]


def check_service_cidrs(_: Document, vector: Document) -> None:
    """Compare which networks of ClusterIPs the proxy of a family uses."""
    family = 6 if vector["family"] == "IPv6" else 4
    config = ProxyConfig("node", family=family, mode="nftables", service_cidrs=tuple(vector["given"]))
    assert list(options_of(config, None).service_cidrs) == vector["used"]


VECTORS: Final[dict[str, Callable[[Document, Document], None]]] = {
    "iptablesChains": check_chain_name,
    "probabilities": check_probability,
    "entries": check_connection,
    "nftablesChainBases": check_chain_base,
    "serviceCIDRs": check_service_cidrs,
}


# --- tests ---


def test_a_node_does_what_kube_proxy_is_expected_to_do(case: Case) -> None:
    """The packet of a flow, the text of a chain, what is counted: all as its file says."""
    document = load(case.path)
    what, at = case.what
    if what in VECTORS:
        vectors = document["vectors"]
        VECTORS[what](vectors, vectors[what][at])
        return
    world, proxy = world_at(document, case.mode, case.step)
    step = steps_of(document)[case.step]
    if what == "flow":
        check_flow(world, step["flows"][at])
    else:
        EXPECTATIONS[what](world, proxy, step[what])


def test_no_expectation_is_passed_over() -> None:
    """Every field of the files that states something is known here."""
    known = {*EXPECTATIONS}
    for path in sorted((HERE / "kube-proxy").glob("*.yaml")):
        document = load(path)
        found = {key for step in (document, *steps_of(document)) for key in step if key.startswith("expect")}
        assert found <= known, path
        if "vectors" in document:
            assert document["vectors"].keys() <= {*VECTORS, "objects"}, path
