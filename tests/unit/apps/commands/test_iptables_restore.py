# SPDX-License-Identifier: GPL-2.0-only
"""The options of `iptables-restore`."""

from __future__ import annotations

import random
from typing import Final

import pytest

from emu.apps import commands
from emu.apps.commands.iptables_restore import prepare
from emu.errors import CommandError
from emu.kernel.namespace import Namespace
from emu.sim.choice import DrawnChoice

_RULES: Final = """\
*nat
:B - [0:0]
COMMIT
*filter
:B - [0:0]
[3:4] -A INPUT
COMMIT
"""


def restored(*options: str) -> list[str]:
    """Return the lines of rules and of users' chains after a text was read over a chain `A`."""
    net = Namespace("node", random=random.Random(1), choice=DrawnChoice(random.Random(2)))
    commands.execute(net, ["iptables", "-N", "A"])
    prepare(options, text=_RULES)(net)
    saved = commands.execute(net, ["iptables-save", "-c"]).splitlines()
    return [line for line in saved if line[0] in "[*" or " - " in line]


@pytest.mark.parametrize(
    "options",
    [
        ("-n", "-c", "-T", "filter"),
        ("-nc", "--table=filter"),
        ("-cnTfilter",),
        ("-ncT", "filter"),
        ("-ncw", "5", "-T", "filter"),
    ],
    ids=" ".join,
)
def test_options_may_stand_in_one_word(options: tuple[str, ...]) -> None:
    """The value of the last one with them, or behind."""
    assert restored(*options) == ["*filter", ":A - [0:0]", ":B - [0:0]", "[3:4] -A INPUT"]


def test_without_options_all_is_new() -> None:
    """And counts from zero."""
    assert restored() == ["*filter", ":B - [0:0]", "[0:0] -A INPUT", "*nat", ":B - [0:0]"]


@pytest.mark.parametrize(("word", "letter"), [("-nz", "z"), ("-zn", "z"), ("-w5", "5"), ("-n-", "-")])
def test_an_option_that_does_not_exist_is_named(word: str, letter: str) -> None:
    """Wherever it stands in the word."""
    with pytest.raises(CommandError, match=f"invalid option -- '{letter}'"):
        prepare([word], text=_RULES)
