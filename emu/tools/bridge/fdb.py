# SPDX-License-Identifier: GPL-2.0-only
"""The arguments of `bridge fdb`, and what it prints.

Source: iproute2 6.1, bridge/fdb.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.errors import AddressError, CommandError
from emu.kernel.link.fdb import FdbState
from emu.tools.ip.record import Record
from emu.tools.ip.values import SECOND, address, count
from emu.tools.ip.words import USAGE, Grammar, Option, Words, garbage, is_short_for, not_modelled, text, yes
from emu.wire.addresses import ZERO_MAC, MacAddress

if TYPE_CHECKING:
    from emu.kernel.link.vxlan_fdb import Remote
    from emu.tools.ip.options import Options
    from emu.wire.addresses import IpAddress

# --- add, append, replace, delete, get ---


@attrs.define
class FdbSpec:
    """An entry as `bridge fdb add` takes it.

    Attributes:
        mac: the address, as it is written.
        device: name of the device.
        bridge: name of the bridge, for `get`.
        own: for the device's own table (`self`).
        of_bridge: for the table of its bridge (`master`).
        state: how long it lives.
        dst: the remote, of a VXLAN device.
        port: the remote's UDP port, 0 for the device's.
        vni: the remote's network, None for the device's.
        via: the underlying device's name.
    """

    mac: MacAddress = ZERO_MAC
    device: str = ""
    bridge: str = ""
    own: bool = False
    of_bridge: bool = False
    state: FdbState = FdbState.PERMANENT
    dst: IpAddress | None = None
    port: int = 0
    vni: int | None = None
    via: str = ""
    _written: str = ""

    def take_mac(self, word: str) -> None:
        """Take `word` as the address; a second one is refused."""
        if self._written:
            raise garbage("to", word)
        self._written = word

    def check(self, *, getting: bool) -> None:
        """Read the address, and see whether everything needed is there."""
        if not self._written or not (self.device or (getting and self.bridge)):
            what = "Device or master" if getting else "Device"
            raise CommandError(f"{what} and address are required arguments.", USAGE)
        try:
            self.mac = MacAddress.parse(self._written)
        except AddressError:
            raise CommandError(f"Invalid mac address {self._written}", USAGE) from None
        self.own = self.own or not self.of_bridge


def _state(state: FdbState) -> Option:
    words = {
        FdbState.PERMANENT: ("local", "permanent"),
        FdbState.STATIC: ("temp", "static"),
        FdbState.DYNAMIC: ("dynamic",),
    }
    return Option(words[state], "state", lambda _: state, short=True)


def _mac(spec: FdbSpec, word: str, words: Words) -> None:
    spec.take_mac(words.take() if is_short_for(word, "to") else word)


_SPEC: Final = Grammar[FdbSpec](
    "an FDB entry",
    (
        Option(("dev",), "device", text),
        Option(("br",), "bridge", text),
        Option(("dst",), "dst", lambda words: address(words.take(), "any valid address")),
        Option(("port",), "port", count("invalid port\n", 65535)),
        Option(("vni",), "vni", count("invalid VNI\n", 2**24 - 1)),
        Option(("via",), "via", text),
        Option(("self",), "own", yes),
        Option(("master",), "of_bridge", yes, short=True),
        *map(_state, FdbState),
    ),
    _mac,
    ("extern_learn", "nhid", "router", "src_vni", "sticky", "use", "vlan"),
)


def parse_spec(words: Words, *, getting: bool = False) -> FdbSpec:
    """Return the entry that `words` describe.

    Raises:
        CommandError: they describe none.
    """
    spec = _SPEC.fill(FdbSpec(), words)
    spec.check(getting=getting)
    return spec


# --- show ---


@attrs.define
class Selection:
    """Which entries.

    Attributes:
        bridge: only those of this bridge, its ports and itself.
        device: only those of this device; not said again of each.
        dynamic: only those that the kernel does not call permanent.
        state: only those in this state.
    """

    bridge: str = ""
    device: str = ""
    dynamic: bool = False
    state: FdbState | None = None

    def has(self, state: FdbState) -> bool:
        """Return whether an entry in `state` is meant."""
        return self.state in {None, state} and not (self.dynamic and state is FdbState.PERMANENT)


def _state_named(words: Words) -> FdbState | None:
    word = words.take()
    if is_short_for(word, "all"):
        return None
    if is_short_for(word, "permanent"):
        return FdbState.PERMANENT
    if is_short_for(word, "static", "temp"):
        return FdbState.STATIC
    if is_short_for(word, "dynamic"):
        return FdbState.DYNAMIC
    raise not_modelled(f"bridge fdb show state {word}")


def _nothing(_selection: Selection, _word: str, _words: Words) -> None:
    """Pass over what is no option, as the real tool does (`static`, `permanent` without `state`)."""


_SHOW: Final = Grammar[Selection](
    "bridge fdb show",
    (
        Option(("brport", "dev"), "device", text),
        Option(("br",), "bridge", text),
        Option(("state",), "state", _state_named),
        Option(("dynamic",), "dynamic", yes),
    ),
    _nothing,
    ("vlan",),
)


def parse_selection(words: Words) -> Selection:
    """Return the entries that `words` mean.

    Raises:
        CommandError: they make no sense.
    """
    return _SHOW.fill(Selection(), words)


@attrs.frozen
class Line:
    """An entry to be shown.

    Attributes:
        mac: the address.
        device: name of the device behind which it is.
        state: how long it lives.
        bridge: name of the bridge whose table it is in; empty for the device's own.
        remote: where frames for it are sent, of a VXLAN device.
        used: how long ago it was last used and changed, ns; None where nobody keeps that.
    """

    mac: MacAddress
    device: str
    state: FdbState
    bridge: str = ""
    remote: Remote | None = None
    used: tuple[int, int] | None = None


def render(line: Line, selection: Selection, options: Options) -> Record:
    """Return what is printed of one entry."""
    record = Record()
    record.put("mac", str(line.mac), f"{line.mac} ")
    if not selection.device:
        record.put("ifname", line.device, f"dev {line.device} ")
    if line.remote is not None:
        _put_remote(record, line.remote)
    if options.statistics and line.used is not None:
        used, updated = (max(age, 0) // SECOND for age in line.used)
        record.keep("used", used)
        record.keep("updated", updated)
        record.show(f"used {used}/{updated} ")
    record.put("flags", [] if line.bridge else ["self"], "" if line.bridge else "self ")
    if line.bridge:
        record.put("master", line.bridge, f"master {line.bridge} ")
    state = "" if line.state is FdbState.DYNAMIC else line.state.value
    record.put("state", state, f"{state}\n")
    return record


def _put_remote(record: Record, remote: Remote) -> None:
    record.put("dst", str(remote.dst), f"dst {remote.dst} ")
    if remote.port:
        record.put_number("port", remote.port)
    if remote.vni is not None:
        record.put_number("vni", remote.vni)
    if remote.device:
        record.put("viaIf", remote.device, f"via {remote.device} ")
