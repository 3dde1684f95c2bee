# SPDX-License-Identifier: GPL-2.0-only
"""UIDs: random, of version 4, from named streams."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import random

_BITS: Final = 128


def new_uid(stream: random.Random) -> str:
    """Return a UID drawn from `stream`, so that it depends on nobody who draws elsewhere."""
    return str(uuid.UUID(int=stream.getrandbits(_BITS), version=4))
