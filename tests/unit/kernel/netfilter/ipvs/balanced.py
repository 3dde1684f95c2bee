# SPDX-License-Identifier: GPL-2.0-only
"""A gateway with a virtual service 10.96.0.1, its destinations on the right.

balanced = Balanced("rr", "10.2.0.2", "10.2.0.3")
(out,) = balanced.send("left", balanced.client(1000).packet())
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kernel import rtnetlink
from emu.kernel.link.dummy import Dummy
from emu.kernel.netfilter.ipvs.virtual import Destination, DestinationKey, ServiceKey, VirtualService
from emu.wire.addresses import Interface, IpAddress, MacAddress
from emu.wire.ipv4 import TCP
from tests.unit.kernel.netfilter.nat_gateway import Flow, Gateway, ip

if TYPE_CHECKING:
    from emu.kernel.netfilter.ipvs.ipvs import Ipvs
    from emu.sim.choice import Choice

VIP: Final = ip("10.96.0.1")
PORT: Final = 80
SERVER_PORT: Final = 8080
TRACKING: Final = ("*nat", "-A POSTROUTING -m mark --mark 0x4000 -j MASQUERADE", "COMMIT")


class Balanced(Gateway):
    """The gateway, its virtual service on a dummy device, as kube-proxy has it.

    Attributes:
        key: of the virtual service.
    """

    def __init__(
        self,
        scheduler: str = "rr",
        *servers: str,
        rules: tuple[str, ...] = TRACKING,
        protocol: int = TCP,
        persistence: int = 0,
        choice: Choice | None = None,
        conntrack: bool = True,
    ) -> None:
        super().__init__(*rules, choice=choice)
        net = self.net
        device = net.add_device("vip", Dummy(), MacAddress.parse("02:00:00:00:00:99"), mtu=1500)
        rtnetlink.add_address(net, device, Interface.parse(f"{VIP}/32"))
        net.sysctl.set("net.ipv4.vs.conntrack", int(conntrack))
        self.key = ServiceKey(protocol, VIP, PORT)
        self.ipvs.add_service(VirtualService(self.key, scheduler, persistence))
        for server in reversed(servers):
            self.add(server)
        net.take_effects()

    @property
    def ipvs(self) -> Ipvs:
        """The virtual server."""
        return self.net.netfilter.ipvs

    def add(self, server: str, weight: int = 1) -> None:
        """Add a destination, `ADDRESS` or `ADDRESS=WEIGHT`, before those that are there."""
        address, _, given = server.partition("=")
        key = DestinationKey(ip(address), SERVER_PORT)
        self.ipvs.add_destination(self.key, Destination(key, int(given or weight)))

    def weigh(self, server: str, weight: int) -> None:
        """Give a destination another weight."""
        self.ipvs.edit_destination(self.key, Destination(DestinationKey(ip(server), SERVER_PORT), weight))

    def remove(self, server: str) -> None:
        """Delete a destination."""
        self.ipvs.delete_destination(self.key, DestinationKey(ip(server), SERVER_PORT))

    def client(self, port: int, address: str = "10.1.0.2") -> Flow:
        """Return the flow of a client to the service."""
        return Flow(self.key.protocol, ip(address), VIP, port, PORT)

    def chosen(self, port: int, address: str = "10.1.0.2", *, flags: int = 2) -> IpAddress | None:
        """Return the destination that a first segment of a client gets; None if it ends."""
        out = self.send("left", self.client(port, address).packet(b"", flags=flags))
        sent = [each for each in out if each.place == "right"]
        return sent[0].flow.dst if sent else None
