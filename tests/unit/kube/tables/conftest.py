# SPDX-License-Identifier: GPL-2.0-only
"""What the tests of tables share: a time, manifests made short, and a look at the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import pytest
import yaml

from emu.kube.api.codec import read
from emu.kube.tables.describe import describe
from emu.kube.tables.get import get
from emu.kube.tables.request import Options, parse
from emu.kube.tables.world import Snapshot
from emu.sim.time import EPOCH, SECOND

if TYPE_CHECKING:
    from collections.abc import Callable

    from emu.kube.tables.answer import Answer

NOW = EPOCH + 3600 * SECOND  # 2025-01-01T01:00:00Z

Ask: TypeAlias = "Callable[..., Answer]"


@pytest.fixture
def ask() -> Ask:
    """Return what asks `get` of the objects in YAML documents: `ask(text, "pods", output="wide")`."""

    def asked(text: str, words: str = "", *, version: str = "1.35", **options: object) -> Answer:
        objects = Snapshot(read(manifest) for manifest in yaml.safe_load_all(text) if manifest)
        request = parse(words.split(), Options(**options))  # type: ignore[arg-type]  # as the tests give them
        return get(request, objects, now=NOW, version=version)

    return asked


@pytest.fixture
def tell() -> Ask:
    """Return what asks `describe` in the same way."""

    def told(text: str, words: str, *, version: str = "1.35", **options: object) -> Answer:
        objects = Snapshot(read(manifest) for manifest in yaml.safe_load_all(text) if manifest)
        request = parse(words.split(), Options(**options), verb="describe")  # type: ignore[arg-type]  # so here
        return describe(request, objects, now=NOW, version=version)

    return told
