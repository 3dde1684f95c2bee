# SPDX-License-Identifier: GPL-2.0-only
"""Commands that are read, judged, run; and what they do beside printing."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from emu.apps import commands, console
from emu.apps.commands import check, execute
from emu.errors import CommandError
from emu.kernel import sockets
from emu.kernel.path import learn_mtu
from emu.kernel.sockets import SocketKind
from emu.sim.time import SECOND, later
from emu.wire.addresses import ANY_IP4, IpAddress, Prefix

if TYPE_CHECKING:
    from tests.unit.apps.commands.conftest import Machines


@pytest.mark.parametrize(
    "argv",
    [
        ["ip", "link", "set", "eth0", "mtu", 1450],
        ["ip", "addr", "add", "10.0.0.1/8", "dev", "nosuch"],
        ["ip", "route", "get", "8.8.8.8"],
        ["bridge", "fdb", "append", "00:00:00:00:00:00", "dev", "vxlan0", "dst", "10.0.0.1"],
        ["bridge", "link", "set", "dev", "veth1", "hairpin", "on"],
        ["sysctl", "-qw", "net.ipv4.ip_forward=1"],
        ["ss", "-tuan"],
        ["hostname", "-I"],
    ],
)
def test_nothing_is_wrong_with_a_command_that_could_work(argv: list[str]) -> None:
    """Whether a device exists shows when it runs; numbers of a document are words here."""
    assert check(argv) is None


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("", "no command is given"),
        ("ipp link", f"ipp is not modelled; there are {', '.join(commands.COMMANDS)}"),
        ("ip6tables -L", "ip6tables is not modelled yet"),
        ("ip tunnel add", "ip tunnel add is not modelled"),
        ("ip -6 neigh flush dev eth0", "IPv6 is not modelled"),
        ("ip -6 route get ::1", "IPv6 is not modelled"),
        ("ip netns list", "ip netns is not modelled"),
        ("ip link add x type dummy", "ip link add is not modelled"),
        ("ip link set eth0 name eth1", "name of a link is not modelled"),
        ("ip link show type bridge_slave", "ip link show type bridge_slave is not modelled"),
        ("ip addr add 10.0.0.1/8 label eth0:1 dev eth0", "a label of an address is not modelled"),
        ("ip addr add 10.0.0.1/8 dev eth0 scope site", "scope 200 of an address is not modelled"),
        ("ip addr add peer 10.0.0.1 dev eth0", "an address without a local part is not modelled"),
        ("ip addr save", "ip addr save is not modelled"),
        ("ip route save", "ip route save is not modelled"),
        ("ip route add", "Usage: ip route { add | del | change | append | replace } ROUTE"),
        ("ip rule save", "ip rule save is not modelled"),
        ("ip rule add goto 7", "goto of a routing rule is not modelled"),
        ("ip neigh add 10.0.0.1 router dev eth0", "router of a neighbour is not modelled"),
        ("bridge vlan", "bridge vlan is not modelled"),
        ("bridge fdb flush dev eth0", "bridge fdb flush is not modelled"),
        ("bridge fdb show state reachable", "bridge fdb show state reachable is not modelled"),
        ("bridge link set dev eth0 guard on", "guard of a bridge's port is not modelled"),
        ("bridge link set dev eth0 cost 5", "cost of a bridge's port is not modelled"),
        ("bridge link set dev eth0 nosuch on", '"nosuch" is no option of bridge link set'),
        ("bridge link show eth0", 'Error: either "dev" is duplicate, or "eth0" is a garbage.'),
        ("ss -x", "ss -x is not modelled"),
        ("sysctl -a -r (", "sysctl: (: missing ), unterminated subpattern at position 0"),
        ("hostname new", "hostname new is not modelled"),
    ],
)
def test_what_is_wrong_is_told_without_running_it(line: str, complaint: str) -> None:
    """Unknown words, and what Linux has and emu does not, are named."""
    assert check(line.split()) == complaint


def test_every_command_there_is_can_be_found() -> None:
    """The table is what the complaint lists."""
    assert {"ip", "bridge", "ss", "sysctl", "hostname", "ipset"} <= set(commands.COMMANDS)


def test_an_unknown_command_has_the_status_of_a_shell(machines: Machines) -> None:
    """127, as where there is no such program."""
    with pytest.raises(CommandError) as caught:
        execute(machines.net(), ["frobnicate"])
    assert caught.value.status == 127


def test_nothing_happens_where_a_later_word_is_wrong(machines: Machines) -> None:
    """A command is read as a whole before it is run."""
    with pytest.raises(CommandError):
        machines.run("ip link set eth0 down mtu nosuch")
    assert machines.net().device("eth0").up


def test_a_link_that_goes_down_takes_the_carrier_of_its_peer(machines: Machines) -> None:
    """Effects leave the namespace by the fabric."""
    machines.run("ip link set eth0 down", "pod1")
    assert not machines.net().device("veth1").carrier


def test_neighbours_go_with_the_last_address(machines: Machines) -> None:
    """Permanent ones, too: nothing can be sent any more."""
    machines.run("ip neigh add 192.168.0.60 lladdr 02:00:00:00:00:60 dev eth0")
    machines.run("ip addr del 192.168.0.11/24 dev eth0")
    assert "192.168.0.60" in machines.run("ip neigh")
    machines.run("ip addr flush dev eth0")
    assert "eth0" not in machines.run("ip neigh show nud all")


def test_only_what_is_meant_is_flushed(machines: Machines) -> None:
    """A selection leaves the rest."""
    machines.run("ip addr add 10.7.0.1/16 dev eth0")
    machines.run("ip addr flush to 192.168.0.0/16 up")
    assert machines.run("ip -br -4 addr show eth0") == "eth0@if2         UP             10.7.0.1/16 \n"
    machines.run("ip route add 10.61.0.0/16 dev eth0 proto 77")
    machines.run("ip route flush proto 77")
    assert "10.61.0.0" not in machines.run("ip route show table all")


def test_secondaries_are_promoted_where_the_setting_says_so(machines: Machines) -> None:
    """`promote_secondaries` keeps the subnet's route."""
    machines.run("sysctl -w net.ipv4.conf.eth0.promote_secondaries=1")
    machines.run("ip addr del 192.168.0.1/24 dev eth0")
    assert "192.168.0.11/24 scope global eth0" in machines.run("ip addr show eth0")
    assert "192.168.0.0/24 dev eth0 proto kernel scope link src 192.168.0.11" in machines.run("ip route")


def test_a_learned_mtu_is_listed_and_flushed(machines: Machines) -> None:
    """`ip route show cache` has what ICMP taught, until its time is over or `flush cache`."""
    learn = partial(learn_mtu, dst=IpAddress.parse("8.8.8.8"), mtu=1300)
    machines.fabric.call(machines.net(), learn)
    shown = "8.8.8.8 via 192.168.0.2 dev eth0 \n    cache expires 600sec mtu 1300 \n"
    assert machines.run("ip route show cache") == shown
    assert machines.run("ip route show cache 8.0.0.0/8") == ""
    assert machines.run("ip route show cache root 8.0.0.0/8") == shown
    assert machines.run("ip route get 8.8.8.8").endswith("    cache expires 600sec mtu 1300 \n")
    machines.run("ip route flush cache")
    assert machines.run("ip route show table cache") == ""


def test_a_way_that_is_gone_is_not_listed(machines: Machines) -> None:
    """What was learned of it is forgotten with its last route."""
    learn = partial(learn_mtu, dst=IpAddress.parse("8.8.8.8"), mtu=1300)
    machines.fabric.call(machines.net(), learn)
    machines.run("ip route del default via 192.168.0.2")
    assert machines.run("ip route show cache") == ""


def test_the_devices_own_table_is_that_of_vxlan_and_bridges_alone(machines: Machines) -> None:
    """Linux has one for every device; that of a veth is not modelled."""
    with pytest.raises(CommandError, match="the table of eth0, neither a bridge nor a VXLAN device, is not"):
        machines.run("bridge fdb add 02:00:00:00:00:09 dev eth0")


def test_ages_of_entries_are_counted_from_their_last_change(machines: Machines) -> None:
    """`bridge -s fdb` shows seconds since use and change."""
    machines.run("bridge fdb add 0a:58:0a:f4:01:77 dev veth1 master static")
    machines.fabric.loop.run_until(later(machines.fabric.loop.now, 5 * SECOND))
    assert "0a:58:0a:f4:01:77 used 5/5 master cni0 static\n" in machines.run("bridge -s fdb show dev veth1")
    assert '"used":5,"updated":5,"flags":[]' in machines.run("bridge -s -j fdb show dev veth1")


def test_an_entry_of_a_device_can_be_asked_for(machines: Machines) -> None:
    """`bridge fdb get` finds by bridge or by device."""
    assert machines.run("bridge fdb get 02:00:0a:f4:02:ff dev flannel.1") == (
        "02:00:0a:f4:02:ff dev flannel.1 dst 192.168.0.2 self permanent\n"
    )
    with pytest.raises(CommandError, match="Device or master and address are required"):
        machines.run("bridge fdb get 02:00:0a:f4:02:ff")


def test_an_entry_may_be_for_both_tables(machines: Machines) -> None:
    """`self master` enters, and deletes, in the table of the bridge and in the device's own."""
    machines.run("ip link set flannel.1 master cni0")
    machines.run("bridge fdb add 02:00:00:00:00:05 dev flannel.1 self master static dst 192.168.0.7")
    assert machines.run("bridge fdb show dev flannel.1").splitlines()[0::4] == [
        "02:00:00:00:00:05 master cni0 static",
        "02:00:0a:f4:02:ff dst 192.168.0.2 self permanent",
    ]
    assert "02:00:00:00:00:05 dst 192.168.0.7 self static" in machines.run("bridge fdb show dev flannel.1")
    machines.run("bridge fdb del 02:00:00:00:00:05 dev flannel.1 self master")
    assert "02:00:00:00:00:05" not in machines.run("bridge fdb")
    with pytest.raises(CommandError, match="Operation not supported"):
        machines.run("bridge fdb del 02:00:00:00:00:05 dev eth0 master")


def test_sockets_are_listed_as_they_are(machines: Machines) -> None:
    """Bound, connected and listening ones; one that has no port yet is in no table."""
    net = machines.net("pod1")
    first, second, _ = (sockets.create(net, SocketKind.UDP) for _ in range(3))
    sockets.bind(net, first, ANY_IP4, 53)
    sockets.bind(net, second, IpAddress.parse("10.244.1.2"), 5000)
    sockets.connect(net, second, IpAddress.parse("10.244.1.3"), 53)
    listener = sockets.create(net, SocketKind.TCP)
    sockets.bind(net, listener, ANY_IP4, 80)
    sockets.listen(net, listener, 128)
    sockets.create(net, SocketKind.ICMP)
    assert machines.run("ss -an", "pod1").splitlines() == [
        "Netid State  Recv-Q Send-Q Local Address:Port Peer Address:PortProcess",
        "raw   UNCONN 0      0            0.0.0.0:1         0.0.0.0:*          ",
        "udp   UNCONN 0      0            0.0.0.0:53        0.0.0.0:*          ",
        "udp   ESTAB  0      0         10.244.1.2:5000   10.244.1.3:53         ",
        "tcp   LISTEN 0      128          0.0.0.0:80        0.0.0.0:*          ",
    ]


def test_a_datagram_that_waits_is_counted_by_the_memory_it_takes(machines: Machines) -> None:
    """Five octets are 832, as `ss` showed them on Linux."""
    server, client = machines.net("pod2"), machines.net("pod1")
    bound = sockets.create(server, SocketKind.UDP)
    sockets.bind(server, bound, ANY_IP4, 53)

    def send(net: object) -> None:
        assert net is client
        socket = sockets.create(client, SocketKind.UDP)
        sockets.send_to(client, socket, b"hello", IpAddress.parse("10.244.1.3"), 53)

    machines.run("bridge link set dev veth2 flood on")
    machines.fabric.call(client, send)
    machines.fabric.loop.run_until(later(machines.fabric.loop.now, SECOND))
    assert "UNCONN 832    0" in machines.run("ss -uan", "pod2")


def test_hostname_is_the_name_of_the_namespace(machines: Machines) -> None:
    """`-I` has the addresses of devices that are up, the loopback's aside."""
    assert machines.run("hostname", "pod1") == "pod1\n"
    assert machines.run("hostname -I").startswith("192.168.0.1 192.168.0.11 10.244.1.1 ")
    machines.run("ip link set eth0 down", "pod1")
    assert machines.run("hostname -I", "pod1") == "\n"


def test_every_route_shown_can_be_entered_again(machines: Machines) -> None:
    """Lines of `ip -d -o route show table all`, given to `ip route replace`, change nothing."""
    machines.run("ip route add 10.14.0.0/16 nexthop via 192.168.0.2 nexthop dev cni0 weight 7")
    before = machines.run("ip -d -o route show table all")
    for line in before.splitlines():
        words = line.replace("\\", " ")
        if "dev br9" not in words:  # it is down: no route by it can be entered
            machines.run(f"ip route replace {words}")
    assert machines.run("ip -d -o route show table all") == before
    assert Prefix.parse("10.14.0.0/16") in {route.dst for route in machines.net().fib.routes()}


def test_every_remote_shown_can_be_entered_again(machines: Machines) -> None:
    """So can a line of `bridge fdb show` of a VXLAN device."""
    before = machines.run("bridge fdb show")
    for line in before.splitlines():
        if " dst " in line:
            machines.run(f"bridge fdb append {line}")
    assert machines.run("bridge fdb show") == before


def test_the_console_lists_its_own_commands_too(machines: Machines) -> None:
    """`ping`, `curl` and their like are no commands of this module, but people can type them."""
    process = machines.fabric.spawn(machines.net(), console.run(["frobnicate"]))
    assert process.result == console.Finished(
        stderr=f"frobnicate is not modelled; there are {', '.join({**commands.COMMANDS, **console.TOOLS})}\n",
        status=127,
    )
