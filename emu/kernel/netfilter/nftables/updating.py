# SPDX-License-Identifier: GPL-2.0-only
"""Sets that packets change. Source: net/netfilter/nft_dynset.c."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu.kernel.netfilter.nftables.evaluation import BREAK
from emu.kernel.netfilter.nftables.loads import load
from emu.kernel.netfilter.nftables.ruleset import Element

if TYPE_CHECKING:
    from emu.kernel.netfilter.nftables.evaluation import Evaluation, Outcome, Step
    from emu.kernel.netfilter.nftables.expressions import Data
    from emu.kernel.netfilter.nftables.live import LiveSet
    from emu.kernel.netfilter.nftables.statements import Update
    from emu.sim.time import Instant


def compile_update(update: Update) -> Step:
    """Return the statement that enters, renews or deletes an element.

    Raises:
        NotModelledError: it asks for what is not modelled.
    """
    read, name = load(update.key), update.set
    data = None if update.data is None or isinstance(update.data, int | str) else load(update.data)

    def step(evaluation: Evaluation) -> Outcome:
        key, found = read(evaluation), evaluation.table.sets[name]
        if key is None:
            return BREAK
        if update.verb == "delete":
            if key in found.slots:
                found.discard(key)
            return None
        value = data(evaluation) if data is not None else None
        if data is not None and value is None:
            return BREAK
        slot = found.slots.get(key)
        if slot is None or not slot.lives(evaluation.now):
            if not _has_room(found, evaluation.now):
                return BREAK
            slot = found.add(_element(update, found, key, value), evaluation.now)
        elif update.verb == "update" and slot.expires is not None:
            slot.expires = evaluation.now + (update.timeout or found.value.timeout)
        return None if slot.passes(evaluation.now, len(evaluation.skb.packet)) else BREAK

    return step


def _element(update: Update, found: LiveSet, key: int | str, value: Data | None) -> Element:
    timeout = update.timeout if update.timeout != found.value.timeout else 0
    statements = update.statements or found.value.statements
    return Element(key, value, timeout, statements=statements)


def _has_room(found: LiveSet, now: Instant) -> bool:
    size = found.value.size
    if not size or len(found.slots) < size:
        return True
    found.expire(now)
    return len(found.slots) < size
