# SPDX-License-Identifier: GPL-2.0-only
"""Other settings for a cable that is in use: `link worker-1 tor-1 loss 10%`.

    WORDS = "up" | "down" | "clear" | SETTING VALUE [SETTING VALUE ...]
    SETTING = delay | jitter | bandwidth | queue | mtu | loss | duplicate
            | reorder | corrupt | dropNth | dropEvery

Values are those of the key `links` of a `Fabric` document. `clear` takes all
settings away; what words do not name stays as it is. Frames that are counted
(`dropNth`) are counted from 1 again whenever a fault is set.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import attrs

from emu.cluster.topology.fabric import links, quantities
from emu.cluster.underlay.places import EXTERNAL
from emu.document import MappingNode
from emu.document.fields import Place, Report
from emu.errors import CommandError, DocumentError, UnknownNameError, did_you_mean
from emu.fabric.faults import NO_FAULTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.cluster.topology.fabric.links import LinkSpec
    from emu.fabric.cable import Cable
    from emu.fabric.driver import Fabric
    from emu.kernel.namespace import Namespace

_SETTINGS: Final = ("delay", "jitter", "bandwidth", "queue", "mtu")
_FAULTS: Final = ("loss", "duplicate", "reorder", "corrupt", "dropNth", "dropEvery")
_KINDS: Final = ("node/", "switch/", "router/", "vpc/", "lb/", "")
_ALONE: Final = (["up"], ["down"], ["clear"])
_NUMBERS: Final = ("queue", "mtu", "dropNth", "dropEvery")


def set_link(fabric: Fabric, a: str, b: str, words: Sequence[str]) -> None:
    """Give the cables between two machines other settings.

    Args:
        fabric: where they are.
        a: a machine as documents call it, with its device (`worker-1:eth0`) if
            only that one's cable is meant: a node, a switch, a router,
            `ext/NAME`, or a network namespace.
        b: the machine at the other end, likewise.
        words: what is set.

    Raises:
        UnknownNameError: there is no such machine, or no cable between the two.
        CommandError: the words make no sense; nothing is changed then.
    """
    ends = cables_between(fabric, a, b)
    if list(words) in (["up"], ["down"]):
        for net, iface in ends:
            cable = fabric.own_cable(net, iface, f"{a} - {b}")
            cable.is_down = words[0] == "down"
            fabric.follow(cable)
        return
    is_clear = list(words) == ["clear"]
    wanted = links.LinkSpec((links.EndSpec(a), links.EndSpec(b))) if is_clear else _read(words)
    named = {*_SETTINGS, *_FAULTS} if is_clear else set(words[::2])
    for net, iface in ends:
        _change(fabric.own_cable(net, iface, f"{a} - {b}"), wanted, named)


def check_settings(words: Sequence[str]) -> None:
    """Return if `set_link` can take words, whatever they are said of.

    Raises:
        CommandError: they make no sense.
    """
    if list(words) not in _ALONE:
        _read(words)


def cables_between(fabric: Fabric, a: str, b: str) -> list[tuple[Namespace, str]]:
    """Return the devices of `a` whose cables lead to `b`; names are as for `set_link`.

    Raises:
        UnknownNameError: there is no such machine, or no cable between the two.
    """
    (one, device), (other, port) = _machine(fabric, a), _machine(fabric, b)
    found = []
    for name in one.devices:
        end = fabric.far_end(one, name)
        if end is not None and end[0] is other and device in {"", name} and port in {"", end[1]}:
            found.append((one, name))
    if not found:
        raise UnknownNameError(f"there is no cable between {a} and {b}")
    return found


def _machine(fabric: Fabric, text: str) -> tuple[Namespace, str]:
    """Return the namespace that a document's name means, and the device that stands behind it."""
    name, _, port = text.partition(":")
    for kind in _KINDS:
        found = fabric.namespaces.get(f"{kind}{name}")
        if found is not None:
            return found, quantities.device_of(port)
    known = [each.partition("/")[2] if not each.startswith(EXTERNAL) else each for each in fabric.namespaces]
    raise UnknownNameError(f"there is no {name}{did_you_mean(name, known)}")


def _read(words: Sequence[str]) -> LinkSpec:
    """Return the settings that words name, read as a document's.

    Raises:
        CommandError: they make no sense.
    """
    known = (*_SETTINGS, *_FAULTS)
    if not words or len(words) % 2:
        raise CommandError(f"a link is set up, down, clear, or by {', '.join(known)}, each with a value", 2)
    node = MappingNode()
    values: dict[str, Any] = {"endpoints": None}
    for name, value in zip(words[::2], words[1::2], strict=True):
        if name not in known:
            raise CommandError(f"a link has no {name}{did_you_mean(name, known)}", 2)
        values[name] = int(value) if name in _NUMBERS and value.isdecimal() else value
    del values["endpoints"]
    for name, value in values.items():
        node.lines.append(1)
        node[name] = value
    report = Report("link")
    found = links.settings(Place(node, report))
    try:
        report.check()
    except DocumentError as error:
        raise CommandError("; ".join(f"{each.path[2:]} {each.message}" for each in error.faults), 2) from None
    return found


def _change(cable: Cable, wanted: LinkSpec, named: set[str]) -> None:
    for name, attribute in (("delay", "latency"), *((each, each) for each in _SETTINGS[1:])):
        if name in named:
            setattr(cable, attribute, getattr(wanted, attribute))
    cable.jitter = min(cable.jitter, cable.latency)
    changes = {
        attribute: getattr(wanted.faults, attribute)
        for name, attribute in zip(_FAULTS, attrs.asdict(NO_FAULTS), strict=True)
        if name in named
    }
    if changes:
        faults = attrs.evolve(cable.faults, **changes)
        cable.set_faults(NO_FAULTS if faults == NO_FAULTS else faults)
