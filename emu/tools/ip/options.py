# SPDX-License-Identifier: GPL-2.0-only
"""The options in front of the object: `ip -j -d link`.

Colours and time stamps change nothing here. Source: iproute2 6.1, ip/ip.c, bridge/bridge.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.errors import CommandError
from emu.tools.ip.words import USAGE, choose, not_modelled

if TYPE_CHECKING:
    from emu.tools.ip.words import Words


@attrs.define
class Options:
    """How the answer is to look.

    Attributes:
        json: as JSON.
        pretty: JSON on many lines.
        details: more of each object.
        statistics: counters and ages.
        oneline: each object on one line.
        brief: a table.
        family: 4 or 6: only what belongs to it; 0 for all.
    """

    json: bool = False
    pretty: bool = False
    details: bool = False
    statistics: bool = False
    oneline: bool = False
    brief: bool = False
    family: int = 0


_SWITCHES: Final = {
    "details": "details",
    "statistics": "statistics",
    "stats": "statistics",
    "oneline": "oneline",
    "brief": "brief",
    "json": "json",
    "pretty": "pretty",
}
_WITHOUT_EFFECT: Final = ("color", "Numeric", "timestamp", "tshort", "compressvlans")
_FAMILIES: Final = {"-4": 4, "-6": 6}
_UNMODELLED: Final = (
    "resolve",
    "human-readable",
    "iec",
    "batch",
    "force",
    "netns",
    "loops",
    "all",
    "family",
    "Version",
    "M",
    "B",
    "0",
    "rcvbuf",
    "echo",
)


def parse(words: Words, tool: str) -> Options:
    """Take the options and return them.

    Args:
        words: all behind the tool's name.
        tool: `ip` or `bridge`.

    Raises:
        CommandError: an option that there is not.
    """
    options = Options()
    while words.peek().startswith("-"):
        word = words.take()
        if word in _FAMILIES:
            options.family = _FAMILIES[word]
            continue
        name = word[2:] if word.startswith("--") else word[1:]
        chosen = choose(name, (*_UNMODELLED, *_WITHOUT_EFFECT, *_SWITCHES))
        if chosen is None:
            raise CommandError(f'Option "{word}" is unknown, try "{tool} -help".', USAGE)
        if chosen in _UNMODELLED:
            raise not_modelled(f"{tool} {word}")
        if chosen in _SWITCHES:
            if chosen.startswith("stat") and options.statistics:
                raise not_modelled(f"{tool} -s -s")
            setattr(options, _SWITCHES[chosen], True)
    return options
