# SPDX-License-Identifier: GPL-2.0-only
"""What the real iptables made of rules, as it was recorded.

For each of `words`, given to `iptables -t TABLE -A CHAIN`, there is either what
`iptables-save` printed then and the end of the line that `iptables -nL` showed,
or the complaint of iptables, or the kernel's reason to refuse the rule.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import attrs

_FILE: Final = Path(__file__).with_name("recorded.json")


@attrs.frozen
class Recorded:
    """A rule and what became of it; what is empty did not happen."""

    table: str
    chain: str
    words: str
    saved: str = ""
    listed: str = ""
    error: str = ""
    refused: str = ""

    def __str__(self) -> str:
        return f"{self.table} {self.chain} {self.words}"


RECORDED: Final = tuple(Recorded(**rule) for rule in json.loads(_FILE.read_text())["rules"])
