# SPDX-License-Identifier: GPL-2.0-only
"""Networks that manifests install, and that are not the emulated one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from emu.cluster.source import read_source

if TYPE_CHECKING:
    from pathlib import Path

DAEMONS = """\
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {{name: {name}, namespace: kube-system}}
spec:
  selector: {{matchLabels: {{a: b}}}}
  template: {{metadata: {{labels: {{a: b}}}}, spec: {{containers: [{{name: c, image: '{image}'}}]}}}}
"""
CLUSTER = "apiVersion: emu/v1\nkind: Cluster\nspec: {{network: {{provider: {}}}}}\n"


def warnings_of(folder: Path, text: str) -> list[str]:
    """Return the warnings of a document, without its name."""
    path = folder / "lab.yaml"
    path.write_text(text)
    return [str(each).removeprefix(f"{path}:") for each in read_source([str(path)]).warnings]


@pytest.mark.parametrize(
    ("name", "image", "network"),
    [
        ("calico-node", "mirror.example/any:1", "calico"),
        ("agent", "registry.example:5000/calico/node:v3.30.0@sha256:abc", "calico"),
        ("agent", "ghcr.io/flannel-io/flannel:v0.27.0", "flannel"),
        ("weave-net", "weaveworks/weave-kube:2.8.1", "weave"),
        ("aws-node", "602401143452.dkr.ecr.us-west-2.amazonaws.com/amazon-k8s-cni:v1.20.0", "vpc"),
    ],
)
def test_another_network_is_warned_of(tmp_path: Path, name: str, image: str, network: str) -> None:
    """By name of the DaemonSet or of its image; who says that provider is not warned."""
    daemons = DAEMONS.format(name=name, image=image)
    wanted = f"looks like {network}; emulated is kindnet: say network.provider in a Cluster document"
    assert warnings_of(tmp_path, daemons) == [f"2: $: DaemonSet kube-system/{name} {wanted}"]
    assert warnings_of(tmp_path, CLUSTER.format(network) + daemons) == []


def test_a_network_that_is_not_modelled_is_said_to_be_none(tmp_path: Path) -> None:
    """There is no provider to be named."""
    found = warnings_of(tmp_path, DAEMONS.format(name="cilium", image="quay.io/cilium/cilium:v1.18.0"))
    assert found == [
        "2: $: DaemonSet kube-system/cilium looks like cilium, which is not modelled; emulated is kindnet"
    ]


def test_calico_for_policies_beside_the_emulated_network_is_usual(tmp_path: Path) -> None:
    """On EKS, say; kindnet's own is not remarkable, nor is any other DaemonSet."""
    aws, calico, other = (
        DAEMONS.format(name=name, image="i:1") for name in ("aws-node", "calico-node", "fluentd")
    )
    assert warnings_of(tmp_path, CLUSTER.format("vpc") + aws + calico) == []
    assert warnings_of(tmp_path, DAEMONS.format(name="kindnet", image="kindest/kindnetd:v1") + other) == []
