# SPDX-License-Identifier: GPL-2.0-only
"""Python's collector of cyclic garbage, and how it is kept out of what builds much."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def garbage_kept() -> Iterator[None]:
    """Build without the collector: what is built stays, and it would be walked over and over.

    Afterwards all of it counts as old, so that the first collection passes it
    by; unless somebody has frozen objects, who would find them thawed.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            if not gc.get_freeze_count():
                gc.freeze()
                gc.unfreeze()
            gc.enable()
