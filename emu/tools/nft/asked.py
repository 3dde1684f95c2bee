# SPDX-License-Identifier: GPL-2.0-only
"""What `nft` is asked beside what it asks the kernel: lists, and elements of sets not known yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable

    from emu.kernel.netfilter.nftables.ruleset import Element, Set


@attrs.frozen
class Listing:
    """Show something.

    Attributes:
        what: `ruleset`, `table`, `chains`, ...
        family: empty for all.
        table: the name of the table, empty for all.
        name: of a chain, set, map or object.
    """

    what: str
    family: str = ""
    table: str = ""
    name: str = ""


@attrs.frozen
class Reset:
    """Show counters, and set them to zero; fields as those of `Listing`."""

    what: str
    family: str = ""
    table: str = ""
    name: str = ""


@attrs.frozen
class Pending:
    """Elements to be entered or deleted.

    Attributes:
        verb: `add`, `create`, `delete` or `destroy`.
        family: of the table.
        table: its name.
        set: the name of the set or map.
        read: returns the elements, once the set is known; raises `SyntaxFaultError`.
        text: where they stand, for complaints.
    """

    verb: str
    family: str
    table: str
    set: str
    read: Callable[[Set], tuple[Element, ...]]
    text: str
