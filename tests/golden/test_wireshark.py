# SPDX-License-Identifier: GPL-2.0-only
"""What Wireshark makes of the captures that emu writes.

Injected frames may be wrong on purpose; whatever else a capture holds has to be
well formed, with right checksums at every hop.
"""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from emu.cluster.network.actions import Inject
from emu.cluster.network.reader import is_network_document, load_network
from emu.cluster.network.run import NetworkRun
from emu.document import load
from emu.observe.canonical.frames import canonical_frames
from emu.observe.capture import describe, name_table

HERE: Final = Path(__file__).parent
TOPOLOGIES: Final = HERE.parents[1] / "topologies"
RULES: Final = re.compile(r"^(iptables|nft|ipset):", re.MULTILINE)
CHECKS: Final = [f"{layer}.check_checksum:TRUE" for layer in ("ip", "tcp", "udp")]
# One segment at several points of one file looks like a retransmission to whoever follows connections.
PER_FRAME: Final = ["tcp.analyze_sequence_numbers:FALSE", "tcp.desegment_tcp_streams:FALSE"]
BAD: Final = (
    "_ws.malformed || ip.checksum.status == 0 || tcp.checksum.status == 0 || udp.checksum.status == 0"
)

pytestmark = pytest.mark.tshark


class Row(NamedTuple):
    """What tshark says of a frame."""

    number: int
    interface: str
    packet_id: int


def documents() -> list[Path]:
    """Return every document that emu can run: the teaching networks and the recorded scenarios."""
    networks = [path for path in TOPOLOGIES.glob("*.yaml") if is_network_document(load(path)[0].value)]
    found = [*networks, *HERE.glob("*/*/scenario.yaml")]
    return sorted(path for path in found if not RULES.search(path.read_text(encoding="utf-8")))


def tshark(file: Path, *, condition: str = "") -> list[Row]:
    """Return the frames of `file` that match, with checksums verified and VXLAN known by its port."""
    options = [word for check in (*CHECKS, *PER_FRAME) for word in ("-o", check)]
    fields = ("frame.number", "frame.interface_name", "frame.packet_id")
    columns = [word for field in fields for word in ("-e", field)]
    command = [
        "tshark",
        "-r",
        str(file),
        "-n",
        "-d",
        "udp.port==8472,vxlan",
        *options,
        "-T",
        "json",
        *columns,
    ]
    command += ["-Y", condition] if condition else []
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [_row(entry["_source"]["layers"]) for entry in json.loads(done.stdout or "[]")]


def _row(layers: dict[str, list[str]]) -> Row:
    number, interface, packet_id = (
        layers[f"frame.{name}"][0] for name in ("number", "interface_name", "packet_id")
    )
    return Row(int(number), interface, int(packet_id, 0))


def injected_ids(run: NetworkRun) -> set[int]:
    """Return the ids of packets that began with an injected frame."""
    octets = {
        frame
        for step in run.document.actions
        if isinstance(step.action, Inject)
        for frame in step.action.frames
    }
    return {frame.packet_id or 0 for frame in run.capture.frames if frame.octets in octets}


def sound_errors(run: NetworkRun) -> set[int]:
    """Return the ids of ICMP errors that are right themselves.

    Wireshark checks what they quote, too: a segment cut to 528 octets, or a
    header whose options a router had begun to fill in, cannot have a right
    checksum there, on Linux either.
    """
    frames = [(frame.octets, "") for frame in run.capture.frames]
    trees = zip(run.capture.frames, canonical_frames(frames), strict=True)
    return {
        frame.packet_id or 0
        for frame, tree in trees
        if "quoted" in tree and tree["ip"]["csum"] == tree["icmp"]["csum"] == "ok"
    }


@pytest.mark.parametrize(
    "path", documents(), ids=lambda path: path.stem if path.stem != "scenario" else path.parent.name
)
def test_wireshark_finds_nothing_wrong(path: Path, tmp_path: Path) -> None:
    """No malformed frame and no bad checksum; interface names and packet ids show on every frame."""
    run = NetworkRun(load_network(path))
    run.run()
    file = tmp_path / "capture.pcapng"
    with file.open("wb") as stream:
        run.capture.write_pcapng(stream, describe(run.fabric, run.capture.points), name_table(run.fabric))
    rows = tshark(file)
    points = {f"{device}@{owner}" for owner, device in run.capture.points}
    assert len(rows) == len(run.capture.frames) + len(run.capture.endings)
    assert {row.interface for row in rows} <= points
    assert {row.packet_id for row in rows} == {frame.packet_id for frame in run.capture.frames}
    excused = injected_ids(run) | sound_errors(run)
    assert [row for row in tshark(file, condition=BAD) if row.packet_id not in excused] == []
