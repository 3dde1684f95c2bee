# SPDX-License-Identifier: GPL-2.0-only
"""A progress bar on standard error, where that is a terminal; else nothing at all."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_EVERY = 0.1  # seconds


@contextmanager
def progress(words: str) -> Iterator[Callable[[int, int], None]]:
    """Give what is told how much is done, and how much there is; the bar goes when the block is left."""
    if not sys.stderr.isatty():
        yield lambda _done, _total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(
        *columns, console=console, transient=True, auto_refresh=False
    ) as bar:  # no thread: we may fork
        task = bar.add_task(words, total=None)
        shown = 0.0

        def tell(done: int, total: int) -> None:
            nonlocal shown
            bar.update(task, completed=done, total=total)
            if (now := time.monotonic()) > shown + _EVERY:
                shown = now
                bar.refresh()

        yield tell
