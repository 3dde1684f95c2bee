# SPDX-License-Identifier: GPL-2.0-only
"""Texts carried out: all of a text, or nothing where one thing in it is wrong.

Source: nftables, src/libnftables.c.
"""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING

from emu.tools.nft.asked import Listing
from emu.tools.nft.commands import read
from emu.tools.nft.faults import NftError
from emu.tools.nft.listing import PLAIN
from emu.tools.nft.recovering import MOST
from emu.tools.nft.trial import Trial

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from emu.kernel.netfilter.nftables.tables import NfTables
    from emu.sim.time import Instant
    from emu.tools.nft.listing import Options


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
    reading = read(text, interfaces)
    if not reading.is_whole:  # what is said to be missing might be in the rest
        raise NftError(sorted(reading.faults)[:MOST], text, source)
    trial = Trial(nft.begin(now), reading, text)
    printed = [trial.do(command, options) for command in reading.commands]
    if not trial.faults and any(not isinstance(asked, Listing) for asked, _ in reading.commands):
        trial.commit(nft)
    if trial.faults:
        raise NftError(sorted(trial.faults)[:MOST], text, source)
    return "".join(printed)
