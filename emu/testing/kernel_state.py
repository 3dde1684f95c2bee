# SPDX-License-Identifier: GPL-2.0-only
"""What the kernels of a cluster's machines hold, as their own tools print it, to be compared."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.testing.clusters import ClusterLab
    from emu.testing.invariants import Findings

_COMMANDS: Final = (
    "ip addr",
    "ip rule",
    "ip route show table all",
    "ip neigh",
    "bridge fdb",
    "iptables-save",
)
_PASSING: Final = re.compile(
    r"\[\d+:\d+\]|^#.*$"  # counters, and when it was printed
    r"| (?:ref \d+ )?(?:used \d\S* )?(?:probes \d+ )?(?:REACHABLE|STALE|DELAY|PROBE)\b",  # what is confirmed
    re.MULTILINE,
)


def kernel_state(lab: ClusterLab) -> dict[str, str]:
    """Return addresses, routes, neighbours, FDBs and rules of all nodes and pods, by place and command."""
    names = [machine.net.name for machine in lab.machines.values()]
    names += [each.net for each in lab.pods if each.role == "pod"]
    return {
        f"{name}: {command}": _PASSING.sub("", lab.text_of(name, command))
        for name in names
        for command in _COMMANDS
    }


def connections(lab: ClusterLab) -> set[tuple[str, object, object]]:
    """Return the connections of all namespaces: where, and both tuples."""
    return {
        (name, entry.original, entry.reply)
        for name, net in lab.fabric.namespaces.items()
        if net.used_netfilter is not None
        for entry in net.netfilter.conntrack.entries(lab.fabric.loop.now)
    }


def check_idempotence(found: Findings, lab: ClusterLab) -> None:
    """Check that nothing changes when everybody does all of it again: kernels, connections, objects.

    Connections of probes may come meanwhile; none may go, nor be translated otherwise.
    """
    before, talks, revision = kernel_state(lab), connections(lab), lab.store.revision
    lab.work_again()
    after = kernel_state(lab)
    for place in before.keys() | after.keys():
        was, now = before.get(place, ""), after.get(place, "")
        fault = f"{place} changed: {' / '.join(_difference(was, now))}"
        found.expect("twice is once", fault, holds=was == now)
    gone = talks - connections(lab)
    found.expect("twice is once", f"connections are gone: {gone}", holds=not gone)
    fault = f"objects changed: revision {revision} became {lab.store.revision}"
    found.expect("twice is once", fault, holds=revision == lab.store.revision)


def _difference(was: str, now: str) -> Iterator[str]:
    old, new = was.splitlines(), now.splitlines()
    yield from (f"-{line}" for line in old if line not in new)
    yield from (f"+{line}" for line in new if line not in old)
