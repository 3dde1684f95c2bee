# SPDX-License-Identifier: GPL-2.0-only
"""The arguments of `ip neigh`, and what it prints.

Linux lists neighbours in the order of a hash that nobody can foresee; here the
oldest is first. Source: iproute2 6.1, ip/ipneigh.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.errors import CommandError
from emu.kernel.nud import TIMED, VALID, Nud
from emu.tools.ip.record import Record
from emu.tools.ip.values import SECOND, address, contains, link_address, next_address, next_prefix, prefix
from emu.tools.ip.words import USAGE, Grammar, Option, Words, garbage, text, wrong, yes
from emu.wire.addresses import ANY_IP4, IpAddress, MacAddress, Prefix

if TYPE_CHECKING:
    from emu.kernel.neighbour import Neighbour
    from emu.kernel.skb import Skb
    from emu.tools.ip.options import Options

_NOT_GIVEN: Final = IpAddress(ANY_IP4)
_SHOWN: Final = frozenset(Nud) - {Nud.NONE, Nud.NOARP}  # unless asked for


def _nud(words: Words) -> Nud:
    word = words.take()
    states = {state.value.lower(): state for state in Nud}
    if word not in states:
        raise wrong(word, "nud state is bad")
    return states[word]


# --- add, change, replace, delete, get ---


@attrs.define
class NeighbourSpec:
    """A neighbour as it is written down."""

    ip: IpAddress = _NOT_GIVEN
    device: str = ""
    octets: bytes = b""
    state: Nud = Nud.PERMANENT
    proxy: IpAddress | None = None

    @property
    def mac(self) -> MacAddress | None:
        """Its MAC address, if it was given."""
        return MacAddress(self.octets) if self.octets else None


def _dst(spec: NeighbourSpec, word: str, words: Words) -> None:
    if word == "to":
        word = words.take()
    if spec.ip is not _NOT_GIVEN:
        raise garbage("to", word)
    spec.ip = address(word)


_SPEC: Final = Grammar[NeighbourSpec](
    "a neighbour",
    (
        Option(("lladdr",), "octets", lambda words: link_address(words.take())),
        Option(("nud",), "state", _nud),
        Option(("proxy",), "proxy", next_address),
        Option(("dev",), "device", text),
    ),
    _dst,
    ("extern_learn", "managed", "protocol", "router", "use"),
)


def parse_spec(words: Words) -> NeighbourSpec:
    """Return the neighbour that `words` describe.

    Raises:
        CommandError: they describe none.
    """
    spec = _SPEC.fill(NeighbourSpec(), words)
    if spec.proxy is not None:
        spec.ip = spec.proxy
    if spec.ip is _NOT_GIVEN or not spec.device:
        raise CommandError("Device and destination are required arguments.", USAGE)
    if spec.octets and len(spec.octets) != 6:
        raise CommandError("Error: Invalid link address.")
    return spec


# --- show and flush ---


@attrs.define
class Selection:
    """Which neighbours.

    Attributes:
        device: only those of this device.
        within: only those in this prefix.
        states: only those in one of these states; empty for the usual ones.
        proxy: addresses that are answered for instead of neighbours.
        unused: only those that have no timer.
    """

    device: str = ""
    within: Prefix | None = None
    states: frozenset[Nud] = frozenset()
    proxy: bool = False
    unused: bool = False

    def has(self, entry: Neighbour[Skb]) -> bool:
        """Return whether `entry` is meant."""
        return (
            self.device in {"", entry.device}
            and (self.within is None or contains(self.within, Prefix(entry.ip, entry.ip.bits)))
            and entry.state in (self.states or _SHOWN)
            and not (self.unused and entry.state in TIMED)
        )


def _states(words: Words) -> frozenset[Nud]:
    if words.peek() == "all":
        words.take()
        return frozenset(Nud) - {Nud.NONE}
    return frozenset({_nud(words)})


def _to(selection: Selection, word: str, words: Words) -> None:
    if word == "to":
        word = words.take()
    if selection.within is not None:
        raise garbage("to", word)
    selection.within = prefix(word)


_SHOW: Final = Grammar[Selection](
    "ip neigh show",
    (
        Option(("dev",), "device", text),
        Option(("nud",), "states", _states),
        Option(("proxy",), "proxy", yes),
        Option(("unused",), "unused", yes),
        Option(("to",), "within", next_prefix),
    ),
    _to,
    ("master", "nomaster", "protocol", "vrf"),
)


def parse_selection(words: Words) -> Selection:
    """Return the neighbours that `words` mean.

    Raises:
        CommandError: they make no sense.
    """
    return _SHOW.fill(Selection(), words)


def render(entry: Neighbour[Skb], selection: Selection, options: Options, now: int) -> Record:
    """Return what is printed of one neighbour.

    Args:
        entry: the neighbour.
        selection: what was asked for: its device is not said again.
        options: how it is to look.
        now: virtual time, ns, for the ages.
    """
    record = Record()
    _put_key(record, entry.ip, entry.device, selection)
    if entry.state in VALID:
        record.put("lladdr", str(entry.mac), f"lladdr {entry.mac} ")
    if options.statistics:
        if entry.state in TIMED:
            record.put("refcnt", 1, " ref 1")
        ages = [max(now - instant, 0) // SECOND for instant in (entry.used, entry.confirmed, entry.updated)]
        for key, age in zip(("used", "confirmed", "updated"), ages, strict=True):
            record.keep(key, age)
        record.show(" used {}/{}/{}".format(*ages))
        record.put("probes", entry.probes, f"probes {entry.probes} ")
    if entry.state is not Nud.NONE:
        record.put("state", [entry.state.value], f"{entry.state.value} ")
    record.show("\n")
    return record


def render_proxy(ip: IpAddress, device: str, selection: Selection) -> Record:
    """Return what is printed of an address that is answered for."""
    record = Record()
    _put_key(record, ip, device, selection)
    record.put("proxy", None, "proxy ")
    record.show("\n")
    return record


def _put_key(record: Record, ip: IpAddress, device: str, selection: Selection) -> None:
    record.put("dst", str(ip), f"{ip} ")
    if not selection.device:
        record.put("dev", device, f"dev {device} ")
