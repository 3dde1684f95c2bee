# SPDX-License-Identifier: GPL-2.0-only
"""A cluster that is exported, read again, and run: by emu, and of real namespaces on Linux.

Left out of what is compared are the ports that tunnels send from. They follow from
a hash of the connection, and Linux draws another one whenever a segment is sent again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from emu.cluster.cluster import Cluster
from emu.cluster.network.actions import Step, TcpRequest, UdpRequest
from emu.cluster.network.exporting import exporter as export
from emu.cluster.network.model import Normalize
from emu.cluster.network.reader import load_network
from emu.cluster.network.run import NetworkRun
from emu.cluster.source import read_source
from emu.observe.canonical.frames import canonical_frames
from tests.golden.test_golden import normalize
from tests.kernel import document_run

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from emu.cluster.network.model import NetworkDocument
    from emu.wire.addresses import IpAddress


def start(folder: Path, text: str) -> Cluster:
    """Write the documents of a cluster, and start it."""
    (folder / "cluster.yaml").write_text(text)
    cluster = read_source([str(folder / "cluster.yaml")]).start()
    assert isinstance(cluster, Cluster)
    return cluster


def connect(ns: str, dst: IpAddress, port: int, src_port: int, outcome: str = "ok") -> Step:
    """Return the action: connect, say something, and hear the answer."""
    asked = TcpRequest(ns, dst, port, src_port=src_port, send=b"who is it?", want=5)
    return Step("tcp_request", asked, expect=outcome)


@attrs.frozen
class Exported:
    """A cluster, its document, and what Linux made of that."""

    cluster: Cluster
    export: export.Exported
    document: NetworkDocument
    linux: document_run.LinuxRun


def run(
    cluster: Cluster, folder: Path, steps: Sequence[Step], ports: Iterable[int], commands: Sequence[str] = ()
) -> Exported:
    """Export a cluster, read the document again, and run it on Linux.

    Args:
        cluster: started of `cluster.yaml` in `folder`.
        folder: gets the document.
        steps: what is asked.
        ports: that servers and Services have; they and those of `steps` are compared, others were drawn.
        commands: are run everywhere in the end.
    """
    own = [each.action.src_port for each in steps if isinstance(each.action, TcpRequest | UdpRequest)]
    anonymous = Normalize(random_ports=True, known_ports=(*ports, *own))
    made = export.export(cluster, actions=steps, normalize=anonymous)
    export.write_export(made, "cluster.yaml", folder)
    document = load_network(folder / "scenario.yaml")
    return Exported(cluster, made, document, document_run.run(document, commands))


def compare(exported: Exported) -> int:
    """Run the document by emu, check that both saw the same everywhere, and return how many frames it was."""
    document, linux = exported.document, exported.linux
    assert linux.outcomes == [step.expect for step in document.actions if step.expect]
    ours = NetworkRun(document)
    assert ours.run().unexpected == []
    known = document.normalize.known_ports
    differences, count = [], 0
    for point in document.captures:
        theirs = [(frame.octets, frame.direction) for frame in linux.frames[point]]
        emus = [(frame.octets, frame.direction.name.lower()) for frame in ours.capture.at(point)]
        want, got = (
            [
                _without_tunnel_port(each)
                for each in canonical_frames(all_, random_ports=True, known_ports=known)
            ]
            for all_ in (theirs, emus)
        )
        count += len(want)
        differences += normalize.diff_frames(want, got, "network", label=str(point))
    assert not differences, "\n".join(differences)
    return count


def _without_tunnel_port(frame: dict[str, Any]) -> dict[str, Any]:
    if "vxlan" not in frame:
        return frame
    return {**frame, "udp": {**frame["udp"], "sport": "drawn"}}
