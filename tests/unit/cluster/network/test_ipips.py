# SPDX-License-Identifier: GPL-2.0-only
"""IPIP devices in network documents: read, refused, run, exported, imported."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import attrs
import pytest

from emu.apps import commands
from emu.cluster.network.build import build
from emu.cluster.network.exporting.exporter import export, write_export
from emu.cluster.network.importing.importer import import_nodes
from emu.cluster.network.lab import Network
from emu.cluster.network.reader import load_network
from emu.cluster.network.run import NetworkRun
from emu.errors import DocumentError
from emu.kernel.link.ipip import Ipip
from emu.testing.lab import Lab
from emu.wire.addresses import IpAddress

if TYPE_CHECKING:
    from pathlib import Path

    from emu.cluster.network.model import NetworkDocument

TEXT: Final = """
namespaces:
  node1: {sysctls: {net.ipv4.ip_forward: 1}}
  node2: {sysctls: {net.ipv4.ip_forward: 1}}
  pod1: {}
  pod2: {}
links:
- {a: {ns: node1, if: eth0, mac: "02:00:00:00:00:01", addr: [192.168.0.1/24]},
   b: {ns: node2, if: eth0, mac: "02:00:00:00:00:02", addr: [192.168.0.2/24]}}
- {a: {ns: pod1, if: eth0, mac: "02:00:00:00:01:01", addr: [10.244.1.2/24]},
   b: {ns: node1, if: veth1, mac: "02:00:00:00:01:02", addr: [10.244.1.1/24]}}
- {a: {ns: pod2, if: eth0, mac: "02:00:00:00:02:01", addr: [10.244.2.2/24]},
   b: {ns: node2, if: veth1, mac: "02:00:00:00:02:02", addr: [10.244.2.1/24]}}
ipips:
- {ns: node1, if: tunl0, addr: [10.244.1.0/32]}
- {ns: node2, if: tunl0, addr: [10.244.2.0/32]}
routes:
- {ns: pod1, dst: default, via: 10.244.1.1}
- {ns: pod2, dst: default, via: 10.244.2.1}
- {ns: node1, dst: 10.244.2.0/24, via: 192.168.0.2, dev: tunl0, onlink: true}
- {ns: node2, dst: 10.244.1.0/24, via: 192.168.0.1, dev: tunl0, onlink: true}
captures: [node1/eth0, node1/tunl0]
"""


@pytest.fixture
def document(tmp_path: Path) -> NetworkDocument:
    """Return two nodes with a pod each, and a tunnel between them."""
    file = tmp_path / "scenario.yaml"
    file.write_text(TEXT)
    return load_network(file)


def test_pods_reach_each_other_through_the_tunnel(document: NetworkDocument) -> None:
    """An echo goes to the other node in protocol 4, and the answer comes so."""
    lab = Lab(document)
    assert lab.ping("pod1", "pod2")[0].outcome == "reply"
    seen = [step for step in lab.steps if step.net == "node1" and step.device == "eth0" and step.framed]
    assert {step.octets[14 + 9] for step in seen if step.octets[12:14] == b"\x08\x00"} == {4}
    assert lab.drops == []


def test_all_keys_reach_the_device(tmp_path: Path) -> None:
    """Ends, device below, TTL, TOS and DF are as the document has them."""
    more = "{ns: node1, if: ipip1, local: 192.168.0.1, remote: 192.168.0.9, dev: eth0, ttl: 7, tos: 33, "
    more += "pmtudisc: true, mtu: 1400, up: false}"
    file = tmp_path / "scenario.yaml"
    file.write_text(TEXT.replace("ipips:\n", f"ipips:\n- {more}\n"))
    device = build(load_network(file)).namespace("node1").device("ipip1")
    assert isinstance(device.link, Ipip)
    ends = IpAddress.parse("192.168.0.1"), IpAddress.parse("192.168.0.9"), "eth0"
    assert (device.link.local, device.link.remote, device.link.device) == ends
    assert (device.link.ttl, device.link.tos, device.link.tos_inherit, device.link.pmtudisc) == (
        7,
        32,
        True,
        True,
    )
    assert (device.mtu, device.up) == (1400, False)


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("{ns: node1, if: ipip1}", "tunl0 has the same ends"),
        ("{ns: node1, if: ipip1, remote: 10.0.0.1, dev: eth7}", "node1 has no interface 'eth7'"),
        ("{ns: node1, if: eth0, remote: 10.0.0.1}", "node1 has an interface eth0 already"),
        ("{ns: node1, if: ipip1, remot: 10.0.0.1}", "did you mean 'remote'"),
    ],
)
def test_what_linux_refuses_is_a_fault(tmp_path: Path, line: str, fault: str) -> None:
    """Two tunnels with the same ends, devices that are not there and unknown keys are told."""
    file = tmp_path / "scenario.yaml"
    file.write_text(TEXT.replace("routes:\n", f"- {line}\nroutes:\n"))
    with pytest.raises(DocumentError, match=fault):
        load_network(file)


def test_an_exported_tunnel_is_the_same(document: NetworkDocument, tmp_path: Path) -> None:
    """What is exported reads as what was there, and nothing is left out."""
    exported = export(Network(NetworkRun(document)))
    folder = tmp_path / "out"
    write_export(exported, "it", folder)
    again = load_network(folder / "scenario.yaml")
    assert [attrs.evolve(each, line=0) for each in again.ipips] == [
        attrs.evolve(each, line=0) for each in document.ipips
    ]
    assert not [line for line in exported.remarks.left_out if "tunl0" in line]


def test_a_dumped_tunnel_is_imported(document: NetworkDocument, tmp_path: Path) -> None:
    """`ip -d -j link` of a node's tunnel becomes the tunnel again, and its routes lead there."""
    fabric = build(document)
    for name in ("node1", "node2"):
        net = fabric.namespace(name)
        folder = tmp_path / "dumps" / name
        folder.mkdir(parents=True)
        for file, words in (
            ("ip-addr.json", "ip -j addr"),
            ("ip-link.json", "ip -d -j link"),
            ("ip-route.json", "ip -j route show table all"),
        ):
            text = fabric.call(net, lambda it, words=words: commands.execute(it, words.split()))  # type: ignore[misc]
            json.loads(text)
            (folder / file).write_text(text)
    imported = import_nodes(tmp_path / "dumps").document
    assert [(each.ns, each.iface, each.mtu, each.remote) for each in imported.ipips] == [
        ("node1", "tunl0", 1480, None),
        ("node2", "tunl0", 1480, None),
    ]
    assert ("node1", "10.244.2.0/24", "tunl0", True) in [
        (each.ns, str(each.dst), each.dev, each.onlink) for each in imported.routes
    ]
