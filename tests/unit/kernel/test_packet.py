# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from emu.fabric import program
from emu.kernel import packet
from emu.kernel.sockets import SocketKind
from emu.testing.lab import Lab, pods_on_a_bridge, two_hosts
from emu.wire import ethernet
from emu.wire.addresses import IpAddress
from emu.wire.arp import REQUEST, Arp


def listen(lab: Lab, ns: str, device: str = "eth0") -> list[Arp]:
    """Have a program note the ARP packets that come in on a device."""
    heard: list[Arp] = []

    def run() -> program.Program[None]:
        socket = yield from program.socket(SocketKind.PACKET)
        yield from program.call(lambda net: packet.bind(net, socket, device, ethernet.ARP))
        while True:
            found = yield from program.receive_from(socket, repeats=True)
            heard.append(Arp.parse(found.data[ethernet.HEADER_LENGTH :]))

    lab.start(ns, run())
    return heard


def test_a_program_hears_arp_beside_the_kernel() -> None:
    """The kernel answers as without it."""
    lab = two_hosts()
    heard = listen(lab, "b")
    assert lab.ping("a", "b")[0].outcome == "reply"
    assert (heard[0].operation, heard[0].target_ip) == (REQUEST, lab.address("b"))


def test_it_hears_what_is_for_others_too() -> None:
    """A broadcast for an address of somebody else, flooded by a bridge to many at once."""
    lab = pods_on_a_bridge(6)
    heard = listen(lab, "pod5")
    nobody = IpAddress.from_int(int(lab.address("pod1")) + 100)
    lab.fabric.record(None)  # then the bridge hands a request to all of them by one event
    lab.run("pod1", _ask(nobody))
    lab.fabric.loop.run_until(lab.fabric.loop.now)
    assert nobody in [each.target_ip for each in heard]


def _ask(address: IpAddress) -> program.Program[None]:
    socket = yield from program.socket(SocketKind.UDP)
    yield from program.send_to(socket, b"x", address, 9)


def test_it_hears_nothing_of_other_devices() -> None:
    """A socket is bound to one."""
    lab = two_hosts()
    heard = listen(lab, "b", "lo")
    lab.ping("a", "b")
    assert heard == []
