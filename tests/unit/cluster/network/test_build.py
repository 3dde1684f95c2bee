# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emu.cluster.network.build import BASE_SYSCTLS, build
from emu.cluster.network.modelled import CHECKS
from emu.cluster.network.reader import load_network, read_network
from emu.cluster.network.run import NetworkRun
from emu.document import MappingNode, SequenceNode, Value, load, parse
from emu.errors import DocumentError, EmuError
from emu.fabric import driver
from emu.sim.time import START
from emu.testing.lab import two_hosts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from emu.cluster.network.lab import Network
    from emu.fabric.driver import Fabric

TOPOLOGIES = sorted(
    path
    for path in (Path(__file__).parents[4] / "topologies").glob("*.yaml")
    if "\nnamespaces:" in path.read_text()
)

LAB = """
namespaces:
  node: {sysctls: {net.ipv4.ip_forward: 1}, if_sysctls: {net.ipv4.conf.eth0.proxy_arp: 1}}
  pod:
  peer:
links:
- a: {ns: pod, if: eth0, mac: 02:00:00:00:00:02, addr: [10.1.0.2/24, 10.1.0.3/24], mtu: 1450}
  b: {ns: node, if: veth1, mac: 02:00:00:00:01:02, mtu: 1450}
- a: {ns: node, if: eth0, mac: 02:00:00:00:00:01, addr: [192.168.0.1/24]}
  b: {ns: peer, if: eth0, mac: 02:00:00:00:00:03, addr: [192.168.0.2/24]}
- a: {ns: node, if: off0, mac: 02:00:00:00:00:04, addr: [10.3.0.1/24], up: false}
  b: {ns: peer, if: off0, mac: 02:00:00:00:00:05, up: false}
bridges:
- ns: node
  if: cni0
  mac: 02:00:00:00:01:00
  addr: [10.1.0.1/24]
  ports: [{if: veth1, hairpin: true, learning: false}]
vxlans:
- ns: node
  if: flannel.1
  mac: 02:00:00:00:00:10
  vni: 1
  local: 192.168.0.1
  dev: eth0
  dstport: 8472
  addr: [10.1.0.0/32]
  fdb: [{mac: 02:00:00:00:00:20, dst: 192.168.0.2}]
neigh:
- {ns: node, dev: flannel.1, ip: 10.2.0.0, mac: 02:00:00:00:00:20}
routes:
- {ns: pod, dst: default, via: 10.1.0.1, dev: eth0}
- {ns: node, dst: 10.2.0.0/24, via: 10.2.0.0, dev: flannel.1, onlink: true}
- {ns: node, dst: 10.9.0.0/16, type: blackhole}
- {ns: node, dst: 10.8.0.0/16, via: 192.168.0.2, dev: eth0, table: 100, metric: 7, src: 192.168.0.1}
captures: []
"""


@pytest.fixture
def built(tmp_path: Path) -> Callable[[str], Fabric]:
    """Builds a document."""

    def make(text: str) -> Fabric:
        path = tmp_path / "lab.yaml"
        path.write_text(text)
        return build(load_network(path))

    return make


def ip(fabric: Fabric, ns: str, command: str) -> list[str]:
    """Return what a command prints in a namespace, a line each."""
    from emu.apps import commands  # noqa: PLC0415 - only for looking

    text = fabric.call(fabric.namespace(ns), lambda net: commands.execute(net, command.split()))
    return [line.rstrip() for line in text.splitlines()]


class TestNetwork:
    """What a document describes is there."""

    def test_time_begins_at_zero(self, built: Callable[[str], Fabric]) -> None:
        """What the set-up started is long over."""
        assert built(LAB).loop.now == START

    def test_namespaces_have_their_settings(self, built: Callable[[str], Fabric]) -> None:
        """The format's own, then those of the document."""
        fabric = built(LAB)
        node, pod = fabric.namespace("node").sysctl, fabric.namespace("pod").sysctl
        assert node.number("net.ipv4.ip_forward") == 1
        assert node.number("net.ipv4.conf.eth0.proxy_arp") == 1
        assert {name: pod.get(name) for name in BASE_SYSCTLS} == dict(BASE_SYSCTLS)
        assert pod.number("net.ipv4.neigh.eth0.delay_first_probe_time") == 60

    def test_devices_have_names_addresses_and_mtu(self, built: Callable[[str], Fabric]) -> None:
        """In the order of the document; a tunnel leaves room for its headers."""
        node = built(LAB).namespace("node")
        assert {name: device.mtu for name, device in node.devices.items() if name != "lo"} == {
            "veth1": 1450,
            "eth0": 1500,
            "off0": 1500,
            "cni0": 1450,
            "flannel.1": 1450,
        }
        assert [name for name, device in node.devices.items() if not device.up] == ["off0"]

    def test_the_first_of_two_addresses_is_the_primary(self, built: Callable[[str], Fabric]) -> None:
        """Packets leave with it."""
        assert ip(built(LAB), "pod", "ip route get 10.1.0.9")[0].startswith("10.1.0.9 dev eth0 src 10.1.0.2")

    def test_routes_are_as_ip_would_show_them(self, built: Callable[[str], Fabric]) -> None:
        """Those of addresses too, but not of a device that is down."""
        fabric = built(LAB)
        assert ip(fabric, "node", "ip route") == [
            "10.1.0.0/24 dev cni0 proto kernel scope link src 10.1.0.1",
            "10.2.0.0/24 via 10.2.0.0 dev flannel.1 onlink",
            "blackhole 10.9.0.0/16",
            "192.168.0.0/24 dev eth0 proto kernel scope link src 192.168.0.1",
        ]
        assert ip(fabric, "node", "ip route show table 100") == [
            "10.8.0.0/16 via 192.168.0.2 dev eth0 src 192.168.0.1 metric 7"
        ]

    def test_neighbours_and_fdb_are_static(self, built: Callable[[str], Fabric]) -> None:
        """Nothing has been learned yet."""
        fabric = built(LAB)
        assert ip(fabric, "node", "ip neigh") == ["10.2.0.0 dev flannel.1 lladdr 02:00:00:00:00:20 PERMANENT"]
        assert "02:00:00:00:00:20 dst 192.168.0.2 self permanent" in ip(
            fabric, "node", "bridge fdb show dev flannel.1"
        )
        assert ip(fabric, "pod", "ip neigh") == []

    def test_ports_have_their_switches(self, built: Callable[[str], Fabric]) -> None:
        """Those that were given, and the kernel's own defaults."""
        port = built(LAB).namespace("node").device("veth1").port
        assert port is not None
        assert (port.hairpin, port.learning, port.flood, port.isolated) == (True, False, True, False)


class TestRefusals:
    """What the kernel refuses of it is a fault with its line."""

    def test_all_are_told(self, built: Callable[[str], Fabric]) -> None:
        """Whatever they are about, in the kernel's words."""
        text = LAB.replace(
            "captures: []\n",
            "- {ns: pod, dst: 10.50.0.0/16, via: 172.16.0.1}\n"
            "- {ns: pod, dst: 10.51.0.0/16, via: 10.1.0.1, src: 10.99.0.1}\n"
            "- {ns: node, dst: 10.52.0.0/16, via: 10.3.0.9, dev: off0}\n"
            "captures: []\n",
        ).replace("net.ipv4.ip_forward: 1", "net.ipv4.ip_forward: maybe")
        with pytest.raises(DocumentError) as refused:
            built(text)
        last = text.splitlines().index("captures: []")
        assert [(fault.line, fault.path, fault.message) for fault in refused.value.faults] == [
            (3, "$.namespaces.node.sysctls", 'setting key "net.ipv4.ip_forward": Invalid argument'),
            (last - 2, "$.routes[4]", "Nexthop has invalid gateway"),
            (last - 1, "$.routes[5]", "Invalid prefsrc address"),
            (last, "$.routes[6]", "Nexthop has invalid gateway"),
        ]

    def test_rules_are_refused_though_nobody_checked_them(
        self, built: Callable[[str], Fabric], tmp_path: Path
    ) -> None:
        """A network without its firewall would be another network; the fault is told where it is."""
        file = tmp_path / "x.rules"
        file.write_text("*filter\n-A INPUT -j droop\n-A INPUT -p xyz\nCOMMIT\n")
        with pytest.raises(DocumentError) as refused:
            built(f"{LAB}iptables: {{node: x.rules}}\n")
        assert [(fault.file, fault.line, fault.path) for fault in refused.value.faults] == [
            (str(file), 2, "$.iptables.node"),
            (str(file), 3, "$.iptables.node"),
        ]


def places(value: Value) -> Iterator[tuple[MappingNode | SequenceNode, str | int]]:
    """Yield every place in `value` where another value could stand."""
    if isinstance(value, MappingNode):
        for key in list(value):
            yield value, key
            yield from places(value[key])
    elif isinstance(value, SequenceNode):
        for index in range(len(value)):
            yield value, index
            yield from places(value[index])


def values_by_key() -> dict[str | int, list[str]]:
    """Return, as JSON, what stands in the topologies under each key: it may well be right elsewhere."""
    found: dict[str | int, list[str]] = {}
    for path in TOPOLOGIES:
        (document,) = load(path)
        for container, key in places(document.value):
            kind = key if isinstance(key, str) else 0
            found.setdefault(kind, []).append(json.dumps(container[key]))  # type: ignore[index]
    return found


POOL = values_by_key()


@given(
    topology=st.sampled_from(TOPOLOGIES),
    changes=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 10_000)), min_size=1, max_size=3),
)
def test_whatever_can_be_read_can_be_run_or_is_refused(
    topology: Path, changes: list[tuple[int, int]]
) -> None:
    """Values that trade places: a network of them runs, or its faults are told; nothing else is raised."""
    (document,) = load(topology)
    for place, choice in changes:
        every = list(places(document.value))
        container, key = every[place % len(every)]
        pool = POOL[key if isinstance(key, str) else 0]
        (other,) = parse(f"[{pool[choice % len(pool)]}]", "f")
        assert isinstance(other.value, SequenceNode)
        container[key] = other.value[0]  # type: ignore[index]  # the key is of the container's kind
    with suppress(EmuError), pytest.MonkeyPatch.context() as patch:
        patch.setattr(driver, "MOST_CABLES", 500)
        NetworkRun(read_network(document, topology.parent, CHECKS)).run()


def test_a_network_made_in_python_is_built_alike() -> None:
    """Documents need not come from a file."""
    lab: Network = two_hosts()
    assert lab.namespace("a").run("ping -c 1 10.0.0.2")
