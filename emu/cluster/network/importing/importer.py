# SPDX-License-Identifier: GPL-2.0-only
"""From a folder of dumps to the files of a network document, whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import attrs

from emu.cluster.network import document_text
from emu.cluster.network.actions import CapturePoint, TcpServer, UdpServer
from emu.cluster.network.build import build
from emu.cluster.network.importing import cables, pods, settings, underlay, wiring
from emu.cluster.network.importing.draft import Draft, Remarks
from emu.cluster.network.importing.folder import read_folder
from emu.cluster.network.importing.node import Node, Role, role_of
from emu.cluster.network.importing.ways import Ways
from emu.cluster.network.model import IptablesBackend, NetworkDocument, RulesFile
from emu.cluster.network.modelled import CHECKS
from emu.cluster.network.reader import load_network
from emu.errors import DocumentError, Fault, OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from emu.cluster.network.importing.dump import Device, Listener, RulesText

_ENDINGS: Final = {"iptables": "rules", "nft": "nft", "ipset": "ipset"}
_BACKENDS: Final[tuple[IptablesBackend, ...]] = ("nft", "legacy")
_SHOWN: Final = 20  # names of settings that a remark repeats


@attrs.frozen
class Imported:
    """What became of some dumps.

    Attributes:
        document: the network document; its rules files have the names that they are written by.
        remarks: what has to be said about it.
    """

    document: NetworkDocument
    remarks: Remarks


def import_nodes(folder: Path) -> Imported:
    """Return a network document for the nodes whose dumps are below `folder`.

    Raises:
        DocumentError: the dumps have faults; all of them are told.
    """
    dumps = read_folder(folder)
    draft = Draft()
    nodes = [Node(draft.new_namespace(dump.name), dump) for dump in dumps]
    for node in nodes:
        _choose_roles(node, draft)
    pairs = cables.find_pairs(nodes)
    _find_running(nodes, pairs)
    for node in nodes:
        _write_settings(node, draft)
        wiring.write_bridges(node, draft)
        wiring.write_vxlans(node, draft)
        wiring.write_ipips(node, draft)
        wiring.write_late(node, draft)
        wiring.write_fdb(node, draft)
        Ways(node, draft).write()
        _write_rules(node, draft)
        _tell_rest(node, draft)
    _write_cables(nodes, pairs, draft)
    _write_listeners(nodes, draft)
    names = ", ".join(node.ns for node in nodes)
    return Imported(draft.document(f"Recorded from {names}"), draft.remarks)


# --- the parts of a node ---


def _choose_roles(node: Node, draft: Draft) -> None:
    for device in node.dump.devices:
        node.roles[device.name], remark = role_of(device, node)
        if remark:
            addresses = ", ".join(str(one.interface) for one in device.addresses)
            lost = f"; with it {addresses}" if addresses else ""
            draft.left_out.append(f"{node.ns}/{device.name}: {remark}{lost}")
        elif device.kind in {"bond", "team", "vlan"}:
            draft.invented.append(f"{node.ns}/{device.name}: a plain cable, for a {device.kind} device")
        if device.master and device.master not in node.devices:
            draft.left_out.append(f"{node.ns}/{device.name}: that it is a part of {device.master}")
    wiring.drop_vxlans(node, draft)
    if node.ns != node.dump.name:
        draft.invented.append(f"{node.ns}: the name of the namespace for {node.dump.name}")


def _find_running(nodes: Sequence[Node], pairs: Sequence[tuple[cables.End, cables.End]]) -> None:
    """Note which cables run; a pair does if both ends do."""
    for node in nodes:
        ends = node.with_role(Role.POD, Role.NETWORK, Role.NOWHERE)
        node.running = {device.name for device in ends if device.up and device.carrier}
    for a, b in pairs:
        if not all(device.name in node.running for node, device in (a, b)):
            for node, device in (a, b):
                node.running.discard(device.name)


def _write_settings(node: Node, draft: Draft) -> None:
    devices = [
        device.name for device in node.dump.devices if node.is_kept(device.name) and device.name != "lo"
    ]
    draft.captures += [CapturePoint(node.ns, name) for name in devices]
    if node.dump.settings is None:
        draft.configure(node.ns, settings.ASSUMED, ())
        told = ", ".join(f"{name}={value}" for name, value in settings.ASSUMED)
        draft.invented.append(f"{node.ns}: {told}, for there is no sysctl.txt")
        return
    found = settings.differences(node.dump.settings, devices)
    draft.configure(node.ns, found.early, found.late)
    _tell_settings(node, "settings without effect", found.without_effect, draft)
    _tell_settings(node, "settings that a namespace does not take", found.refused, draft)


def _tell_settings(node: Node, what: str, names: Sequence[str], draft: Draft) -> None:
    if names:
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        draft.left_out.append(f"{node.ns}: {what}: {', '.join(names[:_SHOWN])}{more}")


def _write_rules(node: Node, draft: Draft) -> None:
    dump = node.dump
    texts: dict[str, RulesText | None] = {"iptables": dump.iptables, "nft": dump.nft, "ipset": dump.ipset}
    for kind, rules in texts.items():
        if rules is None or not rules.text.strip():
            continue
        draft.rules[kind][node.ns] = RulesFile(f"{node.ns}.{_ENDINGS[kind]}", rules.text)
        draft.left_out += [
            f"{node.ns}: {what}: a verdict that needs it is UNKNOWN" for what in rules.unmodelled
        ]
    backend = next((name for name in _BACKENDS if name == dump.iptables_backend), None)
    if backend is not None and draft.backend not in {None, backend}:
        draft.left_out.append(f"{node.ns}: that its rules are of iptables-{backend}, unlike another node's")
    draft.backend = draft.backend or backend


def _tell_rest(node: Node, draft: Draft) -> None:
    dump = node.dump
    draft.invented += [f"{node.ns}: {guess}" for guess in dump.guesses]
    draft.left_out += [f"{node.ns}: {note}" for note in dump.notes]
    draft.left_out += [f"{node.ns}: {count} {what} of IPv6" for what, count in dump.ipv6.items() if count]
    if dump.connections:
        draft.left_out.append(
            f"{node.ns}: {dump.connections} connections of conntrack.txt: it begins with an empty table"
        )


# --- what is around the nodes ---


def _write_cables(
    nodes: Sequence[Node], pairs: Sequence[tuple[cables.End, cables.End]], draft: Draft
) -> None:
    paired = {(node.ns, device.name) for pair in pairs for node, device in pair}

    def rest(node: Node, *roles: Role) -> Iterator[Device]:
        return (device for device in node.with_role(*roles) if (node.ns, device.name) not in paired)

    for pair in pairs:
        cables.write_pair(pair, draft)
    for node in nodes:
        pods.write_pods(node, rest(node, Role.POD, Role.NOWHERE), draft)
    outward = [(node, device) for node in nodes for device in rest(node, Role.NETWORK)]
    underlay.write_networks(outward, draft)


def _write_listeners(nodes: Sequence[Node], draft: Draft) -> None:
    """Let the namespaces listen that rules send connections to: a pod behind a Service would."""
    wanted: dict[Listener, None] = {}
    for node in nodes:
        wanted |= dict.fromkeys(node.dump.listeners)
    made: set[tuple[str, str, int]] = set()
    for listener in wanted:
        ns = _owner(listener, nodes, draft)
        if ns is None or (ns, listener.protocol, listener.port) in made:
            continue
        made.add((ns, listener.protocol, listener.port))
        server = TcpServer if listener.protocol == "tcp" else UdpServer
        draft.do(f"{listener.protocol}_server", server(ns, listener.port))
        draft.invented.append(f"{ns}: it listens on {listener.protocol}/{listener.port}, where rules lead to")


def _owner(listener: Listener, nodes: Sequence[Node], draft: Draft) -> str | None:
    """Return the namespace that has an address, or that answers for it."""
    for node in nodes:
        if any(
            one.interface.address == listener.address
            for device in node.dump.devices
            for one in device.addresses
        ):
            return node.ns
    for link in draft.links:
        for end in link.ends:
            if any(one.address == listener.address for one in end.addresses):
                return end.ns
    own = {node.ns for node in nodes}
    answers = [
        route
        for route in draft.routes
        if route.type == "local"
        and route.dst.length
        and route.ns not in own
        and listener.address in route.dst
    ]
    return max(answers, key=lambda route: route.dst.length).ns if answers else None


# --- files ---


def write_import(imported: Imported, source: str, target: Path) -> None:
    """Write the document to `target` and its rules files beside it, all of them or none.

    Args:
        imported: what is written.
        source: what the folder of the dumps is called, for the comment above.
        target: the document's file.

    Raises:
        OutputError: they cannot be written.
        DocumentError: the dumps contradict each other, so nobody can build the network.
    """
    text = document_text.render(imported.document, _head(imported.remarks, source))
    with _failures(target):
        if target.is_dir() or not target.parent.is_dir():
            raise OutputError(f"{target}: {os.strerror(21 if target.is_dir() else 2)}")
        with tempfile.TemporaryDirectory(prefix=".emu-", dir=target.parent) as name:
            scratch = Path(name)
            document = scratch / target.name
            document.write_text(text, encoding="utf-8")
            files = [document]
            for named in (imported.document.iptables, imported.document.nft, imported.document.ipset):
                for rules in named.values():
                    files.append(scratch / rules.path)
                    files[-1].write_text(rules.text, encoding="utf-8")
            _try_out(document, source)
            _take_places(files, target.parent)


def _head(remarks: Remarks, source: str) -> Iterator[str]:
    yield f"Made by `emu import {source}`."
    yield "Names of protocols of routes, broadcast addresses, labels and lifetimes of addresses are not kept."
    for title, lines in (("Invented:", remarks.invented), ("Left out:", remarks.left_out)):
        if lines:
            yield title
            yield from (f"  {line}" for line in lines)


def _try_out(document: Path, source: str) -> None:
    """See whether the network can be built."""
    try:
        build(load_network(document, CHECKS))
    except DocumentError as error:
        faults = [Fault(source, 1, one.path, f"cannot be rebuilt: {one.message}") for one in error.faults]
        raise DocumentError(faults) from None


def _take_places(files: Sequence[Path], folder: Path) -> None:
    """Move the files to where they belong; if that fails, what was there before comes back."""
    kept: list[tuple[Path, Path | None]] = []
    try:
        for file in reversed(files):  # the document last: it names the others
            place = folder / file.name
            before = None
            if place.exists():
                before = file.with_name(f"{file.name}.before")
                shutil.copy2(place, before)
            kept.append((place, before))
            file.replace(place)
    except OSError:
        for place, before in kept:
            if before is None:
                place.unlink(missing_ok=True)
            else:
                before.replace(place)
        raise


@contextmanager
def _failures(target: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise OutputError(f"{target}: {reason}") from None
