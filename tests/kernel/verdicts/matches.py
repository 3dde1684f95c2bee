# SPDX-License-Identifier: GPL-2.0-only
"""Conditions of iptables, such as packets of the case may meet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from emu.tools.iptables.extensions import find_match
from tests.kernel.verdicts.flows import ICMP, MARKS, MASKS, SCTP, TCP, TOS, TTLS, UDP, UDP_LITE
from tests.kernel.verdicts.topology import MACS, NETS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.kernel.verdicts.flows import Dice

_IN_HOOKS: Final = frozenset(("PREROUTING", "INPUT", "FORWARD"))
_OUT_HOOKS: Final = frozenset(("FORWARD", "OUTPUT", "POSTROUTING"))
_INTERFACES: Final = ("eth0", "eth1", "br0", "eth+", "lo", "p1", "b+")
_NAMES: Final = {TCP: "tcp", UDP: "udp", ICMP: "icmp", SCTP: "sctp", UDP_LITE: "udplite"}
_FLAGS: Final = ("SYN", "ACK", "FIN", "RST", "PSH", "URG")
_STATES: Final = ("NEW", "ESTABLISHED", "RELATED", "INVALID", "UNTRACKED")
_STATUSES: Final = ("NONE", "EXPECTED", "SEEN_REPLY", "ASSURED", "CONFIRMED")
_KINDS: Final = ("UNICAST", "LOCAL", "BROADCAST", "MULTICAST", "UNSPEC", "BLACKHOLE")
_ICMP_KINDS: Final = (
    "any",
    "8",
    "0",
    "3",
    "3/3",
    "11",
    "echo-request",
    "destination-unreachable",
    "12/0",
    "13",
)
_CHUNKS: Final = ("DATA", "INIT", "INIT_ACK", "COOKIE_ECHO", "SHUTDOWN", "ABORT:t", "DATA:BE")


class Place(NamedTuple):
    """Where a rule stands, and how many were drawn for the case before (for names that differ)."""

    table: str
    hook: str
    number: int


def conditions(dice: Dice, place: Place) -> str:
    """Return the conditions of a rule."""
    words = [_addresses(dice), _interfaces(dice, place)]
    protocol = 0
    if dice.maybe(0.5):
        protocol = dice.flow().protocol
        inverted = dice.maybe(0.08)
        words.append(f"{'! ' if inverted else ''}-p {_NAMES.get(protocol, protocol)}")
        protocol = 0 if inverted else protocol
    elif dice.maybe(0.04):
        words.append(f"{dice.inverted()}-f")
    if protocol and dice.maybe(0.6):
        words.append(_of_protocol(dice, protocol))
    words += [_extension(dice, place, protocol) for _ in range(dice.one((0, 0, 1, 1, 1, 2)))]
    return " ".join(filter(None, dict.fromkeys(words)))


def _addresses(dice: Dice) -> str:
    return " ".join(f"{dice.inverted()}-{letter} {_range(dice)}" for letter in "sd" if dice.maybe(0.22))


def _range(dice: Dice) -> str:
    address = dice.address()
    length = dice.one((32, 32, 24, 31, 30, 16))
    if dice.maybe(0.05):
        return f"{address}/255.0.255.255"
    return address if length == 32 else f"{address}/{length}"


def _interfaces(dice: Dice, place: Place) -> str:
    words = []
    if place.hook in _IN_HOOKS and dice.maybe(0.15):
        words.append(f"{dice.inverted()}-i {dice.one(_INTERFACES)}")
    if place.hook in _OUT_HOOKS and dice.maybe(0.15):
        words.append(f"{dice.inverted()}-o {dice.one(_INTERFACES)}")
    return " ".join(words)


def _ports(dice: Dice) -> str:
    port = dice.port()
    wide = dice.one((":599", "600:", ":1023", "1024:"))
    return dice.one((f"{port}", f"{port}", f"{port}", f"{port - 1}:{port + 1}", wide))


def _of_protocol(dice: Dice, protocol: int) -> str:
    if protocol == TCP:
        return "-m tcp " + _tcp(dice)
    if protocol == ICMP:
        return f"-m icmp {dice.inverted()}--icmp-type {dice.one(_ICMP_KINDS)}"
    if protocol == SCTP and dice.maybe(0.4):
        chunks = ",".join(dice.random.sample(_CHUNKS, dice.random.randint(1, 2)))
        return f"-m sctp {dice.inverted()}--chunk-types {dice.one(('any', 'all', 'only'))} {chunks}"
    if protocol in (UDP, SCTP):
        side = dice.one(("sport", "dport", "dport"))
        return f"-m {_NAMES[protocol]} {dice.inverted()}--{side} {_ports(dice)}"
    return ""


def _tcp(dice: Dice) -> str:
    choice = dice.random.random()
    if choice < 0.5:
        return f"{dice.inverted()}--{dice.one(('sport', 'dport', 'dport'))} {_ports(dice)}"
    if choice < 0.7:
        return f"{dice.inverted()}--syn"
    if choice < 0.9:
        mask = dice.random.sample(_FLAGS, dice.random.randint(1, 4))
        value = dice.random.sample(mask, dice.random.randint(0, len(mask)))
        return f"{dice.inverted()}--tcp-flags {','.join(mask)} {','.join(value) or 'NONE'}"
    return f"{dice.inverted()}--tcp-option {dice.one((2, 3, 4, 5, 8, 30))}"


# --- what stands behind -m ---


def _multiport(dice: Dice, place: Place, protocol: int) -> str:
    del place
    if protocol not in (TCP, UDP, SCTP, UDP_LITE):
        return ""
    ports = [_ports(dice) for _ in range(dice.random.randint(1, 3))]
    ports = [port for port in ports if port[0] != ":" and port[-1] != ":"] or [str(dice.port())]
    return f"-m multiport {dice.inverted()}--{dice.one(('sports', 'dports', 'ports'))} {','.join(ports)}"


def _mark(dice: Dice, place: Place, protocol: int) -> str:
    del place, protocol
    name = dice.one(("mark", "mark", "connmark"))
    return f"-m {name} {dice.inverted()}--mark {dice.one(MARKS):#x}/{dice.one(MASKS):#x}"


def _conntrack(dice: Dice, place: Place, protocol: int) -> str:
    del place
    options = {
        "ctstate": lambda: ",".join(
            dice.random.sample((*_STATES, "SNAT", "DNAT"), dice.random.randint(1, 3))
        ),
        "ctproto": lambda: str(dice.flow().protocol),
        "ctorigsrc": lambda: _range(dice),
        "ctorigdst": lambda: _range(dice),
        "ctreplsrc": lambda: _range(dice),
        "ctrepldst": lambda: _range(dice),
        "ctorigsrcport": lambda: str(dice.port()),
        "ctorigdstport": lambda: f"{dice.port()}",
        "ctreplsrcport": lambda: dice.one(("0:599", "600:1023", "1024:65535")),
        "ctrepldstport": lambda: str(dice.port()),
        "ctstatus": lambda: ",".join(dice.random.sample(_STATUSES[1:], dice.random.randint(1, 2))),
        "ctdir": lambda: dice.one(("ORIGINAL", "REPLY")),
        "ctexpire": lambda: dice.one(("0:70", "100:500", "0:1000000")),
    }
    del protocol
    names = ["ctstate", *dice.random.sample(sorted(options), 2)] if dice.maybe(0.5) else ["ctstate"]
    words = []
    for name in dict.fromkeys(names[dice.one((0, 0, 1)) :] or names):
        inverted = "" if name == "ctdir" else dice.inverted()
        words.append(f"{inverted}--{name} {options[name]()}")
    return "-m conntrack " + " ".join(words)


def _state(dice: Dice, place: Place, protocol: int) -> str:
    del place, protocol
    states = dice.random.sample(_STATES, dice.random.randint(1, 2))
    return f"-m state {dice.inverted()}--state {','.join(states)}"


def _addrtype(dice: Dice, place: Place, protocol: int) -> str:
    del protocol
    words = [
        f"{dice.inverted()}--{side}-type {','.join(dice.random.sample(_KINDS, dice.random.randint(1, 2)))}"
        for side in dice.one((("src",), ("dst",), ("src", "dst")))
    ]
    if dice.maybe(0.3):
        if place.hook in ("PREROUTING", "INPUT"):
            words.append("--limit-iface-in")
        elif place.hook in ("OUTPUT", "POSTROUTING"):
            words.append("--limit-iface-out")
    return "-m addrtype " + " ".join(words)


def _statistic(dice: Dice, place: Place, protocol: int) -> str:
    del place, protocol
    if dice.maybe(0.2):
        return f"-m statistic --mode random {dice.inverted()}--probability {dice.one(('0', '1'))}"
    every = dice.random.randint(1, 4)
    return f"-m statistic --mode nth {dice.inverted()}--every {every} --packet {dice.random.randrange(every)}"


def _iprange(dice: Dice, place: Place, protocol: int) -> str:
    del place, protocol
    net = dice.one(tuple(NETS.values()))
    first = dice.random.randint(1, 4)
    return (
        f"-m iprange {dice.inverted()}--{dice.one(('src', 'dst'))}-range "
        f"{net}.{first}-{net}.{first + dice.random.randint(0, 3)}"
    )


def _numbers(dice: Dice, place: Place, protocol: int) -> str:
    del place, protocol
    low = dice.random.randint(20, 60)
    return dice.one(
        (
            f"-m length {dice.inverted()}--length {low}:{low + 40}",
            f"-m ttl {dice.inverted()}--ttl-eq {dice.one(TTLS)}",
            f"-m ttl --ttl-{dice.one(('lt', 'gt'))} {dice.one(TTLS)}",
            f"-m tos {dice.inverted()}--tos {dice.one(TOS):#x}/{dice.one((0xFF, 0x3F, 0xFC)):#x}",
            f"-m dscp {dice.inverted()}--dscp {dice.one(TOS) >> 2:#x}",
            f"-m ecn {dice.inverted()}--ecn-ip-ect {dice.random.randrange(4)}",
        )
    )


def _ecn(dice: Dice, place: Place, protocol: int) -> str:
    del place
    if protocol != TCP:
        return ""
    return f"-m ecn {dice.inverted()}--ecn-tcp-{dice.one(('cwr', 'ece'))}"


def _link(dice: Dice, place: Place, protocol: int) -> str:
    del protocol
    kind = f"-m pkttype {dice.inverted()}--pkt-type {dice.one(('unicast', 'broadcast', 'multicast'))}"
    if place.hook not in _IN_HOOKS:
        return kind
    return dice.one((kind, f"-m mac {dice.inverted()}--mac-source {dice.one(tuple(MACS.values()))}"))


def _physdev(dice: Dice, place: Place, protocol: int) -> str:
    del protocol
    choices = [
        f"{dice.inverted()}--physdev-in {dice.one(('p1', 'p2', 'p+'))}",
        f"{dice.inverted()}--physdev-is-in",
        f"{dice.inverted()}--physdev-is-bridged",
    ]
    if place.hook in ("FORWARD", "POSTROUTING"):
        choices += [
            f"{dice.inverted()}--physdev-out {dice.one(('p1', 'p2', 'p+'))}",
            f"{dice.inverted()}--physdev-is-out",
        ]
    return "-m physdev " + dice.one(choices)


def _rpfilter(dice: Dice, place: Place, protocol: int) -> str:
    del protocol
    if place.hook != "PREROUTING" or place.table not in ("raw", "mangle"):
        return ""
    options = [
        option for option in ("--loose", "--validmark", "--accept-local", "--invert") if dice.maybe(0.3)
    ]
    return " ".join(("-m rpfilter", *options))


def _owner(dice: Dice, place: Place, protocol: int) -> str:
    del protocol
    if place.hook not in ("OUTPUT", "POSTROUTING"):
        return ""
    return f"-m owner {dice.inverted()}{dice.one(('--uid-owner 0', '--uid-owner 1-9', '--socket-exists'))}"


def _limited(dice: Dice, place: Place, protocol: int) -> str:
    """Return a condition that holds so often and, within the time of a case, no more."""
    del protocol
    burst = dice.random.randint(1, 3)
    mode = dice.one(("srcip", "dstip", "srcip,dstport", "dstip,dstport", "srcip,srcport,dstip,dstport"))
    way = dice.one(("upto", "above"))
    hashed = f"--hashlimit-burst {burst} --hashlimit-mode {mode} --hashlimit-name h{place.number}@RUN@"
    return dice.one(
        (
            f"-m limit --limit 1/hour --limit-burst {burst}",
            f"-m hashlimit --hashlimit-{way} 1/hour {hashed}",
        )
    )


def _recent(dice: Dice, place: Place, protocol: int) -> str:
    del place, protocol
    options = dice.one(("--set", "--set", "--rcheck", "--update", "--remove"))
    if options in ("--rcheck", "--update") and dice.maybe(0.6):
        options += f" --hitcount {dice.random.randint(1, 3)}"
    if options[2] in "ru" and dice.maybe(0.3):
        options += " --seconds 3600" if "remove" not in options else ""
    side = dice.one(("--rsource", "--rdest"))
    return f"-m recent {dice.inverted()}{options} --name n{dice.one('ab')}@RUN@ {side}"


def _comment(dice: Dice, place: Place, protocol: int) -> str:
    del dice, place, protocol
    return '-m comment --comment "as one likes"'


_EXTENSIONS: Final[tuple[Callable[[Dice, Place, int], str], ...]] = (
    *(_conntrack,) * 5,
    *(_mark,) * 3,
    *(_numbers,) * 4,
    *(_multiport,) * 2,
    *(_addrtype,) * 2,
    *(_statistic,) * 2,
    *(_physdev,) * 2,
    *(_limited,) * 2,
    *(_recent,) * 2,
    _state,
    _iprange,
    _ecn,
    _link,
    _rpfilter,
    _owner,
    _comment,
)


_OF_CONNECTIONS: Final = (_conntrack, _state)


def _extension(dice: Dice, place: Place, protocol: int) -> str:
    extension = dice.one(_EXTENSIONS)
    if (place.table, place.hook) == ("raw", "PREROUTING") and extension in _OF_CONNECTIONS:
        return ""  # behind `CT --zone` the kernel would ask a connection that is not there yet
    text = extension(dice, place, protocol)
    return text if not text or find_match(text.split()[1]) is not None else ""
