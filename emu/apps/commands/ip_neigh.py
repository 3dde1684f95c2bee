# SPDX-License-Identifier: GPL-2.0-only
"""`ip neigh`: neighbours listed, entered and deleted."""

from __future__ import annotations

import errno
from functools import partial
from typing import TYPE_CHECKING, Final

import attrs

from emu.apps.commands.answers import find_device, refusal, refusals
from emu.errors import CommandError
from emu.kernel import arp
from emu.kernel.nud import FIXED
from emu.tools.ip import neigh
from emu.tools.ip.record import render
from emu.tools.ip.words import USAGE, choose
from emu.wire.addresses import IpAddress

if TYPE_CHECKING:
    from collections.abc import Iterable

    from emu.apps.commands.action import Action
    from emu.kernel.namespace import Namespace
    from emu.kernel.neighbour import Action as NeighbourAction
    from emu.kernel.skb import Skb
    from emu.tools.ip.options import Options
    from emu.tools.ip.words import Words

_ENTERING: Final = ("add", "change", "chg", "replace")
_LISTING: Final = ("show", "lst", "list")


def prepare(words: Words, options: Options) -> Action:
    """Return what the words behind `ip neigh` ask for."""
    verb = words.take() if words else "show"
    match choose(verb, (*_ENTERING, "delete", "get", *_LISTING, "flush")):
        case "add" | "change" | "chg" | "replace" as known:
            return partial(enter, spec=neigh.parse_spec(words), verb=known)
        case "delete":
            return partial(delete, spec=neigh.parse_spec(words))
        case "get":
            return partial(get, spec=neigh.parse_spec(words), options=options)
        case "flush":
            if not words:
                raise CommandError("Flush requires arguments.", 1)
            return partial(flush, selection=neigh.parse_selection(words))
        case str():
            return partial(show, selection=neigh.parse_selection(words), options=options)
        case None:
            raise CommandError(f'Command "{verb}" is unknown, try "ip neigh help".', USAGE)


def _carry_out(net: Namespace, actions: Iterable[NeighbourAction[Skb]]) -> None:
    arp.act(net, actions)
    deadline = net.neighbours.next_deadline
    if deadline is not None:
        net.arm(deadline)


def enter(net: Namespace, spec: neigh.NeighbourSpec, verb: str) -> str:
    """Do `ip neigh add` and its like."""
    device = find_device(net, spec.device).name
    table = net.neighbours
    if spec.proxy is not None:
        table.proxies.add((device, spec.proxy))
        return ""
    call = {"add": table.add, "replace": table.replace}.get(verb, table.change)
    with refusals(extacks={errno.EINVAL: "No link layer address given"}):
        actions = call(device, spec.ip, spec.mac, spec.state, net.now)
    _carry_out(net, actions)
    return ""


def delete(net: Namespace, spec: neigh.NeighbourSpec) -> str:
    """Do `ip neigh del`."""
    device = find_device(net, spec.device).name
    if spec.proxy is None:
        with refusals():
            actions = net.neighbours.delete(device, spec.ip, net.now)
        _carry_out(net, actions)
    elif (device, spec.proxy) in net.neighbours.proxies:
        net.neighbours.proxies.remove((device, spec.proxy))
    else:
        raise refusal(errno.ENOENT)
    return ""


def flush(net: Namespace, selection: neigh.Selection) -> str:
    """Do `ip neigh flush`: without `nud` what was entered by hand stays."""
    if selection.device:
        find_device(net, selection.device)
    doomed = [
        entry
        for entry in net.neighbours
        if selection.has(entry) and (selection.states or entry.state not in FIXED)
    ]
    for entry in doomed:
        _carry_out(net, net.neighbours.delete(entry.device, entry.ip, net.now))
    return ""


def get(net: Namespace, spec: neigh.NeighbourSpec, options: Options) -> str:
    """Do `ip neigh get`, which knows no JSON."""
    device = find_device(net, spec.device).name
    entry = net.neighbours.get(device, spec.ip)
    if entry is None:
        raise refusal(errno.ENOENT, "Neighbour entry not found")
    return render(
        [neigh.render(entry, neigh.Selection(), options, net.now)], attrs.evolve(options, json=False)
    )


def show(net: Namespace, selection: neigh.Selection, options: Options) -> str:
    """Do `ip neigh show`."""
    if selection.device:
        find_device(net, selection.device)
    if options.family == 6:
        return render([], options)
    if selection.proxy:
        proxies = sorted(key for key in net.neighbours.proxies if selection.device in {"", key[0]})
        return render(
            [neigh.render_proxy(IpAddress(ip), device, selection) for device, ip in proxies], options
        )
    records = [
        neigh.render(entry, selection, options, net.now) for entry in net.neighbours if selection.has(entry)
    ]
    return render(records, options)
