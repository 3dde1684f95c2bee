# SPDX-License-Identifier: GPL-2.0-only
"""How a program's system call ended, in one word."""

from __future__ import annotations

import errno

TIMEOUT = "timeout"


def word(error: OSError) -> str:
    """Return the name of the errno, or `timeout` where nothing came back."""
    if isinstance(error, TimeoutError):
        return TIMEOUT
    return errno.errorcode.get(error.errno or 0, str(error))
