# SPDX-License-Identifier: GPL-2.0-only
"""Small rulesets of nftables, as texts for `nft -f`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from tests.kernel.verdicts.flows import MARKS, NAT_PORTS
from tests.kernel.verdicts.topology import NETS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.kernel.verdicts.flows import Dice

_HOOKS: Final = ("prerouting", "input", "forward", "output", "postrouting")
_PRIORITIES: Final = (-300, -150, 0, 0, 10, 50, 150)
_IN: Final = ("prerouting", "input", "forward")
_OUT: Final = ("forward", "output", "postrouting")
_STATES: Final = ("new", "established", "related", "invalid", "untracked")
_FLAGS: Final = ("syn", "& (syn | ack) == syn", "& (fin | syn | rst | ack) == syn | ack", "!= syn")
_REJECTS: Final = (
    "",
    " with icmp type host-unreachable",
    " with icmp type admin-prohibited",
    " with icmp type net-unreachable",
)


class _Base(NamedTuple):
    """A base chain, and where the chains that it jumps to are."""

    name: str
    type: str
    hook: str
    priority: int


def ruleset(dice: Dice) -> str:
    """Return the text of a table."""
    family = dice.one(("ip", "ip", "inet"))
    bases = list(_bases(dice))
    lines = [f"table {family} t {{", *_sets(dice)]
    for base in bases:
        users = [f"{base.name}_{number}" for number in range(dice.one((0, 1, 1, 2)))]
        for position, name in reversed(list(enumerate((base.name, *users)))):
            lines += _chain(dice, base, name, users[position:])
    return "\n".join((*lines, "}", ""))


def _bases(dice: Dice) -> Iterator[_Base]:
    number = 0
    for hook in _HOOKS:
        for _ in range(dice.one((0, 1, 1, 2))):
            yield _Base(f"f{number}", "filter", hook, dice.one(_PRIORITIES))
            number += 1
        if hook != "forward" and dice.maybe(0.4):
            yield _Base(f"n{number}", "nat", hook, -100 if hook in ("prerouting", "output") else 100)
            number += 1
    if dice.maybe(0.2) or not number:
        yield _Base(f"r{number}", "route", "output", -150)


def _sets(dice: Dice) -> Iterator[str]:
    address, port = dice.address, dice.port
    pairs = ", ".join(dict.fromkeys(f"{address()} . {port()}" for _ in range(3)))
    verdicts = {address(): dice.one(("accept", "drop", "continue", "return")) for _ in range(2)}
    yield f"\tset a {{ type ipv4_addr; {_elements([address() for _ in range(3)])} }}"
    yield (
        "\tset n { type ipv4_addr; flags interval; auto-merge; "
        + _elements([f"{address()}/{dice.one((24, 30, 31))}" for _ in range(2)])
        + " }"
    )
    yield f"\tset p {{ type inet_service; {_elements([str(port()) for _ in range(3)])} }}"
    yield f"\tset ap {{ type ipv4_addr . inet_service; elements = {{ {pairs} }} }}"
    yield f"\tset d {{ type ipv4_addr; size 65535; flags dynamic{dice.one((',timeout; timeout 1h', ''))}; }}"
    yield (
        "\tmap v { type ipv4_addr : verdict; " + _elements([f"{k} : {v}" for k, v in verdicts.items()]) + " }"
    )
    marks = {port(): dice.one(MARKS) for _ in range(2)}
    yield (
        "\tmap m { type inet_service : mark; " + _elements([f"{k} : {v:#x}" for k, v in marks.items()]) + " }"
    )


def _elements(words: list[str]) -> str:
    return f"elements = {{ {', '.join(dict.fromkeys(words))} }}"


def _chain(dice: Dice, base: _Base, name: str, chains: list[str]) -> Iterator[str]:
    yield f"\tchain {name} {{"
    if name == base.name:
        policy = "drop" if base.type == "filter" and dice.maybe(0.06) else "accept"
        yield f"\t\ttype {base.type} hook {base.hook} priority {base.priority}; policy {policy};"
    for _ in range(dice.one((0, 1, 2, 2, 3))):
        yield f"\t\t{_rule(dice, base, chains)}"
    yield "\t}"


def _rule(dice: Dice, base: _Base, chains: list[str]) -> str:
    """Return a rule: what it asks of the protocol never contradicts itself, which nft would refuse."""
    needed, end = _end(dice, base, chains)
    protocol = needed or dice.one(("tcp", "tcp", "udp", "udp", "icmp"))
    conditions = [*_plain_conditions(dice, base)]
    if needed or dice.maybe(0.6):
        conditions += _transport_conditions(dice, protocol)
    else:
        conditions += _protocol_conditions(dice)
    words = [dice.one(conditions) for _ in range(dice.one((0, 1, 1, 2)))]
    changes = [dice.one(_changes(dice, base, needed))] if dice.maybe(0.3) else []
    lead = f"meta l4proto {needed}" if needed else ""
    return " ".join(filter(None, (lead, *dict.fromkeys(words), "counter", *changes, end)))


def _not(dice: Dice) -> str:
    return "!= " if dice.maybe(0.2) else ""


def _ports(dice: Dice) -> str:
    port = dice.port()
    return dice.one(
        (
            f"{_not(dice)}{port}",
            f"{_not(dice)}{port - 1}-{port + 1}",
            f"{{ {', '.join(dict.fromkeys(str(dice.port()) for _ in range(2)))} }}",
            f"{_not(dice)}@p",
            ">= 1024",
        )
    )


def _protocol_conditions(dice: Dice) -> list[str]:
    return [
        f"meta l4proto {_not(dice)}{dice.one(('tcp', 'udp', 'icmp', '{ tcp, udp }'))}",
        f"ip protocol {_not(dice)}{dice.one(('tcp', 'udp', 'icmp', 'sctp'))}",
    ]


def _transport_conditions(dice: Dice, protocol: str) -> list[str]:
    side = dice.one(("saddr", "daddr"))
    if protocol == "icmp":
        return [
            f"icmp type {_not(dice)}{dice.one(('echo-request', 'echo-reply', 'destination-unreachable'))}"
        ]
    choices = [f"{protocol} {dice.one(('sport', 'dport', 'dport'))} {_ports(dice)}" for _ in range(4)]
    choices += [
        f"ip {side} . {protocol} dport @ap",
        f"meta l4proto {protocol} th dport {_ports(dice)}",
        f"meta l4proto {protocol} ct original proto-dst {dice.port()}",
    ]
    if protocol == "tcp":
        choices += [f"tcp flags {dice.one(_FLAGS)}" for _ in range(2)]
    return choices


def _plain_conditions(dice: Dice, base: _Base) -> list[str]:
    side = dice.one(("saddr", "daddr"))
    choices = [
        f"ip {side} {_not(dice)}{dice.address()}",
        f"ip {side} {_not(dice)}{dice.address().rpartition('.')[0]}.0/24",
        f"ip {side} {_not(dice)}@{dice.one('an')}",
        f"ip {side} {{ {', '.join(dict.fromkeys(dice.address() for _ in range(2)))} }}",
        f"ct state {_not(dice)}{','.join(dice.random.sample(_STATES, dice.random.randint(1, 2)))}",
        f"ct direction {dice.one(('original', 'reply'))}",
        f"ct status {_not(dice)}{dice.one(('snat', 'dnat', 'assured', 'seen-reply', 'confirmed'))}",
        f"ct mark {_not(dice)}{dice.one(MARKS):#x}",
        f"ct original ip {side} {dice.address()}",
        f"meta mark {_not(dice)}{dice.one(MARKS):#x}",
        f"meta mark & {dice.one((0xFF, 1, 0x4000)):#x} == {dice.one((0, 1)):#x}",
        f"meta length {dice.one(('< 60', '> 40', '40-80'))}",
        f"meta pkttype {_not(dice)}unicast",
        f"ip ttl {dice.one(('< 64', '64', '> 1'))}",
        f"ip dscp {_not(dice)}{dice.one(('cs0', 'ef', '0x04'))}",
        f"ip frag-off & 0x1fff {dice.one(('==', '!='))} 0",
        f"fib {side} type {_not(dice)}{dice.one(('local', 'unicast', '{ local, broadcast }'))}",
        f"numgen inc mod {dice.random.randint(2, 3)} {dice.random.randrange(2)}",
        f"limit rate {dice.one(('', 'over '))}1/hour burst {dice.random.randint(1, 3)} packets",
        f"{dice.one(('add', 'update'))} @d {{ ip {side} }}",
        f"ip {side} {_not(dice)}@d",
        f"jhash ip saddr mod 2 seed 0x1 {dice.random.randrange(2)}",
    ]
    if base.hook in _IN:
        choices.append(f"iifname {_not(dice)}{dice.one(('eth0', 'eth1', 'br0', '{ eth0, eth1 }'))}")
        choices.append(f"iif {_not(dice)}{dice.one(('eth0', 'lo'))}")
    if base.hook in _OUT:
        choices.append(f"oifname {_not(dice)}{dice.one(('eth0', 'eth1', 'br0'))}")
    return choices


def _changes(dice: Dice, base: _Base, protocol: str) -> list[str]:
    choices = [
        f"meta mark set {dice.one(MARKS):#x}",
        f"meta mark set meta mark | {dice.one((1, 2, 0x4000)):#x}",
        "meta mark set ct mark",
        "ct mark set meta mark",
        f"ct mark set {dice.one(MARKS):#x}",
        f"ip dscp set {dice.one(('cs1', 'ef'))}",
        f"ip ttl set {dice.one((64, 10, 2))}",
        'log prefix "x"',
    ]
    if base.hook in ("prerouting", "output") and base.priority < -200:
        choices += ["notrack"] * 3
    if protocol in ("tcp", "udp"):
        choices += [f"meta mark set {protocol} dport map @m"] * 2
    return choices


def _end(dice: Dice, base: _Base, chains: list[str]) -> tuple[str, str]:
    """Return the protocol that the end of a rule needs, empty for any, and the end."""
    choice = dice.random.random()
    if chains and choice < 0.25:
        return "", f"{dice.one(('jump', 'jump', 'goto'))} {dice.one(chains)}"
    if choice < 0.4:
        return "", ""
    if choice < 0.48:
        return "", f"ip {dice.one(('saddr', 'daddr'))} vmap @v"
    if base.type == "nat":
        return _nat(dice, base)
    if base.hook in ("input", "forward", "output") and choice < 0.65:
        if dice.maybe(0.3):
            return "tcp", "reject with tcp reset"
        return "", f"reject{dice.one(_REJECTS)}"
    return "", dice.one(("accept", "accept", "return", "continue", "drop"))


def _nat(dice: Dice, base: _Base) -> tuple[str, str]:
    host, port = dice.host(), dice.one(NAT_PORTS)
    net, _, last = host.rpartition(".")
    several = f"{host}-{net}.{int(last) + 2}"
    with_ports = dice.one(("tcp", "udp"))
    flags = dice.one(("", "", " persistent"))
    if base.hook in ("prerouting", "output"):
        return dice.one(
            (
                ("", f"dnat ip to {host}{flags}"),
                ("", f"dnat ip to {several}{flags}"),
                (with_ports, f"dnat ip to {host}:{port}{flags}"),
                (with_ports, f"redirect to :{port}"),
                ("", "redirect"),
                (with_ports, f"dnat ip to numgen inc mod 2 map {{ 0 : {host}, 1 : {NETS['eth1']}.5 }}"),
            )
        )
    choices = [
        ("", f"snat ip to {host}{flags}"),
        ("", f"snat ip to {several}{flags}"),
        (with_ports, f"snat ip to {host}:{port}{flags}"),
    ]
    if base.hook == "postrouting":
        choices += [("", "masquerade"), ("", "masquerade random"), (with_ports, f"masquerade to :{port}")]
    return dice.one(choices)
