# SPDX-License-Identifier: GPL-2.0-only
"""The page that compares modes of kube-proxy says what they do."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tests.scenarios import kube_proxy_modes

PAGE: Final = Path(__file__).parents[2] / "docs/reference/kube-proxy-modes.md"


def test_the_page_is_current() -> None:
    """`python -m tests.scenarios.kube_proxy_modes > docs/reference/kube-proxy-modes.md` writes it."""
    assert PAGE.read_text(encoding="utf-8") == kube_proxy_modes.text()
