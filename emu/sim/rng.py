# SPDX-License-Identifier: GPL-2.0-only
"""One seed, many named streams: what one part draws does not move another's."""

from __future__ import annotations

import hashlib
import random
from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar, final

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterator


class LazyStream:
    """A stream that is only seeded once somebody opens it: most namespaces never draw a number."""

    is_still: ClassVar[bool] = True

    __slots__ = ("_name", "_streams")

    def __init__(self, streams: Streams, name: str) -> None:
        self._streams = streams
        self._name = name

    def open(self) -> random.Random:
        """Return the stream itself."""
        return self._streams.stream(self._name)


@final
@attrs.define
class Streams:
    """Random streams by name, all decided by `seed`."""

    is_still: ClassVar[bool] = True

    seed: int
    _streams: dict[str, random.Random] = attrs.field(factory=dict, init=False)

    def stream(self, name: str) -> random.Random:
        """Return the stream `name` (like `node-1/isn`), the same object each time."""
        found = self._streams.get(name)
        if found is None:
            digest = hashlib.sha256(f"{self.seed}/{name}".encode()).digest()
            found = self._streams[name] = random.Random(digest)
        return found

    def lazy(self, name: str) -> LazyStream:
        """Return the stream `name` for somebody who may never draw."""
        return LazyStream(self, name)

    @contextmanager
    def set_aside(self) -> Iterator[None]:
        """Forget afterwards which streams were opened inside the block: they begin anew."""
        known = len(self._streams)
        try:
            yield
        finally:
            while len(self._streams) > known:
                self._streams.popitem()
