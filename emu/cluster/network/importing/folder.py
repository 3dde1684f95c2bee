# SPDX-License-Identifier: GPL-2.0-only
"""The folder of dumps: a folder for each node, with what each tool printed.

Nothing in it is trusted: sizes, numbers and depths are bounded, and all that is
wrong is told at once.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, TypeVar

import attrs

from emu.cluster.network.importing import devices, routes, rules_text, settings, tables
from emu.cluster.network.importing.dump import Device, NodeDump
from emu.cluster.network.importing.text_file import TextFile
from emu.document import MAX_FAULTS, scan
from emu.document.fields import Place, Report
from emu.errors import DocumentError, Fault, RulesError
from emu.tools.conntrack import reading

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

T = TypeVar("T")

FILES: Final = (
    "iptables-save.txt",
    "ip-addr.json",
    "ip-link.json",
    "ip-route.json",
    "ip-rule.json",
    "ip-neigh.json",
    "bridge-fdb.json",
    "nft.txt",
    "ipset.txt",
    "sysctl.txt",
    "conntrack.txt",
)
"""What a node's folder may hold; other files in it are not looked at."""

MAX_NODES: Final = 500
MAX_OCTETS: Final = 64 * 1024 * 1024
"""Of one file."""

MAX_TOTAL: Final = 512 * 1024 * 1024
"""Of all files together."""


def read_folder(folder: Path) -> tuple[NodeDump, ...]:
    """Return the dumps of all nodes below `folder`, by their names.

    Raises:
        DocumentError: there is none, or their files have faults; all of them are told.
    """
    return _Reader(folder).read()


class _Reader:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._faults: list[Fault] = []
        self._octets = 0

    def read(self) -> tuple[NodeDump, ...]:
        folders = self._node_folders()
        nodes = [self._node(folder) for folder in folders]
        if self._faults:
            raise DocumentError(self._faults[:MAX_FAULTS])
        return tuple(nodes)

    def _fault(self, path: Path, message: str) -> None:
        self._faults.append(Fault(str(path), 1, "$", message))

    def _node_folders(self) -> list[Path]:
        """Return the folders that hold a file of ours."""
        try:
            below = sorted(path for path in self._folder.iterdir() if path.is_dir())
        except (OSError, ValueError) as error:
            self._fault(self._folder, f"cannot be read: {getattr(error, 'strerror', None) or error}")
            return []
        found = [path for path in below if any((path / name).is_file() for name in FILES)]
        if not found:
            hint = f"has no folder NODE/ that holds one of {', '.join(FILES)}"
            if any((self._folder / name).is_file() for name in FILES):
                hint = "holds files of a node itself: give the folder above it"
            self._fault(self._folder, hint)
        if len(found) > MAX_NODES:
            self._fault(self._folder, f"has more than {MAX_NODES} nodes")
            return []
        return found

    # --- one node ---

    def _node(self, folder: Path) -> NodeDump:
        addr, link = (self._json(folder / name, _read_devices) for name in ("ip-addr.json", "ip-link.json"))
        fdb, fdb6 = self._json(folder / "bridge-fdb.json", tables.read_fdb) or ((), 0)
        neighbours, neighbours6 = self._json(folder / "ip-neigh.json", tables.read_neighbours) or ((), 0)
        found_routes, routes6 = self._json(folder / "ip-route.json", routes.read_routes) or (None, 0)
        rules = self._json(folder / "ip-rule.json", routes.read_rules)
        all_devices = devices.merge(addr[0] if addr else (), link[0] if link else ())
        guesses: list[str] = []
        if not any(device.kind for device in all_devices):
            remote = {entry.device for entry in fdb if entry.dst is not None}
            all_devices = tuple(devices.guess_kinds(all_devices, remote))
            if all_devices:
                guesses.append("the kinds of devices, for there is no ip-link.json of `ip -d -j link`")
        if addr is None and found_routes:
            all_devices = tuple(devices.addresses_from_routes(all_devices, found_routes))
            guesses.append("the addresses, which routes tell of, for there is no ip-addr.json")
        node = NodeDump(
            folder.name,
            devices=all_devices,
            routes=found_routes,
            routing_rules=rules,
            neighbours=neighbours,
            fdb=fdb,
            ipv6={
                "addresses": addr[1] if addr else 0,
                "routes": routes6,
                "neighbours": neighbours6,
                "FDB entries": fdb6,
            },
            guesses=tuple(guesses),
        )
        return self._with_texts(node, folder)

    def _with_texts(self, node: NodeDump, folder: Path) -> NodeDump:
        notes: list[str] = []
        iptables = self._text(folder / "iptables-save.txt")
        nft = self._text(folder / "nft.txt")
        ipset = self._text(folder / "ipset.txt")
        sysctl = self._text(folder / "sysctl.txt")
        conntrack = self._text(folder / "conntrack.txt")
        saved = rules_text.saved_tables(iptables.text) if iptables else frozenset[str]()
        nft_rules = ipset_rules = None
        if nft is not None:
            nft_rules, left_out = rules_text.read_nft(nft, saved)
            notes += left_out
        if ipset is not None:
            ipset_rules, left_out = rules_text.read_ipset(ipset)
            notes += left_out
        texts = [file.text for file in (iptables, nft) if file is not None]
        return attrs.evolve(
            node,
            settings=None if sysctl is None else settings.read_settings(sysctl.text),
            iptables=None if iptables is None else rules_text.read_iptables(iptables),
            iptables_backend="" if iptables is None else rules_text.backend_of(iptables.text),
            nft=nft_rules,
            ipset=ipset_rules,
            listeners=rules_text.listeners(texts),
            connections=0 if conntrack is None else _count_connections(conntrack),
            notes=tuple(notes),
        )

    # --- files ---

    def _octets_of(self, path: Path) -> bytes | None:
        """Return what a file holds, None if there is none or it cannot be taken."""
        if not os.path.lexists(path):
            return None
        try:
            if not path.is_file():
                self._fault(path, "is no plain file")
                return None
            with path.open("rb") as stream:
                octets = stream.read(MAX_OCTETS + 1)
        except OSError as error:
            self._fault(path, f"cannot be read: {error.strerror}")
            return None
        self._octets += len(octets)
        if len(octets) > MAX_OCTETS:
            self._fault(path, f"is longer than {MAX_OCTETS // 1024 // 1024} MiB")
            return None
        if self._octets > MAX_TOTAL:
            self._fault(path, f"makes all files longer than {MAX_TOTAL // 1024 // 1024} MiB")
            return None
        return octets

    def _text(self, path: Path) -> TextFile | None:
        octets = self._octets_of(path)
        if octets is None:
            return None
        try:
            text = octets.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = octets.count(b"\n", 0, error.start) + 1
            self._faults.append(Fault(str(path), line, "$", "is not UTF-8 text"))
            return None
        return TextFile(str(path), text.replace("\r\n", "\n"), self._faults)

    def _json(self, path: Path, read: Callable[[Place], T]) -> T | None:
        """Return what `read` makes of a file of JSON, None if there is no file."""
        octets = self._octets_of(path)
        if octets is None:
            return None
        try:
            documents = scan(octets, str(path))
        except DocumentError as error:
            self._faults += error.faults
            return None
        if len(documents) > 1:
            self._fault(path, "holds more than one list: what several runs printed")
            return None
        report = Report(str(path), documents[0].faults if documents else ())
        place = Place(documents[0].value if documents else None, report)
        try:
            found = read(place)
            report.check()
        except DocumentError as error:
            self._faults += error.faults
            return None
        return found


def _read_devices(place: Place) -> tuple[tuple[Device, ...], int]:
    return devices.read_devices(place), devices.count_ipv6(place)


def _count_connections(file: TextFile) -> int:
    """Return how many connections of IPv4 are in a file; what is wrong with it becomes faults of the file."""
    try:
        return len(reading.parse(file.text))
    except RulesError as error:
        file.complain(error.complaints)
        return 0
