# SPDX-License-Identifier: GPL-2.0-only
"""What is said about the input beside an answer: little, and nothing twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from emu.cli import cli

if TYPE_CHECKING:
    from pathlib import Path

POD = """---
apiVersion: v1
kind: Pod
metadata: {{name: a, namespace: ns{0}}}
spec: {{containers: [{{name: a, image: i, ports: [{{containerPort: 80}}, {{containerPort: 80}}]}}]}}
"""
MODE = "apiVersion: emu/v1\nkind: Cluster\nspec: {kubeProxy: {mode: iptables, ipvs: {scheduler: wrr}}}\n"


def said(folder: Path, verb: str, number: int) -> list[str]:
    """Return what a verb says on standard error about so many pods, each with a duplicate port."""
    path = folder / "lab.yaml"
    path.write_text(MODE + "".join(POD.format(each) for each in range(number)))
    result = CliRunner().invoke(cli, [*verb.split(), "-f", str(path)])
    assert result.exit_code == 0, result.stderr
    return [line.replace(f"{folder}/", "") for line in result.stderr.splitlines()]


@pytest.mark.parametrize("verb", ["get pods -A", "rules worker-1", "trace node/worker-1 node/worker-2"])
def test_a_few_warnings_stand_for_many(tmp_path: Path, verb: str) -> None:
    """What contradicts itself comes first, the rest is counted; namespaces that are made are one line."""
    found = said(tmp_path, verb, 5)
    assert len(found) == 5
    assert found[0].endswith("$.spec.kubeProxy.ipvs: without effect: mode iptables does not use it")
    assert found[1].startswith("warning: lab.yaml:8: $.spec.containers[0].ports[1]: duplicate port")
    assert found[3:] == [
        "3 more warnings about the input: emu lint tells all",
        "namespaces ns0, ns1, ns2, ns3, ns4 are used and not in the input: they were made",
    ]


def test_lint_tells_all(tmp_path: Path) -> None:
    """It is the verb for that."""
    found = said(tmp_path, "lint", 5)
    assert sum("duplicate port" in line for line in found) == 5
    assert not any("more warning" in line for line in found)


def test_one_namespace_is_one(tmp_path: Path) -> None:
    """And three warnings are no more than are told."""
    found = said(tmp_path, "get pods -A", 1)
    assert found[-1] == "namespace ns0 is used and not in the input: it was made"
    assert len(found) == 3
