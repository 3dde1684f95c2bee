# SPDX-License-Identifier: GPL-2.0-only
"""What the format has no key for, entered by commands when a document's network is there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.cluster.network.exporting import addresses
from emu.cluster.network.exporting.devices import FIXED, fixed_neighbours, is_plain_remote
from emu.kernel.link.bridge import Bridge
from emu.kernel.link.fdb import FdbState
from emu.kernel.link.vxlan import Vxlan
from emu.tools.ip import rule as rule_text
from emu.tools.ip.options import Options

if TYPE_CHECKING:
    from emu.cluster.network.exporting.trial import Trial
    from emu.kernel.link.bridge import Port
    from emu.kernel.link.device import Device
    from emu.kernel.link.fdb import FdbEntry
    from emu.kernel.link.vxlan_fdb import Remote, RemoteEntry
    from emu.kernel.rules import RoutingRule
    from emu.sim.time import Instant

_FLOODS: Final = ("mcast_flood", "bcast_flood")


def write_devices(trial: Trial, now: Instant) -> None:
    """Write what devices, their addresses, FDBs and neighbours lack."""
    for original, copy in trial.devices:
        _link(trial, original, copy)
    for original, copy in trial.alike:
        if original.mtu != copy.mtu:
            trial.run(f"the MTU of {original.name}", *_set(original), "mtu", original.mtu)
        if original.arp != copy.arp:
            trial.draft.left_out.append(f"{trial.ns}/{original.name}: arp {'on' if original.arp else 'off'}")
        _addresses(trial, original, copy)
        if original.port is not None and copy.port is not None:
            _port(trial, original.port, copy.port)
        if isinstance(original.link, Bridge):
            for entry in original.link.fdb.entries(now):
                _fdb(trial, original, entry)
        if isinstance(original.link, Vxlan):
            for remotes in original.link.fdb.entries(now):
                for remote in remotes.remotes:
                    _remote(trial, original, remotes, remote)
    _neighbours(trial)


def _link(trial: Trial, original: Device, copy: Device) -> None:
    """Write which bridge a device is in, and whether it is up."""
    if original.port is not None and copy.port is None:
        bridge = original.port.bridge.name
        trial.run(f"that {original.name} is in {bridge}", *_set(original), "master", bridge)
    if original.up != copy.up and _matters(trial, original):
        state = "up" if original.up else "down"
        trial.run(f"that {original.name} is {state}", *_set(original), state)


def _set(device: Device) -> tuple[str, ...]:
    return ("ip", "link", "set", device.name)


def _matters(trial: Trial, device: Device) -> bool:
    """Return whether it shows that a device is down: the loopback of a switch does not."""
    return not device.is_loopback or any(each.addresses for each in trial.original.devices.values())


def _addresses(trial: Trial, original: Device, copy: Device) -> None:
    present = {addresses.words(each, copy.name) for each in copy.addresses}
    wanted = [addresses.words(each, original.name) for each in original.addresses]
    for words in sorted(present - set(wanted)):
        trial.run(f"that there is no address {words[0]}", "ip", "addr", "del", *words)
    for words in wanted:
        if words not in present:
            trial.run(f"address {words[0]}", "ip", "addr", "add", *words)


def _port(trial: Trial, original: Port, copy: Port) -> None:
    for switch in ("hairpin", "learning", "flood", "isolated", *_FLOODS):
        value = getattr(original, switch)
        if value != getattr(copy, switch):
            words = ("bridge", "link", "set", "dev", original.name, switch, "on" if value else "off")
            trial.run(f"{switch} of {original.name}", *words)
    if original.state is not copy.state:
        words = ("bridge", "link", "set", "dev", original.name, "state", str(original.state.value))
        trial.run(f"the state of {original.name}", *words)


def _fdb(trial: Trial, bridge: Device, entry: FdbEntry) -> None:
    """Write an entry of a bridge that somebody made by hand."""
    if not entry.by_user or entry.state is FdbState.DYNAMIC:
        return
    place = (bridge.name, "self") if entry.port is None else (entry.port.name, "master")
    words = ("bridge", "fdb", "replace", str(entry.mac), "dev", *place, entry.state.value)
    trial.run(f"FDB entry {entry.mac}", *words)


def _remote(trial: Trial, device: Device, entry: RemoteEntry, remote: Remote) -> None:
    """Write an entry of a VXLAN device that its list cannot have."""
    if entry.state is FdbState.DYNAMIC or is_plain_remote(entry, remote):
        return
    words = ["bridge", "fdb", "append", str(entry.mac), "dev", device.name, "dst", str(remote.dst)]
    words += ["port", str(remote.port)] if remote.port else []
    words += [] if remote.vni is None else ["vni", str(remote.vni)]
    words += ["via", remote.device] if remote.device else []
    trial.run(f"FDB entry {entry.mac}", *words, entry.state.value)


def _neighbours(trial: Trial) -> None:
    for entry in fixed_neighbours(trial.original):
        device = entry.device
        if device not in trial.copy.devices:
            continue
        present = trial.copy.neighbours.get(device, entry.ip)
        if present is None or present.state is not entry.state:
            words = (str(entry.ip), "lladdr", str(entry.mac), "dev", device, "nud", FIXED[entry.state])
            trial.run(f"neighbour {entry.ip}", "ip", "neigh", "replace", *words)
    for device, address in sorted(trial.original.neighbours.proxies - trial.copy.neighbours.proxies):
        ip = ".".join(map(str, address))
        trial.run(f"proxy ARP for {ip}", "ip", "neigh", "add", "proxy", ip, "dev", device)


def write_routing_rules(trial: Trial) -> None:
    """Write the routing rules that there are beside the usual ones, and which of those are gone."""
    wanted, present = trial.original.fib.rules, trial.copy.fib.rules
    for rule in present:
        if rule not in wanted:
            trial.run(f"that there is no routing rule {rule.priority}", "ip", "rule", "del", *_words(rule))
    for rule in wanted:
        if rule not in present:
            trial.run(f"routing rule {rule.priority}", "ip", "rule", "add", *_words(rule))


def _words(rule: RoutingRule) -> tuple[str, ...]:
    priority, _, text = rule_text.render(rule, Options(), {rule.iif, rule.oif}).text.partition(":")
    return ("pref", priority, *text.split())
