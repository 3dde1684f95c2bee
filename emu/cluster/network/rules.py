# SPDX-License-Identifier: GPL-2.0-only
"""The rules files of a document: checked when it is read, loaded when it is built.

What reads a kind of file is imported when there is one.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final, TypeAlias

from emu.errors import RulesError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from emu.kernel.namespace import Namespace

    Loader: TypeAlias = Callable[[Namespace | None, str], None]

KINDS: Final[Mapping[str, str]] = {
    "ipset": "emu.cluster.network.rules_ipset",
    "iptables": "emu.cluster.network.rules_iptables",
    "nft": "emu.cluster.network.rules_nft",
}
"""What a document may have, and the module whose `load` reads it."""


def check(kind: str, text: str) -> Iterable[tuple[int, str]]:
    """Return what is wrong with a file of `kind` (`iptables`, `nft`, `ipset`): lines and complaints."""
    try:
        load(None, kind, text)
    except RulesError as error:
        return [(complaint.line, str(complaint)) for complaint in error.complaints]
    return []


def load(net: Namespace | None, kind: str, text: str) -> None:
    """Load a file of `kind`, as `iptables-restore`, `nft -f` or `ipset restore` does.

    Args:
        net: where; None to find its faults alone.
        kind: `iptables`, `nft` or `ipset`.
        text: the file.

    Raises:
        RulesError: it has faults; nothing is loaded.
    """
    loader: Loader = import_module(KINDS[kind]).load
    loader(net, text)
