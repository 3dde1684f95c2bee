# SPDX-License-Identifier: GPL-2.0-only
"""First packets judged at one node: the rules decide, and nothing else."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import pytest

from emu.apps.commands import iptables_restore, nft
from emu.errors import EndPointError, UnknownNameError
from emu.fabric.driver import Fabric
from emu.kernel.link.bridge import Bridge
from emu.kernel.link.veth import Veth
from emu.kernel.rtnetlink import set_master
from emu.testing.proxies import Proxies
from emu.verify.firstpacket import Judgement, Question, judge_at
from emu.verify.nodewalk import Word, pod_device, send
from emu.wire.addresses import IpAddress, MacAddress

if TYPE_CHECKING:
    from emu.kernel.namespace import Namespace

OUTSIDE, NODE, SERVICE = "203.0.113.2", "192.168.0.2", "172.30.0.1"


def a_node(*rules: str) -> Namespace:
    """Return a node without any route but those of its own address, and with `rules`."""
    net = Proxies(Fabric()).node("a", NODE)
    if rules:
        iptables_restore.prepare([], text="\n".join([*rules, "COMMIT", ""]))(net)
    return net


def ask(net: Namespace, source: str, to: str, iif: str = "eth0", protocol: str = "TCP") -> Judgement:
    """Send a first packet to port 80."""
    question = Question(IpAddress.parse(source), IpAddress.parse(to), 80, protocol, iif)
    return judge_at(net, question)


def test_without_rules_nothing_is_changed() -> None:
    """A packet that is no one's business goes on, routes or not."""
    found = ask(a_node(), OUTSIDE, SERVICE)
    assert (found.word, found.endpoints, found.masquerade) == (Word.UNCHANGED, {}, False)


@pytest.mark.parametrize("protocol", ["TCP", "UDP", "SCTP"])
@pytest.mark.parametrize("iif", ["eth0", "pod", "", "lo"])
def test_a_translation_is_followed_wherever_it_begins(protocol: str, iif: str) -> None:
    """PREROUTING for what arrives, OUTPUT for what the node sends; each protocol has first packets."""
    dnat = f"-p {protocol.lower()} --dport 80 -j DNAT --to-destination 10.9.0.1:8080"
    net = a_node("*nat", f"-A PREROUTING {dnat}", f"-A OUTPUT {dnat}")
    found = ask(net, {"": NODE, "lo": "127.0.0.1"}.get(iif, OUTSIDE), SERVICE, iif, protocol)
    assert (found.word, found.endpoints) == (Word.DNAT, {"10.9.0.1:8080": Fraction(1)})


@pytest.mark.parametrize(
    ("to", "iif", "chain"),
    [
        (NODE, "eth0", "INPUT"),
        (SERVICE, "eth0", "FORWARD"),
        (SERVICE, "", "OUTPUT"),
        (NODE, "", "OUTPUT"),
        (NODE, "", "INPUT"),
    ],
)
def test_each_way_meets_its_chains(to: str, iif: str, chain: str) -> None:
    """To the node INPUT, through it FORWARD, from it OUTPUT; back to itself INPUT, too."""
    source = NODE if not iif else OUTSIDE
    assert ask(a_node("*filter", f"-A {chain} -j DROP"), source, to, iif).word is Word.DROP
    met = {chain} | ({"INPUT", "OUTPUT"} if (to, iif) == (NODE, "") else set())
    rules = [f"-A {other} -j DROP" for other in ("INPUT", "FORWARD", "OUTPUT") if other not in met]
    assert ask(a_node("*filter", *rules), source, to, iif).word is Word.UNCHANGED


def test_a_refusal_is_told_from_silence() -> None:
    """REJECT and DROP, by whatever table's tool."""
    assert ask(a_node("*filter", "-A FORWARD -j REJECT"), OUTSIDE, SERVICE).word is Word.REJECT
    assert ask(a_node("*filter", ":FORWARD DROP"), OUTSIDE, SERVICE).word is Word.DROP
    net = a_node()
    nft.prepare(
        ["add table ip t; add chain ip t f { type filter hook forward priority 0; }; add rule ip t f reject"]
    )(net)
    skb = Question(IpAddress.parse(OUTSIDE), IpAddress.parse(SERVICE), 80).octets()
    assert send(net, skb, "eth0").word is Word.REJECT


def test_what_is_not_modelled_is_said() -> None:
    """A match that nobody knows makes the answer unknown, with the rule's place."""
    found = ask(a_node("*filter", "-A FORWARD -m bpf --bytecode x -j DROP"), OUTSIDE, SERVICE)
    assert found.word is Word.UNKNOWN
    assert found.as_json()["verdict"] == "UNKNOWN"
    assert "bpf" in found.unknown[0]


def test_chance_is_followed_everywhere() -> None:
    """A third is translated, the rest dropped: both are told with their shares."""
    net = a_node(
        "*nat",
        "-A PREROUTING -p tcp -m statistic --mode random --probability 0.33333333349 "
        "-j DNAT --to-destination 10.9.0.1:8080",
        "COMMIT",
        "*filter",
        f"-A FORWARD -d {SERVICE} -j DROP",
    )
    found = ask(net, OUTSIDE, SERVICE)
    assert found.word is Word.DNAT
    assert found.endpoints == {"10.9.0.1:8080": Fraction(1, 3)}
    assert found.words == {Word.DNAT: Fraction(1, 3), Word.DROP: Fraction(2, 3)}
    assert found.as_json()["verdicts"] == {"dnat": "1/3", "drop": "2/3"}


def test_reverse_path_filters_do_not_decide() -> None:
    """Nor do sources that no route leads back to."""
    net = a_node()
    net.sysctl.set("net.ipv4.conf.all.rp_filter", 1)
    assert ask(net, "198.51.100.77", SERVICE, "pod").word is Word.UNCHANGED


def test_a_question_leaves_nothing_behind() -> None:
    """No connection, counter, device or route in the node that was asked about."""
    net = a_node("*filter", "-A FORWARD -m conntrack --ctstate NEW -j ACCEPT")
    devices, routes = list(net.devices), list(net.fib.routes())
    generation = net.fib.generation
    ask(net, OUTSIDE, SERVICE, "pod")
    ask(net, NODE, SERVICE, "")
    assert (list(net.devices), list(net.fib.routes()), net.fib.generation) == (devices, routes, generation)
    assert net.netfilter.conntrack.count == 0
    assert net.netfilter.tables["filter"].counts("FORWARD").packets == [0]
    assert "veth-probe" not in net.sysctl.conf


def test_a_bridge_is_the_device_of_its_ports_pods() -> None:
    """Packets of pods on a bridge come in by the bridge, as rules see it; without one by their own device."""
    net = a_node("*filter", "-A FORWARD -i cni0 -j DROP")
    assert pod_device(net) is None
    veth = net.add_device("veth1", Veth(), MacAddress.parse("02:00:00:00:00:07"), mtu=1500)
    assert pod_device(net) is veth
    assert ask(net, OUTSIDE, SERVICE, "pod").word is Word.UNCHANGED
    bridge = net.add_device("cni0", Bridge(), MacAddress.parse("02:00:00:00:00:08"), mtu=1500)
    set_master(net, veth, bridge)
    assert pod_device(net) is bridge
    assert ask(net, OUTSIDE, SERVICE, "pod").word is Word.DROP


def test_an_unknown_device_or_protocol_is_refused() -> None:
    """The asker is told by name."""
    with pytest.raises(UnknownNameError, match="eth7"):
        ask(a_node(), OUTSIDE, SERVICE, "eth7")
    with pytest.raises(EndPointError, match="ICMP"):
        ask(a_node(), OUTSIDE, SERVICE, protocol="ICMP")


def test_sets_and_rules_of_nftables_are_asked_too() -> None:
    """And the node is as it was afterwards."""
    net = a_node("*filter", "-A FORWARD -j ACCEPT")
    nft.prepare(["add table ip t"])(net)
    nft.prepare(["add chain ip t c { type filter hook forward priority 0; policy drop; }"])(net)
    before = net.netfilter.conntrack
    assert ask(net, OUTSIDE, SERVICE).word is Word.DROP
    assert net.netfilter.conntrack is before
