# SPDX-License-Identifier: GPL-2.0-only
"""What namespaces are called in a document, where names have no slashes and no dots.

A name is as short as can be told from the others: `node/worker-1` is `worker-1`,
`default/web-1` is `web-1`; where two would be called so, both have the whole of
their names, `default-web-1`.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_SOUND: Final = re.compile(r"[^\s./\\:\x00-\x1f\x7f]{1,100}")  # what the format takes
_UNSOUND: Final = re.compile(r"[^\w-]", re.ASCII)
_LONGEST: Final = 80  # leaves room for what a tool puts in front


def document_names(namespaces: Iterable[str]) -> dict[str, str]:
    """Return the name that each namespace has in a document, in the same order."""
    originals = list(namespaces)
    names = {name: name for name in originals if _SOUND.fullmatch(name)}
    others = [name for name in originals if name not in names]
    tails = Counter(_plain(name.rpartition("/")[2]) for name in others)
    taken = set(names)
    for name in others:
        tail = _plain(name.rpartition("/")[2])
        wanted = tail if tails[tail] == 1 and tail not in names else _plain(name)
        names[name] = _free(wanted, taken)
        taken.add(names[name])
    return {name: names[name] for name in originals}


def _plain(name: str) -> str:
    return _UNSOUND.sub("-", name)[:_LONGEST] or "-"


def _free(wanted: str, taken: set[str]) -> str:
    name, number = wanted, 2
    while name in taken:
        name, number = f"{wanted}-{number}", number + 1
    return name
