# SPDX-License-Identifier: GPL-2.0-only
"""What `Fabric` documents say of cables, switches, routers and filters, and what is wrong with them."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import pytest

from emu.cluster.source import ClusterSource, read_source
from emu.cluster.topology.fabric.links import EndSpec
from emu.errors import DocumentError
from emu.fabric.faults import NO_FAULTS, Faults
from emu.sim.time import MICROSECOND, MILLISECOND
from emu.wire.addresses import Interface, IpAddress, Prefix

if TYPE_CHECKING:
    from pathlib import Path

    from emu.cluster.topology import FabricSpec

UP = "interfaces: [{name: up, addresses: [10.0.0.1/24]}]"


def spec(folder: Path, *texts: str) -> FabricSpec:
    """Return what documents with these specs are read as."""
    path = folder / "fabric.yaml"
    path.write_text("---\n".join(f"apiVersion: emu/v1\nkind: Fabric\nspec: {text}\n" for text in texts))
    found = read_source([str(path)])
    assert isinstance(found, ClusterSource)
    return found.topology.fabric


def test_a_link_with_all_its_settings(tmp_path: Path) -> None:
    """Units are those of tc; numbers of ports become names of devices."""
    text = """{links: [{endpoints: ["worker-1:eth0", "tor-1:1"], mtu: 1400, delay: 1.5ms, jitter: 200us,
      bandwidth: 10mbit, queue: 3000, loss: 5%, duplicate: 1/8, reorder: 0.5, corrupt: 1, dropNth: [2, 5],
      dropEvery: 9, down: true}]}"""
    (link,) = spec(tmp_path, text).links
    assert link.ends == (EndSpec("worker-1", "eth0"), EndSpec("tor-1", "port1"))
    assert (link.mtu, link.latency, link.jitter) == (1400, 1500 * MICROSECOND, 200 * MICROSECOND)
    assert (link.bandwidth, link.queue, link.is_down) == (10_000_000, 3000, True)
    wanted = Faults(Fraction(1, 20), Fraction(1, 8), Fraction(1, 2), Fraction(1), (2, 5), 9)
    assert link.faults == wanted
    cable = link.cable()
    assert cable is not None
    assert (cable.name, cable.latency, cable.faults) == (
        "worker-1:eth0 - tor-1:port1",
        1500 * MICROSECOND,
        wanted,
    )


def test_a_link_without_settings_is_no_cable(tmp_path: Path) -> None:
    """It takes no time and loses nothing, also where that is said."""
    bare, said = spec(
        tmp_path, '{links: [{endpoints: [a, "b:1"]}, {endpoints: ["a:eth1", b], delay: 0s, loss: 0%}]}'
    ).links
    assert (bare.cable(), said.cable(), said.faults) == (None, None, NO_FAULTS)


def test_a_router_with_all_its_keys(tmp_path: Path) -> None:
    """A list of ports, an empty one too, makes a subnet of the device."""
    text = """{routers: [{name: tor, learns: false, multipath: true,
      sysctls: {net.ipv4.conf.all.rp_filter: 1}, routes: [{to: 0.0.0.0/0, via: 10.0.0.1}],
      interfaces: [{name: rack, addresses: [10.1.0.1/24], ports: [1, x]},
      {name: 2, addresses: [10.0.0.2/31], mtu: 1400, masquerade: true}, {name: vlan, ports: []}]}]}"""
    (router,) = spec(tmp_path, text).routers
    assert (router.name, router.learns, router.multipath) == ("tor", False, True)
    assert router.sysctls == {"net.ipv4.conf.all.rp_filter": "1"}
    ((way),) = router.routes
    assert (way.to, way.via) == (Prefix.parse("0.0.0.0/0"), IpAddress.parse("10.0.0.1"))
    rack, uplink, vlan = router.interfaces
    assert (rack.ports, rack.addresses) == (("port1", "x"), (Interface.parse("10.1.0.1/24"),))
    assert (uplink.name, uplink.ports, uplink.mtu, uplink.masquerade) == ("port2", None, 1400, True)
    assert vlan.ports == ()


def test_several_documents_are_one(tmp_path: Path) -> None:
    """Their lists follow each other."""
    found = spec(
        tmp_path,
        '{switches: [{name: a}], filters: [{at: a, drop: "udp"}]}',
        '{switches: [{name: b}], filters: [{at: "b:1", accept: "tcp or arp"}]}',
        "{external: [{name: x, ip: 192.0.2.9}]}",
    )
    assert [each.name for each in found.switches] == ["a", "b"]
    assert [str(each) for each in found.filters] == ["drop udp", "accept tcp or arp"]
    assert [each.name for each in found.external] == ["x"]
    assert not found.is_plain


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{links: [{endpoints: [a]}]}", "must be two ends"),
        ("{links: [{endpoints: [a, a]}]}", "both ends are a"),
        ('{links: [{endpoints: ["a:", b]}]}', "must be NAME:PORT"),
        ("{links: [{endpoints: [lb/x, b]}]}", "must be NAME:PORT"),
        ("{links: [{}]}", "lacks endpoints"),
        ("{links: [{endpoints: [a, b], los: 5%}]}", "unknown key; did you mean 'loss'"),
        ("{links: [{endpoints: [a, b], loss: 105%}]}", "must be a probability"),
        ("{links: [{endpoints: [a, b], loss: 1/0}]}", "must be a probability"),
        ("{links: [{endpoints: [a, b], delay: 5}]}", "must be a time with its unit"),
        ("{links: [{endpoints: [a, b], delay: 5min}]}", "must be a time"),
        ("{links: [{endpoints: [a, b], delay: 7200s}]}", "an hour at the most"),
        ("{links: [{endpoints: [a, b], jitter: 1ms}]}", "needs a delay"),
        ("{links: [{endpoints: [a, b], delay: 1ms, jitter: 2ms}]}", "is longer than delay"),
        ("{links: [{endpoints: [a, b], reorder: 5%}]}", "needs a delay"),
        ("{links: [{endpoints: [a, b], bandwidth: 10}]}", "must be a bandwidth with its unit"),
        ("{links: [{endpoints: [a, b], bandwidth: 0bit}]}", "must be a bandwidth"),
        ("{links: [{endpoints: [a, b], dropNth: 0}]}", "must be a whole number from 1"),
        ("{routers: [{name: r}]}", "lacks interfaces"),
        ("{routers: [{name: r, interfaces: [{name: a}, {name: a}]}]}", "has a twice"),
        ("{routers: [{name: r, interfaces: [{name: far-too-long-a-name}]}]}", "must be a port"),
        ("{filters: [{at: s}]}", "lacks drop"),
        ('{filters: [{at: s, drop: "udp", accept: "tcp"}]}', "either drop or accept"),
        ('{filters: [{at: s, drop: "udp port many"}]}', "is no capture filter"),
        ("{switches: [{name: Tor}]}", "lowercase"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(tmp_path: Path, text: str, words: str) -> None:
    """File, line, path and what was meant."""
    with pytest.raises(DocumentError) as error:
        spec(tmp_path, text)
    assert words in str(error.value)
    assert f"{tmp_path}/fabric.yaml:3: $.spec." in str(error.value)


def test_a_cloud_has_no_switches_of_ones_own(tmp_path: Path) -> None:
    """It is told, with the line; nothing is passed over."""
    path = tmp_path / "cloud.yaml"
    path.write_text(
        "apiVersion: emu/v1\nkind: Fabric\nspec:\n  vpc: {cidr: 10.0.0.0/16, internetGateway: true}\n"
        "  links:\n  - {endpoints: [a, b], delay: 1ms}\n"
    )
    with pytest.raises(DocumentError, match=r"cloud\.yaml:6: .* a vpc has no links"):
        read_source([str(path)]).start()


def test_milliseconds_have_fractions(tmp_path: Path) -> None:
    """To the nanosecond."""
    (link,) = spec(tmp_path, "{links: [{endpoints: [a, b], delay: 0.25ms}]}").links
    assert link.latency == MILLISECOND // 4


@pytest.mark.parametrize(
    ("sysctls", "words"),
    [
        ("nope.nope: 1", "there is no such setting"),
        ("net.ipv4.ip_forwarding: 1", "there is no such setting; did you mean 'net.ipv4.ip_forward'?"),
        ("net.ipv4.ip_forward: x", "cannot be 'x'"),
        ("net.ipv4.conf.up.rp_filter: 2", "is of a device that comes later: set that of `default` or `all`"),
    ],
)
def test_settings_that_a_routers_kernel_refuses_are_told_with_their_line(
    tmp_path: Path, sysctls: str, words: str
) -> None:
    """Before anything is built."""
    with pytest.raises(DocumentError) as caught:
        spec(tmp_path, f"\n  routers:\n  - name: r\n    {UP}\n    sysctls:\n      {sysctls}")
    assert [(fault.line, fault.message) for fault in caught.value.faults] == [(8, words)]


def test_settings_that_a_router_takes(tmp_path: Path) -> None:
    """Of the machine, of all devices, of those to come."""
    text = "{net.ipv4.ip_forward: 0, net.ipv4.conf.all.rp_filter: 2, net.ipv4.conf.default.rp_filter: 1}"
    (router,) = spec(tmp_path, f"{{routers: [{{name: r, {UP}, sysctls: {text}}}]}}").routers
    assert len(router.sysctls) == 3
