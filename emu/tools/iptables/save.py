# SPDX-License-Identifier: GPL-2.0-only
"""Tables as `iptables-save` prints them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu.tools.iptables.snapshot import NOTHING
from emu.tools.iptables.text import rule_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from emu.kernel.netfilter.xtables import Count
    from emu.tools.iptables.snapshot import Snapshot


def render(snapshots: Iterable[Snapshot], *, counters: bool = False) -> str:
    """Return the text of tables, without the comments that tell when it was made.

    Args:
        snapshots: the tables, in the order in which they are to be printed.
        counters: each rule's are printed, too (`-c`); those of policies always are.
    """
    return "".join(f"{line}\n" for snapshot in snapshots for line in _lines(snapshot, counters=counters))


def _lines(snapshot: Snapshot, *, counters: bool) -> Iterator[str]:
    table = snapshot.table
    yield f"*{table.name}"
    for chain in table.chains:
        if chain.policy is None:
            yield f":{chain.name} - [0:0]"
        else:
            counted = snapshot.counted.get(chain.name)
            policy = counted.policy if counted is not None else NOTHING
            yield f":{chain.name} {chain.policy.name} {bracketed(policy)}"
    for chain in table.chains:
        if counters:
            counts = snapshot.of(chain.name).rules
            for rule, count in zip(chain.rules, counts, strict=True):
                yield f"{bracketed(count)} {rule_text(chain.name, rule)}"
        else:
            for rule in chain.rules:
                yield rule_text(chain.name, rule)
    yield "COMMIT"


def bracketed(count: Count) -> str:
    """Return `[PACKETS:OCTETS]`."""
    return f"[{count.packets}:{count.octets}]"
