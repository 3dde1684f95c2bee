# SPDX-License-Identifier: GPL-2.0-only
"""Sets of addresses and ports, and rules that ask and change them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from tests.kernel.verdicts.flows import MARKS
from tests.kernel.verdicts.topology import NETS

if TYPE_CHECKING:
    from tests.kernel.verdicts.flows import Dice
    from tests.kernel.verdicts.matches import Place

_TYPES: Final = (  # the others are not built into every kernel
    "hash:ip",
    "hash:ip",
    "hash:net",
    "hash:net",
    "hash:ip,port",
    "hash:ip,port",
    "hash:net,port",
    "hash:ip,port,ip",
    "hash:ip,port,net",
    "hash:net,iface",
    "bitmap:port",
    "bitmap:ip",
    "list:set",
)
_RANGES: Final = {"bitmap:port": "range 0-65535", "bitmap:ip": "range 10.0.0.0/16"}
_ADDED_BY_RULES: Final = frozenset(kind for kind in _TYPES if kind not in ("list:set", "hash:net,iface"))
_MAY_EXCEPT: Final = "net"


@attrs.frozen
class Known:
    """A set of a case."""

    name: str
    kind: str
    options: str

    @property
    def parts(self) -> list[str]:
        """What an element is made of."""
        return self.kind.partition(":")[2].split(",")


def draw_sets(dice: Dice) -> tuple[list[Known], str]:
    """Return some sets, and the text for `ipset restore` that makes them."""
    known: list[Known] = []
    lines: list[str] = []
    for number in range(dice.random.randint(2, 4)):
        kind = dice.one([kind for kind in _TYPES if kind != "list:set" or known])
        options = [_RANGES.get(kind, "")]
        if kind == "hash:ip" and dice.maybe(0.2):
            options.append("netmask 24")
        options += [option for option in ("counters", "timeout 3000", "skbinfo") if dice.maybe(0.2)]
        one = Known(f"s{number}", kind, " ".join(filter(None, options)))
        lines.append(f"create {one.name} {kind} {one.options}".rstrip())
        elements = dict.fromkeys(_element(dice, one, known) for _ in range(dice.random.randint(0, 4)))
        lines += [f"add {one.name} {element} -exist" for element in elements]
        known.append(one)
    return known, "\n".join((*lines, ""))


def _element(dice: Dice, one: Known, others: list[Known]) -> str:
    if one.kind == "list:set":
        return dice.one([other.name for other in others if other.kind != "list:set"] or [others[0].name])
    element = ",".join(_part(dice, one.kind, part) for part in one.parts)
    if _MAY_EXCEPT in one.parts and dice.maybe(0.2):
        element += " nomatch"
    if "timeout" in one.options and dice.maybe(0.3):
        element += f" timeout {dice.one((0, 500))}"
    if "skbinfo" in one.options and dice.maybe(0.5):
        element += f" skbmark {dice.one(MARKS):#x}"
    return element


def _part(dice: Dice, kind: str, part: str) -> str:
    match part:
        case "ip" if kind.startswith("bitmap"):
            return f"{dice.one(tuple(NETS.values()))}.{dice.random.randint(1, 4)}"
        case "ip":
            return dice.address()
        case "net":
            return f"{dice.address()}/{dice.one((32, 31, 30, 24, 16))}"
        case "port":
            protocol = dice.one(("tcp:", "udp:", "", "sctp:")) if kind.startswith("hash") else ""
            if kind.startswith("hash") and dice.maybe(0.1):
                return f"icmp:{dice.one(('echo-request', '3/3', '0/0'))}"
            return f"{protocol}{dice.port()}"
        case _:
            return dice.one(("eth0", "eth1", "br0", "physdev:p1"))


def conditions(dice: Dice, place: Place, known: list[Known]) -> str:
    """Return a condition that asks one of the sets."""
    one = dice.one([each for each in known if _may_ask(each, place)] or [known[0]])
    if not _may_ask(one, place):
        return ""
    words = [f"-m set {dice.inverted()}--match-set {one.name} {_directions(dice, one)}"]
    if _MAY_EXCEPT in one.parts and dice.maybe(0.2):
        words.append("--return-nomatch")
    if "counters" in one.options and dice.maybe(0.4):
        words.append(dice.one(("! --update-counters", "--packets-gt 0", "--packets-lt 2", "--bytes-gt 60")))
    return " ".join(words)


def action(dice: Dice, place: Place, known: list[Known]) -> str:
    """Return a target that changes one of the sets, nothing if there is none to be changed."""
    able = [each for each in known if each.kind in _ADDED_BY_RULES and _may_ask(each, place)]
    if not able:
        return ""
    one = dice.one(able)
    if "skbinfo" in one.options and place.table == "mangle" and dice.maybe(0.5):
        return f"-j SET --map-set {one.name} {_directions(dice, one)} --map-mark"
    way = dice.one(("add", "add", "del"))
    exist = " --exist" if way == "add" and dice.maybe(0.4) else ""
    timeout = " --timeout 700" if way == "add" and "timeout" in one.options and dice.maybe(0.4) else ""
    return f"-j SET --{way}-set {one.name} {_directions(dice, one)}{exist}{timeout}"


def _may_ask(one: Known, place: Place) -> bool:
    """Return whether packets at `place` have what the set is about."""
    return "iface" not in one.parts or place.hook in ("PREROUTING", "INPUT", "FORWARD")


def _directions(dice: Dice, one: Known) -> str:
    if one.kind == "list:set":
        return ",".join(dice.one(("src", "dst")) for _ in range(2))
    return ",".join("src" if part == "iface" else dice.one(("src", "dst")) for part in one.parts)
