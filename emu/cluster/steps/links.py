# SPDX-License-Identifier: GPL-2.0-only
"""Cables that are cut, mended, or made worse while a cluster lives.

    link worker-1 down                      # all cables of a machine to the network between machines
    link worker-1:eth0 down                 # one of them
    link worker-1 tor-1 up                  # those between two machines
    link worker-1 loss=5% delay=20ms        # as in a Fabric's links; only what is named changes
    link worker-1 clear                     # without faults, delay and limits again

A machine is called as in a Fabric document (`worker-1`, `tor-1`), or by its end
point (`node/worker-1`, `ext/laptop`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.apps.tools.finished import Finished
from emu.cluster.underlay.changes import check_settings, set_link
from emu.cluster.underlay.names import is_underlay
from emu.errors import CommandError, UnknownNameError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.cluster.cluster import Cluster
    from emu.cluster.editing import Deed
    from emu.kernel.namespace import Namespace

_ALONE: Final = ("up", "down", "clear")
_SETTINGS: Final = (
    "delay",
    "jitter",
    "bandwidth",
    "queue",
    "mtu",
    "loss",
    "duplicate",
    "reorder",
    "corrupt",
    "dropNth",
    "dropEvery",
)
_KINDS: Final = ("node/", "")


def link(words: Sequence[str]) -> Deed:
    """Give cables other settings: `link END [END] up|down|clear|SETTING=VALUE...`."""
    names = [*leading(words)]
    changes = [part for word in words[len(names) :] for part in word.split("=", 1)]
    if not 1 <= len(names) <= 2 or not changes:
        raise CommandError(
            f"error: link END [END] {'|'.join(_ALONE)}|SETTING=VALUE... (of {', '.join(_SETTINGS)})", 1
        )
    check_settings(changes)

    def deed(cluster: Cluster) -> Finished:
        fabric = cluster.fabric
        if len(names) == 2:
            set_link(fabric, _plain(names[0]), _plain(names[1]), changes)
            return Finished()
        net = _machine(cluster, names[0].partition(":")[0])
        port = names[0].partition(":")[2]
        far = [fabric.far_end(net, name) for name in net.devices if port in {"", name}]
        others = [end for end in far if end is not None and is_underlay(end[0].name)]
        if not others:
            raise UnknownNameError(f"{names[0]} has no cable to the network between machines")
        for other, iface in others:
            set_link(fabric, _plain(names[0]), f"{other.name}:{iface}", changes)
        return Finished()

    return deed


def leading(words: Sequence[str]) -> list[str]:
    """Return the words before the first that sets something."""
    found = []
    for word in words:
        if word in _ALONE or word.partition("=")[0] in _SETTINGS:
            break
        found.append(word)
    return found


def _plain(name: str) -> str:
    return name.removeprefix("node/")


def _machine(cluster: Cluster, name: str) -> Namespace:
    namespaces = cluster.fabric.namespaces
    for kind in _KINDS:
        found = namespaces.get(f"{kind}{name}")
        if found is not None:
            return found
    raise UnknownNameError(f"there is no machine {name}{did_you_mean(name, cluster.machines)}")
