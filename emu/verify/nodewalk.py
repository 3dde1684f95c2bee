# SPDX-License-Identifier: GPL-2.0-only
"""One packet on its way through the hooks of one node, where nothing but rules decides.

    from a device   PREROUTING --> INPUT, or FORWARD and POSTROUTING
    from the node   OUTPUT --> POSTROUTING --> (to itself:) PREROUTING, INPUT

Reverse path filters are not asked, and a way is found where there is no route.
What IPVS takes goes on by OUTPUT and POSTROUTING to the destination that it picks.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final, NamedTuple

from emu.kernel import routing
from emu.kernel.drops import DropReason
from emu.kernel.facts import NoDestination
from emu.kernel.fib import RouteType
from emu.kernel.link.dummy import Dummy
from emu.kernel.netfilter import hooks
from emu.kernel.netfilter.hooks import Hook
from emu.kernel.netfilter.nftables.statements import Reject as NftReject
from emu.kernel.netfilter.ruleset import ACCEPT
from emu.kernel.netfilter.targets.reject import Reject
from emu.kernel.route import Nexthop, Route
from emu.kernel.routing import RouteDecision
from emu.kernel.rtnetlink import remove, set_up
from emu.kernel.skb import Skb
from emu.wire.addresses import IpAddress, MacAddress, Prefix

if TYPE_CHECKING:
    from emu.kernel.effects import Drop
    from emu.kernel.facts import Fact
    from emu.kernel.link.device import Device
    from emu.kernel.namespace import Namespace
    from emu.kernel.netfilter.nftables.ruleset import Rule as NftRule
    from emu.kernel.netfilter.ruleset import Rule
    from emu.kernel.netfilter.verdict import Verdict
    from emu.kernel.recorder import Direction
    from emu.wire.frame import Frame

POD_DEVICE: Final = "pod"
"""Instead of a device's name: any device that leads to a pod."""

_MADE_DEVICE: Final = "veth-probe"
_MADE_MAC: Final = MacAddress.parse("02:00:00:00:00:fe")
_EVERYWHERE: Final = Prefix.parse("0.0.0.0/0")


class Word(enum.Enum):
    """What became of a packet."""

    DNAT = "dnat"  # its destination was rewritten, and it goes on
    REJECT = "reject"  # refused, and its sender is told
    DROP = "drop"  # vanishes
    UNCHANGED = "accept-unchanged"  # its destination is what it was, and it goes on
    UNKNOWN = "unknown"  # met something that is not modelled


class Fate(NamedTuple):
    """What became of one packet.

    Attributes:
        word: in one word.
        endpoint: where it goes now, `IP:PORT`; empty if its destination was not rewritten.
        masquerade: its source is rewritten to an address of the node.
        is_accepted: it was for the node, and a rule of INPUT lets it in by name.
        detail: what ended it, empty if nothing did.
    """

    word: Word
    endpoint: str = ""
    masquerade: bool = False
    is_accepted: bool = False
    detail: str = ""


def send(net: Namespace, packet: bytes, iif: str) -> Fate:
    """Put one packet into `net` and return what becomes of it.

    Args:
        net: the namespace of a node.
        packet: the first packet of a connection, from its IP header on.
        iif: the device where it arrives; `pod` for that of a pod; empty if the node itself sends it.

    Raises:
        UnknownNameError: there is no such device.
    """
    skb = Skb(packet, net.new_packet_id())
    destination = skb.dst, _port(skb)
    made = _make_device(net) if iif == POD_DEVICE and pod_device(net) is None else None
    if iif:
        skb.device = made or (pod_device(net) if iif == POD_DEVICE else net.device(iif))
    if net.used_netfilter is not None and net.netfilter.ipvs.is_enabled:
        _open_ways(net)  # a destination is looked for at once
    watch = _Watch(skb)
    before, net.recorder = net.recorder, watch
    try:
        passed = _from_node(net, skb) if skb.device is None else _from_device(net, skb, skb.device)
    finally:
        net.recorder = before
        if made is not None:
            remove(net, made)
        net.take_effects()
    if not passed and not (skb.is_balanced and not watch.is_over):
        return Fate(watch.word, detail=watch.detail)
    changed = (skb.dst, _port(skb)) != destination
    endpoint = f"{skb.dst}:{_port(skb)}" if changed else ""
    return Fate(
        Word.DNAT if changed else Word.UNCHANGED,
        endpoint,
        skb.connection is not None and bool(skb.connection.masquerade),
        watch.is_accepted,
    )


def _port(skb: Skb) -> int:
    return int.from_bytes(skb.payload[2:4], "big")


def _from_device(net: Namespace, skb: Skb, device: Device) -> bool:
    """Walk the hooks of a packet that arrives; return whether it got through."""
    return hooks.passes(net, Hook.PREROUTING, skb, device) and _routed(net, skb, device)


def _routed(net: Namespace, skb: Skb, device: Device) -> bool:
    """Walk the hooks behind the routing decision of a packet that came in."""
    if _is_ours(net, skb.header.dst):
        skb.route = RouteDecision(RouteType.LOCAL, net.loopback, skb.dst)
        return hooks.passes(net, Hook.INPUT, skb, device)
    skb.route = _way(net, skb)
    out = skb.route.device
    return hooks.passes(net, Hook.FORWARD, skb, device, out) and hooks.passes(
        net, Hook.POSTROUTING, skb, device, out
    )


def _from_node(net: Namespace, skb: Skb) -> bool:
    """Walk the hooks of a packet that the node sends; return whether it got through.

    One to the node itself comes back over the loopback device.
    """
    _open_ways(net)
    skb.route = _way(net, skb)
    if not hooks.passes(net, Hook.OUTPUT, skb, None, skb.route.device):
        return False
    if not hooks.passes(net, Hook.POSTROUTING, skb, None, skb.route.device):
        return False
    if not _is_ours(net, skb.header.dst):
        return True
    skb.device = net.loopback
    if not hooks.passes(net, Hook.PREROUTING, skb, skb.device):
        return False
    return hooks.passes(net, Hook.INPUT, skb, skb.device)


def _is_ours(net: Namespace, address: bytes) -> bool:
    return net.fib.address_type(IpAddress(address)) is RouteType.LOCAL


def _way(net: Namespace, skb: Skb) -> RouteDecision:
    """Return where a packet leaves: as the tables say, or else by the first device with an address."""
    header = skb.header
    if _is_ours(net, header.dst):
        return RouteDecision(RouteType.LOCAL, net.loopback, skb.dst, src=skb.src)
    try:
        return routing.route_output(net, header.dst, src=header.src, any_source=True, mark=skb.mark)
    except OSError:
        return RouteDecision(RouteType.UNICAST, _uplink(net), skb.dst, src=skb.src)


def _uplink(net: Namespace) -> Device:
    """Return the first device with an address that is not the loopback's; that one if there is no other."""
    others = (each for each in net.devices.values() if each.addresses and not each.is_loopback)
    return next(others, net.loopback)


def _open_ways(net: Namespace) -> None:
    """Give a node without a default route one: NAT drops what it finds no new route for."""
    if not any(route.dst == _EVERYWHERE for route in net.fib.routes()):
        net.fib.add(Route(_EVERYWHERE, nexthops=(Nexthop(_uplink(net).name),)))


def pod_device(net: Namespace) -> Device | None:
    """Return the device by which packets of a pod come into a node; None if it has none.

    The bridge if pods are its ports, else the first end of a veth pair that is
    not the node's own way out.
    """
    veths = [device for device in net.devices.values() if device.link.kind == "veth"]
    bridges = (device.port.bridge for device in veths if device.port is not None)
    others = (device for device in veths if device is not _uplink(net))
    return next(bridges, None) or next(others, None)


def _make_device(net: Namespace) -> Device:
    """Make a device for a pod that is not there."""
    made = net.add_device(_MADE_DEVICE, Dummy(), _MADE_MAC, mtu=1500)
    set_up(net, made)
    return made


class _Watch:
    """Looks on while the packet walks, and notes what ended it."""

    def __init__(self, skb: Skb) -> None:
        self._skb = skb
        self._last: Rule | NftRule | None = None
        self._place = ""
        self.word = Word.DROP
        self.detail = ""
        self.is_over = False
        self.is_accepted = False

    def seen(self, net: Namespace, device: Device, direction: Direction, frame: Frame) -> None:
        """Pass over frames: an answer is not asked about."""

    def note(self, net: Namespace, packet: Frame | Skb, stage: str, detail: str | Fact) -> None:
        """Note at which hook the packet is."""
        del net, detail
        if packet is self._skb and stage in Hook.__members__:
            self._place = stage

    def ruled(
        self, net: Namespace, packet: Skb, place: tuple[str, str], number: int, rule: Rule | NftRule
    ) -> None:
        """Note the rule that held last, and whether it lets the packet in."""
        del net, place, number
        if packet is self._skb:
            self._last = rule
            if self._place == Hook.INPUT.name and getattr(rule, "target", None) == ACCEPT:
                self.is_accepted = True

    def ended(self, net: Namespace, packet: Skb, place: tuple[str, str], policy: Verdict) -> None:
        """Forget the last rule: a policy decides."""
        del net, place, policy
        if packet is self._skb:
            self._last = None

    def dropped(self, net: Namespace, packet: Frame | Skb, drop: Drop) -> None:
        """Note why it ended."""
        del net
        if packet is not self._skb:
            return
        self.detail, self.is_over = drop.detail, True
        if drop.reason is DropReason.NOT_MODELLED:
            self.word = Word.UNKNOWN
        elif isinstance(drop.fact, NoDestination) or _rejects(self._last):
            self.word = Word.REJECT


def _rejects(rule: Rule | NftRule | None) -> bool:
    """Return whether `rule` tells the sender of a packet that it is refused."""
    target, statements = getattr(rule, "target", None), getattr(rule, "statements", ())
    return isinstance(target, Reject) or any(isinstance(each, NftReject) for each in statements)
