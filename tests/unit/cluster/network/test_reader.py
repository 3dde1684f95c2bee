# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from emu.cluster.network.actions import (
    CapturePoint,
    Exec,
    Inject,
    IptablesChange,
    Ping,
    Quiet,
    Sleep,
    Snapshot,
    Step,
    Tally,
    TcpRequest,
    TcpServer,
    Traceroute,
    UdpReply,
    UdpRequest,
    UdpServer,
)
from emu.cluster.network.checks import Checks
from emu.cluster.network.model import (
    BridgeSpec,
    Compare,
    EndSpec,
    FdbSpec,
    LinkSpec,
    NamespaceSpec,
    NeighbourSpec,
    NetworkDocument,
    Normalize,
    PortSpec,
    RouteSpec,
    RulesFile,
    Sysctl,
    VxlanSpec,
)
from emu.cluster.network.reader import is_network_document, load_network, read_network
from emu.document import parse
from emu.sim.time import MILLISECOND, SECOND
from emu.wire.addresses import ANY_IP4, Interface, IpAddress, MacAddress, Prefix

if TYPE_CHECKING:
    from emu.cluster.network.actions import Action

SCENARIOS = sorted((Path(__file__).parents[3] / "golden").glob("*/*/scenario.yaml"))
IP, MAC, PREFIX, INTERFACE = IpAddress.parse, MacAddress.parse, Prefix.parse, Interface.parse

FRAME = (
    "Ether(src='02:00:00:00:00:01', dst='02:00:00:00:00:02', type=0x88b5)/Raw(b'x')",
    bytes.fromhex("020000000002 020000000001 88b5 78"),
)


def network(text: str, folder: Path = Path()) -> NetworkDocument:
    """Return the one network document in `text`."""
    (document,) = parse(text, "scenario.yaml")
    return read_network(document, folder)


def pair(*keys: str) -> str:
    """Return a document with a veth pair `a/eth0` - `b/eth0`, and more `keys`."""
    ends = "a: {ns: a, if: eth0, mac: 02:00:00:00:00:01}, b: {ns: b, if: eth0, mac: 02:00:00:00:00:02}"
    captures = "" if any(key.startswith("captures:") for key in keys) else "captures: [a/eth0]\n"
    return f"namespaces: {{a: {{}}, b: {{}}}}\nlinks: [{{{ends}}}]\n{captures}" + "\n".join(keys) + "\n"


def action(text: str) -> Step:
    """Return the one action of a document that has two namespaces and a veth pair."""
    (step,) = network(pair(f"actions: [{text}]")).actions
    return step


def route(keys: str) -> RouteSpec:
    """Return the one route of namespace a of such a document."""
    (found,) = network(pair(f"routes: [{{ns: a, {keys}}}]")).routes
    return found


class TestScenarios:
    """The recorded scenarios are what the format is for."""

    @pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.parent.name)
    def test_recorded_scenario_has_no_fault(self, path: Path) -> None:
        """Each is read, whole, from its own folder."""
        found = load_network(path)
        assert found.name == path.parent.name
        assert found.file == str(path)

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("namespaces: {}", True),
            ("{namespaces: null, captures: []}", True),
            ("{namespaces: {}, kind: Cluster}", False),
            ("kind: Pod", False),
            ("[namespaces]", False),
            ("namespaces", False),
        ],
    )
    def test_network_document_has_namespaces_and_no_kind(self, text: str, *, expected: bool) -> None:
        """So it is told from what Kubernetes reads."""
        (document,) = parse(text, "f")
        assert is_network_document(document.value) is expected


class TestSetUp:
    """Namespaces, devices and tables."""

    def test_what_is_left_out_has_the_formats_default(self) -> None:
        """Down to the values of the nested objects."""
        assert network(pair()) == NetworkDocument(
            file="scenario.yaml",
            namespaces=(NamespaceSpec("a"), NamespaceSpec("b")),
            links=(
                LinkSpec(
                    EndSpec("a", "eth0", MAC("02:00:00:00:00:01"), (), 1500, up=True),
                    EndSpec("b", "eth0", MAC("02:00:00:00:00:02"), (), 1500, up=True),
                ),
            ),
            captures=(CapturePoint("a", "eth0"),),
            quiet=400 * MILLISECOND,
            quiet_limit=15 * SECOND,
            iptables_backend="nft",
            normalize=Normalize(random_ports=False, known_ports=()),
            compare=Compare(frames=True, state=True, results=True, unordered=False),
        )

    def test_empty_list_or_map_may_be_left_unwritten(self) -> None:
        """A key whose entries are all commented out holds none."""
        text = "links:\nbridges:\nvxlans:\nneigh:\nroutes:\niptables:\nconntrack:\nactions:\n"
        assert network(f"namespaces: {{a: }}\ncaptures:\n{text}").namespaces == (NamespaceSpec("a"),)

    def test_every_key_of_the_set_up_is_read(self, tmp_path: Path) -> None:
        """Each into its field, addresses as octets and times as nanoseconds."""
        for name in ("a.rules", "a.ipset", "a.nft"):
            (tmp_path / name).write_text(f"# {name}\n")
        text = """\
name: all
title: Everything
description: >-
  In two
  lines.
namespaces:
  a:
    sysctls: {net.ipv4.ip_forward: 1, net.ipv4.ip_local_port_range: 1024 2048}
    if_sysctls: {net/ipv4/conf/vx.1/rp_filter: '2'}
  b:
links:
  - a: {ns: a, if: eth0, mac: '02:00:00:00:00:01', addr: [10.0.0.1/24, 10.0.1.1/32], mtu: 1400, up: no}
    b: {ns: b, if: eth0, mac: 02:00:00:00:00:02, up: false}
  - {a: {ns: a, if: veth1, mac: 02:00:00:00:00:03}, b: {ns: b, if: eth1, mac: 02:00:00:00:00:04}}
  - {a: {ns: a, if: veth2, mac: 02:00:00:00:00:05}, b: {ns: b, if: eth2, mac: 02:00:00:00:00:05}}
bridges:
  - {ns: a, if: br0, mac: 02:00:00:00:00:06, addr: [10.0.2.1/24], mtu: 1450, up: true, ageing: 0.5,
     ports: [veth1, {if: veth2, hairpin: true, flood: false, learning: false, isolated: true}]}
vxlans:
  - {ns: a, if: vx.1, mac: 02:00:00:00:00:07, addr: [10.0.3.0/32], vni: 0xffffff, local: 10.0.0.1, dev: eth0,
     dstport: 4789, learning: true, mtu: 1350, udpcsum: false, ttl: 64, up: true,
     fdb: [{mac: 00:00:00:00:00:00, dst: 10.0.0.2}, {mac: 02:00:00:00:00:08, dst: 10.0.0.3}]}
  - {ns: a, if: vx2, mac: 02:00:00:00:00:09, vni: 0, local: 10.0.0.1, dev: lo}
neigh:
  - {ns: a, dev: vx.1, ip: 10.0.3.1, mac: 02:00:00:00:00:0a}
  - {ns: a, dev: br0, ip: 10.0.2.9, mac: 02:00:00:00:00:0b, state: stale}
routes:
  - {ns: a, dst: 10.9.0.0/16, via: 10.0.2.9, dev: br0, src: 10.0.1.1, scope: global, metric: 7, mtu: 1300,
     table: 100, onlink: true}
ipset: {a: a.ipset}
iptables: {a: a.rules}
nft: {a: a.nft}
iptables_backend: legacy
conntrack: [b]
captures: [a/br0, b/eth0, a/vx.1, a/lo]
quiet: 1
quiet_limit: 2.5
normalize: {random_ports: true, known_ports: [80, 0]}
compare: {frames: false, state: no, results: off, unordered: [a/br0], ignore: [tcp.win, pad],
          ignore_state: [neigh, fdb], timing: 0.3, detour: [b/eth0]}
"""
        assert network(text, tmp_path) == NetworkDocument(
            file="scenario.yaml",
            name="all",
            title="Everything",
            description="In two lines.",
            namespaces=(
                NamespaceSpec(
                    "a",
                    (Sysctl("net.ipv4.ip_forward", "1"), Sysctl("net.ipv4.ip_local_port_range", "1024 2048")),
                    (Sysctl("net/ipv4/conf/vx.1/rp_filter", "2"),),
                ),
                NamespaceSpec("b"),
            ),
            links=(
                LinkSpec(
                    EndSpec(
                        "a",
                        "eth0",
                        MAC("02:00:00:00:00:01"),
                        (INTERFACE("10.0.0.1/24"), INTERFACE("10.0.1.1/32")),
                        1400,
                        up=False,
                    ),
                    EndSpec("b", "eth0", MAC("02:00:00:00:00:02"), up=False),
                ),
                LinkSpec(
                    EndSpec("a", "veth1", MAC("02:00:00:00:00:03")),
                    EndSpec("b", "eth1", MAC("02:00:00:00:00:04")),
                ),
                LinkSpec(
                    EndSpec("a", "veth2", MAC("02:00:00:00:00:05")),
                    EndSpec("b", "eth2", MAC("02:00:00:00:00:05")),
                ),
            ),
            bridges=(
                BridgeSpec(
                    "a",
                    "br0",
                    MAC("02:00:00:00:00:06"),
                    (INTERFACE("10.0.2.1/24"),),
                    mtu=1450,
                    ageing=500 * MILLISECOND,
                    ports=(
                        PortSpec("veth1"),
                        PortSpec("veth2", hairpin=True, learning=False, flood=False, isolated=True),
                    ),
                ),
            ),
            vxlans=(
                VxlanSpec(
                    "a",
                    "vx.1",
                    MAC("02:00:00:00:00:07"),
                    vni=2**24 - 1,
                    local=IP("10.0.0.1"),
                    dev="eth0",
                    dstport=4789,
                    addresses=(INTERFACE("10.0.3.0/32"),),
                    mtu=1350,
                    learning=True,
                    udpcsum=False,
                    ttl=64,
                    fdb=(
                        FdbSpec(MAC("00:00:00:00:00:00"), IP("10.0.0.2")),
                        FdbSpec(MAC("02:00:00:00:00:08"), IP("10.0.0.3")),
                    ),
                ),
                VxlanSpec("a", "vx2", MAC("02:00:00:00:00:09"), vni=0, local=IP("10.0.0.1"), dev="lo"),
            ),
            neighbours=(
                NeighbourSpec("a", "vx.1", IP("10.0.3.1"), MAC("02:00:00:00:00:0a"), "permanent"),
                NeighbourSpec("a", "br0", IP("10.0.2.9"), MAC("02:00:00:00:00:0b"), "stale"),
            ),
            routes=(
                RouteSpec(
                    "a",
                    PREFIX("10.9.0.0/16"),
                    via=IP("10.0.2.9"),
                    dev="br0",
                    src=IP("10.0.1.1"),
                    scope="global",
                    metric=7,
                    mtu=1300,
                    table=100,
                    onlink=True,
                ),
            ),
            ipset={"a": RulesFile(str(tmp_path / "a.ipset"), "# a.ipset\n")},
            iptables={"a": RulesFile(str(tmp_path / "a.rules"), "# a.rules\n")},
            nft={"a": RulesFile(str(tmp_path / "a.nft"), "# a.nft\n")},
            iptables_backend="legacy",
            conntrack=("b",),
            captures=(
                CapturePoint("a", "br0"),
                CapturePoint("b", "eth0"),
                CapturePoint("a", "vx.1"),
                CapturePoint("a", "lo"),
            ),
            quiet=SECOND,
            quiet_limit=2500 * MILLISECOND,
            normalize=Normalize(random_ports=True, known_ports=(80, 0)),
            compare=Compare(
                frames=False,
                state=False,
                results=False,
                unordered=(CapturePoint("a", "br0"),),
                ignore=("tcp.win", "pad"),
                ignore_state=("neigh", "fdb"),
                timing=300 * MILLISECOND,
                detour=(CapturePoint("b", "eth0"),),
            ),
        )

    @pytest.mark.parametrize(
        ("keys", "scope", "table"),
        [
            ("dst: 10.9.0.0/16, dev: eth0", "link", 254),
            ("dst: 10.9.0.0/16, via: 10.0.0.1", "global", 254),
            ("dst: 10.9.0.0/16, dev: eth0, scope: global", "global", 254),
            ("dst: 10.9.0.0/16, dev: eth0, scope: host, table: local", "host", 255),
            ("dst: 10.9.0.0/16, type: local, dev: lo", "host", 255),
            ("dst: 10.9.0.0/16, type: local, dev: lo, table: main", "host", 254),
            ("dst: 10.9.0.0/16, type: blackhole", "global", 254),
            ("dst: 10.9.0.0/16, type: throw, table: 7", "global", 7),
            ("dst: 10.9.0.0/16, dev: eth0, table: default", "link", 253),
        ],
    )
    def test_route_has_the_scope_and_table_that_ip_gives_it(self, keys: str, scope: str, table: int) -> None:
        """As `ip route add` fills in what is not said."""
        assert (route(keys).scope, route(keys).table) == (scope, table)

    @pytest.mark.parametrize(
        ("dst", "prefix"),
        [
            ("default", "0.0.0.0/0"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("10.9.9.9", "10.9.9.9/32"),
            ("10.0.0.0/8", "10.0.0.0/8"),
        ],
    )
    def test_destination_of_a_route_is_a_prefix(self, dst: str, prefix: str) -> None:
        """Also `default` and a single address."""
        assert route(f"dst: {dst}, dev: eth0").dst == PREFIX(prefix)

    def test_lines_are_kept_for_faults_that_show_later(self) -> None:
        """Of everything that the kernel may refuse when it is built."""
        found = network(
            pair("routes:", "  - {ns: a, dst: default, dev: eth0}", "actions:", "  - sleep: {seconds: 1}")
        )
        assert [spec.line for spec in found.namespaces] == [1, 1]
        assert [(link.a.line, link.b.line) for link in found.links] == [(2, 2)]
        assert ([spec.line for spec in found.routes], [step.line for step in found.actions]) == ([5], [7])

    def test_anchors_and_merge_keys_may_save_writing(self) -> None:
        """The format is YAML, whole."""
        text = pair(
            "routes:",
            "  - &route {ns: a, dst: 10.1.0.0/16, dev: eth0}",
            "  - {<<: *route, dst: 10.2.0.0/16}",
        )
        assert [str(spec.dst) for spec in network(text).routes] == ["10.1.0.0/16", "10.2.0.0/16"]


NS, DST, ANY = "a", IP("10.0.0.2"), ANY_IP4


class TestActions:
    """Each kind of action, with its defaults and with all its keys."""

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            (f'inject: {{ns: a, if: eth0, frame: "{FRAME[0]}"}}', Inject(NS, "eth0", (FRAME[1],), 1, 0)),
            (
                (
                    "inject: {ns: a, if: eth0, frames: ['hex:0200000000020200000000010800', 'hex:"
                    f"{FRAME[1].hex()}'], frame: [not, read], count: 3, interval: 0.25}}"
                ),
                Inject(NS, "eth0", (FRAME[1][:12] + b"\x08\0", FRAME[1]), 3, 250 * MILLISECOND),
            ),
            ("udp_server: {ns: a, port: 7}", UdpServer(NS, 7, ANY, UdpReply.ECHO)),
            (
                "udp_server: {ns: a, port: 7, addr: 10.0.0.2, reply: none}",
                UdpServer(NS, 7, DST, UdpReply.NONE),
            ),
            ("udp_server: {ns: a, port: 7, reply: hé}", UdpServer(NS, 7, ANY, "hé".encode())),
            ("udp_server: {ns: a, port: 7, reply: ''}", UdpServer(NS, 7, ANY, b"")),
            (
                "tcp_server: {ns: a, port: 80}",
                TcpServer(NS, 80, ANY, b"hello", 1, 150 * MILLISECOND, hold=False),
            ),
            (
                "tcp_server: {ns: a, port: 80, addr: 10.0.0.2, reply: x, repeat: 5000, gap: 0, hold: true}",
                TcpServer(NS, 80, DST, b"x", 5000, 0, hold=True),
            ),
            (
                "tcp_request: {ns: a, dst: 10.0.0.2, dst_port: 80}",
                TcpRequest(
                    NS, DST, 80, ANY, 0, b"", 1, 1, 1, 150 * MILLISECOND, 3 * SECOND, "fin", None, None, None
                ),
            ),
            (
                (
                    "tcp_request: {ns: a, dst: 10.0.0.2, dst_port: 80, src: 10.0.0.1, src_port: 9, rounds: 3,"
                    " send: G, repeat: 2, want: 4, gap: 1, timeout: 5, close: rst, ttl: 1, tos: 255, df: no}"
                ),
                TcpRequest(
                    NS,
                    DST,
                    80,
                    src=IP("10.0.0.1"),
                    src_port=9,
                    send=b"G",
                    repeat=2,
                    rounds=3,
                    want=4,
                    gap=SECOND,
                    timeout=5 * SECOND,
                    close="rst",
                    ttl=1,
                    tos=255,
                    df=False,
                ),
            ),
            (
                "udp_request: {ns: a, dst: 10.0.0.2, dst_port: 7}",
                UdpRequest(NS, DST, 7, ANY, 0, b"ping", 1, 0, SECOND, None, None, None),
            ),
            (
                (
                    "udp_request: {ns: a, dst: 10.0.0.2, dst_port: 7, src: 10.0.0.1, src_port: 1, send: nil,"
                    " size: 258, count: 2, interval: 1, timeout: 2, ttl: 9, tos: 16, df: true}"
                ),
                UdpRequest(
                    NS,
                    DST,
                    7,
                    src=IP("10.0.0.1"),
                    src_port=1,
                    payload=bytes(range(256)) + b"\0\1",
                    count=2,
                    interval=SECOND,
                    timeout=2 * SECOND,
                    ttl=9,
                    tos=16,
                    df=True,
                ),
            ),
            (
                "ping: {ns: a, dst: 10.0.0.2}",
                Ping(NS, DST, None, 0x1234, 1, 56, 1, 200 * MILLISECOND, SECOND, None, None, None),
            ),
            (
                (
                    "ping: {ns: a, dst: 10.0.0.2, src: 10.0.0.1, id: 0, seq: 65534, size: 65507, count: 2,"
                    " interval: 0,"
                    " timeout: 9, ttl: 255, tos: 0, df: off}"
                ),
                Ping(NS, DST, IP("10.0.0.1"), 0, 65534, 65507, 2, 0, 9 * SECOND, 255, 0, df=False),
            ),
            ("traceroute: {ns: a, dst: 10.0.0.2}", Traceroute(NS, DST, 4, 33434, 44000, 800 * MILLISECOND)),
            (
                "traceroute: {ns: a, dst: 10.0.0.2, max_ttl: 2, base_port: 65534, src_port: 0, timeout: 1}",
                Traceroute(NS, DST, 2, 65534, 0, SECOND),
            ),
            (
                "exec: {ns: a, argv: [ip, link, set, eth0, mtu, 1400]}",
                Exec(NS, ("ip", "link", "set", "eth0", "mtu", "1400")),
            ),
            (
                "exec: {ns: a, argv: [x], may_fail: true, record: true}",
                Exec(NS, ("x",), may_fail=True, record=True),
            ),
            (
                "iptables: {ns: a, args: '-A INPUT  -j DROP'}",
                IptablesChange(NS, ("-A", "INPUT", "-j", "DROP")),
            ),
            ("sleep: {seconds: 432000}", Sleep(432000 * SECOND)),
            ("quiet: {}", Quiet(300 * MILLISECOND, 20 * SECOND)),
            ("quiet: {seconds: 1, limit: 2}", Quiet(SECOND, 2 * SECOND)),
            ("snapshot: {label: before-it}", Snapshot("before-it")),
            (
                "tally: {capture: a/eth0, key: [ip.src, inner.ip.src], of: udp.sport}",
                Tally(CapturePoint("a", "eth0"), ("ip.src", "inner.ip.src"), "udp.sport", None),
            ),
            (
                "tally: {capture: a/eth0, key: [], of: udp.sport, between: [0, 3]}",
                Tally(CapturePoint("a", "eth0"), (), "udp.sport", (0, 3)),
            ),
        ],
    )
    def test_action_is_read(self, text: str, expected: Action) -> None:
        """Into its own class, times as nanoseconds and texts as octets."""
        step = action(text)
        assert step.action == expected
        assert step == Step(text.partition(":")[0], expected, None, background=False)

    def test_what_every_action_may_say_is_read(self) -> None:
        """What to expect, and when the next one begins."""
        step = action("ping: {ns: a, dst: 10.0.0.2, expect: reply, background: true, lead: 1, settle: 2}")
        assert (step.expect, step.background, step.lead, step.settle) == ("reply", True, SECOND, 2 * SECOND)

    @pytest.mark.parametrize(
        ("text", "expect"),
        [
            ("ping: {ns: a, dst: 10.0.0.2, expect: icmp 11/0}", "icmp 11/0"),
            ("ping: {ns: a, dst: 10.0.0.2, expect: EMSGSIZE}", "EMSGSIZE"),
            ("ping: {ns: a, dst: 10.0.0.2, count: 2, expect: [reply, timeout]}", ("reply", "timeout")),
            ("udp_request: {ns: a, dst: 10.0.0.2, dst_port: 7, count: 2, expect: reply}", "reply"),
            (
                "udp_request: {ns: a, dst: 10.0.0.2, dst_port: 7, count: 2, expect: [reply, EPERM]}",
                ("reply", "EPERM"),
            ),
            ("tcp_request: {ns: a, dst: 10.0.0.2, dst_port: 7, expect: ECONNREFUSED}", "ECONNREFUSED"),
            ("tally: {capture: a/eth0, key: [], of: ip.src, expect: skewed}", "skewed"),
        ],
    )
    def test_expectation_is_an_outcome_of_the_action(self, text: str, expect: str | tuple[str, ...]) -> None:
        """A word, or a list of them where the outcome is one."""
        assert action(text).expect == expect


def test_other_parts_are_asked_about_what_they_model(tmp_path: Path) -> None:
    """Commands, settings and rules go to those who know them; silence is consent."""
    asked: list[object] = []

    def ask(*question: object) -> None:
        asked.append(question)

    def ask_rules(kind: str, text: str) -> tuple[()]:
        ask(kind, text)
        return ()

    checks = Checks(command=ask, sysctl=ask, rules=ask_rules)
    (tmp_path / "a.rules").write_text("*filter\n")
    text = (
        "namespaces: {a: {sysctls: {net.ipv4.ip_forward: 1}}}\ncaptures: []\niptables: {a: a.rules}\n"
        "actions: [{exec: {ns: a, argv: [sysctl, -a]}}, {iptables: {ns: a, args: -F}}]\n"
    )
    (document,) = parse(text, "f")
    read_network(document, tmp_path, checks)
    assert asked == [
        ("net.ipv4.ip_forward", "1"),
        ("iptables", "*filter\n"),
        (("sysctl", "-a"),),
        (("iptables", "-w", "-F"),),
    ]
