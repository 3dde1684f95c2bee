# SPDX-License-Identifier: GPL-2.0-only
"""Traces word for word, as people read them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

import emu
from emu.verify.asker import Asker
from emu.verify.telling.places import Places
from emu.verify.telling.telling import Telling
from emu.verify.telling.text import text

HERE: Final = Path(__file__).parent
TOPOLOGIES: Final = HERE.parents[3] / "topologies"
SHOP: Final = (TOPOLOGIES / "providers" / "shop.yaml",)
TWO_WAYS: Final = HERE.parents[1] / "cli" / "two-ways.yaml"

TRACES: Final = {
    "reply-past-the-nat": ((TOPOLOGIES / "reply-past-the-nat.yaml",), "client", "10.96.0.20:80"),
    "service-by-nftables": ((TOPOLOGIES / "service-by-nftables.yaml",), "client", "10.96.0.20:80"),
    "flannel-vxlan": ((TOPOLOGIES / "providers" / "flannel-vxlan.yaml", *SHOP), "client", "svc/cart:80"),
    "kubenet-node-port": (
        (TOPOLOGIES / "providers" / "kubenet.yaml", *SHOP),
        "ext/laptop",
        "192.168.1.11:30080",
    ),
    "closed-port": ((TOPOLOGIES / "providers" / "kindnet.yaml", *SHOP), "client", "cart-1:81"),
    "two-ways": ((TWO_WAYS,), "pod1", "server:80"),
    "nobody-there": ((TWO_WAYS,), "pod1", "10.1.0.77"),
    "no-route": ((TWO_WAYS,), "up2", "10.9.9.9"),
    "policy-allows": ((HERE / "policy.yaml",), "front-end", "svc/db:6379"),
    "policy-drops": ((HERE / "policy.yaml",), "worker", "svc/db:6379"),
    "no-endpoints": ((HERE / "policy.yaml",), "worker", "svc/empty:80"),
}


@pytest.mark.parametrize("name", TRACES)
def test_a_trace_reads_word_for_word(name: str, tmp_path: Path) -> None:
    """All branches of it; what was written this time is kept beside the golden one's name."""
    files, source, target = TRACES[name]
    network = emu.load(*files)
    verdict = Asker(network).judge(source, target)
    shown = tuple(enumerate(verdict.outcomes, 1))
    written = text(Telling(verdict, shown, tuple(range(1, len(shown) + 1)), places=Places(network)))
    golden = HERE / "golden" / f"{name}.txt"
    (tmp_path / golden.name).write_text(f"{written}\n", encoding="utf-8")
    assert max(map(len, written.splitlines())) <= 80
    assert f"{written}\n" == golden.read_text(encoding="utf-8"), f"written to {tmp_path / golden.name}"


@pytest.mark.parametrize("path", sorted((HERE / "golden").glob("*.txt")), ids=lambda path: path.stem)
def test_every_golden_trace_is_compared(path: Path) -> None:
    """None is left behind."""
    assert path.stem in TRACES
