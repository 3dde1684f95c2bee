# SPDX-License-Identifier: GPL-2.0-only
"""Addresses that two nodes have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import emu
from emu.verify.asker import Asker

if TYPE_CHECKING:
    from pathlib import Path

POD = """---
apiVersion: v1
kind: Pod
metadata: {{name: {0}}}
spec: {{nodeName: {1}, containers: [{{name: c, image: nginx, ports: [{{containerPort: 80}}]}}]}}
"""


def test_a_gateway_that_is_the_nodes_own_address_is_another_nodes_too(tmp_path: Path) -> None:
    """Then a node looks for pods of the other one on its own link, and nobody answers."""
    path = tmp_path / "lab.yaml"
    nodes = "".join(f"  - {{name: {name}, addresses: [192.168.0.11/24]}}\n" for name in ("one", "two"))
    pods = POD.format("a", "one") + POD.format("b", "two")
    path.write_text(f"apiVersion: emu/v1\nkind: Cluster\nspec:\n  nodes:\n{nodes}{pods}")
    failed = Asker(emu.load(str(path))).judge("a", "b:80").failure
    assert failed is not None
    assert failed.cause is not None
    assert (failed.cause.code, failed.cause.object) == ("DUP_IP", "Node two")
    assert failed.cause.words.startswith("Node one and Node two both have 192.168.0.11: by its route ")
