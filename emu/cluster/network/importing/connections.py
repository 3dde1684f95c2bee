# SPDX-License-Identifier: GPL-2.0-only
"""`conntrack -L`: how many connections there were."""

from __future__ import annotations

import re
from typing import Final

_CONNECTION: Final = re.compile(r"^(?:ipv4 +\d+ +)?\w+ +\d+ .*?\bsrc=[0-9.]+ dst=", re.MULTILINE)


def count(text: str) -> int:
    """Return how many connections of IPv4 a listing has."""
    return len(_CONNECTION.findall(text))
