# SPDX-License-Identifier: GPL-2.0-only
"""One seed, many named streams: what one part draws does not move another's."""

from __future__ import annotations

import hashlib
import random
from typing import final

import attrs


@final
@attrs.define
class Streams:
    """Random streams by name, all decided by `seed`."""

    seed: int
    _streams: dict[str, random.Random] = attrs.field(factory=dict, init=False)

    def stream(self, name: str) -> random.Random:
        """Return the stream `name` (like `node-1/isn`), the same object each time."""
        found = self._streams.get(name)
        if found is None:
            digest = hashlib.sha256(f"{self.seed}/{name}".encode()).digest()
            found = self._streams[name] = random.Random(digest)
        return found
