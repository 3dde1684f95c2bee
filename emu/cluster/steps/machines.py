# SPDX-License-Identifier: GPL-2.0-only
"""Nodes that fail and come back, and parts of them that do.

    fail NODE [--network | --power | --kubelet]
    recover NODE
    reboot NODE [--for=30s]
    stop NODE kubelet|kube-proxy
    start NODE kubelet|kube-proxy

How a node fails decides what goes on there: behind a cable that is cut its pods
run on, and nobody hears of them; without power they are gone, and so is all
that its kernel knew; without its kubelet everything else goes on.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Final

from emu.apps.tools.finished import Finished
from emu.errors import CommandError, did_you_mean
from emu.sim.time import SECOND, later

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.cluster.cluster import Cluster
    from emu.cluster.editing import Deed

_HOWS: Final = ("network", "power", "kubelet")
_COMPONENTS: Final = ("kubelet", "kube-proxy")
_FOR: Final = re.compile(r"--for=(?:(\d{1,4})m)?(?:(\d{1,6})s)?")
BOOT: Final = 30  # seconds


def fail(words: Sequence[str]) -> Deed:
    """Let a node fail: by default its cables are cut."""
    name, options = _node(words)
    hows = [word.removeprefix("--") for word in options]
    unknown = [word for word in hows if word not in _HOWS]
    if unknown or len(hows) > 1:
        hint = did_you_mean(unknown[0], _HOWS) if unknown else ""
        raise CommandError(f"error: fail NODE [--network | --power | --kubelet]{hint}", 1)

    def deed(cluster: Cluster) -> Finished:
        cluster.control_plane.outages.fail(name, hows[0] if hows else "network")
        return Finished()

    return deed


def recover(words: Sequence[str]) -> Deed:
    """Let a node come back, however it failed."""
    name, options = _node(words)
    if options:
        raise CommandError("error: recover NODE", 1)

    def deed(cluster: Cluster) -> Finished:
        cluster.control_plane.outages.recover(name)
        return Finished()

    return deed


def reboot(words: Sequence[str]) -> Deed:
    """Take the power from a node, and give it back after the time that it takes to boot."""
    name, options = _node(words)
    seconds = BOOT
    for word in options:
        found = _FOR.fullmatch(word)
        if found is None or not (found[1] or found[2]):
            raise CommandError("error: reboot NODE [--for=30s]", 1)
        seconds = int(found[1] or 0) * 60 + int(found[2] or 0)

    def deed(cluster: Cluster) -> Finished:
        outages = cluster.control_plane.outages
        outages.fail(name, "power")
        loop = cluster.fabric.loop
        loop.at(later(loop.now, seconds * SECOND), partial(outages.recover, name))
        return Finished()

    return deed


def stop(words: Sequence[str]) -> Deed:
    """Stop a component of a node; what it wrote stays."""
    name, component = _component(words, "stop")

    def deed(cluster: Cluster) -> Finished:
        cluster.control_plane.outages.stop(name, component)
        return Finished(f"{component} of node {name} stopped\n")

    return deed


def start(words: Sequence[str]) -> Deed:
    """Start a component of a node that was stopped."""
    name, component = _component(words, "start")

    def deed(cluster: Cluster) -> Finished:
        cluster.control_plane.outages.start(name, component)
        return Finished(f"{component} of node {name} started\n")

    return deed


def _component(words: Sequence[str], verb: str) -> tuple[str, str]:
    rest = [word for word in words if word != "component"]
    if len(rest) != 2 or rest[1] not in _COMPONENTS:
        raise CommandError(f"error: {verb} NODE {'|'.join(_COMPONENTS)}", 1)
    return rest[0].removeprefix("node/"), rest[1]


def _node(words: Sequence[str]) -> tuple[str, list[str]]:
    """Return the one node that is named, and the options."""
    names = [word for word in words if not word.startswith("--")]
    if len(names) != 1:
        raise CommandError("error: name one node", 1)
    return names[0].removeprefix("node/"), [word for word in words if word.startswith("--")]
