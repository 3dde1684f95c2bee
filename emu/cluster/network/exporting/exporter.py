# SPDX-License-Identifier: GPL-2.0-only
"""From a network that lives to the files of a document, whole or not at all."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import attrs

from emu.cluster.network import document_text
from emu.cluster.network.exporting import setup_commands, ways
from emu.cluster.network.exporting.devices import FIXED, DeviceWriter
from emu.cluster.network.exporting.names import document_names
from emu.cluster.network.exporting.rules_text import count_connections, write_rules
from emu.cluster.network.exporting.servers import packet_devices, sctp_ports, servers
from emu.cluster.network.exporting.settings import SettingsWriter
from emu.cluster.network.exporting.trial import trials
from emu.cluster.network.importing.draft import Draft, Remarks
from emu.cluster.network.lab import Network
from emu.cluster.network.model import NetworkDocument
from emu.cluster.network.modelled import CHECKS
from emu.cluster.network.reader import load_network
from emu.cluster.network.results import folder_for_results
from emu.errors import OutputError
from emu.kernel.link.bridge import Bridge
from emu.kernel.link.fdb import FdbState

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from emu.cluster.emulation import Emulation
    from emu.cluster.network.actions import Step
    from emu.cluster.network.exporting.trial import Trial
    from emu.cluster.network.model import Normalize

FILE: Final = "scenario.yaml"
_SHOWN: Final = 20  # stand-ins that a remark names


@attrs.frozen
class Exported:
    """What became of a network.

    Attributes:
        document: the network document; its rules files have the names that they are written by.
        remarks: what stands in for something, and what is not in the document.
        names: what each namespace of the network is called in the document.
    """

    document: NetworkDocument
    remarks: Remarks
    names: dict[str, str]


def export(
    emulation: Emulation,
    *,
    name: str = "",
    actions: Sequence[Step] = (),
    normalize: Normalize | None = None,
) -> Exported:
    """Return a document of which the network is as `emulation` has it now.

    What is remembered of traffic (neighbours, learned MAC addresses,
    connections, counters) is not in it. A network that was built from a
    document keeps its names and what is said about comparisons.

    Args:
        emulation: what is exported; it is left as it is.
        name: of the document.
        actions: done when the network and its servers are there.
        normalize: what comparisons make anonymous.
    """
    source = emulation.document if isinstance(emulation, Network) else None
    exporter = _Exporter(emulation, source)
    exporter.write()
    draft = exporter.draft
    draft.actions += actions
    drawn = draft.document("")
    document = attrs.evolve(
        source or NetworkDocument(()),
        namespaces=drawn.namespaces,
        file="",
        links=drawn.links,
        bridges=drawn.bridges,
        vxlans=drawn.vxlans,
        ipips=drawn.ipips,
        neighbours=drawn.neighbours,
        routes=drawn.routes,
        ipset=drawn.ipset,
        iptables=drawn.iptables,
        nft=drawn.nft,
        iptables_backend=drawn.iptables_backend,
        captures=drawn.captures,
        actions=drawn.actions,
    )
    if name:
        document = attrs.evolve(document, name=name)
    if normalize is not None:
        document = attrs.evolve(document, normalize=normalize)
    return Exported(document, draft.remarks, exporter.names)


class _Exporter:
    def __init__(self, emulation: Emulation, source: NetworkDocument | None) -> None:
        self.fabric = emulation.fabric
        self.draft = Draft()
        self.names = document_names(self.fabric.namespaces)
        self._namespaces = list(self.fabric.namespaces.values())
        self._steps = () if source is None else source.actions

    def write(self) -> None:
        """Write everything, in the order of a document."""
        for ns in self.names.values():
            self.draft.configure(ns, (), ())  # they come first, in this order
        DeviceWriter(self.fabric, self.names, self.draft).write()
        now = self.fabric.loop.now
        found = trials(self._namespaces, self.names, self.draft)
        for trial in found:
            ways.write_plain(trial)
        for trial in found:
            setup_commands.write_devices(trial, now)
        for trial in found:
            setup_commands.write_routing_rules(trial)
            ways.write_others(trial)
            self._write_settings(trial)
        for net in self._namespaces:
            write_rules(net, self.names[net.name], now, self.draft)
        self._write_servers()
        self._tell_memories()

    def _write_settings(self, trial: Trial) -> None:
        devices = [device.name for _, device in trial.devices if not device.is_loopback]
        writer = SettingsWriter(trial.original.sysctl, devices)
        self.draft.configure(trial.ns, writer.early, writer.late)
        if writer.refused:
            names = ", ".join(writer.refused)
            self.draft.left_out.append(f"{trial.ns}: settings that a namespace does not take: {names}")

    def _write_servers(self) -> None:
        stand_ins: list[str] = []
        for net in self._namespaces:
            ns = self.names[net.name]
            for step, stands_in in servers(net, ns, self._steps):
                self.draft.actions.append(step)
                if stands_in:
                    protocol = step.kind.partition("_")[0]
                    stand_ins.append(f"{ns} {protocol}/{getattr(step.action, 'port', 0)}")
            ports = sctp_ports(net)
            if ports:
                told = ", ".join(map(str, ports))
                self.draft.left_out.append(f"{ns}: servers of SCTP, on {told}")
            for device in packet_devices(net):
                self.draft.left_out.append(f"{ns}: a program that answers ARP on {device} by a packet socket")
        if stand_ins:
            more = f" and {len(stand_ins) - _SHOWN} more" if len(stand_ins) > _SHOWN else ""
            told = ", ".join(stand_ins[:_SHOWN])
            self.draft.invented.append(
                f"what the programs behind these ports answer (hello on TCP, an echo on UDP): {told}{more}"
            )

    def _tell_memories(self) -> None:
        """Say how much of what traffic left behind is not in the document."""
        now = self.fabric.loop.now
        neighbours = sum(entry.state not in FIXED for net in self._namespaces for entry in net.neighbours)
        links = (device.link for net in self._namespaces for device in net.devices.values())
        learned = sum(
            entry.state is FdbState.DYNAMIC
            for link in links
            if isinstance(link, Bridge)
            for entry in link.fdb.entries(now)
        )
        connections = count_connections(self._namespaces, now)
        counts = {
            "learned neighbours": neighbours,
            "learned MAC addresses": learned,
            "tracked connections": connections,
        }
        told = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
        if told:
            self.draft.left_out.append(f"what traffic left behind: {told}")


# --- files ---


def write_export(exported: Exported, source: str, folder: Path) -> None:
    """Write the document into `folder` as `scenario.yaml`, its rules files beside it: all or nothing.

    Args:
        exported: what is written.
        source: where it comes from, for the comment above.
        folder: is made if need be; what else is in it stays.

    Raises:
        OutputError: they cannot be written; the folder is as it was.
    """
    document = exported.document
    rules = [file for files in (document.iptables, document.nft, document.ipset) for file in files.values()]
    texts = {Path(file.path).name: file.text for file in rules}
    texts[FILE] = document_text.render(document, _head(exported.remarks, source))  # last: it names the others
    with folder_for_results(folder), tempfile.TemporaryDirectory(prefix=".emu-", dir=folder) as name:
        scratch = Path(name)
        for file in texts:
            if (folder / file).is_dir():
                raise OutputError(f"{folder / file}: is in the way")
        try:
            for file, text in texts.items():
                (scratch / file).write_text(text, encoding="utf-8")
            load_network(scratch / FILE, CHECKS)
            for file in texts:
                (scratch / file).replace(folder / file)
        except OSError as error:
            raise OutputError(f"{folder}: {error.strerror}") from None


def _head(remarks: Remarks, source: str) -> Iterator[str]:
    yield f"Made by `emu export network {source}`."
    yield "IPv6 is off: emu has none. Counters of rules begin at 0. Learned neighbours are probed after 60 s,"
    yield "as the format has it, where delay_first_probe_time was the kernel's 5."
    for title, lines in (("Stand-ins:", remarks.invented), ("Left out:", remarks.left_out)):
        if lines:
            yield title
            yield from (f"  {line}" for line in lines)
