# SPDX-License-Identifier: GPL-2.0-only
"""Dumps of nodes that tests write down, and what is imported from them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import attrs

from emu.cluster.network.importing.importer import import_nodes, write_import
from emu.cluster.network.lab import Network, load
from emu.errors import DocumentError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from emu.cluster.network.importing.importer import Imported

Json = dict[str, Any]


def device(name: str, kind: str = "", *, index: int = 2, **further: object) -> Json:
    """Return the record of a device that is up and runs; `kind` is that of `ip -d link`."""
    record: Json = {
        "ifindex": index,
        "ifname": name,
        "flags": ["BROADCAST", "UP", "LOWER_UP"],
        "mtu": 1500,
        "link_type": "ether",
        "address": f"02:00:00:00:00:{index:02x}",
    }
    if kind:
        record["linkinfo"] = {"info_kind": kind}
    return record | further


def veth(name: str, *, index: int = 2, **further: object) -> Json:
    """Return the record of a veth whose other end is in another namespace."""
    return device(name, "veth", index=index, link_index=2, link_netnsid=0, **further)


def address(text: str, **further: object) -> Json:
    """Return an entry of `addr_info`."""
    local, _, length = text.partition("/")
    return {"family": "inet", "local": local, "prefixlen": int(length), "scope": "global", **further}


def with_addresses(record: Json, *texts: str) -> Json:
    """Return the record of a device with addresses."""
    return record | {"addr_info": [address(text) for text in texts]}


def neighbour(ip: str, dev: str, mac: str, state: str = "REACHABLE") -> Json:
    """Return an entry of the neighbour table."""
    return {"dst": ip, "dev": dev, "lladdr": mac, "state": [state]}


def connected(dst: str, dev: str, src: str) -> Json:
    """Return the record of the route that an address brings with it."""
    return {"dst": dst, "dev": dev, "protocol": "kernel", "scope": "link", "prefsrc": src, "flags": []}


def learned(mac: str, port: str, bridge: str) -> Json:
    """Return an entry of a bridge's table that was learned."""
    return {"mac": mac, "ifname": port, "flags": [], "master": bridge, "state": ""}


@attrs.define
class Folder:
    """A folder of dumps under way."""

    path: Path

    def node(self, name: str = "node1", **files: object) -> Folder:
        """Write the files of a node: `ip_addr=[...]` is ip-addr.json, a text is a .txt."""
        folder = self.path / "dumps" / name
        folder.mkdir(parents=True, exist_ok=True)
        for key, content in files.items():
            stem = key.replace("_", "-")
            if isinstance(content, str):
                (folder / f"{stem}.txt").write_text(content)
            else:
                (folder / f"{stem}.json").write_text(json.dumps(content))
        return self

    def imported(self) -> Imported:
        """Return what is imported from it."""
        return import_nodes(self.path / "dumps")

    def written(self) -> Path:
        """Write the document, and return where it is."""
        target = self.path / "network.yaml"
        write_import(self.imported(), "dumps", target)
        return target

    def network(self) -> Network:
        """Return the network, after its steps."""
        network = load(self.written())
        assert network.unexpected == []
        return network

    def faults(self) -> list[str]:
        """Return what is wrong with it, each with the file's name, path and message."""
        try:
            self.written()
        except DocumentError as error:
            return [f"{one.file.rpartition('/')[2]}: {one.path}: {one.message}" for one in error.faults]
        return []


def answer(network: Network, ns: str, command: str) -> Any:  # noqa: ANN401 - the JSON of any command
    """Return what a command prints in JSON."""
    finished = network.namespace(ns).execute(command.split())
    assert finished.status == 0, finished.stderr
    return json.loads(finished.stdout)


def said(lines: Sequence[str], *words: str) -> bool:
    """Return whether one of `lines` has all of `words`."""
    return any(all(word in line for word in words) for line in lines)
