# SPDX-License-Identifier: GPL-2.0-only
"""A network that is exported, written, read and built again."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import attrs

from emu.cluster.emulation import Host
from emu.cluster.network.exporting.exporter import FILE, export, write_export
from emu.cluster.network.lab import load

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from emu.cluster.emulation import Emulation
    from emu.cluster.network.exporting.exporter import Exported
    from emu.cluster.network.lab import Network
    from emu.cluster.network.model import NetworkDocument, RulesFile

COMMANDS: Final = (
    "ip route show table all",
    "ip rule",
    "ip -o addr show",
    "ip -o link show",
    "ip neigh show nud permanent",
    "bridge -d link",
    "iptables-save",
    "ipset save",
    "sysctl -a",
)
_UNLIKE: Final = re.compile(r"^\d+: |@\S+|\[\d+:\d+\]|qdisc no(?:op|queue)")
"""Numbers of devices, which are another's in a document, counters, and whether a device was ever up."""


def rebuilt(emulation: Emulation, folder: Path) -> tuple[Exported, Network]:
    """Export a network into `folder`, and build it from there."""
    exported = export(emulation)
    write_export(exported, "a test", folder)
    return exported, load(folder / FILE)


def bare(document: NetworkDocument) -> NetworkDocument:
    """Return `document` with its rules as texts, wherever their files are."""

    def without_paths(files: Mapping[str, RulesFile]) -> dict[str, RulesFile]:
        return {ns: attrs.evolve(file, path="") for ns, file in files.items()}

    return attrs.evolve(
        document,
        file="",
        ipset=without_paths(document.ipset),
        iptables=without_paths(document.iptables),
        nft=without_paths(document.nft),
    )


def differences(emulation: Emulation, exported: Exported, again: Emulation) -> list[str]:
    """Return where namespaces that were built again are not as they were."""
    found = []
    for original, ns in exported.names.items():
        before, after = emulation.fabric.namespaces[original], again.fabric.namespaces[ns]
        for command in COMMANDS:
            was = _lines(Host(emulation, before).run(command))
            now = _lines(Host(again, after).run(command))
            found += [f"{ns}: {command}: - {line}" for line in was if line not in now]
            found += [f"{ns}: {command}: + {line}" for line in now if line not in was]
    return [line for line in found if not _is_of_the_format(line)]


def _lines(text: str) -> list[str]:
    lines = (line for line in text.splitlines() if not line.startswith("#"))
    return [_without_indices(line) for line in lines]


def _without_indices(line: str) -> str:
    return _UNLIKE.sub("", line).rstrip()


def _is_of_the_format(line: str) -> bool:
    """Return whether a difference is one that the format makes: IPv6, and when neighbours are probed."""
    return "net.ipv6" in line or "delay_first_probe_time" in line
