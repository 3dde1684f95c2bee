# SPDX-License-Identifier: GPL-2.0-only
"""The page about providers is what runs say today, and says what is known of the real ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from emu.verify.comparison.__main__ import main, written
from emu.verify.comparison.measure import QUESTIONS, Row, measure

ROOT = Path(__file__).parents[4]
PROVIDERS = ROOT / "topologies" / "providers"


def row(name: str) -> Row:
    """Return what is measured of a provider."""
    return measure(name, (PROVIDERS / f"{name}.yaml", PROVIDERS / "shop.yaml"))


def test_the_page_is_current() -> None:
    """Whoever changes a provider writes the page anew."""
    assert (ROOT / "docs" / "reference" / "providers.md").read_text() == written(PROVIDERS)


class TestMeasured:
    """What is known of the real providers, told by packets."""

    def test_flannel(self) -> None:
        """VXLAN adds 50 octets, pods have 1450, nodes are seen by their address in the tunnel."""
        found = row("flannel-vxlan")
        assert found.wire.outer == ("VXLAN, UDP 8472, VNI 1, TTL 64",)
        assert (found.wire.added, found.mtu, found.mss, found.ttl) == (50, 1450, 1410, 62)
        assert [found.sources[each] for each in QUESTIONS] == [
            "pod",
            "node's cni0",
            "node's flannel.1",
            "node",
            "node",
            "node's cni0",
            "node's flannel.1",
        ]

    def test_weave(self) -> None:
        """The pod asks for the other pod itself, and no TTL is lowered."""
        found = row("weave")
        assert (found.next_hop, found.ttl, found.mtu, found.leads) == (
            "the pod itself",
            64,
            1376,
            "vethwe-bridge",
        )
        assert "UDP 6784" in found.wire.outer[0]
        assert ", DF" in found.wire.outer[0]

    def test_kindnet(self) -> None:
        """Plain packets between nodes, routed even between pods of one."""
        found = row("kindnet")
        assert (found.wire.added, found.ttl, found.near_ttl, found.enforces) == (0, 62, 63, "kindnet")


@pytest.mark.parametrize("words", [[], ["nowhere"], ["a", "b"]])
def test_without_a_folder_it_says_so(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """With status 2, and nothing on standard output."""
    assert main(words) == 2
    told = capsys.readouterr()
    assert (told.out, "FOLDER" in told.err) == ("", True)
