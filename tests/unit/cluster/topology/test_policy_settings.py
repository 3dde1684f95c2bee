# SPDX-License-Identifier: GPL-2.0-only
"""What a `Cluster` document says of NetworkPolicies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from emu.cluster.source import ClusterSource, read_source
from emu.errors import DocumentError
from emu.kube.policy.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

    from emu.cluster.topology.spec import ClusterSpec


def spec(folder: Path, text: str) -> ClusterSpec:
    """Return what a document with `text` in its spec is read as."""
    path = folder / "cluster.yaml"
    path.write_text(f"apiVersion: emu/v1\nkind: Cluster\nspec: {text}\n")
    found = read_source([str(path)])
    assert isinstance(found, ClusterSource)
    return found.topology.cluster


@pytest.mark.parametrize(
    ("text", "policy", "settings"),
    [
        ("{}", "provider", Settings("keep", "node")),
        ("{network: {policy: iptables}}", "iptables", Settings()),
        ("{network: {provider: flannel, policy: none}}", "none", Settings()),
        ("{networkPolicy: {establishedConnections: recheck}}", "provider", Settings("recheck", "node")),
        ("{networkPolicy: {hostNetworkPeer: pod}}", "provider", Settings("keep", "pod")),
    ],
)
def test_settings_are_read(tmp_path: Path, text: str, policy: str, settings: Settings) -> None:
    """Each with its default."""
    found = spec(tmp_path, text)
    assert (found.network.policy, found.policies) == (policy, settings)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("{network: {policy: calico}}", "$.spec.network.policy"),
        ("{networkPolicy: {establishedConnections: drop}}", "$.spec.networkPolicy.establishedConnections"),
        ("{networkPolicy: {hostNetworkPeer: host}}", "$.spec.networkPolicy.hostNetworkPeer"),
        ("{networkPolicy: {keep: true}}", "$.spec.networkPolicy.keep"),
    ],
)
def test_what_there_is_not_is_refused(tmp_path: Path, text: str, path: str) -> None:
    """With its place."""
    with pytest.raises(DocumentError) as refused:
        spec(tmp_path, text)
    assert [fault.path for fault in refused.value.faults] == [path]
