# SPDX-License-Identifier: GPL-2.0-only
"""What rules of iptables do: whatever their table and hook allow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.kernel.verdicts.flows import DRAWN_PORTS, MARKS, MASKS, NAT_PORTS, TCP, TOS, TTLS, UDP
from tests.kernel.verdicts.topology import NETS

if TYPE_CHECKING:
    from tests.kernel.verdicts.flows import Dice
    from tests.kernel.verdicts.matches import Place

_REJECTS: Final = (
    "icmp-port-unreachable",
    "icmp-net-unreachable",
    "icmp-host-unreachable",
    "icmp-proto-unreachable",
    "icmp-net-prohibited",
    "icmp-host-prohibited",
    "icmp-admin-prohibited",
)


def target(dice: Dice, place: Place, chains: list[str]) -> tuple[str, str]:
    """Return a condition that the target needs, mostly none, and the target; `chains` may be jumped to."""
    choice = dice.random.random()
    if chains and choice < 0.22:
        return "", f"-{dice.one('jjjg')} {dice.one(chains)}"
    if choice < 0.3:
        return "", ""
    if choice < 0.45:
        return (
            "",
            f"-j {dice.one(('ACCEPT', 'ACCEPT', 'RETURN', 'RETURN', 'DROP'))}"
            if place.table != "nat"
            else "",
        )
    if choice < 0.55:
        return "", _anywhere(dice)
    special = {"nat": _nat, "mangle": _mangle, "raw": _raw, "filter": _filter, "security": _filter}
    return special[place.table](dice, place)


def _anywhere(dice: Dice) -> str:
    mark, mask = dice.one(MARKS), dice.one(MASKS)
    form = dice.one(("set-xmark", "set-mark", "and-mark", "or-mark", "xor-mark"))
    value = f"{mark:#x}/{mask:#x}" if form.startswith("set") else f"{mark:#x}"
    return dice.one(
        (
            f"-j MARK --{form} {value}",
            f"-j MARK --{form} {value}",
            f"-j CONNMARK --{form} {value}",
            f"-j CONNMARK --{dice.one(('save', 'restore'))}-mark --nfmask {mask:#x} --ctmask {mask:#x}",
            f"-j CONNMARK --{dice.one(('save', 'restore'))}-mark",
            "-j LOG --log-prefix x",
            "-j NFLOG --nflog-group 5",
        )
    )


def _filter(dice: Dice, place: Place) -> tuple[str, str]:
    if place.table == "security" or dice.maybe(0.5):
        return "", f"-j {dice.one(('ACCEPT', 'DROP', 'DROP'))}"
    if dice.maybe(0.3):
        return "-p tcp", "-j REJECT --reject-with tcp-reset"
    return "", f"-j REJECT --reject-with {dice.one(_REJECTS)}"


def _raw(dice: Dice, place: Place) -> tuple[str, str]:
    if place.hook == "OUTPUT":
        return "", dice.one(("-j NOTRACK", "-j CT --notrack", "-j DROP"))
    return "", dice.one(
        (
            "-j NOTRACK",
            "-j CT --notrack",
            f"-j CT --zone {dice.random.randint(1, 3)}",
            f"-j CT --zone-orig {dice.random.randint(1, 2)}",
            "-j DROP",
        )
    )


def _mangle(dice: Dice, place: Place) -> tuple[str, str]:
    del place
    if dice.maybe(0.15):
        size = dice.one((500, 1000, 1400))
        return "-p tcp -m tcp --tcp-flags SYN,RST SYN", f"-j TCPMSS --set-mss {size}"
    return "", dice.one(
        (
            f"-j TOS --set-tos {dice.one(TOS):#x}/{dice.one((0xFF, 0xFC, 0x3F)):#x}",
            f"-j TOS --{dice.one(('and', 'or', 'xor'))}-tos {dice.one(TOS):#x}",
            f"-j DSCP --set-dscp {dice.one(TOS) >> 2:#x}",
            f"-j TTL --ttl-set {dice.one(TTLS)}",
            f"-j TTL --ttl-{dice.one(('inc', 'dec'))} {dice.random.randint(1, 3)}",
            f"-j MARK --set-xmark {dice.one(MARKS):#x}",
        )
    )


def _nat(dice: Dice, place: Place) -> tuple[str, str]:
    if place.hook in ("PREROUTING", "OUTPUT"):
        return _destination(dice)
    return _source(dice, place)


def _random(dice: Dice) -> str:
    return dice.one(("", "", "", " --random", " --persistent"))


def _with_port(dice: Dice) -> str:
    """Return what a target needs that names ports."""
    return f"-p {'tcp' if dice.one((TCP, UDP)) == TCP else 'udp'}"


def _some_ports(dice: Dice) -> str:
    return DRAWN_PORTS if dice.maybe(0.3) else str(dice.one(NAT_PORTS))


def _some_addresses(dice: Dice) -> str:
    host = dice.host()
    net, _, last = host.rpartition(".")
    return host if dice.maybe(0.7) else f"{host}-{net}.{int(last) + dice.random.randint(1, 3)}"


def _destination(dice: Dice) -> tuple[str, str]:
    choice = dice.random.random()
    if choice < 0.4:
        return "", f"-j DNAT --to-destination {_some_addresses(dice)}{_random(dice)}"
    if choice < 0.65:
        return _with_port(
            dice
        ), f"-j DNAT --to-destination {_some_addresses(dice)}:{_some_ports(dice)}{_random(dice)}"
    if choice < 0.75:
        return "", "-j REDIRECT"
    if choice < 0.88:
        return _with_port(dice), f"-j REDIRECT --to-ports {_some_ports(dice)}"
    return "", f"-j NETMAP --to {dice.one(tuple(NETS.values()))}.{dice.one(('0/24', '4/30', '8/29'))}"


def _source(dice: Dice, place: Place) -> tuple[str, str]:
    choice = dice.random.random()
    if place.hook == "POSTROUTING" and choice < 0.3:
        return "", f"-j MASQUERADE{dice.one(('', '', ' --random', ' --random-fully'))}"
    if place.hook == "POSTROUTING" and choice < 0.4:
        return _with_port(dice), f"-j MASQUERADE --to-ports {_some_ports(dice)}"
    if choice < 0.65:
        return "", f"-j SNAT --to-source {_some_addresses(dice)}{_random(dice)}"
    if choice < 0.9:
        return _with_port(
            dice
        ), f"-j SNAT --to-source {_some_addresses(dice)}:{_some_ports(dice)}{_random(dice)}"
    return "", f"-j NETMAP --to {dice.one(tuple(NETS.values()))}.{dice.one(('0/24', '4/30', '8/29'))}"
