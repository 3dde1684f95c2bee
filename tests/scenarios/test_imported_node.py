# SPDX-License-Identifier: GPL-2.0-only
"""Dumps of real nodes are imported, and the nodes are walked."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

from emu.cli import cli
from emu.cluster.network import lab

if TYPE_CHECKING:
    from emu.cluster.network.lab import Network

DUMPS = Path(__file__).parents[1] / "unit" / "cluster" / "network" / "importing" / "dumps"
TWO_NODES, WITHOUT_BRIDGE = DUMPS / "two-nodes", DUMPS / "without-bridge"
COUNTERS = re.compile(r"^\[\d+:\d+\] |\[\d+:\d+\]$")
TRANSIENT = {"DELAY": "STALE", "PROBE": "STALE", "INCOMPLETE": "FAILED"}
Record = dict[str, Any]


def run(*arguments: str | Path) -> Result:
    """Run the command line."""
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def two_nodes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The document of the two nodes."""
    document = tmp_path_factory.mktemp("two") / "network.yaml"
    assert run("import", TWO_NODES, "-o", document).exit_code == 0
    return document


@pytest.fixture(scope="module")
def without_bridge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The document of the node without a bridge."""
    document = tmp_path_factory.mktemp("ptp") / "network.yaml"
    assert run("import", WITHOUT_BRIDGE, "-o", document).exit_code == 0
    return document


def records(network: Network, node: str, *command: str) -> list[Record]:
    """Return what a command says in JSON."""
    found: list[Record] = json.loads(network.namespace(node).execute(command).stdout)
    return found


def recorded(folder: Path, file: str) -> list[Record]:
    """Return what was recorded of a node."""
    found: list[Record] = json.loads((folder / file).read_text())
    return found


def addresses(found: list[Record]) -> dict[str, Record]:
    """Return of each device what a document can say: its MAC address, MTU, state and addresses of IPv4."""
    keys = ("local", "address", "prefixlen", "scope", "secondary")
    return {
        device["ifname"]: {
            "mac": device["address"],
            "mtu": device["mtu"],
            "master": device.get("master"),
            "up": {"UP", "LOWER_UP", "NO-CARRIER"} & set(device["flags"]),
            "addresses": [
                {key: one.get(key) for key in keys} for one in device["addr_info"] if one["family"] == "inet"
            ],
        }
        for device in found
    }


def routes(found: list[Record]) -> list[str]:
    """Return the routes of IPv4 without who entered them."""
    kept = [
        {key: value for key, value in route.items() if key not in {"protocol", "nhid"}}
        for route in found
        if "pref" not in route
    ]
    return sorted(json.dumps(route, sort_keys=True) for route in kept)


def neighbours(found: list[Record]) -> list[str]:
    """Return the neighbours, those that are just being asked as they were before."""
    kept = [{**entry, "state": TRANSIENT.get(entry["state"][0], entry["state"][0])} for entry in found]
    return sorted(json.dumps(entry, sort_keys=True) for entry in kept)


def rules(text: str) -> list[str]:
    """Return the rules in what iptables-save printed, without counters and times."""
    return sorted(COUNTERS.sub("", line) for line in text.splitlines() if not line.startswith("#"))


class TestTwoNodes:
    """What an emulated node says is what the real one said."""

    @pytest.mark.parametrize("node", ["node1", "node2"])
    def test_devices_and_addresses_are_as_recorded(self, two_nodes: Path, node: str) -> None:
        """`ip -j addr` agrees in each MAC address, MTU, state and address."""
        network = lab.load(two_nodes)
        wanted = addresses(recorded(TWO_NODES / node, "ip-addr.json"))
        assert addresses(records(network, node, "ip", "-j", "addr")) == wanted

    @pytest.mark.parametrize("node", ["node1", "node2"])
    def test_routes_rules_and_neighbours_are_as_recorded(self, two_nodes: Path, node: str) -> None:
        """All tables agree, multipath routes, routes without carrier and policy rules too."""
        network = lab.load(two_nodes)
        folder = TWO_NODES / node
        shown = records(network, node, "ip", "-j", "route", "show", "table", "all")
        assert routes(shown) == routes(recorded(folder, "ip-route.json"))
        assert records(network, node, "ip", "-j", "rule") == recorded(folder, "ip-rule.json")
        wanted = neighbours(recorded(folder, "ip-neigh.json"))
        assert neighbours(records(network, node, "ip", "-j", "neigh")) == wanted

    @pytest.mark.parametrize("node", ["node1", "node2"])
    def test_fdb_is_as_recorded(self, two_nodes: Path, node: str) -> None:
        """What the bridge has learned and where VXLAN sends agree."""
        shown = records(lab.load(two_nodes), node, "bridge", "-j", "fdb")
        wanted = recorded(TWO_NODES / node, "bridge-fdb.json")
        kept = [entry for entry in wanted if "master" in entry or "dst" in entry]
        assert all(entry in shown for entry in kept)

    @pytest.mark.parametrize("node", ["node1", "node2"])
    def test_rules_of_iptables_are_as_recorded(self, two_nodes: Path, node: str) -> None:
        """`iptables-save` agrees but for counters."""
        saved = lab.load(two_nodes).namespace(node).execute(["iptables-save"]).stdout
        assert rules(saved) == rules((TWO_NODES / node / "iptables-save.txt").read_text())

    def test_a_pod_reaches_the_service_through_its_node(self, two_nodes: Path) -> None:
        """The ClusterIP leads to both endpoints: the pod beside it, and one behind the other node."""
        result = run("trace", "-f", two_nodes, "-o", "json", "node1-veth0a31", "10.96.0.10:80")
        assert result.exit_code == 0, result.output
        told = json.loads(result.stdout)
        assert told["verdict"] == "ALWAYS"
        assert [outcome["probability"] for outcome in told["outcomes"]] == ["1/2", "1/2"]
        assert all(outcome["dnat"] for outcome in told["outcomes"])

    def test_a_service_without_endpoints_refuses(self, two_nodes: Path) -> None:
        """The recorded REJECT is walked."""
        result = run("trace", "-f", two_nodes, "-o", "json", "node1-veth0a31", "10.96.0.99:80")
        (outcome,) = json.loads(result.stdout)["outcomes"]
        assert outcome["result"] == "refused"
        assert outcome["where"].startswith("node1")

    def test_the_outside_answers_pods_by_masquerading(self, two_nodes: Path) -> None:
        """The gateway stands in for all that is behind it, and sees the node's address."""
        result = run("trace", "-f", two_nodes, "-o", "json", "node1-veth0a31", "198.51.100.7")
        (outcome,) = json.loads(result.stdout)["outcomes"]
        assert (outcome["result"], outcome["masquerade"]) == ("delivered", True)

    def test_the_document_is_a_network_that_runs(self, two_nodes: Path) -> None:
        """`emu run` has nothing unexpected to tell."""
        result = run("run", two_nodes)
        assert (result.exit_code, "not as expected" in result.output) == (0, False)

    def test_one_node_alone_has_the_other_stand_in(self, tmp_path: Path) -> None:
        """What node1 knows of node2 makes a host that answers over the overlay."""
        (tmp_path / "dumps").mkdir()
        (tmp_path / "dumps" / "node1").symlink_to(TWO_NODES / "node1")
        document = tmp_path / "network.yaml"
        assert run("import", tmp_path / "dumps", "-o", document).exit_code == 0
        result = run("trace", "-f", document, "-o", "json", "node1-veth0a31", "10.96.0.10:80")
        assert json.loads(result.stdout)["verdict"] == "ALWAYS"


class TestWithoutBridge:
    """A node with much that a document cannot have."""

    def test_tables_are_as_recorded(self, without_bridge: Path) -> None:
        """What is not left out by name agrees."""
        network = lab.load(without_bridge)
        folder = WITHOUT_BRIDGE / "node.example"
        lost = {"tun0", "mv0"}
        wanted = addresses([d for d in recorded(folder, "ip-addr.json") if d["ifname"] not in lost])
        assert addresses(records(network, "node-example", "ip", "-j", "addr")) == wanted
        shown = records(network, "node-example", "ip", "-j", "route", "show", "table", "all")
        kept = [route for route in recorded(folder, "ip-route.json") if route.get("dev") not in lost]
        for route in kept:
            route.pop("nhid", None)
            for metrics in route.get("metrics", []):
                metrics.pop("advmss", None)
        assert routes(shown) == routes(kept)
        rules_wanted = [rule for rule in recorded(folder, "ip-rule.json") if "uid_start" not in rule]
        assert records(network, "node-example", "ip", "-j", "rule") == rules_wanted

    def test_what_is_left_out_is_told_by_name(self, tmp_path: Path) -> None:
        """On standard error and at the head of the document."""
        document = tmp_path / "network.yaml"
        result = run("import", WITHOUT_BRIDGE, "-o", document)
        head = document.read_text().partition("\ntitle:")[0]
        for words in (
            "node-example/tun0: its kind, tun, is not modelled",
            "node-example/mv0: its kind, macvlan, is not modelled",
            "route 10.80.0.0/16: tun0 is left out",
            "advmss of route 10.61.0.0/16",
            "nhid of route 10.60.0.0/16",
            "routing rule 40",
            "-m time (filter FORWARD)",
            "-m u32 (filter FORWARD)",
            "table ip6 own6 of nft",
            "ipset PODS6 of IPv6",
            "addresses of IPv6",
            "routes of IPv6",
            "connections of conntrack.txt",
            "node-example-veth1: what is behind node-example/veth1 (10.244.5.2/32)",
        ):
            assert words in result.stderr
            assert words in head

    def test_an_unknown_match_makes_the_verdict_unknown(self, without_bridge: Path) -> None:
        """It is loaded, and never passed over."""
        result = run("trace", "-f", without_bridge, "-o", "json", "node-example-veth1", "10.96.0.10:53/udp")
        assert json.loads(result.stdout)["verdict"] == "UNKNOWN"

    def test_the_node_reaches_its_pods_and_its_gateway(self, without_bridge: Path) -> None:
        """Who was invented answers ARP."""
        for target in ("10.244.5.2", "10.244.5.3", "192.168.5.1", "203.0.113.5"):
            result = run("trace", "-f", without_bridge, "node-example", target)
            assert result.exit_code == 0, result.output


class TestFaults:
    """Wrong dumps: exit status 2, all told, nothing written."""

    def test_faults_of_all_files_are_told_at_once(self, tmp_path: Path) -> None:
        """Each with its file and path."""
        node = tmp_path / "dumps" / "node1"
        node.mkdir(parents=True)
        (node / "ip-addr.json").write_text('[{"ifname":"eth0","mtu":"big"}]')
        (node / "ip-route.json").write_text("[{")
        (node / "iptables-save.txt").write_text("*filter\n-A NOWHERE -j DROP\nCOMMIT\n")
        target = tmp_path / "out" / "network.yaml"
        target.parent.mkdir()
        result = run("import", tmp_path / "dumps", "-o", target)
        assert result.exit_code == 2
        assert "ip-addr.json:1: $[0].mtu: " in result.stderr
        assert re.search(r"ip-route\.json:\d: \$: is no YAML", result.stderr)
        assert "iptables-save.txt:2: $: " in result.stderr
        assert list(target.parent.iterdir()) == []

    def test_nothing_is_written_where_nothing_can_be(self, tmp_path: Path) -> None:
        """A folder that is missing, or in the way, is an error of one line."""
        assert run("import", TWO_NODES, "-o", tmp_path / "no" / "network.yaml").exit_code == 2
        assert run("import", TWO_NODES, "-o", tmp_path).exit_code == 2
        assert list(tmp_path.iterdir()) == []
