# SPDX-License-Identifier: GPL-2.0-only
"""What is said of wrong values in `Cluster` documents."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from emu.cluster.source import read_source
from emu.errors import DocumentError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            "kubeProxy: {mode: ipvs, ipvs: {scheduler: rx}}",
            "must be one of rr, wrr, lc, wlc, sed, nq, sh, dh, fo, ovf, not 'rx'",
        ),
        ("network: {provider: calico, pool: x}", "'x' is no prefix (like 10.244.1.0/24)"),
        ("network: {provider: calico, calico: {pool: x}}", "'x' is no prefix (like 10.244.1.0/24)"),
        ("network: {provider: weave, mtu: 5}", "must be from 68 to 65535, or 0"),
    ],
)
def test_a_wrong_value_is_told_without_a_guess_at_its_key(tmp_path: Path, spec: str, message: str) -> None:
    """Words that were meant are guessed where the key is unknown, and nothing is offered that is empty."""
    path = tmp_path / "cluster.yaml"
    path.write_text(f"apiVersion: emu/v1\nkind: Cluster\nspec:\n  {spec}\n")
    with pytest.raises(DocumentError) as caught:
        read_source([str(path)])
    assert [(fault.line, fault.message) for fault in caught.value.faults] == [(4, message)]


def test_an_unknown_key_beside_a_provider_is_guessed_at(tmp_path: Path) -> None:
    """It may be one of the provider, or of the network."""
    path = tmp_path / "cluster.yaml"
    path.write_text("apiVersion: emu/v1\nkind: Cluster\nspec:\n  network: {provider: kindnet, polcy: none}\n")
    with pytest.raises(DocumentError, match="did you mean 'policy'"):
        read_source([str(path)])


@pytest.mark.parametrize(
    ("kind", "spec", "message"),
    [
        (
            "Fabric",
            "links: [{endpoints: ['n:eth0', 't:1'], delay: 5}]",
            "must be a time with its unit, like 200us, 5ms or 1s, an hour at the most, not 5",
        ),
        (
            "Fabric",
            "links: [{endpoints: ['n:eth0', 't:1'], bandwidth: 10}]",
            "must be a bandwidth with its unit, like 10mbit or 1gbit, not 10",
        ),
        ("Scenario", "until: 5", "must be a time with its unit, like 9s, 1m30s or 250ms, not 5"),
        (
            "Cluster",
            "kubeProxy: {iptables: {syncPeriod: 5}}",
            "must be a duration with its unit, like 30s or 15m0s, not 5",
        ),
    ],
)
def test_a_number_without_its_unit_is_told_how_it_is_written(
    tmp_path: Path, kind: str, spec: str, message: str
) -> None:
    """Instead of that it is no text."""
    path = tmp_path / "lab.yaml"
    path.write_text(f"apiVersion: emu/v1\nkind: {kind}\nspec:\n  {spec}\n")
    with pytest.raises(DocumentError) as caught:
        read_source([str(path)])
    assert [(fault.line, fault.message) for fault in caught.value.faults] == [(4, message)]


def test_no_time_at_all_needs_no_unit(tmp_path: Path) -> None:
    """A zero is the same in all of them."""
    path = tmp_path / "lab.yaml"
    path.write_text("apiVersion: emu/v1\nkind: Scenario\nspec:\n  steps: [{at: 0, run: get pods}]\n")
    assert read_source([str(path)])
