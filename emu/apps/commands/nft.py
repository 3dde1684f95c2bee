# SPDX-License-Identifier: GPL-2.0-only
"""`nft`: rulesets entered, changed and listed."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

import attrs

from emu.errors import CommandError
from emu.tools.nft.commands import parse
from emu.tools.nft.listing import Options
from emu.tools.nft.loading import load

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.apps.commands.action import Action
    from emu.kernel.namespace import Namespace

_SWITCHES: Final = {
    "-a": "handles",
    "--handle": "handles",
    "-n": "numeric",
    "--numeric": "numeric",
    "-s": "stateless",
    "--stateless": "stateless",
}
_WITHOUT_EFFECT: Final = frozenset(
    ("-S", "--service", "-p", "--numeric-protocol", "-y", "--numeric-priority", "-N", "--reversedns")
)
_UNMODELLED: Final = frozenset(
    (
        "-f",
        "--file",
        "-j",
        "--json",
        "-i",
        "--interactive",
        "-c",
        "--check",
        "-e",
        "--echo",
        "-o",
        "--optimize",
    )
)


def prepare(argv: Sequence[str]) -> Action:
    """Read the arguments of `nft` and return what they ask for.

    Raises:
        CommandError: they make no sense.
    """
    options, words = Options(), list(argv)
    while words and words[0].startswith("-") and len(words[0]) > 1:
        options = _with(options, words.pop(0))
    if not words:
        raise CommandError("nft: no command specified", 1)
    text = " ".join(words)
    parse(text)  # its faults are told now; what they are about is known when it runs
    return partial(run, text=text, options=options)


def _with(options: Options, word: str) -> Options:
    letters = [f"-{letter}" for letter in word[1:]] if not word.startswith("--") else [word]
    for letter in letters:
        if letter in _UNMODELLED:
            raise CommandError(f"nft {letter} is not modelled", 1)
        if letter in _SWITCHES:
            options = attrs.evolve(options, **{_SWITCHES[letter]: True})
        elif letter not in _WITHOUT_EFFECT:
            raise CommandError(f"nft: invalid option -- '{letter.lstrip('-')}'", 1)
    return options


def run(net: Namespace, text: str, options: Options) -> str:
    """Do what `text` asks for, all of it or nothing, and return the lists in it."""
    return load(net.netfilter.nft, text, net.now, interfaces=net.devices, options=options)
