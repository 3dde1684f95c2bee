# SPDX-License-Identifier: GPL-2.0-only
"""Running a document's actions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu.cluster.network.reader import load_network
from emu.cluster.network.run import NetworkRun

if TYPE_CHECKING:
    from pathlib import Path

AGEING = """\
name: ageing
namespaces: {a: {}, b: {}, switch: {}}
bridges:
  - {ns: switch, if: br0, mac: '02:00:00:00:00:fe', ageing: 2, ports: [p1, p2]}
links:
  - a: {ns: a, if: eth0, mac: '02:00:00:00:00:0a', addr: [10.0.0.1/24]}
    b: {ns: switch, if: p1, mac: '02:00:00:00:00:01'}
  - a: {ns: b, if: eth0, mac: '02:00:00:00:00:0b', addr: [10.0.0.2/24]}
    b: {ns: switch, if: p2, mac: '02:00:00:00:00:02'}
captures: [a/eth0]
actions:
  - ping: {ns: a, dst: 10.0.0.2}
  - snapshot: {label: soon}
  - sleep: {seconds: 3}
  - snapshot: {label: later}
"""


def test_a_snapshot_shows_the_tables_of_its_instant(tmp_path: Path) -> None:
    """What has aged since a namespace was last busy is not there any more."""
    path = tmp_path / "ageing.yaml"
    path.write_text(AGEING, encoding="utf-8")
    dumps = NetworkRun(load_network(path)).run().dumps
    learned = {
        label: [row["mac"] for row in dump["switch"]["fdb"] if row["state"] == "dynamic"]
        for label, dump in dumps.items()
    }
    assert learned == {
        "soon": ["02:00:00:00:00:0a", "02:00:00:00:00:0b"],
        "later": [],
        "end": [],
    }
