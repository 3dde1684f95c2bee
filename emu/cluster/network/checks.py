# SPDX-License-Identifier: GPL-2.0-only
"""What the reader of network documents asks others about."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


@attrs.frozen
class Checks:
    """What the parts that model commands, sysctls and rules say about a document.

    Each returns a complaint, or None (`rules`: nothing) if all is well. Without
    them these things are taken as they are.

    `command` gets the words of a command; `sysctl` a name and a value; `rules`
    one of `iptables`, `nft` and `ipset` and the text of a file, and answers
    with lines and complaints.
    """

    command: Callable[[tuple[str, ...]], str | None] | None = None
    sysctl: Callable[[str, str], str | None] | None = None
    rules: Callable[[str, str], Iterable[tuple[int, str]]] | None = None
