# SPDX-License-Identifier: GPL-2.0-only
"""Texts carried out: all of a text, or nothing where one thing in it is wrong.

Source: nftables, src/libnftables.c.
"""

from __future__ import annotations

import gc
import re
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from emu.tools.nft.asked import Listing
from emu.tools.nft.commands import Reading, read
from emu.tools.nft.faults import NftError
from emu.tools.nft.listing import PLAIN
from emu.tools.nft.recovering import MOST
from emu.tools.nft.trial import Trial

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from emu.kernel.netfilter.nftables.tables import NfTables
    from emu.sim.time import Instant
    from emu.tools.nft.listing import Options

_TEXTS_KEPT: Final = 32
_READ_LATER: Final = re.compile(r"\belement\b")
"""Elements of sets are read once the set is known, and so not the same for all."""


def load(
    nft: NfTables,
    text: str,
    now: Instant,
    *,
    source: str = "",
    interfaces: Collection[str] | None = None,
    options: Options = PLAIN,
) -> str:
    """Carry out the commands in `text` and return what they list.

    Args:
        nft: where.
        text: of a file, or of a command's arguments.
        now: the time.
        source: the file's name, for complaints; empty for arguments.
        interfaces: the devices there are; None where nobody knows.
        options: how lists look.

    Raises:
        NftError: something is wrong; nothing is changed.
    """
    with _uncollected():
        return _load(nft, text, now, source=source, interfaces=interfaces, options=options)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Have no garbage looked for: of many rules much is made, and all of it stays."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _load(
    nft: NfTables,
    text: str,
    now: Instant,
    *,
    source: str,
    interfaces: Collection[str] | None,
    options: Options,
) -> str:
    reading = _reading(text, interfaces)
    if not reading.is_whole:  # what is said to be missing might be in the rest
        raise NftError(sorted(reading.faults)[:MOST], text, source)
    trial = Trial(nft.begin(now), reading, text)
    printed = [trial.do(command, options) for command in reading.commands]
    if not trial.faults and any(not isinstance(asked, Listing) for asked, _ in reading.commands):
        trial.commit(nft)
    if trial.faults:
        raise NftError(sorted(trial.faults)[:MOST], text, source)
    return "".join(printed)


def _reading(text: str, interfaces: Collection[str] | None) -> Reading:
    """Return what `read` does, for the caller to change; what was read lately is not read again."""
    if _READ_LATER.search(text) is None:
        kept, named = _read_once(text)
        if kept.is_whole and not kept.faults and (interfaces is None or named.issubset(interfaces)):
            return Reading(list(kept.commands), [], set(kept.doubtful), is_whole=True)
    return read(text, interfaces)


@lru_cache(maxsize=_TEXTS_KEPT)
def _read_once(text: str) -> tuple[Reading, frozenset[str]]:
    """Return what is read where every device exists, and the devices that have to."""
    devices = _Devices()
    return read(text, devices), frozenset(devices)


class _Devices(set[str]):
    """The devices that were asked for: each of them exists."""

    def __contains__(self, name: object) -> bool:
        self.add(str(name))
        return True
